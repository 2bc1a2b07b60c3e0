//! Planned lessons: of one classroom, of many at once, and whether boards hold them.

use axum::{Json, extract::State};
use contract::classroom::{MAX_PERIODS, MAX_PLANNED};
use jiff::{Timestamp, civil::Date};

use super::super::{Body, Path, Query, text};
use crate::{
    access::Access,
    api::{
        schema,
        timetables::{
            NewPlan, NewPlannedList, PlanAt, PlanReport, PlannedList, PlannedQuery, Readiness,
            ReadinessQuery, SchoolReadinessDetail,
        },
    },
    app::{AppState, Noun},
    audit,
    domain::timetables::{later, monday, today},
    error::ApiError,
};

const MOST_DAYS: i32 = 200;
const USUAL_DAYS: i32 = 20;
const MOST_NAMED: usize = 2_000;

/// What is planned for a classroom, with the days it is planned on.
#[utoipa::path(get, path = "/classrooms/{id}/planned", tag = "timetables", params(("id" = i64, Path), PlannedQuery),
    responses(
        (status = 200, body = PlannedList),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn get(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Query(query): Query<PlannedQuery>,
) -> Result<Json<PlannedList>, ApiError> {
    let (from, to) = span(query, Timestamp::now())?;
    Ok(Json(
        app.db.timetables().planned(&access.scope, id, from, to).await?,
    ))
}

/// Plans lessons for a classroom in place of what was planned on those days. Its boards fetch them in the order in which they
/// are taught.
#[utoipa::path(put, path = "/classrooms/{id}/planned", tag = "timetables", params(("id" = i64, Path)),
    request_body = NewPlannedList, responses(
        (status = 200, body = PlannedList),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 409, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn set(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Body(new): Body<NewPlannedList>,
) -> Result<Json<PlannedList>, ApiError> {
    checked(&new)?;
    let lessons = access.reach(&app.db, "lessons.read").await?;
    let timetables = app.db.timetables();
    let by = (access.user.username.as_str(), Timestamp::now());
    timetables.plan(&access.scope, &lessons, id, &new, by).await?;
    app.changed(Noun::Device, None);
    Ok(Json(
        timetables.planned(&access.scope, id, new.from, new.to).await?,
    ))
}

/// Plans one lesson in many classrooms (集体备课), or says what that would do.
#[utoipa::path(post, path = "/plans", tag = "timetables", request_body = NewPlan, responses(
    (status = 200, body = PlanReport),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn many(
    State(app): State<AppState>,
    access: Access,
    Body(new): Body<NewPlan>,
) -> Result<Json<PlanReport>, ApiError> {
    let new = checked_many(new)?;
    if !new.apply {
        audit::only_looking();
    }
    let lessons = access.reach(&app.db, "lessons.read").await?;
    let by = (access.user.username.as_str(), Timestamp::now());
    let report = app
        .db
        .timetables()
        .plan_many(&access.scope, &lessons, &new, by)
        .await?;
    if report.applied && report.planned > 0 {
        app.changed(Noun::Device, None);
    }
    Ok(Json(report))
}

/// How much of a day's planned lessons is on the disks of the boards that will show them, school by school (备课到位率).
#[utoipa::path(get, path = "/readiness", tag = "timetables", params(ReadinessQuery),
    responses((status = 200, body = Readiness)))]
pub async fn readiness(
    State(app): State<AppState>,
    access: Access,
    Query(query): Query<ReadinessQuery>,
) -> Result<Json<Readiness>, ApiError> {
    let date = query.date.unwrap_or_else(|| later(today(Timestamp::now()), 1));
    Ok(Json(app.db.timetables().readiness(&access.scope, date).await?))
}

/// The same for one school, classroom by classroom.
#[utoipa::path(get, path = "/schools/{id}/readiness", tag = "timetables", params(("id" = i64, Path), ReadinessQuery),
    responses(
        (status = 200, body = SchoolReadinessDetail),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn school_readiness(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Query(query): Query<ReadinessQuery>,
) -> Result<Json<SchoolReadinessDetail>, ApiError> {
    let date = query.date.unwrap_or_else(|| later(today(Timestamp::now()), 1));
    Ok(Json(
        app.db
            .timetables()
            .school_readiness(&access.scope, id, date)
            .await?,
    ))
}

/// Days within their bounds.
pub(crate) fn span(query: PlannedQuery, now: Timestamp) -> Result<(Date, Date), ApiError> {
    let from = query.from.unwrap_or_else(|| monday(today(now)));
    let to = query.to.unwrap_or_else(|| later(from, USUAL_DAYS));
    within(from, to)?;
    Ok((from, to))
}

fn within(from: Date, to: Date) -> Result<(), ApiError> {
    if from <= to && later(from, MOST_DAYS - 1) >= to {
        return Ok(());
    }
    Err(ApiError::invalid(
        "to",
        format!(
            "{from} to {to}; the last day is not before the first, and they are at most {MOST_DAYS} days"
        ),
    ))
}

/// A plan for a classroom within its bounds.
pub(crate) fn checked(new: &NewPlannedList) -> Result<(), ApiError> {
    within(new.from, new.to)?;
    if new.planned.len() > MAX_PLANNED {
        return Err(ApiError::invalid(
            "planned",
            format!("{} lessons; allowed are up to {MAX_PLANNED}", new.planned.len()),
        ));
    }
    let mut seen = std::collections::HashSet::new();
    for one in &new.planned {
        number(one.number)?;
        if !(new.from..=new.to).contains(&one.date) {
            return Err(ApiError::invalid(
                "planned",
                format!("{} is not between {} and {}", one.date, new.from, new.to),
            ));
        }
        if !seen.insert((one.date, one.number)) {
            return Err(ApiError::invalid(
                "planned",
                format!("two lessons in period {} of {}", one.number, one.date),
            ));
        }
    }
    Ok(())
}

fn number(number: u8) -> Result<(), ApiError> {
    if (1..=MAX_PERIODS).contains(&number) {
        return Ok(());
    }
    Err(ApiError::invalid(
        "number",
        format!("period {number}; allowed is 1 to {MAX_PERIODS}"),
    ))
}

/// A plan for many classrooms within its bounds.
pub(crate) fn checked_many(new: NewPlan) -> Result<NewPlan, ApiError> {
    let named = new.classroom_ids.len() + new.school_ids.len() + new.region_ids.len();
    if named == 0 || named > MOST_NAMED {
        return Err(ApiError::invalid(
            "classroom_ids",
            format!("{named} classrooms, schools and regions; name 1 to {MOST_NAMED}"),
        ));
    }
    if let PlanAt::Period { number: at, .. } = new.at {
        number(at)?;
    }
    let grade = new
        .grade
        .as_deref()
        .map(|grade| text("grade", grade, 0, 40))
        .transpose()?;
    Ok(NewPlan {
        grade: grade.filter(|grade| !grade.is_empty()),
        ..new
    })
}
