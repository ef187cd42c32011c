-- Orders that say what they are only when their round is closed.

ALTER TABLE orders ADD COLUMN sealed BIGINT NOT NULL DEFAULT 0;   -- 1: the maker has, or had, its seal before the order

-- Received, and not revealed. Kept until they expire, so that none is in two rounds.
CREATE TABLE sealed_orders (
    id              TEXT   NOT NULL PRIMARY KEY,     -- the order's
    offer_id        TEXT   NOT NULL,
    signed          TEXT   NOT NULL,                 -- Signed<SealedOrder>
    decide_at       BIGINT NOT NULL,
    acknowledgement TEXT   NOT NULL,                 -- Signed<Acknowledgement>
    expires_at      BIGINT NOT NULL,
    created_at      BIGINT NOT NULL
);
CREATE INDEX sealed_orders_by_end ON sealed_orders (expires_at);

-- With which orders a round was closed before any was revealed; one for each, for ever.
CREATE TABLE closings (
    offer_id  TEXT   NOT NULL,
    decide_at BIGINT NOT NULL,
    signed    TEXT   NOT NULL,                       -- Signed<Closing>
    at        BIGINT NOT NULL,                       -- when it was signed, or came to be known here
    PRIMARY KEY (offer_id, decide_at)
);
