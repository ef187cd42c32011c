-- What makers say of orders: that they will consider one, and how they decided when the waiting period was over.

ALTER TABLE orders ADD COLUMN acknowledgement TEXT;  -- Signed<Acknowledgement>, signed by the maker

-- One for each round, for ever: nobody decides twice.
CREATE TABLE decisions (
    offer_id  TEXT   NOT NULL,
    decide_at BIGINT NOT NULL,
    signed    TEXT   NOT NULL,                       -- Signed<Decision>
    PRIMARY KEY (offer_id, decide_at)
);
