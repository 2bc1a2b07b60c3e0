//! Schools' lines, the defaults of regions, and who may sign for a school.

use axum::{Json, extract::State};
use contract::id::DeviceId;
use jiff::Timestamp;

use super::{Body, Path};
use crate::{
    access::Access,
    api::{
        lines::{Author, Hours, LineSettings, NewAuthors, RegionLine, SchoolLine},
        schema,
    },
    app::{AppState, Noun},
    error::{ApiError, Code},
};

/// 10 Gbit/s.
const MOST_KBPS: u32 = 10_000_000;
const MOST_HOURS: usize = 50;
const MOST_AUTHORS: usize = 20;

/// A school's line: what was set, what holds, and the plan that its boards share.
#[utoipa::path(get, path = "/schools/{id}/line", tag = "lines", params(("id" = i64, Path)), responses(
    (status = 200, body = SchoolLine),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn school(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<Json<SchoolLine>, ApiError> {
    let now = Timestamp::now();
    Ok(Json(app.db.lines().school(&access.scope, id, now).await?))
}

/// Sets a school's line; what is left out holds as for the region. The school's boards are told within seconds.
#[utoipa::path(put, path = "/schools/{id}/line", tag = "lines", params(("id" = i64, Path)), request_body = LineSettings,
    responses(
        (status = 200, body = SchoolLine),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn set_school(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Body(new): Body<LineSettings>,
) -> Result<Json<SchoolLine>, ApiError> {
    let (new, now) = (checked(new)?, Timestamp::now());
    let lines = app.db.lines();
    lines
        .set_school(&access.scope, id, &new, &access.user.username, now)
        .await?;
    app.changed(Noun::Tree, None);
    Ok(Json(lines.school(&access.scope, id, now).await?))
}

/// What a region sets for its schools.
#[utoipa::path(get, path = "/regions/{id}/line", tag = "lines", params(("id" = i64, Path)), responses(
    (status = 200, body = RegionLine),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn region(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<Json<RegionLine>, ApiError> {
    Ok(Json(app.db.lines().region(&access.scope, id).await?))
}

/// Sets what holds for the schools of a region where they say nothing themselves.
#[utoipa::path(put, path = "/regions/{id}/line", tag = "lines", params(("id" = i64, Path)), request_body = LineSettings,
    responses(
        (status = 200, body = RegionLine),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn set_region(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Body(new): Body<LineSettings>,
) -> Result<Json<RegionLine>, ApiError> {
    let new = checked_default(new)?;
    let lines = app.db.lines();
    lines
        .set_region(&access.scope, id, &new, &access.user.username, Timestamp::now())
        .await?;
    app.changed(Noun::Tree, None);
    Ok(Json(lines.region(&access.scope, id).await?))
}

/// Boards of a school, whether they have a key to sign with, and whether it is believed there.
#[utoipa::path(get, path = "/schools/{id}/authors", tag = "lines", params(("id" = i64, Path)), responses(
    (status = 200, body = Vec<Author>),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn authors(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<Json<Vec<Author>>, ApiError> {
    Ok(Json(app.db.lines().authors(&access.scope, id).await?))
}

/// Says which boards may sign their school's own lessons; those that are not named may not.
#[utoipa::path(put, path = "/schools/{id}/authors", tag = "lines", params(("id" = i64, Path)), request_body = NewAuthors,
    responses(
        (status = 200, body = Vec<Author>),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn set_authors(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Body(new): Body<NewAuthors>,
) -> Result<Json<Vec<Author>>, ApiError> {
    let devices = checked_authors(&new.device_ids)?;
    let lines = app.db.lines();
    lines.set_authors(&access.scope, id, &devices).await?;
    app.changed(Noun::Tree, None);
    Ok(Json(lines.authors(&access.scope, id).await?))
}

/// Boards by their ids.
pub(crate) fn checked_authors(ids: &[String]) -> Result<Vec<DeviceId>, ApiError> {
    if ids.len() > MOST_AUTHORS {
        return Err(ApiError::invalid(
            "device_ids",
            format!("{} boards; allowed are up to {MOST_AUTHORS}", ids.len()),
        ));
    }
    ids.iter()
        .map(|id| id.parse().map_err(|_| ApiError::not_found("device", id)))
        .collect()
}

/// Defaults within their bounds.
pub(crate) fn checked_default(new: LineSettings) -> Result<LineSettings, ApiError> {
    if new.measured_kbps.is_some() {
        return Err(ApiError::invalid(
            "measured_kbps",
            "a line is measured at its school; set it there",
        ));
    }
    checked(new)
}

/// Settings within their bounds.
pub(crate) fn checked(new: LineSettings) -> Result<LineSettings, ApiError> {
    if new.exams.0 {
        return Err(ApiError::new(Code::LineExams));
    }
    for (field, kbps) in [
        ("contracted_kbps", new.contracted_kbps),
        ("measured_kbps", new.measured_kbps),
        ("budget_kbps", new.budget_kbps),
    ] {
        if let Some(kbps) = kbps {
            super::within(field, kbps, 1, MOST_KBPS)?;
        }
    }
    if let Some(percent) = new.class_hours_percent {
        super::within("class_hours_percent", u32::from(percent), 0, 100)?;
    }
    hours("class_hours", new.class_hours.as_deref())?;
    hours("on_hours", new.on_hours.as_deref())?;
    Ok(new)
}

fn hours(field: &'static str, hours: Option<&[Hours]>) -> Result<(), ApiError> {
    let hours = hours.unwrap_or_default();
    if hours.len() > MOST_HOURS {
        return Err(ApiError::invalid(
            field,
            format!("{} stretches; allowed are up to {MOST_HOURS}", hours.len()),
        ));
    }
    for one in hours {
        if one.days.is_empty() || one.days.len() > 7 || one.days.iter().any(|day| !(1..=7).contains(day)) {
            return Err(ApiError::invalid(
                field,
                format!("days {:?}; 1 is Monday and 7 Sunday", one.days),
            ));
        }
        if one.from_min >= one.to_min || one.to_min > 1_440 {
            return Err(ApiError::invalid(
                field,
                format!(
                    "minutes {} to {}; they count from 0 to 1440 and the end is after the begin",
                    one.from_min, one.to_min
                ),
            ));
        }
    }
    Ok(())
}
