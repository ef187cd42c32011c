-- What the owner says to a received order before it is decided on.

ALTER TABLE orders ADD COLUMN word TEXT;             -- OwnerWord; NULL as long as there is none
