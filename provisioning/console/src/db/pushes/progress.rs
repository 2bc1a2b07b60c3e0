//! How far the devices of a push are, one by one and as many as stand alike.

use sqlx::{FromRow, QueryBuilder, Sqlite};

use super::Pushes;
use crate::{
    api::pushes::PushState,
    db::{
        DbResult,
        scope::{Scope, narrow_to_schools},
        to_json,
    },
    domain::progress::Tally,
};

/// One device's figures in one push.
#[derive(FromRow)]
pub(in crate::db) struct ProgressRow {
    pub(in crate::db) push_id: i64,
    pub(in crate::db) device_no: i64,
    total: i64,
    ready: i64,
    fetching: i64,
    queued: i64,
    failed: i64,
    pub(in crate::db) done_bytes: i64,
    pub(in crate::db) total_bytes: i64,
    pub(in crate::db) reason: Option<String>,
    pub(in crate::db) detail: Option<String>,
    pub(in crate::db) undeliverable: Option<String>,
}

impl ProgressRow {
    /// What cannot even be said to the board has failed on it, unless it has everything by another way.
    pub(in crate::db) fn state(&self) -> PushState {
        match self.tally().state() {
            state if self.undeliverable.is_none() || state == PushState::Ready => state,
            _ => PushState::Failed,
        }
    }

    pub(in crate::db) fn tally(&self) -> Tally {
        let n = |count: i64| u32::try_from(count).unwrap_or(0);
        Tally {
            total: n(self.total),
            ready: n(self.ready),
            fetching: n(self.fetching),
            queued: n(self.queued),
            failed: n(self.failed),
        }
    }
}

/// How far the devices are that a push covers now; of a withdrawn push `withdrawn_progress` keeps how far they were.
pub(in crate::db) const PROGRESS: &str = "SELECT pd.push_id, pd.device_no, count(l.id) AS total,
    coalesce(sum(dl.state = 'ready'), 0) AS ready, coalesce(sum(dl.state = 'fetching'), 0) AS fetching,
    coalesce(sum(dl.state = 'queued'), 0) AS queued, coalesce(sum(dl.state = 'failed'), 0) AS failed,
    coalesce(sum(CASE dl.state WHEN 'ready' THEN v.size_bytes WHEN 'fetching' THEN min(dl.done_bytes, v.size_bytes) ELSE 0 END), 0)
      AS done_bytes,
    coalesce(sum(v.size_bytes), 0) AS total_bytes, max(dl.reason) AS reason, max(dl.detail) AS detail
    FROM push_devices pd
    LEFT JOIN push_lessons pl ON pl.push_id = pd.push_id
    LEFT JOIN lessons l ON l.id = pl.lesson_id AND l.retired_at IS NULL AND l.released_version IS NOT NULL
    LEFT JOIN lesson_versions v ON v.lesson_id = l.id AND v.version = l.released_version
    LEFT JOIN device_lessons dl ON dl.device_no = pd.device_no AND dl.lesson_id = l.id AND dl.version = v.version ";

/// Devices of a push that stand alike.
#[derive(FromRow)]
pub(in crate::db) struct AlikeRow {
    #[sqlx(flatten)]
    pub(in crate::db) row: ProgressRow,
    pub(in crate::db) devices: i64,
}

/// A query for [`ProgressRow`]s. Of devices within `scope` only: one that was moved away since a push was withdrawn is
/// somebody else's.
fn push_progress(sql: &mut QueryBuilder<Sqlite>, scope: &Scope, pushes: &[i64]) -> DbResult<()> {
    sql.push("SELECT x.*, CASE WHEN p.withdrawn_at IS NULL THEN d.undeliverable END AS undeliverable FROM (");
    sql.push(PROGRESS);
    let pushes = to_json(&pushes)?;
    sql.push(" WHERE pd.push_id IN (SELECT p.id FROM json_each(")
        .push_bind(pushes.clone());
    sql.push(
        ") j JOIN pushes p ON p.id = j.value AND p.withdrawn_at IS NULL) GROUP BY pd.push_id, pd.device_no",
    );
    sql.push(" UNION ALL SELECT * FROM withdrawn_progress WHERE push_id IN (SELECT value FROM json_each(")
        .push_bind(pushes)
        .push(")) ) x JOIN pushes p ON p.id = x.push_id JOIN devices d ON d.device_no = x.device_no JOIN classrooms c ON c.id = d.classroom_id WHERE 1");
    narrow_to_schools(sql, "c.school_id", scope);
    Ok(())
}

impl Pushes<'_> {
    /// Device by device.
    pub(in crate::db) async fn progress(&self, scope: &Scope, pushes: &[i64]) -> DbResult<Vec<ProgressRow>> {
        let mut sql = QueryBuilder::<Sqlite>::new("");
        push_progress(&mut sql, scope, pushes)?;
        Ok(sql.build_query_as().fetch_all(&self.0.read).await?)
    }

    /// Devices that stand alike as one row, with how many they are: a county is a dozen rows instead of thousands.
    pub(in crate::db) async fn alike(&self, scope: &Scope, pushes: &[i64]) -> DbResult<Vec<AlikeRow>> {
        let mut sql = QueryBuilder::<Sqlite>::new(
            "SELECT push_id, 0 AS device_no, total, ready, fetching, queued, failed, sum(done_bytes) AS done_bytes,
                    sum(total_bytes) AS total_bytes, NULL AS reason, NULL AS detail, max(undeliverable) AS undeliverable,
                    count(*) AS devices FROM (",
        );
        push_progress(&mut sql, scope, pushes)?;
        sql.push(") GROUP BY push_id, total, ready, fetching, queued, failed, undeliverable IS NULL");
        Ok(sql.build_query_as().fetch_all(&self.0.read).await?)
    }
}
