-- Ids, documents and amounts are TEXT (hexadecimal, canonical JSON, decimal); times are seconds since 1970.

-- What the engine pinned when it first started: networks, account.
CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

-- Offers of this engine's owners.
CREATE TABLE offers (
    id         TEXT NOT NULL PRIMARY KEY,
    owner      TEXT NOT NULL,
    signed     TEXT NOT NULL,                -- Signed<Offer>
    cancelled  BIGINT NOT NULL DEFAULT 0,
    sequence   BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX offers_by_time ON offers (created_at, id);

-- Orders placed with makers, and orders received from takers.
CREATE TABLE orders (
    id         TEXT NOT NULL PRIMARY KEY,
    direction  TEXT NOT NULL,                -- placed | received
    offer_id   TEXT NOT NULL,
    offer      TEXT NOT NULL,                -- Offer, as it was when the order was placed
    signed     TEXT NOT NULL,                -- Signed<Order>
    reach      TEXT NOT NULL,                -- the maker's address, for placed orders
    state      TEXT NOT NULL,                -- waiting | offered | agreed | refused | expired | cancelled
    reason     TEXT,
    decide_at  BIGINT NOT NULL,              -- end of the waiting period, for received orders
    contract   TEXT,                         -- Signed<Contract>, signed by the maker
    created_at BIGINT NOT NULL
);
CREATE INDEX orders_by_state ON orders (state, direction);
CREATE INDEX orders_by_offer ON orders (offer_id);

-- Swaps: the contract, and the newest snapshot of the machine.
CREATE TABLE swaps (
    id         TEXT NOT NULL PRIMARY KEY,
    hashlock   TEXT NOT NULL UNIQUE,         -- no hashlock is ever used twice
    order_id   TEXT NOT NULL UNIQUE,
    contract   TEXT NOT NULL,                -- SignedContract
    snapshot   TEXT NOT NULL,
    seq        BIGINT NOT NULL,              -- of the newest event
    ended      BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL
);
CREATE INDEX swaps_open ON swaps (ended, created_at);

-- What happened to each swap. Append-only.
CREATE TABLE events (
    swap_id TEXT NOT NULL REFERENCES swaps (id),
    seq     BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    event   TEXT NOT NULL,
    PRIMARY KEY (swap_id, seq)
);

-- Transactions that may have left this computer, signed. A step is in here once.
CREATE TABLE outbox (
    swap_id    TEXT NOT NULL REFERENCES swaps (id),
    step       TEXT NOT NULL,
    tx         TEXT NOT NULL,                -- the transaction's name on its chain
    bytes      BLOB NOT NULL,                -- empty where the bytes do not stay valid and are made anew
    fee        BIGINT NOT NULL,
    size       BIGINT NOT NULL,
    fee_rate   BIGINT NOT NULL,              -- satoshis per 1000 weight units
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (swap_id, step)
);

-- Coins that a stored transaction spends. No other transaction may.
CREATE TABLE reserved_inputs (
    input   TEXT NOT NULL PRIMARY KEY,       -- txid:vout
    swap_id TEXT NOT NULL REFERENCES swaps (id)
);

-- The Bitcoin wallet's state: changes, as its library writes them, oldest first.
CREATE TABLE wallet_changes (
    seq    INTEGER PRIMARY KEY AUTOINCREMENT,
    change TEXT NOT NULL
);

-- How far each chain has been followed. Behind is safe: what is seen twice changes nothing.
CREATE TABLE cursors (
    side   TEXT NOT NULL PRIMARY KEY,
    height BIGINT NOT NULL
);
