-- A watcher's swaps: for whom each is watched.
CREATE TABLE watched (
    swap_id TEXT NOT NULL PRIMARY KEY REFERENCES swaps (id),
    account TEXT NOT NULL
);
CREATE INDEX watched_by_account ON watched (account);

-- Exits from Bitcoin that their owners signed in advance and sealed, for each HTLC that a swap has had.
CREATE TABLE packages (
    swap_id TEXT NOT NULL REFERENCES swaps (id),
    htlc    TEXT NOT NULL,                   -- txid:vout
    sealed  BLOB NOT NULL,
    PRIMARY KEY (swap_id, htlc)
);

-- Which watcher has what of this engine's own swaps.
CREATE TABLE watchers (
    swap_id TEXT NOT NULL REFERENCES swaps (id),
    watcher TEXT NOT NULL,                   -- its address
    htlc    TEXT NOT NULL,                   -- whose package it has; empty for the contract alone
    at      BIGINT NOT NULL,
    PRIMARY KEY (swap_id, watcher, htlc)
);
