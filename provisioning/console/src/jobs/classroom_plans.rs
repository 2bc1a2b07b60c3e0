//! Gives each board the plan of its classroom; see [`super::owed_plans`].

use contract::{classroom::ClassroomPlan, topic::Leaf};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    Outlet,
    owed_plans::{self, Plans},
    publisher::PublishError,
};
use crate::{
    app::AppState,
    broker::LinkState,
    db::{DbResult, owed_plans::DuePlan},
};

struct OfClassrooms;

impl Plans for OfClassrooms {
    type Document = ClassroomPlan;
    const LEAF: Leaf = Leaf::Classroom;

    async fn reissue_all(app: &AppState) -> DbResult<()> {
        app.db.classroom_plans().reissue_all().await
    }

    async fn tell_all_again(app: &AppState) -> DbResult<()> {
        app.db.classroom_plans().tell_all_again().await
    }

    async fn make(app: &AppState, now: Timestamp) -> DbResult<usize> {
        app.db.classroom_plans().make(&app.config.web_url, now).await
    }

    async fn due(app: &AppState) -> DbResult<Vec<DuePlan>> {
        app.db.classroom_plans().due().await
    }

    async fn newest(app: &AppState, board: i64) -> DbResult<Option<(u64, ClassroomPlan)>> {
        let plan = app.db.classroom_plans().of_board(board).await?;
        Ok(plan.map(|plan| (plan.generation, plan)))
    }

    async fn told(app: &AppState, done: &[DuePlan], now: Timestamp) -> DbResult<()> {
        app.db.classroom_plans().told(done, now).await
    }
}

/// Publishes until told to stop. Plans are made, and served over HTTPS, also while there is no link.
pub async fn run(
    app: AppState,
    outlet: impl Outlet,
    link: watch::Receiver<LinkState>,
    stopping: CancellationToken,
) {
    owed_plans::run::<OfClassrooms>(app, outlet, link, stopping).await;
}

/// One round: stale plans are made anew, and given to whom they are owed.
///
/// # Errors
/// Stops at the first failure; what was not noted as done is done again.
pub async fn round(app: &AppState, outlet: &impl Outlet, now: Timestamp) -> Result<(), PublishError> {
    owed_plans::round::<OfClassrooms>(app, outlet, now).await
}
