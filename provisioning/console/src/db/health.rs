//! Samples: stored once each, whatever is sent twice.

use std::collections::BTreeMap;

use contract::{
    health::{BootSeq, HealthSample, Readings, TelemetryBatch},
    id::{BootId, DeviceId},
};
use jiff::Timestamp;
use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};

use super::{Db, DbResult, instant, int, ms, parse, scope::Scope, uint};
use crate::api::health::{HealthPoint, HealthSeries};

/// Rows of one INSERT; SQLite binds at most 32,766 values.
const ROWS_PER_INSERT: usize = 250;
/// Sequence numbers looked at in one step of closing a gap.
const GAP_STEP: i64 = 2_000;

/// Functions on samples.
#[derive(Debug)]
pub struct Health<'a>(&'a Db);

impl Db {
    /// Functions on samples.
    pub fn health(&self) -> Health<'_> {
        Health(self)
    }
}

/// What became of one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// What the device may forget.
    pub ack: Vec<BootSeq>,
    /// Samples that were new.
    pub new: u64,
    /// Samples that were stored already.
    pub repeated: u64,
}

struct Boot {
    no: i64,
    contiguous: i64,
}

macro_rules! reading_columns {
    ($($name:ident: $via:ty),* $(,)?) => {
        const READING_COLUMNS: &str = concat!("0 AS none" $(, ", s.", stringify!($name))*);
        const INSERT: &str = concat!(
            "INSERT OR IGNORE INTO samples (device_no, boot_no, seq, at, received_at, uptime_ms, wall_time"
            $(, ", ", stringify!($name))*, ") "
        );

        #[derive(FromRow)]
        struct ReadingsRow { $($name: Option<$via>,)* }

        impl ReadingsRow {
            fn readings(self) -> Readings {
                Readings { $($name: self.$name.and_then(Column::read),)* }
            }
        }

        fn bind_readings(row: &mut sqlx::query_builder::Separated<'_, Sqlite, &'static str>, readings: &Readings) {
            $(row.push_bind(readings.$name.map(Column::written::<$via>));)*
        }
    };
}

/// A reading's type and the column's.
trait Column: Sized {
    fn written<C>(self) -> C
    where
        C: From<Cell>;
    fn read<C: Into<Cell>>(cell: C) -> Option<Self>;
}

/// What a column holds.
enum Cell {
    Int(i64),
    Real(f64),
}

impl From<Cell> for i64 {
    fn from(cell: Cell) -> Self {
        match cell {
            Cell::Int(value) => value,
            // Only reached if a macro line names a column type that does not fit its reading.
            Cell::Real(value) => value as Self,
        }
    }
}

impl From<Cell> for f64 {
    fn from(cell: Cell) -> Self {
        match cell {
            Cell::Int(value) => value as Self,
            Cell::Real(value) => value,
        }
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

macro_rules! int_column {
    ($($ty:ty),*) => {$(
        impl Column for $ty {
            fn written<C: From<Cell>>(self) -> C {
                Cell::Int(i64::try_from(self).unwrap_or(i64::MAX)).into()
            }
            fn read<C: Into<Cell>>(cell: C) -> Option<Self> {
                Self::try_from(i64::from(cell.into())).ok()
            }
        }
    )*};
}
int_column!(u8, u32, u64);

impl Column for f32 {
    fn written<C: From<Cell>>(self) -> C {
        Cell::Real(f64::from(self)).into()
    }
    fn read<C: Into<Cell>>(cell: C) -> Option<Self> {
        Some(f64::from(cell.into()) as Self)
    }
}

reading_columns! {
    cpu_percent: f64,
    load_1m: f64,
    memory_total_bytes: i64,
    memory_available_bytes: i64,
    memory_pressure_percent: f64,
    io_pressure_percent: f64,
    disk_total_bytes: i64,
    disk_free_bytes: i64,
    disk_free_inodes: i64,
    emmc_wear_percent: i64,
    temperature_celsius: f64,
    network_rx_bytes: i64,
    network_tx_bytes: i64,
    link_mbps: i64,
    agent_rss_bytes: i64,
    lessons_ready: i64,
    lessons_assigned: i64,
    fetched_bytes: i64,
    lan_in_bytes: i64,
    lan_out_bytes: i64,
    copied_bytes: i64,
    pack_bytes: i64,
    written_bytes: i64,
    peers: i64,
    cpu_pressure_percent: f64,
    emmc_pre_eol: i64,
    disk_wear_percent: i64,
    disk_reallocated_sectors: i64,
    screen_on_s: i64,
    speaker_on_s: i64,
    lessons_failed: i64,
    player_errors: i64,
    outbox_samples: i64,
    wifi_signal_percent: i64,
    gateway_rtt_ms: f64,
    console_rtt_ms: f64,
    console_loss_percent: f64,
    dns_ms: f64,
    telemetry_bytes: i64,
}

#[derive(FromRow)]
struct PointRow {
    at: i64,
    boot_id: String,
    seq: i64,
    #[sqlx(flatten)]
    readings: ReadingsRow,
}

impl Health<'_> {
    /// Stores batches in one transaction, in the order given; `None` for a device that is not enrolled here.
    ///
    /// Only after this has answered may an ack be sent: then what it names is on disk.
    ///
    /// # Errors
    /// The database's; then nothing of any batch is stored.
    pub async fn store(
        &self,
        batches: &[TelemetryBatch],
        received_at: Timestamp,
    ) -> DbResult<Vec<Option<Stored>>> {
        let mut tx = self.0.begin().await?;
        let mut outcomes = Vec::with_capacity(batches.len());
        for batch in batches {
            outcomes.push(store_one(&mut tx, batch, received_at).await?);
        }
        tx.commit().await?;
        Ok(outcomes)
    }

    /// The newest sample of a device.
    ///
    /// # Errors
    /// The database's.
    pub async fn latest(&self, device_no: i64) -> DbResult<Option<(Timestamp, Readings)>> {
        let mut sql = QueryBuilder::<Sqlite>::new("SELECT s.at, b.boot_id, s.seq, ");
        sql.push(READING_COLUMNS);
        sql.push(" FROM samples s JOIN boots b ON b.boot_no = s.boot_no WHERE s.device_no = ")
            .push_bind(device_no);
        sql.push(" ORDER BY s.at DESC, s.boot_no DESC, s.seq DESC LIMIT 1");
        let row: Option<PointRow> = sql.build_query_as().fetch_optional(&self.0.read).await?;
        Ok(row.map(|row| (instant(row.at), row.readings.readings())))
    }

    /// Samples of a stretch of time, oldest first; at most about `max_points`, evenly chosen.
    ///
    /// # Errors
    /// [`super::DbError::NotFound`] for the device, also for one out of reach.
    pub async fn series(
        &self,
        scope: &Scope,
        device: &DeviceId,
        from: Timestamp,
        to: Timestamp,
        max_points: u32,
    ) -> DbResult<HealthSeries> {
        let (device_no, _) = self.0.need_device(scope, device).await?;
        let total: i64 =
            sqlx::query_scalar("SELECT count(*) FROM samples WHERE device_no = ? AND at >= ? AND at <= ?")
                .bind(device_no)
                .bind(ms(from))
                .bind(ms(to))
                .fetch_one(&self.0.read)
                .await?;
        let step = (total + i64::from(max_points) - 1)
            .div_euclid(i64::from(max_points.max(1)))
            .max(1);
        let mut sql = QueryBuilder::<Sqlite>::new(
            "SELECT s.*, b.boot_id FROM (SELECT *, row_number() OVER (ORDER BY at, boot_no, seq) AS n FROM samples
              WHERE device_no = ",
        );
        sql.push_bind(device_no)
            .push(" AND at >= ")
            .push_bind(ms(from))
            .push(" AND at <= ")
            .push_bind(ms(to));
        sql.push(") s JOIN boots b ON b.boot_no = s.boot_no WHERE (s.n - 1) % ")
            .push_bind(step);
        sql.push(" = 0 OR s.n = ").push_bind(total).push(" ORDER BY s.n");
        let rows: Vec<PointRow> = sql.build_query_as().fetch_all(&self.0.read).await?;
        let points = rows
            .into_iter()
            .map(|row| {
                Ok(HealthPoint {
                    at: instant(row.at),
                    boot_id: parse::<BootId>(&row.boot_id)?,
                    seq: uint(row.seq),
                    readings: row.readings.readings(),
                })
            })
            .collect::<DbResult<_>>()?;
        Ok(HealthSeries {
            points,
            total: uint(total),
            downsampled: step > 1,
        })
    }
}

async fn store_one(
    tx: &mut SqliteConnection,
    batch: &TelemetryBatch,
    received_at: Timestamp,
) -> DbResult<Option<Stored>> {
    let device: Option<i64> = sqlx::query_scalar(
        "UPDATE devices SET dropped_total = max(dropped_total, ?), last_seen_at = max(coalesce(last_seen_at, 0), ?)
          WHERE id = ? RETURNING device_no",
    )
    .bind(int(batch.dropped_total))
    .bind(ms(received_at))
    .bind(batch.device_id.as_str())
    .fetch_optional(&mut *tx)
    .await?;
    let Some(device) = device else { return Ok(None) };

    // In the order of their first appearance, so that boot numbers grow with time.
    let mut order: Vec<&BootId> = Vec::new();
    for boot in batch
        .forgotten
        .iter()
        .map(|f| &f.boot_id)
        .chain(batch.samples.iter().map(|s| &s.boot_id))
    {
        if !order.contains(&boot) {
            order.push(boot);
        }
    }
    let mut boots: BTreeMap<&str, Boot> = BTreeMap::new();
    for boot in &order {
        let (no, contiguous) = sqlx::query_as(
            "INSERT INTO boots (device_no, boot_id, first_seen_at) VALUES (?, ?, ?)
             ON CONFLICT (device_no, boot_id) DO UPDATE SET boot_id = excluded.boot_id
             RETURNING boot_no, contiguous_seq",
        )
        .bind(device)
        .bind(boot.as_str())
        .bind(ms(received_at))
        .fetch_one(&mut *tx)
        .await?;
        boots.insert(boot.as_str(), Boot { no, contiguous });
    }

    let new = insert(tx, device, batch, &boots, received_at).await?;
    newest(tx, device, batch, received_at).await?;

    for forgotten in &batch.forgotten {
        if let Some(boot) = boots.get_mut(forgotten.boot_id.as_str()) {
            let up_to = int(forgotten.up_to_seq);
            boot.contiguous = boot.contiguous.max(up_to);
            sqlx::query("UPDATE boots SET forgotten_up_to = max(forgotten_up_to, ?) WHERE boot_no = ?")
                .bind(up_to)
                .bind(boot.no)
                .execute(&mut *tx)
                .await?;
        }
    }
    let mut ack = Vec::with_capacity(order.len());
    for id in order {
        let Some(boot) = boots.get(id.as_str()) else {
            continue;
        };
        let contiguous = advance(tx, device, boot).await?;
        sqlx::query("UPDATE boots SET contiguous_seq = ? WHERE boot_no = ?")
            .bind(contiguous)
            .bind(boot.no)
            .execute(&mut *tx)
            .await?;
        ack.push(BootSeq {
            boot_id: id.clone(),
            up_to_seq: uint(contiguous),
        });
    }
    let sent = batch.samples.len() as u64;
    Ok(Some(Stored {
        ack,
        new,
        repeated: sent.saturating_sub(new),
    }))
}

/// When a sample was taken: by its wall clock if that was trusted, else worked out from how much later the newest sample
/// of the same power-up was taken, which is held to be now.
fn taken_at(sample: &HealthSample, newest_uptime_ms: u64, received_at: Timestamp) -> i64 {
    match sample.wall_time {
        Some(at) => ms(at),
        None => ms(received_at).saturating_sub(int(newest_uptime_ms.saturating_sub(sample.uptime_ms))),
    }
}

fn newest_uptimes(batch: &TelemetryBatch) -> BTreeMap<&str, u64> {
    let mut newest = BTreeMap::new();
    for sample in &batch.samples {
        let uptime = newest.entry(sample.boot_id.as_str()).or_insert(0);
        *uptime = sample.uptime_ms.max(*uptime);
    }
    newest
}

async fn insert(
    tx: &mut SqliteConnection,
    device: i64,
    batch: &TelemetryBatch,
    boots: &BTreeMap<&str, Boot>,
    received_at: Timestamp,
) -> DbResult<u64> {
    let newest = newest_uptimes(batch);
    let mut new = 0;
    for samples in batch.samples.chunks(ROWS_PER_INSERT) {
        let mut sql = QueryBuilder::<Sqlite>::new(INSERT);
        sql.push_values(samples, |mut row, sample| {
            let boot = sample.boot_id.as_str();
            row.push_bind(device)
                .push_bind(boots.get(boot).map(|b| b.no))
                .push_bind(int(sample.seq))
                .push_bind(taken_at(
                    sample,
                    newest.get(boot).copied().unwrap_or(0),
                    received_at,
                ))
                .push_bind(ms(received_at))
                .push_bind(int(sample.uptime_ms))
                .push_bind(sample.wall_time.map(ms));
            bind_readings(&mut row, &sample.readings);
        });
        new += sql
            .build()
            .persistent(false)
            .execute(&mut *tx)
            .await?
            .rows_affected();
    }
    Ok(new)
}

/// Copies the newest sample's figures to the device's row.
async fn newest(
    tx: &mut SqliteConnection,
    device: i64,
    batch: &TelemetryBatch,
    received_at: Timestamp,
) -> DbResult<()> {
    let uptimes = newest_uptimes(batch);
    let at = |s: &HealthSample| {
        taken_at(
            s,
            uptimes.get(s.boot_id.as_str()).copied().unwrap_or(0),
            received_at,
        )
    };
    let Some(newest) = batch.samples.iter().max_by_key(|s| at(s)) else {
        return Ok(());
    };
    let readings = &newest.readings;
    let memory = match (readings.memory_total_bytes, readings.memory_available_bytes) {
        (Some(total), Some(available)) if total > 0 => {
            Some(100.0 * (total.saturating_sub(available)) as f64 / total as f64)
        }
        _ => None,
    };
    sqlx::query(
        "UPDATE devices SET latest_at = ?1, cpu_percent = ?2, memory_percent = ?3, temperature_celsius = ?4,
         disk_total_bytes = coalesce(?5, disk_total_bytes), disk_free_bytes = coalesce(?6, disk_free_bytes)
          WHERE device_no = ?7 AND (latest_at IS NULL OR latest_at <= ?1)",
    )
    .bind(at(newest))
    .bind(readings.cpu_percent)
    .bind(memory)
    .bind(readings.temperature_celsius)
    .bind(readings.disk_total_bytes.map(int))
    .bind(readings.disk_free_bytes.map(int))
    .bind(device)
    .execute(tx)
    .await?;
    Ok(())
}

/// How far the stored samples reach without a gap.
async fn advance(tx: &mut SqliteConnection, device: i64, boot: &Boot) -> DbResult<i64> {
    let mut contiguous = boot.contiguous;
    loop {
        let seqs: Vec<i64> = sqlx::query_scalar(
            "SELECT seq FROM samples WHERE device_no = ? AND boot_no = ? AND seq > ? ORDER BY seq LIMIT ?",
        )
        .bind(device)
        .bind(boot.no)
        .bind(contiguous)
        .bind(GAP_STEP)
        .fetch_all(&mut *tx)
        .await?;
        let looked_at = seqs.len();
        let before = contiguous;
        for seq in seqs {
            if seq != contiguous + 1 {
                return Ok(contiguous);
            }
            contiguous = seq;
        }
        if contiguous == before || looked_at < GAP_STEP as usize {
            return Ok(contiguous);
        }
    }
}
