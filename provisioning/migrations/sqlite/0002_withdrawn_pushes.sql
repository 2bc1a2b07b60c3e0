-- How far each device was with a push when it was withdrawn: from then on nothing is owed, so nothing may change it.
CREATE TABLE withdrawn_progress (
    push_id     INTEGER NOT NULL REFERENCES pushes (id),
    device_no   INTEGER NOT NULL REFERENCES devices (device_no),
    total       INTEGER NOT NULL,
    ready       INTEGER NOT NULL,
    fetching    INTEGER NOT NULL,
    queued      INTEGER NOT NULL,
    failed      INTEGER NOT NULL,
    done_bytes  INTEGER NOT NULL,
    total_bytes INTEGER NOT NULL,
    reason      TEXT,
    detail      TEXT,
    PRIMARY KEY (push_id, device_no)
) STRICT, WITHOUT ROWID;

-- What was withdrawn before this table was made stays as it is shown now.
INSERT INTO withdrawn_progress
SELECT pd.push_id, pd.device_no, count(l.id), coalesce(sum(dl.state = 'ready'), 0), coalesce(sum(dl.state = 'fetching'), 0),
       coalesce(sum(dl.state = 'queued'), 0), coalesce(sum(dl.state = 'failed'), 0),
       coalesce(sum(CASE dl.state WHEN 'ready' THEN v.size_bytes WHEN 'fetching' THEN min(dl.done_bytes, v.size_bytes) ELSE 0 END), 0),
       coalesce(sum(v.size_bytes), 0), max(dl.reason), max(dl.detail)
  FROM push_devices pd
  JOIN pushes p ON p.id = pd.push_id AND p.withdrawn_at IS NOT NULL
  LEFT JOIN push_lessons pl ON pl.push_id = pd.push_id
  LEFT JOIN lessons l ON l.id = pl.lesson_id AND l.retired_at IS NULL
  LEFT JOIN lesson_versions v ON v.lesson_id = l.id AND v.version = l.latest_version
  LEFT JOIN device_lessons dl ON dl.device_no = pd.device_no AND dl.lesson_id = l.id AND dl.version = v.version
 GROUP BY pd.push_id, pd.device_no;
