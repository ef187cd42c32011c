-- How an order and a swap begin, each with one statement, as what follows is written (0009).

-- Coins are looked up by the swap that they are for, too.
CREATE INDEX reserved_inputs_by_swap ON reserved_inputs (swap_id);

-- A received order takes the place of its seal.
CREATE TRIGGER reveal AFTER INSERT ON orders BEGIN
    DELETE FROM sealed_orders WHERE id = NEW.id;
END;

-- A new swap: its order is agreed on with it (if agreed is 1), and both chains have been followed so far (alpha and beta, if they are
-- there).
CREATE VIEW begins (id, hashlock, order_id, contract, snapshot, created_at, agreed, alpha, beta) AS
    SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL WHERE FALSE;
CREATE TRIGGER do_begin INSTEAD OF INSERT ON begins BEGIN
    INSERT INTO swaps (id, hashlock, order_id, contract, snapshot, seq, created_at)
        VALUES (NEW.id, NEW.hashlock, NEW.order_id, NEW.contract, NEW.snapshot, 0, NEW.created_at);
    UPDATE orders SET state = 'agreed' WHERE id = NEW.order_id AND NEW.agreed = 1;
    INSERT INTO cursors (side, height)
        SELECT 'alpha', NEW.alpha WHERE NEW.alpha IS NOT NULL UNION ALL SELECT 'beta', NEW.beta WHERE NEW.beta IS NOT NULL
        ON CONFLICT (side) DO UPDATE SET height = excluded.height;
END;
