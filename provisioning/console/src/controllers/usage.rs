//! How much lessons are used, and whether planned lessons were opened (开课情况): sums, drill-down, tables.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use jiff::{Timestamp, civil::Date};

use super::{
    Path, Query,
    receipts::{UTF8_MARK, harmless, local},
};
use crate::{
    access::Access,
    api::{
        MAX_PAGE_SIZE, schema,
        usage::{
            LessonOpening, OpeningQuery, OpeningRow, PeriodOpening, PeriodsQuery, Usage, UsageBy, UsageQuery,
            UsageRow,
        },
    },
    app::AppState,
    config::Language,
    db::{Db, scope::Scope},
    error::{ApiError, accepted_language},
    messages,
};

/// Longest stretch of use, in days.
pub(crate) const USAGE_DAYS: i32 = 400;
/// Longest stretch of lesson opening.
pub(crate) const OPENING_DAYS: i32 = 92;
/// Most rows of a table.
const TABLE_ROWS: usize = 100_000;

/// How much was used, by class, subject, lesson, school or day. Filters open a row further.
#[utoipa::path(get, path = "/usage", tag = "usage", params(UsageQuery), responses(
    (status = 200, body = Usage),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn usage(
    State(app): State<AppState>,
    access: Access,
    Query(query): Query<UsageQuery>,
) -> Result<Json<Usage>, ApiError> {
    stretch(query.from, query.to, USAGE_DAYS)?;
    Ok(Json(app.db.usage().of(&access.scope, &query).await?))
}

/// The same as a table for a spreadsheet, all rows.
#[utoipa::path(get, path = "/usage.csv", tag = "usage", params(UsageQuery), responses(
    (status = 200, body = String, content_type = "text/csv"),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn usage_table(
    State(app): State<AppState>,
    access: Access,
    Query(query): Query<UsageQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    stretch(query.from, query.to, USAGE_DAYS)?;
    let language = accepted_language(&headers).unwrap_or(app.config.language);
    let rows = usage_rows(&app.db, &access.scope, query.clone()).await?;
    let table = usage_csv(&rows, query.by, language)?;
    Ok(download("usage.csv", table))
}

/// Planned against opened lessons by school or classroom. A period of which no board has told is unknown, never not opened.
#[utoipa::path(get, path = "/lesson-opening", tag = "usage", params(OpeningQuery), responses(
    (status = 200, body = LessonOpening),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn opening(
    State(app): State<AppState>,
    access: Access,
    Query(query): Query<OpeningQuery>,
) -> Result<Json<LessonOpening>, ApiError> {
    stretch(query.from, query.to, OPENING_DAYS)?;
    let usage = app.db.usage();
    Ok(Json(
        usage.opening(&access.scope, &query, Timestamp::now()).await?,
    ))
}

/// The same as a table for a spreadsheet, all rows.
#[utoipa::path(get, path = "/lesson-opening.csv", tag = "usage", params(OpeningQuery), responses(
    (status = 200, body = String, content_type = "text/csv"),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn opening_table(
    State(app): State<AppState>,
    access: Access,
    Query(query): Query<OpeningQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    stretch(query.from, query.to, OPENING_DAYS)?;
    let language = accepted_language(&headers).unwrap_or(app.config.language);
    let usage = app.db.usage();
    let rows = usage
        .opening_rows(&access.scope, &query, Timestamp::now())
        .await?;
    Ok(download("lesson-opening.csv", opening_csv(&rows, language)?))
}

/// Every period of one classroom, in order.
#[utoipa::path(get, path = "/classrooms/{id}/periods", tag = "usage", params(("id" = i64, Path), PeriodsQuery),
    responses(
        (status = 200, body = Vec<PeriodOpening>),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn periods(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Query(query): Query<PeriodsQuery>,
) -> Result<Json<Vec<PeriodOpening>>, ApiError> {
    stretch(query.from, query.to, OPENING_DAYS)?;
    let days = (query.from, query.to);
    let usage = app.db.usage();
    Ok(Json(
        usage.periods(&access.scope, id, days, Timestamp::now()).await?,
    ))
}

/// Whether two days are in order and not too far apart.
pub(crate) fn stretch(from: Date, to: Date, most: i32) -> Result<(), ApiError> {
    let days = to.since(from).map_or(-1, |span| span.get_days());
    if (0..=most).contains(&days) {
        Ok(())
    } else {
        Err(ApiError::invalid(
            "to",
            format!(
                "from {from} to {to}; the last day is not before the first and at most {most} days after it"
            ),
        ))
    }
}

/// All rows of use, up to a bound.
pub(crate) async fn usage_rows(
    db: &Db,
    scope: &Scope,
    mut query: UsageQuery,
) -> Result<Vec<UsageRow>, ApiError> {
    let mut rows = Vec::new();
    query.page_size = Some(MAX_PAGE_SIZE);
    for page in 1.. {
        query.page = Some(page);
        let found = db.usage().of(scope, &query).await?.rows;
        let last = found.items.is_empty();
        rows.extend(found.items);
        if last || rows.len() as u64 >= found.total || rows.len() >= TABLE_ROWS {
            break;
        }
    }
    Ok(rows)
}

/// The table of use.
pub(crate) fn usage_csv(rows: &[UsageRow], by: UsageBy, language: Language) -> Result<Vec<u8>, ApiError> {
    let what = match by {
        UsageBy::Class => "classroom",
        UsageBy::Subject => "subject",
        UsageBy::Lesson => "lesson",
        UsageBy::School => "school",
        UsageBy::Day => "day",
    };
    let columns = [
        format!("usage.column.{what}"),
        "usage.column.key".to_owned(),
        "usage.column.of".to_owned(),
        "usage.column.opens".to_owned(),
        "usage.column.finished".to_owned(),
        "usage.column.minutes".to_owned(),
        "usage.column.classrooms".to_owned(),
        "usage.column.lessons".to_owned(),
        "usage.column.days".to_owned(),
    ];
    let row = |row: &UsageRow| {
        let of = match by {
            UsageBy::Class => row.school.clone(),
            UsageBy::Lesson => row.subject.clone(),
            _ => None,
        };
        let label = if row.label.is_empty() {
            if row.key.is_empty() {
                messages::text(language, "usage.own_disk", &BTreeMap::new())
            } else {
                row.key.clone()
            }
        } else {
            row.label.clone()
        };
        vec![
            label,
            row.key.clone(),
            of.unwrap_or_default(),
            row.totals.opens.to_string(),
            row.totals.finished.to_string(),
            (row.totals.seconds / 60).to_string(),
            row.totals.classrooms.to_string(),
            row.totals.lessons.to_string(),
            row.totals.days.to_string(),
        ]
    };
    csv(&columns, rows.iter().map(row), language)
}

/// The table of lesson opening.
pub(crate) fn opening_csv(rows: &[OpeningRow], language: Language) -> Result<Vec<u8>, ApiError> {
    let columns = [
        "school",
        "classroom",
        "periods",
        "opened",
        "not_opened",
        "unknown",
        "planned",
        "planned_opened",
        "told_at",
    ];
    let row = |row: &OpeningRow| {
        vec![
            row.school.clone(),
            row.classroom.clone().unwrap_or_default(),
            row.totals.periods.to_string(),
            row.totals.opened.to_string(),
            row.totals.not_opened.to_string(),
            row.totals.unknown.to_string(),
            row.totals.planned.to_string(),
            row.totals.planned_opened.to_string(),
            row.told_at.map_or_else(String::new, local),
        ]
    };
    csv(
        &columns.map(|name| format!("opening.column.{name}")),
        rows.iter().map(row),
        language,
    )
}

/// A table for a spreadsheet: UTF-8 with a mark, no cell that would be taken for a formula.
pub(crate) fn csv(
    columns: &[String],
    rows: impl Iterator<Item = Vec<String>>,
    language: Language,
) -> Result<Vec<u8>, ApiError> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(UTF8_MARK.to_vec());
    let head = columns
        .iter()
        .map(|key| messages::text(language, key, &BTreeMap::new()));
    writer.write_record(head).map_err(ApiError::internal)?;
    for row in rows {
        writer
            .write_record(row.iter().map(|cell| harmless(cell)))
            .map_err(ApiError::internal)?;
    }
    writer.into_inner().map_err(ApiError::internal)
}

/// A table to be saved under a name.
pub(crate) fn download(name: &'static str, table: Vec<u8>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}\""),
        ),
    ];
    (headers, table).into_response()
}
