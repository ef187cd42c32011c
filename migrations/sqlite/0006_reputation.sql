-- Receipts of completed swaps, this engine's own and others': signed by both parties, looked up on both chains.
CREATE TABLE receipts (
    id      TEXT   NOT NULL PRIMARY KEY,             -- the contract's
    htlc    TEXT   NOT NULL UNIQUE,                  -- the Bitcoin leg's output: it was in one swap
    maker   TEXT   NOT NULL,                         -- an account
    taker   TEXT   NOT NULL,                         -- an account
    receipt TEXT   NOT NULL,                         -- SharedReceipt
    own     BIGINT NOT NULL,                         -- whether this engine is a party
    at      BIGINT NOT NULL                          -- when the Bitcoin leg was closed
);
CREATE INDEX receipts_by_maker ON receipts (maker, at);
CREATE INDEX receipts_by_taker ON receipts (taker, at);
CREATE INDEX receipts_by_age ON receipts (at, id);

-- Whether whoever did it contradicted itself, and is traded with no more; otherwise it counts against it for a while.
ALTER TABLE misdeeds ADD COLUMN contradiction BIGINT NOT NULL DEFAULT 1;
