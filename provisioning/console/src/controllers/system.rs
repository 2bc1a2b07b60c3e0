//! The console itself.

use std::sync::atomic::Ordering;

use axum::{Json, extract::State};
use jiff::Timestamp;

use crate::{
    access::Access,
    api::system::{BrokerStatus, Overview, System, TelemetryReach},
    app::AppState,
    broker::LinkState,
    db::rollups::Reach,
    error::ApiError,
};

/// Figures for the first page.
#[utoipa::path(get, path = "/overview", tag = "system", responses((status = 200, body = Overview)))]
pub async fn overview(State(app): State<AppState>, access: Access) -> Result<Json<Overview>, ApiError> {
    let lessons = access.reach(&app.db, "lessons.read").await?;
    let overview = app
        .db
        .system()
        .overview(&access.scope, &lessons, Timestamp::now())
        .await?;
    Ok(Json(overview))
}

/// How the console is.
#[utoipa::path(get, path = "/system", tag = "system", responses((status = 200, body = System)))]
pub async fn system(State(app): State<AppState>, _: Access) -> Result<Json<System>, ApiError> {
    let (up, reason) = match app.link.get().map(|link| link.borrow().clone()) {
        Some(LinkState::Up { .. }) => (true, None),
        Some(LinkState::Down { reason }) => (false, Some(reason)),
        None => (false, Some("not started".to_owned())),
    };
    let connections = u32::try_from(app.connections.load(Ordering::Relaxed)).ok();
    Ok(Json(System {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_s: app.started.elapsed().as_secs(),
        broker: BrokerStatus {
            up,
            reason,
            connections,
        },
        database_bytes: app.db.system().database_bytes().await?,
        objects_bytes: app.objects.usage().await.map_err(ApiError::internal)?.kept_bytes,
        disk_free_bytes: app.objects.free_bytes().map_err(ApiError::internal)?,
        root_key_online: crate::pki::root_key_is_here(&app.config.data),
        ingest: app.counters.shown(),
        telemetry: reach(&app.db.rollups().reach().await?),
        rejects: app.db.system().rejects(100).await?,
    }))
}

fn reach(reach: &Reach) -> TelemetryReach {
    const HOUR_MS: i64 = 3_600_000;
    let at = |ms: Option<i64>| ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    TelemetryReach {
        raw_from: at(reach.raw_from),
        raw_to: at(reach.raw_to),
        five_min_from: at(reach.hour_from.map(|hour| hour * HOUR_MS)),
        hours_from: at(reach.day_from.map(|day| day * 24 * HOUR_MS)),
        events_from: at(reach.events_from),
        waiting: u64::try_from(reach.stale).unwrap_or(0),
    }
}

/// Whether the console works: it answers, and its database does.
pub async fn healthz(State(app): State<AppState>) -> Result<&'static str, ApiError> {
    app.db.system().revisions().await?;
    Ok("ok\n")
}
