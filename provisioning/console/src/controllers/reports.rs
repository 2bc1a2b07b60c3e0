//! Reports: making, looking into, and the way up 校→县→市.

mod files;
mod tables;

use std::time::Duration;

use axum::{Json, extract::State, http::StatusCode};
use jiff::{Timestamp, civil::Date};
use tokio::sync::{Semaphore, SemaphorePermit};

pub(crate) use self::files::{bundle, check, make_file, seal};
pub use self::{
    files::{__path_file, file},
    tables::*,
};
use super::{Body, Path, Query, text};
use crate::{
    access::Access,
    api::{
        reports::{
            FigureQuery, FigureRowPage, ManualFigure, ManualFigureChange, MonthQuery, NewReport,
            PreviewQuery, ReportCheck, ReportDay, ReportDetail, ReportFigures, ReportPage, ReportPreview,
            ReportQuery, ReportSchool, ReportStepKind, ShownFigure, VersionQuery, WithReason,
        },
        schema,
    },
    app::AppState,
    db::{
        Db,
        reports::{Place, Stored},
        scope::Scope,
    },
    domain::{indicators::Dictionary, timetables},
    error::{ApiError, Code},
    reports::body::Body as ReportBody,
};

/// Longest reason.
const REASON_CHARS: usize = 200;
const NOTE_CHARS: usize = 100;
/// Before that nothing of ours was built.
const FIRST_YEAR: i16 = 2020;
/// Reports and exports of whole tables at a time: each holds a county's days in memory.
static WORKING: Semaphore = Semaphore::const_new(1);
/// Longest wait for the one before.
const WAIT: Duration = Duration::from_secs(20);

/// The right to work out a report or an export; waits for the one before for a while, then says that the console is busy.
pub(crate) async fn turn() -> Result<SemaphorePermit<'static>, ApiError> {
    match tokio::time::timeout(WAIT, WORKING.acquire()).await {
        Ok(permit) => permit.map_err(ApiError::internal),
        Err(_) => Err(ApiError::new(Code::Busy)),
    }
}

/// The built-in dictionary.
pub(crate) fn dictionary() -> Result<&'static Dictionary, ApiError> {
    Dictionary::get().map_err(ApiError::internal)
}

fn place_asked(region: Option<i64>, school: Option<i64>) -> Result<Place, ApiError> {
    match (region, school) {
        (Some(region), None) => Ok(Place::Region(region)),
        (None, Some(school)) => Ok(Place::School(school)),
        _ => Err(ApiError::invalid(
            "region_id",
            "give either region_id or school_id",
        )),
    }
}

/// The place of a new report and its days, which have to be over.
pub(crate) fn asked(new: &NewReport, now: Timestamp) -> Result<(Place, (Date, Date)), ApiError> {
    let place = place_asked(new.region_id, new.school_id)?;
    let (from, to) = new.kind.around(new.date);
    if to >= timetables::today(now) || from.year() < FIRST_YEAR {
        return Err(ApiError::invalid(
            "date",
            format!(
                "{from} to {to} is not over, or before {FIRST_YEAR}; a report is made of days that are over"
            ),
        ));
    }
    Ok((place, (from, to)))
}

/// Reports within reach, newest first.
#[utoipa::path(get, path = "/reports", tag = "reports", params(ReportQuery), responses((status = 200, body = ReportPage)))]
pub async fn list(
    State(app): State<AppState>,
    access: Access,
    Query(query): Query<ReportQuery>,
) -> Result<Json<ReportPage>, ApiError> {
    let found = app.db.reports().list(&access.scope, &query).await?;
    Ok(Json(ReportPage::new(found, query.page())))
}

/// Makes a report of a stretch of time that is over, as a draft.
#[utoipa::path(post, path = "/reports", tag = "reports", request_body = NewReport, responses(
    (status = 201, body = ReportDetail),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn add(
    State(app): State<AppState>,
    access: Access,
    Body(new): Body<NewReport>,
) -> Result<(StatusCode, Json<ReportDetail>), ApiError> {
    let now = Timestamp::now();
    let (place, days) = asked(&new, now)?;
    let reports = app.db.reports();
    let _turn = turn().await?;
    let body = reports
        .work_out(&access.scope, place, new.kind, days, now)
        .await?;
    let id = reports.add(place, &body, &access.user.username, now).await?;
    Ok((
        StatusCode::CREATED,
        Json(detail_of(&app.db, &access.scope, id).await?),
    ))
}

/// A report with its versions.
pub(crate) async fn detail_of(db: &Db, scope: &Scope, id: i64) -> Result<ReportDetail, ApiError> {
    let report = db.reports().get(scope, id).await?;
    let versions = db.reports().versions(id).await?;
    Ok(ReportDetail { report, versions })
}

/// One report with its versions and their way.
#[utoipa::path(get, path = "/reports/{id}", tag = "reports", params(("id" = i64, Path)), responses(
    (status = 200, body = ReportDetail),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn detail(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<Json<ReportDetail>, ApiError> {
    Ok(Json(detail_of(&app.db, &access.scope, id).await?))
}

/// What a version says.
#[utoipa::path(get, path = "/reports/{id}/figures", tag = "reports", params(("id" = i64, Path), VersionQuery), responses(
    (status = 200, body = ReportFigures),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn figures(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Query(query): Query<VersionQuery>,
) -> Result<Json<ReportFigures>, ApiError> {
    let found = app.db.reports().version(&access.scope, id, query.version).await?;
    Ok(Json(figures_of(found)?))
}

/// What a version says, for people.
pub(crate) fn figures_of(found: Stored) -> Result<ReportFigures, ApiError> {
    let shown = shown_of(found.body)?;
    Ok(ReportFigures {
        version: found.version,
        state: found.state,
        digest: found.digest,
        dictionary: shown.dictionary,
        empty: shown.empty,
        figures: shown.figures,
        schools: shown.schools,
        days: shown.days,
    })
}

struct Shown {
    dictionary: String,
    empty: bool,
    figures: Vec<ShownFigure>,
    schools: Vec<ReportSchool>,
    days: Vec<ReportDay>,
}

fn shown_of(body: ReportBody) -> Result<Shown, ApiError> {
    let dictionary = dictionary()?;
    let figures = body
        .figures
        .into_iter()
        .filter_map(|figure| {
            let indicator = dictionary.indicator(&figure.indicator)?;
            Some(ShownFigure {
                name: match figure.school {
                    None => figure.indicator.clone(),
                    Some(school) => format!("{}@{school}", figure.indicator),
                },
                value: figure.shown(indicator.kind),
                manual: indicator.manual,
                figure,
            })
        })
        .collect();
    let dates = timetables::dates(body.about.from, body.about.to);
    let day = |(date, day): (Date, &crate::reports::body::BodyDay)| ReportDay {
        date,
        devices: day.devices,
        heard: day.heard,
        silent: day.silent,
        online_s: day.online_s,
    };
    Ok(Shown {
        dictionary: body.dictionary,
        empty: body.empty,
        figures,
        schools: body
            .schools
            .into_iter()
            .map(|school| ReportSchool {
                id: school.id,
                code: school.code,
                name: school.name,
                teaching_point: school.teaching_point,
            })
            .collect(),
        days: dates.zip(&body.days).map(day).collect(),
    })
}

/// What a report of the running month, quarter or year would say of its days that are over; nothing is kept of it.
#[utoipa::path(get, path = "/report-preview", tag = "reports", params(PreviewQuery), responses(
    (status = 200, body = ReportPreview),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn preview(
    State(app): State<AppState>,
    access: Access,
    Query(query): Query<PreviewQuery>,
) -> Result<Json<ReportPreview>, ApiError> {
    Ok(Json(
        preview_of(&app.db, &access.scope, query, Timestamp::now()).await?,
    ))
}

/// The same.
///
/// # Errors
/// The place is out of reach, or no day of the time is over.
pub(crate) async fn preview_of(
    db: &Db,
    scope: &Scope,
    query: PreviewQuery,
    now: Timestamp,
) -> Result<ReportPreview, ApiError> {
    let place = place_asked(query.region_id, query.school_id)?;
    let today = timetables::today(now);
    let (from, to) = query.kind.around(today);
    let until = timetables::later(today, -1);
    if until < from {
        return Err(ApiError::invalid(
            "kind",
            format!("{from} to {to} began today; there is something to see tomorrow"),
        ));
    }
    let _turn = turn().await?;
    let body = db
        .reports()
        .work_out(scope, place, query.kind, (from, until), now)
        .await?;
    let shown = shown_of(body)?;
    Ok(ReportPreview {
        from,
        to,
        until,
        dictionary: shown.dictionary,
        empty: shown.empty,
        figures: shown.figures,
        schools: shown.schools,
        days: shown.days,
    })
}

/// What a figure is made of, one page.
#[utoipa::path(get, path = "/reports/{id}/figures/{figure}/rows", tag = "reports",
    params(("id" = i64, Path), ("figure" = String, Path), FigureQuery), responses(
        (status = 200, body = FigureRowPage),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn rows(
    State(app): State<AppState>,
    access: Access,
    Path((id, figure)): Path<(i64, String)>,
    Query(query): Query<FigureQuery>,
) -> Result<Json<FigureRowPage>, ApiError> {
    let found = app.db.reports().version(&access.scope, id, query.version).await?;
    let rows = found.body.rows_of(&figure);
    let rows = rows.ok_or_else(|| ApiError::not_found("report", format!("{id}/{figure}")))?;
    let (page, total) = (query.page(), rows.len() as u64);
    let skip = usize::try_from(page.offset()).unwrap_or(usize::MAX);
    let rows = rows
        .into_iter()
        .skip(skip)
        .take(page.page_size as usize)
        .cloned()
        .collect();
    Ok(Json(FigureRowPage::new((rows, total), page)))
}

/// Works a draft or a returned version out again.
#[utoipa::path(post, path = "/reports/{id}/refresh", tag = "reports", params(("id" = i64, Path)), responses(
    (status = 200, body = ReportDetail),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn refresh(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<Json<ReportDetail>, ApiError> {
    renew(&app, &access, id, "").await
}

/// Opens a correction (更正) of a frozen report with the figures of now, as a draft of the next version.
#[utoipa::path(post, path = "/reports/{id}/correct", tag = "reports", params(("id" = i64, Path)), request_body = WithReason,
    responses(
        (status = 200, body = ReportDetail),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 409, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn correct(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Body(why): Body<WithReason>,
) -> Result<Json<ReportDetail>, ApiError> {
    let why = text("reason", &why.reason, 1, REASON_CHARS)?;
    renew(&app, &access, id, &why).await
}

async fn renew(app: &AppState, access: &Access, id: i64, why: &str) -> Result<Json<ReportDetail>, ApiError> {
    let now = Timestamp::now();
    let reports = app.db.reports();
    let found = reports.version(&access.scope, id, None).await?;
    let days = (found.report.from, found.report.to);
    let _turn = turn().await?;
    let body = reports
        .work_out(
            &access.scope,
            found.report.place_of(),
            found.report.kind,
            days,
            now,
        )
        .await?;
    reports
        .renew(&found, &body, why, &access.user.username, now)
        .await?;
    Ok(Json(detail_of(&app.db, &access.scope, id).await?))
}

/// Hands a draft in (上报).
#[utoipa::path(post, path = "/reports/{id}/submit", tag = "reports", params(("id" = i64, Path)), responses(
    (status = 200, body = ReportDetail),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn submit(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<Json<ReportDetail>, ApiError> {
    step(&app, &access, id, ReportStepKind::Submitted, "").await
}

/// Returns what was handed in (退回), and says why. By whoever watches over the level above.
#[utoipa::path(post, path = "/reports/{id}/return", tag = "reports", params(("id" = i64, Path)), request_body = WithReason,
    responses(
        (status = 200, body = ReportDetail),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 409, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn send_back(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Body(why): Body<WithReason>,
) -> Result<Json<ReportDetail>, ApiError> {
    let why = text("reason", &why.reason, 1, REASON_CHARS)?;
    step(&app, &access, id, ReportStepKind::Returned, &why).await
}

/// Passes what was handed in (审核通过). By whoever watches over the level above.
#[utoipa::path(post, path = "/reports/{id}/approve", tag = "reports", params(("id" = i64, Path)), responses(
    (status = 200, body = ReportDetail),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn approve(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<Json<ReportDetail>, ApiError> {
    step(&app, &access, id, ReportStepKind::Approved, "").await
}

/// Freezes and signs what was passed (冻结).
#[utoipa::path(post, path = "/reports/{id}/freeze", tag = "reports", params(("id" = i64, Path)), responses(
    (status = 200, body = ReportDetail),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn freeze(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<Json<ReportDetail>, ApiError> {
    step(&app, &access, id, ReportStepKind::Frozen, "").await
}

async fn step(
    app: &AppState,
    access: &Access,
    id: i64,
    step: ReportStepKind,
    reason: &str,
) -> Result<Json<ReportDetail>, ApiError> {
    let reports = app.db.reports();
    let found = reports.version(&access.scope, id, None).await?;
    if step != ReportStepKind::Submitted {
        reports.need_above(&access.scope, &found.report).await?;
    }
    let now = Timestamp::now();
    let by = &access.user.username;
    let sealed = if step == ReportStepKind::Frozen {
        let at = app.clock.sign().map_err(ApiError::from)?;
        Some(seal(&app.keys, &found, by, at).await?)
    } else {
        None
    };
    reports
        .step(&found, step, reason, sealed.as_deref(), by, now)
        .await?;
    Ok(Json(detail_of(&app.db, &access.scope, id).await?))
}

/// Works the same time out again and says what differs, and whether the seal holds.
#[utoipa::path(get, path = "/reports/{id}/check", tag = "reports", params(("id" = i64, Path), VersionQuery), responses(
    (status = 200, body = ReportCheck),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn check_again(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Query(query): Query<VersionQuery>,
) -> Result<Json<ReportCheck>, ApiError> {
    let found = app.db.reports().version(&access.scope, id, query.version).await?;
    let keys = app.keys.all();
    let _turn = turn().await?;
    Ok(Json(
        check(&app.db, &access.scope, found, &keys, Timestamp::now()).await?,
    ))
}

/// What was typed in for a school's month (人工填报).
#[utoipa::path(get, path = "/schools/{id}/manual-figures", tag = "reports", params(("id" = i64, Path), MonthQuery), responses(
    (status = 200, body = Vec<ManualFigure>),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn manual(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Query(query): Query<MonthQuery>,
) -> Result<Json<Vec<ManualFigure>>, ApiError> {
    Ok(Json(
        app.db.reports().manual(&access.scope, id, query.month).await?,
    ))
}

/// Types a figure in for a school's month.
#[utoipa::path(put, path = "/schools/{id}/manual-figures", tag = "reports", params(("id" = i64, Path)),
    request_body = ManualFigureChange, responses(
        (status = 200, body = Vec<ManualFigure>),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn set_manual(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Body(mut change): Body<ManualFigureChange>,
) -> Result<Json<Vec<ManualFigure>>, ApiError> {
    checked_manual(&mut change)?;
    let reports = app.db.reports();
    let by = &access.user.username;
    reports
        .set_manual(&access.scope, id, &change, by, Timestamp::now())
        .await?;
    Ok(Json(reports.manual(&access.scope, id, change.month).await?))
}

/// Whether a typed figure can be one.
pub(crate) fn checked_manual(change: &mut ManualFigureChange) -> Result<(), ApiError> {
    change.note = text("note", &change.note, 0, NOTE_CHARS)?;
    let dictionary = dictionary()?;
    let manual = dictionary.indicators.iter().filter(|indicator| indicator.manual);
    let names: Vec<&str> = manual.map(|indicator| indicator.id.as_str()).collect();
    if !names.contains(&change.indicator.as_str()) {
        return Err(ApiError::invalid(
            "indicator",
            format!(
                "{:?} is not typed in; these are: {}",
                change.indicator,
                names.join(", ")
            ),
        ));
    }
    if change.denominator == 0 {
        return Err(ApiError::invalid("denominator", "denominator is 0; at least 1"));
    }
    Ok(())
}
