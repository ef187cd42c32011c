-- What is written together, each with one statement. A statement is a transaction of its own: it is on its way to the disk after one
-- call, and when it fails nothing of it is left.

-- A transaction that is about to be sent, or the same step at a higher fee, and the coins that it spends (a JSON array of txid:vout).
CREATE VIEW sends (swap_id, step, tx, bytes, fee, size, fee_rate, updated_at, inputs) AS
    SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL WHERE FALSE;
CREATE TRIGGER send INSTEAD OF INSERT ON sends BEGIN
    INSERT INTO outbox (swap_id, step, tx, bytes, fee, size, fee_rate, updated_at)
        VALUES (NEW.swap_id, NEW.step, NEW.tx, NEW.bytes, NEW.fee, NEW.size, NEW.fee_rate, NEW.updated_at)
        ON CONFLICT (swap_id, step) DO UPDATE SET tx = excluded.tx, bytes = excluded.bytes, fee = excluded.fee,
            size = excluded.size, fee_rate = excluded.fee_rate, updated_at = excluded.updated_at;
    -- A replacement spends what it replaces; nobody else may.
    INSERT INTO reserved_inputs (input, swap_id) SELECT coin.value, NEW.swap_id FROM json_each(NEW.inputs) coin
        WHERE NOT EXISTS (SELECT 1 FROM reserved_inputs r WHERE r.input = coin.value AND r.swap_id = NEW.swap_id);
END;

-- One event of a swap and what follows from it: the snapshot, how far the chain that told it has been followed (if side is there), and
-- what is about to be sent (if step is there).
CREATE VIEW commits (swap_id, seq, at, event, snapshot, ended, side, height, step, tx, bytes, fee, size, fee_rate, inputs) AS
    SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL WHERE FALSE;
CREATE TRIGGER do_commit INSTEAD OF INSERT ON commits BEGIN
    SELECT RAISE(ABORT, 'the swap is not where the event would have it')
        WHERE NOT EXISTS (SELECT 1 FROM swaps WHERE id = NEW.swap_id AND seq = NEW.seq - 1);
    INSERT INTO events (swap_id, seq, at, event) VALUES (NEW.swap_id, NEW.seq, NEW.at, NEW.event);
    UPDATE swaps SET snapshot = NEW.snapshot, seq = NEW.seq, ended = NEW.ended WHERE id = NEW.swap_id;
    INSERT INTO cursors (side, height) SELECT NEW.side, NEW.height WHERE NEW.side IS NOT NULL
        ON CONFLICT (side) DO UPDATE SET height = excluded.height;
    INSERT INTO sends (swap_id, step, tx, bytes, fee, size, fee_rate, updated_at, inputs)
        SELECT NEW.swap_id, NEW.step, NEW.tx, NEW.bytes, NEW.fee, NEW.size, NEW.fee_rate, NEW.at, NEW.inputs WHERE NEW.step IS NOT NULL;
    DELETE FROM reserved_inputs WHERE swap_id = NEW.swap_id AND NEW.ended = 1;
END;
