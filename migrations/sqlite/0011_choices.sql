-- A decision of this maker, and what it is to each of its orders that still waits, with one statement (0009). answers is a JSON array of
-- {id, state, reason, contract}, the contract as text.
CREATE VIEW choices (offer_id, decide_at, signed, answers) AS SELECT NULL, NULL, NULL, NULL WHERE FALSE;
CREATE TRIGGER choose INSTEAD OF INSERT ON choices BEGIN
    INSERT INTO decisions (offer_id, decide_at, signed) VALUES (NEW.offer_id, NEW.decide_at, NEW.signed);
    UPDATE orders SET state = answer.value ->> 'state', reason = answer.value ->> 'reason', contract = answer.value ->> 'contract'
        -- The plus keeps the planner from going through all orders that wait.
        FROM json_each(NEW.answers) answer WHERE orders.id = answer.value ->> 'id' AND +orders.state = 'waiting';
END;
