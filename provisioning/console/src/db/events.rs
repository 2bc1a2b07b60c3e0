//! What happened on devices: stored once each, whatever is sent twice.

use contract::{
    event::{DeviceEvent, EventKind},
    id::{BootId, DeviceId},
};
use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};

use super::{Db, DbError, DbResult, instant, int, json, ms, parse, scope::Scope, to_json, uint};
use crate::{api::device_events::DeviceEventRow, domain::boot_clock::From};

/// Functions on events.
#[derive(Debug)]
pub struct Events<'a>(&'a Db);

impl Db {
    /// Functions on events.
    pub fn events(&self) -> Events<'_> {
        Events(self)
    }
}

/// An event as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptEvent {
    /// The device's row.
    pub device_no: i64,
    /// Which device.
    pub device: DeviceId,
    /// The power-up.
    pub boot_id: BootId,
    /// Its place among that power-up's events.
    pub seq: u64,
    /// When it happened, as well as is known.
    pub at: Timestamp,
    /// When it came in.
    pub received_at: Timestamp,
    /// What happened.
    pub what: EventKind,
}

#[derive(FromRow)]
struct Row {
    device_no: i64,
    id: String,
    boot_id: String,
    seq: i64,
    at: i64,
    received_at: i64,
    body: String,
}

impl Row {
    fn event(self) -> DbResult<KeptEvent> {
        Ok(KeptEvent {
            device_no: self.device_no,
            device: parse(&self.id)?,
            boot_id: parse(&self.boot_id)?,
            seq: uint(self.seq),
            at: instant(self.at),
            received_at: instant(self.received_at),
            what: json(&self.body)?,
        })
    }
}

/// The tag of an event's kind, as on the wire.
pub fn kind(what: &EventKind) -> &'static str {
    match what {
        EventKind::Booted { .. } => "booted",
        EventKind::Usb { .. } => "usb",
        EventKind::App { .. } => "app",
        EventKind::Tamper { .. } => "tamper",
        EventKind::PlayerError { .. } => "player_error",
        EventKind::ClockStep { .. } => "clock_step",
        EventKind::Link { .. } => "link",
        EventKind::Storage { .. } => "storage",
        EventKind::Bandwidth(_) => "bandwidth",
        EventKind::Other => "other",
    }
}

/// Stores events of a device; `place` answers the power-up and the moment of each, or nothing for one that is known. Answers the
/// places in `events` of those that were new.
pub(super) async fn insert(
    tx: &mut SqliteConnection,
    device: i64,
    events: &[DeviceEvent],
    received_at: Timestamp,
    place: impl Fn(&DeviceEvent) -> Option<(i64, (i64, From))>,
) -> DbResult<Vec<usize>> {
    let mut new = Vec::new();
    for (n, event) in events.iter().enumerate() {
        let Some((boot, (at, from))) = place(event) else {
            continue;
        };
        let done = sqlx::query(
            "INSERT INTO device_events (device_no, boot_no, seq, at, received_at, uptime_ms, wall_time, at_from, kind, body)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(device)
        .bind(boot)
        .bind(int(event.seq))
        .bind(at)
        .bind(ms(received_at))
        .bind(int(event.uptime_ms))
        .bind(event.wall_time.map(ms))
        .bind(from.column())
        .bind(kind(&event.what))
        .bind(to_json(&event.what)?)
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() > 0 {
            new.push(n);
        }
    }
    Ok(new)
}

/// Which events.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Of one device.
    pub device_no: Option<i64>,
    /// Of one kind; see [`kind`].
    pub kind: Option<String>,
    /// From then on.
    pub from: Option<Timestamp>,
    /// Up to, and without, then.
    pub to: Option<Timestamp>,
    /// At most so many.
    pub limit: u32,
}

impl Events<'_> {
    /// Events within `scope`, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, scope: &Scope, filter: &EventFilter) -> DbResult<Vec<KeptEvent>> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT e.device_no, d.id, b.boot_id, e.seq, e.at, e.received_at, e.body
               FROM device_events e JOIN devices d ON d.device_no = e.device_no JOIN boots b ON b.boot_no = e.boot_no
               JOIN classrooms c ON c.id = d.classroom_id
              WHERE (?1 IS NULL OR e.device_no = ?1) AND (?2 IS NULL OR e.kind = ?2)
                AND (?3 IS NULL OR e.at >= ?3) AND (?4 IS NULL OR e.at < ?4)
                AND (?5 IS NULL OR c.school_id IN (SELECT value FROM json_each(?5)))
              ORDER BY e.at DESC, e.boot_no DESC, e.seq DESC LIMIT ?6",
        )
        .bind(filter.device_no)
        .bind(&filter.kind)
        .bind(filter.from.map(ms))
        .bind(filter.to.map(ms))
        .bind(scope.schools())
        .bind(filter.limit)
        .fetch_all(&self.0.read)
        .await?;
        rows.into_iter().map(Row::event).collect()
    }

    /// Events that came in after `since`, in the order in which they came in; for whoever looks at each once. `since` is the
    /// time of receipt of the last one seen; those of the same millisecond come again.
    ///
    /// # Errors
    /// The database's.
    pub async fn received_since(&self, since: Timestamp, limit: u32) -> DbResult<Vec<KeptEvent>> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT e.device_no, d.id, b.boot_id, e.seq, e.at, e.received_at, e.body
               FROM device_events e JOIN devices d ON d.device_no = e.device_no JOIN boots b ON b.boot_no = e.boot_no
              WHERE e.received_at >= ? ORDER BY e.received_at, e.device_no, e.boot_no, e.seq LIMIT ?",
        )
        .bind(ms(since))
        .bind(limit)
        .fetch_all(&self.0.read)
        .await?;
        rows.into_iter().map(Row::event).collect()
    }

    /// Events of one device as the API shows them, newest first.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for the device, also for one out of reach.
    pub async fn of_device(
        &self,
        scope: &Scope,
        device: &DeviceId,
        mut filter: EventFilter,
    ) -> DbResult<Vec<DeviceEventRow>> {
        let (device_no, _) = self.0.need_device(scope, device).await?;
        filter.device_no = Some(device_no);
        let events = self.list(scope, &filter).await?;
        let row = |event: KeptEvent| {
            Ok(DeviceEventRow {
                at: event.at,
                received_at: event.received_at,
                boot_id: event.boot_id,
                seq: event.seq,
                kind: kind(&event.what).to_owned(),
                what: serde_json::to_value(&event.what).map_err(|e| DbError::Value(e.to_string()))?,
            })
        };
        events.into_iter().map(row).collect()
    }
}
