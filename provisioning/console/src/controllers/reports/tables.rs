//! The dictionary of indicators, registers, and tables for other programs.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use jiff::civil::Date;

use super::{Path, Query, dictionary, turn};
use crate::{
    access::Access,
    api::{
        Page,
        reports::{
            Catalogue, Dictionary, ExportFormat, ExportQuery, ExportTable, RegisterFileQuery, RegisterFormat,
            RegisterKind, RegisterPage, RegisterQuery, SCHEMA_VERSION,
        },
        schema,
    },
    app::AppState,
    controllers::usage::stretch,
    db::registers::Asked,
    error::{ApiError, accepted_language},
    reports::{self, export::TABLES, html},
};

/// Longest stretch of a register or an export, in days: a school year and some.
const DAYS: i32 = 400;
/// Most rows of a register's file.
const FILE_ROWS: i64 = 100_000;
/// Most rows of an exported table; all of them are in memory at once.
pub(crate) const EXPORT_ROWS: usize = 200_000;

/// What each figure means, how it is worked out, and which plan asks for it.
#[utoipa::path(get, path = "/indicators", tag = "reports", responses((status = 200, body = Dictionary)))]
pub async fn indicators() -> Result<Json<&'static Dictionary>, ApiError> {
    Ok(Json(dictionary()?))
}

/// One page of a register (登记簿).
#[utoipa::path(get, path = "/registers/{kind}", tag = "reports", params(("kind" = inline(RegisterKind), Path), RegisterQuery), responses(
    (status = 200, body = RegisterPage),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn register(
    State(app): State<AppState>,
    access: Access,
    Path(kind): Path<RegisterKind>,
    Query(query): Query<RegisterQuery>,
    headers: HeaderMap,
) -> Result<Json<RegisterPage>, ApiError> {
    stretch(query.from, query.to, DAYS)?;
    let language = accepted_language(&headers).unwrap_or(app.config.language);
    let page = Page::new(query.page, query.page_size);
    let asked = Asked {
        kind,
        from: query.from,
        to: query.to,
        region: query.region_id,
        school: query.school_id,
        skip: page.offset(),
        take: page.limit(),
    };
    let (table, total) = app.db.registers().read(&access.scope, &asked, language).await?;
    let word = |key: &&str| reports::word(language, &format!("column.{key}"));
    Ok(Json(RegisterPage {
        columns: kind.columns().iter().map(word).collect(),
        rows: table.rows,
        total,
        page: page.page,
        page_size: page.page_size,
    }))
}

/// A whole register to print or to save.
#[utoipa::path(get, path = "/registers/{kind}/file", tag = "reports", params(("kind" = inline(RegisterKind), Path), RegisterFileQuery),
    responses(
        (status = 200, body = String, content_type = "application/octet-stream"),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn register_file(
    State(app): State<AppState>,
    access: Access,
    Path(kind): Path<RegisterKind>,
    Query(query): Query<RegisterFileQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    stretch(query.from, query.to, DAYS)?;
    let language = accepted_language(&headers).unwrap_or(app.config.language);
    let asked = Asked {
        kind,
        from: query.from,
        to: query.to,
        region: query.region_id,
        school: query.school_id,
        skip: 0,
        take: FILE_ROWS,
    };
    let (table, _) = app.db.registers().read(&access.scope, &asked, language).await?;
    let name = format!("register-{}-{}", kind.as_str(), query.from);
    let made = tokio::task::spawn_blocking(move || {
        Ok::<_, String>(match query.format {
            RegisterFormat::Xlsx => (
                "xlsx",
                "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
                table.xlsx(language).map_err(|e| e.to_string())?,
            ),
            RegisterFormat::Csv => (
                "csv",
                "text/csv; charset=utf-8",
                table.csv(language).map_err(|e| e.to_string())?,
            ),
            RegisterFormat::Html => (
                "html",
                "text/html; charset=utf-8",
                table.html(language).into_bytes(),
            ),
        })
    });
    let (ending, kind, bytes) = made
        .await
        .map_err(ApiError::internal)?
        .map_err(ApiError::internal)?;
    let place = if ending == "html" { "inline" } else { "attachment" };
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("{place}; filename=\"{name}.{ending}\""),
        ),
        (header::CONTENT_SECURITY_POLICY, html::POLICY.to_owned()),
    ];
    Ok((headers, bytes).into_response())
}

/// Which tables other programs can have, with each column's meaning (数据目录).
#[utoipa::path(get, path = "/catalogue", tag = "reports", responses((status = 200, body = Catalogue)))]
pub async fn catalogue() -> Json<Catalogue> {
    Json(Catalogue {
        schema_version: SCHEMA_VERSION,
        tables: TABLES.to_vec(),
    })
}

/// A table of the catalogue as CSV, JSON or Parquet, within what the account may see.
#[utoipa::path(get, path = "/catalogue/{table}", tag = "reports", params(("table" = String, Path), ExportQuery), responses(
    (status = 200, body = String, content_type = "application/octet-stream"),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn export(
    State(app): State<AppState>,
    access: Access,
    Path(table): Path<String>,
    Query(query): Query<ExportQuery>,
) -> Result<Response, ApiError> {
    let table = ExportTable::of(&table).ok_or_else(|| ApiError::not_found("table", table))?;
    let days = days(table, query.from, query.to)?;
    let places = (query.region_id, query.school_id);
    let turn = turn().await?;
    let rows = app
        .db
        .reports()
        .export(&access.scope, table, places, days, EXPORT_ROWS)
        .await?;
    let made = tokio::task::spawn_blocking(move || {
        // Kept until the work is done, also where nobody waits for it any more.
        let _turn = turn;
        written(table, query.format, &rows)
    });
    let (ending, kind, bytes) = made
        .await
        .map_err(ApiError::internal)?
        .map_err(ApiError::internal)?;
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{}.{ending}\"", table.name),
        ),
    ];
    Ok((headers, bytes).into_response())
}

/// Rows as a file: its ending, media type and bytes.
pub(crate) fn written(
    table: &ExportTable,
    format: ExportFormat,
    rows: &[Vec<reports::export::Value>],
) -> Result<(&'static str, &'static str, Vec<u8>), String> {
    Ok(match format {
        ExportFormat::Csv => (
            "csv",
            "text/csv; charset=utf-8",
            table.csv(rows).map_err(|e| e.to_string())?,
        ),
        ExportFormat::Json => (
            "json",
            "application/json",
            table.json(rows).map_err(|e| e.to_string())?,
        ),
        ExportFormat::Parquet => (
            "parquet",
            "application/vnd.apache.parquet",
            reports::parquet::write(table, rows).map_err(|e| e.to_string())?,
        ),
    })
}

/// The stretch of time of a table; one that is not of days needs none.
pub(crate) fn days(
    table: &ExportTable,
    from: Option<Date>,
    to: Option<Date>,
) -> Result<(Date, Date), ApiError> {
    match (from, to) {
        (Some(from), Some(to)) => {
            stretch(from, to, DAYS)?;
            Ok((from, to))
        }
        _ if !table.dated => Ok((Date::constant(2020, 1, 1), Date::constant(2020, 1, 1))),
        _ => Err(ApiError::invalid(
            "from",
            format!("the table {} is of days; give from and to", table.name),
        )),
    }
}
