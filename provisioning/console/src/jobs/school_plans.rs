//! Gives the boards of each school the plan that they share; see [`super::owed_plans`].

use contract::{school::SchoolPlan, topic::Leaf};
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

struct OfSchools;

impl Plans for OfSchools {
    type Document = SchoolPlan;
    const LEAF: Leaf = Leaf::School;

    async fn reissue_all(app: &AppState) -> DbResult<()> {
        app.db.school_plans().reissue_all().await
    }

    async fn tell_all_again(app: &AppState) -> DbResult<()> {
        app.db.school_plans().tell_all_again().await
    }

    async fn make(app: &AppState, now: Timestamp) -> DbResult<usize> {
        let mut changed = 0;
        for school in app.db.school_plans().stale(now).await? {
            changed += usize::from(app.db.school_plans().issue(school, now).await?);
        }
        Ok(changed)
    }

    async fn due(app: &AppState) -> DbResult<Vec<DuePlan>> {
        app.db.school_plans().due().await
    }

    async fn newest(app: &AppState, school: i64) -> DbResult<Option<(u64, SchoolPlan)>> {
        let plan = app.db.school_plans().of_school(school).await?;
        Ok(plan.map(|plan| (plan.generation, plan)))
    }

    async fn told(app: &AppState, done: &[DuePlan], now: Timestamp) -> DbResult<()> {
        app.db.school_plans().told(done, now).await
    }
}

/// Publishes until told to stop. Plans are made, and served over HTTPS, also while there is no link.
pub async fn run(
    app: AppState,
    outlet: impl Outlet,
    link: watch::Receiver<LinkState>,
    stopping: CancellationToken,
) {
    owed_plans::run::<OfSchools>(app, outlet, link, stopping).await;
}

/// One round: stale plans are made anew, and given to whom they are owed.
///
/// # Errors
/// Stops at the first failure; what was not noted as done is done again.
pub async fn round(app: &AppState, outlet: &impl Outlet, now: Timestamp) -> Result<(), PublishError> {
    owed_plans::round::<OfSchools>(app, outlet, now).await
}
