//! Work orders (工单): opened from incidents, reports and by hand, worked on, measured between their events.

mod acts;
mod faults;
mod open;
mod parts;
mod photos;
mod read;
mod sums;

use jiff::Timestamp;
use sqlx::SqliteConnection;

pub(super) use self::faults::{follow, from_fault};
pub(super) use self::open::insert;
pub(super) use self::sums::{Repaired, repaired};
pub use self::{open::Opening, photos::NewPhoto, read::WallOrder};
use super::{Db, DbResult, areas, timetables::calendars};
use crate::{
    api::orders::{OrderClass, OrderSla},
    domain::orders::{self as rules, hours::Hours},
};

/// Functions on work orders.
#[derive(Debug)]
pub struct Orders<'a>(&'a Db);

impl Db {
    /// Functions on work orders.
    pub const fn orders(&self) -> Orders<'_> {
        Orders(self)
    }
}

impl Orders<'_> {
    /// Accounts that are told first of what happens at a school, by its area, else by the roles nearest to it.
    ///
    /// # Errors
    /// The database's.
    pub async fn responsible(&self, school: i64) -> DbResult<Vec<i64>> {
        self.responsible_at(school, 0).await
    }

    /// The same for a higher tier: 1 the county, 2 and 3 what is above it.
    ///
    /// # Errors
    /// The database's.
    pub async fn responsible_at(&self, school: i64, tier: u8) -> DbResult<Vec<i64>> {
        let mut reading = self.0.read.begin().await?;
        areas::responsible(&mut reading, school, tier).await
    }
}

/// A school's hours of teaching.
async fn hours(tx: &mut SqliteConnection, school: i64) -> DbResult<Hours> {
    Ok(Hours::new(calendars::effective(tx, school).await?.0))
}

/// What is allowed at a school, the nearest region's word first.
async fn sla(tx: &mut SqliteConnection, school: i64, class: OrderClass, urgent: bool) -> DbResult<OrderSla> {
    let set: Option<(String, u32, u32)> = sqlx::query_as(
        "SELECT o.clock, o.respond_min, o.repair_min FROM order_slas o
           JOIN region_closure rc ON rc.ancestor = o.region_id
           JOIN schools s ON s.region_id = rc.descendant AND s.id = ?1
          WHERE o.class = ?2 AND o.urgent = ?3
          ORDER BY (SELECT count(*) FROM region_closure up WHERE up.descendant = o.region_id) DESC LIMIT 1",
    )
    .bind(school)
    .bind(rules::class_word(class))
    .bind(urgent)
    .fetch_optional(tx)
    .await?;
    Ok(set.map_or_else(
        || rules::sla::of(class, urgent),
        |(clock, respond_min, repair_min)| OrderSla {
            clock: serde_json::from_value(clock.into()).unwrap_or_default(),
            respond_min,
            repair_min,
        },
    ))
}

/// When a round that began then has to be answered and done.
async fn due(
    tx: &mut SqliteConnection,
    school: i64,
    class: OrderClass,
    urgent: bool,
    since: Timestamp,
) -> DbResult<(Timestamp, Timestamp)> {
    let (hours, sla) = (hours(tx, school).await?, sla(tx, school, class, urgent).await?);
    Ok((
        hours.after(since, sla.respond_min, sla.clock),
        hours.after(since, sla.repair_min, sla.clock),
    ))
}
