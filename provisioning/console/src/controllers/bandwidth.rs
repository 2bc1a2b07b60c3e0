//! What schools' lines carry: rules, settings, tests, verdicts by month, and the proof.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use contract::bandwidth::{SECONDS, STREAMS};
use jiff::Timestamp;

use super::{Body, Path, Query, within};
use crate::{
    access::Access,
    api::{
        bandwidth::{
            BandwidthMonthPage, BandwidthTest, BandwidthTestPage, Cause, EvidenceQuery, Follow, Followed,
            MonthQuery, NewBandwidthTest, Rules, Settings, TestQuery,
        },
        schema,
    },
    app::{AppState, Noun},
    db::{Db, DbError, bandwidth::Bandwidth, scope::Scope},
    domain::bandwidth::{
        evidence, rules,
        schedule::{self, Start},
    },
    error::{ApiError, Code},
    jobs,
    pki::keys::SigningKeys,
};

/// The rules that lines are held against.
#[utoipa::path(get, path = "/bandwidth/rules", tag = "bandwidth", responses((status = 200, body = Rules)))]
pub async fn rules(State(app): State<AppState>, _: Access) -> Result<Json<Rules>, ApiError> {
    Ok(Json(app.db.bandwidth().rules().await?))
}

/// Adds a version of the rules; tests that end from now on are held against it, older verdicts stay.
#[utoipa::path(put, path = "/bandwidth/rules", tag = "bandwidth", request_body = Rules, responses(
    (status = 200, body = Rules),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn set_rules(
    State(app): State<AppState>,
    access: Access,
    Body(new): Body<Rules>,
) -> Result<Json<Rules>, ApiError> {
    rules::check(&new).map_err(|why| ApiError::new(Code::BandwidthRules).detail(why))?;
    let bandwidth = app.db.bandwidth();
    bandwidth
        .add_rules(&new, &access.user.username, Timestamp::now())
        .await?;
    Ok(Json(bandwidth.rules().await?))
}

/// Which rules the schools of a region follow.
#[utoipa::path(get, path = "/regions/{id}/bandwidth-rules", tag = "bandwidth", params(("id" = i64, Path)), responses(
    (status = 200, body = Followed),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn followed(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<Json<Followed>, ApiError> {
    Ok(Json(app.db.bandwidth().followed(&access.scope, id).await?))
}

/// Says which rules the schools of a region follow.
#[utoipa::path(put, path = "/regions/{id}/bandwidth-rules", tag = "bandwidth", params(("id" = i64, Path)),
    request_body = Follow, responses(
        (status = 200, body = Followed),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn follow(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Body(new): Body<Follow>,
) -> Result<Json<Followed>, ApiError> {
    let bandwidth = app.db.bandwidth();
    let (set, by) = (new.rule_set.as_deref(), &access.user.username);
    bandwidth
        .follow(&access.scope, id, set, by, Timestamp::now())
        .await?;
    Ok(Json(bandwidth.followed(&access.scope, id).await?))
}

/// How tests are planned.
#[utoipa::path(get, path = "/bandwidth/settings", tag = "bandwidth", responses((status = 200, body = Settings)))]
pub async fn settings(State(app): State<AppState>, _: Access) -> Result<Json<Settings>, ApiError> {
    Ok(Json(app.db.bandwidth().settings().await?))
}

/// Says how tests are planned; without `uplink_kbps` nothing is tested unless somebody orders it.
#[utoipa::path(put, path = "/bandwidth/settings", tag = "bandwidth", request_body = Settings, responses(
    (status = 200, body = Settings),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn set_settings(
    State(app): State<AppState>,
    access: Access,
    Body(new): Body<Settings>,
) -> Result<Json<Settings>, ApiError> {
    let new = checked(new)?;
    let bandwidth = app.db.bandwidth();
    bandwidth
        .set_settings(&new, &access.user.username, Timestamp::now())
        .await?;
    Ok(Json(bandwidth.settings().await?))
}

/// Settings within their bounds.
pub(crate) fn checked(new: Settings) -> Result<Settings, ApiError> {
    if let Some(kbps) = new.uplink_kbps {
        within("uplink_kbps", kbps, 1_000, 100_000_000)?;
    }
    within("schools_at_once", new.schools_at_once.into(), 1, 100)?;
    within("every_days", new.every_days.into(), 1, 31)?;
    within("boards_at_once", new.boards_at_once.into(), 1, 16)?;
    within("seconds", new.seconds, SECONDS.0, SECONDS.1)?;
    within("streams", new.streams, STREAMS.0, STREAMS.1)?;
    Ok(new)
}

/// How each school's line was in a month, by code unless `sort` says otherwise.
#[utoipa::path(get, path = "/bandwidth/schools", tag = "bandwidth", params(MonthQuery), responses(
    (status = 200, body = BandwidthMonthPage),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn months(
    State(app): State<AppState>,
    access: Access,
    Query(query): Query<MonthQuery>,
) -> Result<Json<BandwidthMonthPage>, ApiError> {
    let month = asked(&query);
    let found = app.db.bandwidth().months(&access.scope, &month, &query).await?;
    Ok(Json(BandwidthMonthPage::new(found, query.page())))
}

/// The month that is asked for.
pub(crate) fn asked(query: &MonthQuery) -> String {
    query
        .month
        .clone()
        .unwrap_or_else(|| this_month(Timestamp::now()))
}

/// The running month by the schools' clock.
pub(crate) fn this_month(now: Timestamp) -> String {
    rules::local(now).strftime("%Y-%m").to_string()
}

/// Tests, newest first.
#[utoipa::path(get, path = "/bandwidth/tests", tag = "bandwidth", params(TestQuery), responses(
    (status = 200, body = BandwidthTestPage),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn tests(
    State(app): State<AppState>,
    access: Access,
    Query(query): Query<TestQuery>,
) -> Result<Json<BandwidthTestPage>, ApiError> {
    let found = app.db.bandwidth().tests(&access.scope, &query).await?;
    Ok(Json(BandwidthTestPage::new(found, query.page())))
}

/// One test with what each board saw.
#[utoipa::path(get, path = "/bandwidth/tests/{id}", tag = "bandwidth", params(("id" = String, Path)), responses(
    (status = 200, body = BandwidthTest),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn test(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<String>,
) -> Result<Json<BandwidthTest>, ApiError> {
    Ok(Json(app.db.bandwidth().test(&access.scope, &id).await?))
}

/// Tests a school's line now, with as many of its connected boards as are needed. Refused in class hours, unless forced, and
/// always in an exam.
#[utoipa::path(post, path = "/schools/{id}/bandwidth-tests", tag = "bandwidth", params(("id" = i64, Path)),
    request_body = NewBandwidthTest, responses(
        (status = 201, body = BandwidthTest),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 409, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn order(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Body(new): Body<NewBandwidthTest>,
) -> Result<(StatusCode, Json<BandwidthTest>), ApiError> {
    let (scope, by) = (&access.scope, &access.user.username);
    let test = order_now(&app.db, scope, id, &new, by, app.clock.sign()?).await?;
    // Wakes the publisher, too.
    app.changed(Noun::Tree, id.to_string());
    let test = app.db.bandwidth().test(scope, &test).await?;
    Ok((StatusCode::CREATED, Json(test)))
}

/// Orders a test at once; answers its id.
pub(crate) async fn order_now(
    db: &Db,
    scope: &Scope,
    school: i64,
    new: &NewBandwidthTest,
    by: &str,
    now: Timestamp,
) -> Result<String, ApiError> {
    let bandwidth = db.bandwidth();
    let mut settings = bandwidth.settings().await?;
    settings.seconds = new.seconds.unwrap_or(settings.seconds);
    settings.streams = new.streams.unwrap_or(settings.streams);
    let settings = checked(settings)?;
    let candidate = bandwidth.candidate(scope, school, now).await?;
    let starts_at = now.checked_add(schedule::LEAD).map_err(ApiError::internal)?;
    let long = schedule::duration(settings.seconds);
    let ends_at = starts_at.checked_add(long).map_err(ApiError::internal)?;
    let in_exam = schedule::exam_between(&candidate.line, now, ends_at);
    if in_exam || !new.forced && !schedule::is_free(&candidate.line, starts_at, long) {
        return Err(ApiError::new(Code::BandwidthNotNow));
    }
    let boards = if new.device_ids.is_empty() {
        let most = usize::from(settings.boards_at_once);
        schedule::choose(&candidate.boards, candidate.expected_kbps, most)
    } else {
        let count = u32::try_from(new.device_ids.len()).unwrap_or(u32::MAX);
        within("device_ids", count, 1, 16)?;
        Bandwidth::named(&candidate, &new.device_ids)?
    };
    if boards.is_empty() {
        return Err(ApiError::new(Code::BandwidthNoBoard));
    }
    let uplink = settings.uplink_kbps.unwrap_or(u32::MAX);
    let start = Start {
        school,
        starts_at,
        cause: Cause::Operator,
        boards,
        expected_kbps: schedule::booked(candidate.expected_kbps, uplink),
    };
    let ordered = jobs::bandwidth::order(db, &start, &settings, new.forced, by, now).await;
    ordered.map_err(|error| match error.downcast::<DbError>() {
        Ok(error) => error.into(),
        Err(other) => ApiError::internal(format!("{other:#}")),
    })
}

/// 宽带达标证据包 of a school and month: JSON, CSV and a page to print, their hashes, and the signed list of these. The same facts
/// give the same bytes.
#[utoipa::path(get, path = "/schools/{id}/bandwidth-evidence", tag = "bandwidth",
    params(("id" = i64, Path), EvidenceQuery), responses(
        (status = 200, body = Vec<u8>, content_type = "application/zip"),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn evidence(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Query(query): Query<EvidenceQuery>,
) -> Result<Response, ApiError> {
    let (name, zip) = evidence_of(&app.db, &app.keys, &access.scope, id, &query.month).await?;
    let name = format!("attachment; filename=\"{name}\"");
    let headers = [
        (header::CONTENT_TYPE, "application/zip".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, zip).into_response())
}

/// Name and bytes of a pack.
pub(crate) async fn evidence_of(
    db: &Db,
    keys: &SigningKeys,
    scope: &Scope,
    school: i64,
    month: &str,
) -> Result<(String, Vec<u8>), ApiError> {
    let found = db.bandwidth().evidence(scope, school, month).await?;
    let files = evidence::files(&found).map_err(ApiError::internal)?;
    let manifest = evidence::manifest(&found, &files);
    let signed = keys.sign_command(&manifest).map_err(ApiError::internal)?;
    let zip = evidence::pack(&files, &manifest, &signed).map_err(ApiError::internal)?;
    Ok((format!("bandwidth-{school}-{month}.zip"), zip))
}
