-- Proofs against those who have signed two things that cannot both be.
CREATE TABLE misdeeds (
    id      TEXT   NOT NULL PRIMARY KEY,             -- Misdeed::id
    accused TEXT   NOT NULL,                         -- an account
    proof   TEXT   NOT NULL,                         -- Misdeed
    at      BIGINT NOT NULL                          -- when it came to be known here
);
CREATE INDEX misdeeds_by_accused ON misdeeds (accused, at);
CREATE INDEX misdeeds_by_age ON misdeeds (at, id);
