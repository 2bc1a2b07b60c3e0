-- What lists of devices are narrowed and ordered by, so that a page of 5,000 needs no counting; and what is missing for keeping
-- house: which days to work out again, which power-ups are forgotten.

-- Lessons that the device should hold, of these complete, of these impossible; kept by db::devices::counts.
ALTER TABLE devices ADD COLUMN lessons_assigned INTEGER NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN lessons_ready INTEGER NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN lessons_failed INTEGER NOT NULL DEFAULT 0;
UPDATE devices SET
    lessons_assigned = (SELECT count(*) FROM assigned_lessons a WHERE a.device_no = devices.device_no),
    lessons_ready = (SELECT count(*) FROM assigned_lessons a JOIN device_lessons l ON l.device_no = a.device_no
        AND l.lesson_id = a.lesson_id AND l.version = a.version AND l.state = 'ready' WHERE a.device_no = devices.device_no),
    lessons_failed = (SELECT count(*) FROM assigned_lessons a JOIN device_lessons l ON l.device_no = a.device_no
        AND l.lesson_id = a.lesson_id AND l.version = a.version AND l.state = 'failed' WHERE a.device_no = devices.device_no);

-- How each device is now: what was worked out last (device_liveness, every few seconds), unless its session came or went since.
-- One that is revoked or replaced is not worked out, and unknown.
CREATE VIEW device_now AS
    SELECT n.device_no, n.state, n.why,
           CASE WHEN n.state = n.kept_state THEN n.kept_since ELSE n.last_seen_at END AS since
      FROM (SELECT d.device_no, d.last_seen_at, l.state AS kept_state, l.since AS kept_since,
                   CASE WHEN d.standing <> 'active' THEN 'unknown'
                        WHEN d.online = 1 AND coalesce(l.why, '') NOT IN ('silent', 'broker_down') THEN 'online'
                        WHEN d.online = 0 AND coalesce(l.why, 'connected') NOT IN ('connected', 'silent', 'not_watched') THEN l.state
                        ELSE 'unknown' END AS state,
                   CASE WHEN d.last_seen_at IS NULL THEN 'never_heard'
                        WHEN d.standing <> 'active' THEN 'not_watched'
                        WHEN d.online = 1 AND coalesce(l.why, '') NOT IN ('silent', 'broker_down') THEN 'connected'
                        WHEN d.online = 0 AND coalesce(l.why, 'connected') IN ('connected', 'silent') THEN 'not_watched'
                        WHEN d.online IS NULL AND coalesce(l.why, '') <> 'broker_down' THEN 'not_watched'
                        ELSE coalesce(l.why, 'not_watched') END AS why
              FROM devices d LEFT JOIN device_liveness l ON l.device_no = d.device_no) n;

-- Days of devices whose samples went to another day when a clock was put right; `day` counts days of the school's clock.
CREATE TABLE device_days_stale (
    device_no INTEGER NOT NULL,
    day       INTEGER NOT NULL,
    PRIMARY KEY (device_no, day)
) STRICT, WITHOUT ROWID;

CREATE INDEX boots_by_time ON boots (first_seen_at);
CREATE INDEX security_events_by_device ON security_events (device_no, first_at) WHERE device_no IS NOT NULL;
