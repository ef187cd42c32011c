-- Sealed copies of contracts that this engine keeps for others. It cannot read them.
CREATE TABLE copies (
    account    TEXT NOT NULL,                -- whose copy
    swap_id    TEXT NOT NULL,                -- of which contract; not of this engine's swaps alone
    signed     TEXT NOT NULL,                -- Signed<SealedCopy>
    keep_until BIGINT NOT NULL,
    PRIMARY KEY (account, swap_id)
);
CREATE INDEX copies_by_end ON copies (keep_until);

-- Who keeps this engine's own copy of a contract.
CREATE TABLE handed_over (
    swap_id TEXT NOT NULL REFERENCES swaps (id),
    keeper  TEXT NOT NULL,                   -- its address
    at      BIGINT NOT NULL,
    PRIMARY KEY (swap_id, keeper)
);
