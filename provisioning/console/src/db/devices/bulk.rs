//! One order to many devices: who gets it, and giving it, school by school.

use contract::{command::CommandEnvelope, controls::ControlsReport, id::DeviceId};
use sqlx::{FromRow, QueryBuilder, Sqlite};

use super::{Devices, list::narrow};
use crate::{
    api::devices::{DeviceFilter, DeviceState},
    db::{
        DbResult, bump, commands, json, parse,
        scope::{Node, Scope, narrow_to_schools},
        to_json,
    },
};

/// Devices of one order, at most.
pub const MOST_DEVICES: usize = 1_000;

/// A device that an order may go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// Its row.
    pub device_no: i64,
    /// Which.
    pub id: DeviceId,
    /// Its school.
    pub school_id: i64,
    /// The school's name.
    pub school: String,
    /// Its classroom.
    pub classroom_id: i64,
    /// The classroom's name.
    pub classroom: String,
    /// How it is.
    pub state: DeviceState,
    /// As in the database: `active`, or why it does not get orders.
    pub standing: String,
    /// What it can be told.
    pub controls: Option<ControlsReport>,
}

#[derive(FromRow)]
struct Row {
    device_no: i64,
    id: String,
    school_id: i64,
    school: String,
    classroom_id: i64,
    classroom: String,
    state: String,
    standing: String,
    controls: Option<String>,
}

impl Row {
    fn reached(self) -> DbResult<Reached> {
        Ok(Reached {
            device_no: self.device_no,
            id: parse(&self.id)?,
            school_id: self.school_id,
            school: self.school,
            classroom_id: self.classroom_id,
            classroom: self.classroom,
            state: DeviceState::of_column(&self.state),
            standing: self.standing,
            controls: self.controls.as_deref().map(json).transpose()?,
        })
    }
}

const SELECT: &str = "SELECT d.device_no, d.id, s.id AS school_id, s.name AS school, c.id AS classroom_id, c.name AS classroom,
    n.state, d.standing, d.controls
    FROM devices d JOIN device_now n ON n.device_no = d.device_no JOIN classrooms c ON c.id = d.classroom_id
    JOIN schools s ON s.id = c.school_id JOIN regions r ON r.id = s.region_id ";

impl Devices<'_> {
    /// The devices that a filter finds, or those of these ids, within `scope`, by place; at most one more than
    /// [`MOST_DEVICES`], so that the caller sees when there are too many.
    ///
    /// # Errors
    /// The database's.
    pub async fn reached(
        &self,
        scope: &Scope,
        ids: &[DeviceId],
        filter: Option<&DeviceFilter>,
    ) -> DbResult<Vec<Reached>> {
        let mut sql = QueryBuilder::<Sqlite>::new(SELECT);
        match filter {
            Some(filter) => narrow(&mut sql, scope, filter),
            None => {
                let ids: Vec<&str> = ids.iter().map(DeviceId::as_str).collect();
                sql.push(" WHERE d.id IN (SELECT value FROM json_each(")
                    .push_bind(to_json(&ids)?)
                    .push("))");
                narrow_to_schools(&mut sql, "s.id", scope);
            }
        }
        sql.push(" ORDER BY r.id, s.code, c.code, d.device_no LIMIT ")
            .push_bind(i64::try_from(MOST_DEVICES).unwrap_or(i64::MAX) + 1);
        let rows: Vec<Row> = sql.build_query_as().fetch_all(&self.0.read).await?;
        rows.into_iter().map(Row::reached).collect()
    }

    /// Gives each device of one school its order: all of them or none, with one row in the audit log of that school.
    ///
    /// # Errors
    /// The database's.
    pub async fn order_school(
        &self,
        school: i64,
        orders: &[(i64, CommandEnvelope)],
        by: &str,
    ) -> DbResult<()> {
        let Some((_, first)) = orders.first() else {
            return Ok(());
        };
        let mut tx = self.0.begin().await?;
        for (device_no, order) in orders {
            commands::insert(&mut tx, *device_no, order, by).await?;
        }
        crate::audit::object("school", school);
        crate::audit::node(Node::School(school));
        crate::audit::note("order", first.body.word());
        crate::audit::note("body", to_json(&first.body)?);
        crate::audit::note("devices", orders.len() as u64);
        let ids: Vec<&str> = orders.iter().map(|(_, order)| order.device_id.as_str()).collect();
        crate::audit::note("ids", ids.join(" "));
        bump(&mut tx, "device").await?;
        tx.commit().await
    }
}
