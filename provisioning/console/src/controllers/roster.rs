//! The roster: a template to fill in, a rehearsal that says what is wrong, and the import.

use axum::{
    Json,
    extract::{Multipart, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};

use super::{Path, Query};
use crate::{
    access::Access,
    api::{
        roster::{
            RosterChange, RosterChangeKind, RosterCounts, RosterEncoding, RosterError, RosterForm,
            RosterQuery, RosterReport, TemplateFormat, TemplateQuery,
        },
        schema,
    },
    app::{AppState, Noun},
    audit,
    config::Language,
    db::Db,
    domain::roster::{
        self, Counts, Encoding, Fault, FileFault, MAX_FILE_BYTES, Plan, Roster, Step, csv_template,
        xlsx_template,
    },
    error::{ApiError, Code, accepted_language},
    messages,
};

const CHANGES_SHOWN: usize = 200;
const ERRORS_SHOWN: usize = 500;
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

impl From<FileFault> for ApiError {
    fn from(fault: FileFault) -> Self {
        let code = match fault {
            FileFault::Empty => Code::RosterEmpty,
            FileFault::TooLarge => return Self::new(Code::TooLarge).arg("limit", "32 MiB"),
            FileFault::Kind => Code::RosterKindOfFile,
            FileFault::Old => Code::RosterOldFile,
            FileFault::Damaged(_) => Code::RosterFile,
            FileFault::TooManyRows => Code::RosterTooManyRows,
            FileFault::Letters => Code::RosterLetters,
        };
        Self::new(code).detail(fault)
    }
}

/// An empty table to fill in.
#[utoipa::path(get, path = "/roster/template", tag = "roster", params(TemplateQuery), responses(
    (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
))]
pub async fn template(_: Access, Query(query): Query<TemplateQuery>) -> Result<Response, ApiError> {
    let (bytes, kind, name) = match query.format {
        TemplateFormat::Xlsx => (xlsx_template().map_err(ApiError::internal)?, XLSX, "roster.xlsx"),
        TemplateFormat::CsvSchools => (csv_template(false), "text/csv; charset=utf-8", "schools.csv"),
        TemplateFormat::CsvClassrooms => (csv_template(true), "text/csv; charset=utf-8", "classrooms.csv"),
    };
    let disposition = HeaderValue::try_from(format!("attachment; filename=\"{name}\""));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (
            header::CONTENT_DISPOSITION,
            disposition.map_err(ApiError::internal)?,
        ),
    ];
    Ok((headers, bytes).into_response())
}

/// Says what a table would change and what is wrong with it; with `apply` makes the changes, if nothing is wrong.
#[utoipa::path(post, path = "/regions/{id}/roster", tag = "roster", params(("id" = i64, Path), RosterQuery),
    request_body(content = RosterForm, content_type = "multipart/form-data"), responses(
        (status = 200, body = RosterReport),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 413, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn import(
    State(app): State<AppState>,
    access: Access,
    Path(region): Path<i64>,
    Query(query): Query<RosterQuery>,
    headers: HeaderMap,
    form: Multipart,
) -> Result<Json<RosterReport>, ApiError> {
    access.scope.need_region(region)?;
    if !query.apply {
        audit::only_looking();
    }
    let language = accepted_language(&headers).unwrap_or(app.config.language);
    let bytes = receive(form, MAX_FILE_BYTES, "32 MiB").await?;
    let encoding = match query.encoding {
        None => Encoding::Guess,
        Some(RosterEncoding::Utf8) => Encoding::Utf8,
        Some(RosterEncoding::Gbk) => Encoding::Gb18030,
    };
    let report = run(&app.db, region, bytes, encoding, query.apply, language).await?;
    if report.applied && report.change_count > 0 {
        app.changed(Noun::Tree, None);
    }
    Ok(Json(report))
}

/// The part `file` of a form, at most `most` bytes.
pub(super) async fn receive(
    mut form: Multipart,
    most: usize,
    limit: &'static str,
) -> Result<Vec<u8>, ApiError> {
    let unreadable =
        |e: axum::extract::multipart::MultipartError| ApiError::new(Code::BadRequest).detail(e.body_text());
    while let Some(mut part) = form.next_field().await.map_err(unreadable)? {
        if part.name() != Some("file") {
            continue;
        }
        let mut bytes = Vec::new();
        while let Some(more) = part.chunk().await.map_err(unreadable)? {
            if bytes.len() + more.len() > most {
                return Err(ApiError::new(Code::TooLarge).arg("limit", limit));
            }
            bytes.extend_from_slice(&more);
        }
        return Ok(bytes);
    }
    Err(ApiError::invalid("file", "the part file is missing"))
}

/// The same for the command line.
pub(crate) async fn run(
    db: &Db,
    region: i64,
    bytes: Vec<u8>,
    encoding: Encoding,
    apply: bool,
    language: Language,
) -> Result<RosterReport, ApiError> {
    // Parsing a hundred thousand rows takes a second or two of one core.
    let read = tokio::task::spawn_blocking(move || Ok(roster::tables(&roster::read(&bytes, encoding)?)));
    let mut roster = read
        .await
        .map_err(ApiError::internal)?
        .map_err(|e: FileFault| ApiError::from(e))?;
    let (plan, applied) = db.roster().import(region, &mut roster, apply).await?;
    Ok(report(&roster, &plan, applied, language))
}

fn report(roster: &Roster, plan: &Plan, applied: bool, language: Language) -> RosterReport {
    let counts = |c: Counts| RosterCounts {
        added: c.added,
        changed: c.changed,
        same: c.same,
    };
    let mut faults: Vec<&Fault> = roster.faults.iter().collect();
    faults.sort_by(|a, b| (&a.sheet, a.row).cmp(&(&b.sheet, b.row)));
    RosterReport {
        applied,
        rows: roster.rows,
        schools: counts(plan.schools),
        classrooms: counts(plan.classrooms),
        changes: plan.steps.iter().take(CHANGES_SHOWN).map(change).collect(),
        change_count: plan.steps.len(),
        errors: faults
            .into_iter()
            .take(ERRORS_SHOWN)
            .map(|fault| RosterError {
                sheet: fault.sheet.clone(),
                row: fault.row,
                column: fault.column.clone(),
                code: fault.code.to_owned(),
                message: messages::text(language, fault.code, &fault.args),
            })
            .collect(),
        error_count: roster.fault_count,
    }
}

fn change(step: &Step) -> RosterChange {
    let (kind, code, name, what) = match step {
        Step::AddTownship(name) => (RosterChangeKind::TownshipAdded, String::new(), name, &[][..]),
        Step::AddSchool(row) => (
            RosterChangeKind::SchoolAdded,
            row.code.clone(),
            &row.name,
            &[][..],
        ),
        Step::ChangeSchool { row, what, .. } => (
            RosterChangeKind::SchoolChanged,
            row.code.clone(),
            &row.name,
            &what[..],
        ),
        Step::AddClassroom(row) => {
            let code = format!("{}/{}", row.school, row.code);
            (RosterChangeKind::ClassroomAdded, code, &row.name, &[][..])
        }
        Step::ChangeClassroom { row, what, .. } => {
            let code = format!("{}/{}", row.school, row.code);
            (RosterChangeKind::ClassroomChanged, code, &row.name, &what[..])
        }
    };
    RosterChange {
        kind,
        code,
        name: name.clone(),
        what: what.to_vec(),
    }
}
