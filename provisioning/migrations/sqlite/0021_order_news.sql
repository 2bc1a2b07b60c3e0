-- People are told of work orders: what has happened to orders and nobody has been told of yet. The notification job takes a row
-- away in the transaction that queues its messages, so nothing is told twice and nothing is forgotten.
CREATE TABLE order_news (
    order_id INTEGER NOT NULL,
    n        INTEGER NOT NULL,
    PRIMARY KEY (order_id, n),
    FOREIGN KEY (order_id, n) REFERENCES order_events (order_id, n) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
-- Whoever writes an event writes this: so no writer can forget it.
CREATE TRIGGER order_news_came AFTER INSERT ON order_events
WHEN NEW.act IN ('opened', 'assigned', 'reopened', 'climbed') BEGIN
    INSERT INTO order_news (order_id, n) VALUES (NEW.order_id, NEW.n);
END;

-- The order that a message is about.
ALTER TABLE notifications ADD COLUMN order_id INTEGER REFERENCES orders (id);
CREATE INDEX notifications_by_order ON notifications (order_id) WHERE order_id IS NOT NULL;
