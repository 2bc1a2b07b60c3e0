//! Samples: stored once each, whatever is sent twice.

mod boots;
pub(in crate::db) mod columns;
mod store;

use contract::{
    health::{BootSeq, Readings},
    id::{BootId, DeviceId},
};
use jiff::{SignedDuration, Timestamp};
use sqlx::{FromRow, QueryBuilder, Sqlite};

use self::columns::{READING_COLUMNS, ReadingsRow};
use super::{Db, DbResult, instant, ms, parse, scope::Scope, uint};
use crate::{
    api::health::{HealthPoint, HealthSeries},
    domain::readings,
    ingest::batch::Batch,
};

/// A reading that was left out of the newest samples is looked for in those before, so far back: it is sent every 15 minutes.
const CARRIED: SignedDuration = SignedDuration::from_mins(20);
/// And in so many.
const CARRIED_SAMPLES: i64 = 130;

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
    /// What the device may forget of its events.
    pub events_ack: Vec<BootSeq>,
    /// Places in the batch of the events that were new.
    pub new_events: Vec<usize>,
    /// The device's row.
    pub device_no: i64,
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
    pub async fn store(&self, batches: &[Batch], received_at: Timestamp) -> DbResult<Vec<Option<Stored>>> {
        let mut tx = self.0.begin().await?;
        let mut outcomes = Vec::with_capacity(batches.len());
        for batch in batches {
            outcomes.push(store::one(&mut tx, batch, received_at).await?);
        }
        tx.commit().await?;
        Ok(outcomes)
    }

    /// Notes that messages of a device came too often and were not taken.
    ///
    /// # Errors
    /// The database's.
    pub async fn limited(&self, device: &DeviceId, count: u64, now: Timestamp) -> DbResult<()> {
        sqlx::query("UPDATE devices SET limited_total = limited_total + ?, limited_at = ? WHERE id = ?")
            .bind(super::int(count))
            .bind(ms(now))
            .bind(device.as_str())
            .execute(&self.0.write)
            .await?;
        Ok(())
    }

    /// A device's figures: its newest sample, and what that leaves out because it is as it was.
    ///
    /// # Errors
    /// The database's.
    pub async fn latest(&self, device_no: i64) -> DbResult<Option<(Timestamp, Readings)>> {
        let mut sql = QueryBuilder::<Sqlite>::new("SELECT s.at, b.boot_id, s.seq, ");
        sql.push(READING_COLUMNS);
        sql.push(" FROM samples s JOIN boots b ON b.boot_no = s.boot_no WHERE s.device_no = ")
            .push_bind(device_no);
        sql.push(" ORDER BY s.at DESC, s.boot_no DESC, s.seq DESC LIMIT ")
            .push_bind(CARRIED_SAMPLES);
        let rows: Vec<PointRow> = sql.build_query_as().fetch_all(&self.0.read).await?;
        let mut rows = rows.into_iter();
        let Some(newest) = rows.next() else {
            return Ok(None);
        };
        let (at, boot) = (instant(newest.at), newest.boot_id);
        let mut readings = newest.readings.readings();
        for row in rows {
            if row.boot_id != boot || at.duration_since(instant(row.at)) > CARRIED {
                break;
            }
            readings::carry(&mut readings, &row.readings.readings());
        }
        Ok(Some((at, readings)))
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
