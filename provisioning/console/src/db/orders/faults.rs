//! Orders of faults that were reported at boards: both stand for the same.

use contract::records::RepairState;
use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{
    acts::{self, By},
    open::{Opening, insert},
};
use crate::{
    api::orders::{OrderAct, OrderBy, OrderSource, OrderState},
    db::{DbError, DbResult, scope::Scope},
    domain::{faults, orders as rules},
};

/// Written where a report ends without a word.
const ENDED: &str = "报修已结束";

/// Opens the order of a fault that has just come.
pub(in crate::db) async fn from_fault(
    tx: &mut SqliteConnection,
    fault: &str,
    now: Timestamp,
) -> DbResult<i64> {
    let (device, room, school, class, symptom): (i64, i64, i64, String, String) = sqlx::query_as(
        "SELECT f.device_no, c.id, c.school_id, f.class, f.symptom FROM faults f JOIN classrooms c ON c.id = f.classroom_id
          WHERE f.id = ?",
    )
    .bind(fault)
    .fetch_one(&mut *tx)
    .await?;
    let class = faults::class_of(&class);
    let mut opening = Opening::at(school, OrderSource::Fault, (OrderBy::Board, String::new()));
    opening.fault_id = Some(fault.to_owned());
    opening.classroom_id = Some(room);
    opening.device_no = Some(device);
    opening.fault_class = Some(class);
    opening.class = rules::class_for(class);
    opening.symptom = symptom;
    insert(tx, &opening, now).await
}

/// The repair of a fault stands otherwise, and not because its order said so: the order follows.
pub(in crate::db) async fn follow(
    tx: &mut SqliteConnection,
    fault: &str,
    repair: RepairState,
    note: &str,
    now: Timestamp,
    by: Option<&str>,
) -> DbResult<()> {
    let order: Option<(i64, String)> =
        sqlx::query_as("SELECT id, state FROM orders WHERE fault_id = ? ORDER BY id DESC LIMIT 1")
            .bind(fault)
            .fetch_optional(&mut *tx)
            .await?;
    let Some((order, state)) = order else {
        return Ok(());
    };
    let state = rules::state_of(&state).unwrap_or(OrderState::Closed);
    let Some(what) = rules::act_for(state, repair) else {
        return Ok(());
    };
    let user: Option<i64> = match by {
        None => None,
        Some(name) => {
            sqlx::query_scalar("SELECT id FROM users WHERE username = ?")
                .bind(name)
                .fetch_optional(&mut *tx)
                .await?
        }
    };
    let by = By {
        kind: if by.is_some() {
            OrderBy::User
        } else {
            OrderBy::Board
        },
        name: by.unwrap_or_default(),
        user,
    };
    let reason = matches!(what, OrderAct::Closed | OrderAct::Cancelled) && note.is_empty();
    let note = if reason { ENDED } else { note };
    match acts::act(tx, &Scope::everything(), order, what, &by, note, now).await {
        Ok(_) => Ok(()),
        // Broken again long after the repair: that is another order for the same report.
        Err(DbError::Conflict(_)) if what == OrderAct::Reopened => from_fault(tx, fault, now).await.map(drop),
        // The report stands as it stands; its order has its own history.
        Err(DbError::Conflict(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
