-- Readings that boards can give since issue 6; see contract::health::Readings for units.
ALTER TABLE samples ADD COLUMN cpu_pressure_percent REAL;
ALTER TABLE samples ADD COLUMN emmc_pre_eol INTEGER;
ALTER TABLE samples ADD COLUMN disk_wear_percent INTEGER;
ALTER TABLE samples ADD COLUMN disk_reallocated_sectors INTEGER;
ALTER TABLE samples ADD COLUMN screen_on_s INTEGER;
ALTER TABLE samples ADD COLUMN speaker_on_s INTEGER;
ALTER TABLE samples ADD COLUMN lessons_failed INTEGER;
ALTER TABLE samples ADD COLUMN player_errors INTEGER;
ALTER TABLE samples ADD COLUMN outbox_samples INTEGER;
ALTER TABLE samples ADD COLUMN wifi_signal_percent INTEGER;
ALTER TABLE samples ADD COLUMN gateway_rtt_ms REAL;
ALTER TABLE samples ADD COLUMN console_rtt_ms REAL;
ALTER TABLE samples ADD COLUMN console_loss_percent REAL;
ALTER TABLE samples ADD COLUMN dns_ms REAL;
ALTER TABLE samples ADD COLUMN telemetry_bytes INTEGER;
