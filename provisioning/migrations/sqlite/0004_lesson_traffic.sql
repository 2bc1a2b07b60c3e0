-- Where lesson bytes came from and what they cost the disk: increments since the sample before, in bytes.
ALTER TABLE samples ADD COLUMN lan_in_bytes INTEGER;
ALTER TABLE samples ADD COLUMN lan_out_bytes INTEGER;
ALTER TABLE samples ADD COLUMN copied_bytes INTEGER;
ALTER TABLE samples ADD COLUMN pack_bytes INTEGER;
ALTER TABLE samples ADD COLUMN written_bytes INTEGER;
-- Boards of the school that it was connected with.
ALTER TABLE samples ADD COLUMN peers INTEGER;
