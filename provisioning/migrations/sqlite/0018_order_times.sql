-- Orders of faults that were open before there were orders: they came as they stood, and since when they stand so is all that
-- is known of when they were accepted and repaired. Without it an order that somebody works on counts as unanswered and climbs.
UPDATE orders SET accepted_at = since WHERE source = 'fault' AND state IN ('accepted', 'repaired') AND accepted_at IS NULL;
UPDATE orders SET repaired_at = since WHERE source = 'fault' AND state = 'repaired' AND repaired_at IS NULL;

-- The ledger counts repairs of each piece of equipment.
CREATE INDEX orders_by_asset ON orders (asset_id) WHERE asset_id IS NOT NULL;
