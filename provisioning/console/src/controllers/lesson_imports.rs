//! Many lessons at once: an empty table, a rehearsal that says what is wrong, and the import.

use axum::{
    Json,
    extract::{Multipart, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;

use super::{
    Query,
    lessons::{owner, refused},
};
use crate::{
    access::Access,
    api::{
        lesson_imports::{
            ImportTemplateFormat, ImportTemplateQuery, LessonImportForm, LessonImportQuery,
            LessonImportReport,
        },
        roster::RosterEncoding,
        schema,
        users::Place,
    },
    app::{AppState, Noun},
    audit,
    domain::{
        bulk::{
            csv_template,
            run::{self, BulkError, Wish},
            xlsx_template,
        },
        import::{ImportError, Importer, Reason},
        roster::{Encoding, FileFault, MAX_FILE_BYTES},
    },
    error::{ApiError, Code, accepted_language},
    objects::Staged,
};

const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

impl From<BulkError> for ApiError {
    fn from(error: BulkError) -> Self {
        match error {
            BulkError::Table(fault) => fault.into(),
            BulkError::Folder(reason) => ImportError {
                lesson: "zip".to_owned(),
                file: String::new(),
                reason,
            }
            .into(),
        }
    }
}

/// An empty table to fill in.
#[utoipa::path(get, path = "/lesson-imports/template", tag = "lessons", params(ImportTemplateQuery), responses(
    (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
))]
pub async fn template(_: Access, Query(query): Query<ImportTemplateQuery>) -> Result<Response, ApiError> {
    let (bytes, kind, name) = match query.format {
        ImportTemplateFormat::Xlsx => (xlsx_template().map_err(ApiError::internal)?, XLSX, "lessons.xlsx"),
        ImportTemplateFormat::Csv => (csv_template(), "text/csv; charset=utf-8", "lessons.csv"),
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

/// Says what a zip of lessons (with or without a table about them) would come to, and what is wrong with it; with `apply`
/// imports all that is good, as drafts. The same again changes nothing.
#[utoipa::path(post, path = "/lesson-imports", tag = "lessons", params(LessonImportQuery),
    request_body(content = LessonImportForm, content_type = "multipart/form-data"), responses(
        (status = 200, body = LessonImportReport),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 413, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
        (status = 507, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn import(
    State(app): State<AppState>,
    access: Access,
    Query(query): Query<LessonImportQuery>,
    headers: HeaderMap,
    form: Multipart,
) -> Result<Json<LessonImportReport>, ApiError> {
    let asked = (query.region_id.is_some() || query.school_id.is_some()).then_some(Place {
        region_id: query.region_id,
        school_id: query.school_id,
    });
    let owner = owner(&access, asked)?;
    if !query.apply {
        audit::only_looking();
    }
    let (zip, table) = receive(&app, form).await?;
    let encoding = match query.encoding {
        None => Encoding::Guess,
        Some(RosterEncoding::Utf8) => Encoding::Utf8,
        Some(RosterEncoding::Gbk) => Encoding::Gb18030,
    };
    let folder = unpacked(&app, zip).await?;
    let wish = Wish {
        root: folder.path().to_owned(),
        table: table.map(|bytes| (bytes, encoding)),
        apply: query.apply,
        language: accepted_language(&headers).unwrap_or(app.config.language),
    };
    let importer = Importer {
        revive: false,
        ..app.importer(owner, access.scope, &access.user.username)
    };
    let report = run::run(&importer, wish, Timestamp::now()).await?;
    if report.new + report.updated > 0 && report.applied {
        app.changed(Noun::Lesson, None);
    }
    // Thousands of files are not removed while others wait.
    tokio::task::spawn_blocking(move || drop(folder));
    Ok(Json(report))
}

async fn receive(app: &AppState, mut form: Multipart) -> Result<(Staged, Option<Vec<u8>>), ApiError> {
    let unreadable =
        |e: axum::extract::multipart::MultipartError| ApiError::new(Code::BadRequest).detail(e.body_text());
    let (mut zip, mut table) = (None, None);
    while let Some(mut part) = form.next_field().await.map_err(unreadable)? {
        match part.name() {
            Some("zip") if zip.is_none() => {
                let staged = app.objects.receive(part, app.config.max_upload_bytes).await;
                zip = Some(staged.map_err(|e| refused(app, e))?);
            }
            Some("table") => {
                let mut bytes = Vec::new();
                while let Some(more) = part.chunk().await.map_err(unreadable)? {
                    if bytes.len() + more.len() > MAX_FILE_BYTES {
                        return Err(FileFault::TooLarge.into());
                    }
                    bytes.extend_from_slice(&more);
                }
                // A form whose table was left empty sends an empty part.
                table = Some(bytes).filter(|bytes| !bytes.is_empty());
            }
            other => {
                let name = other.unwrap_or("(no name)").chars().take(80).collect::<String>();
                return Err(ApiError::invalid(
                    "form",
                    format!("unknown part {name:?}; expected are zip and table, each once"),
                ));
            }
        }
    }
    let zip = zip.ok_or_else(|| ApiError::invalid("zip", "the part zip is missing"))?;
    Ok((zip, table))
}

/// The zip's files in a folder of their own beside the objects, where a sweep finds what a crash leaves.
async fn unpacked(app: &AppState, zip: Staged) -> Result<tempfile::TempDir, ApiError> {
    let room = app.config.max_upload_bytes.saturating_mul(2);
    let size = zip.size().map_err(ApiError::internal)?;
    app.objects.check_room(size).map_err(|e| refused(app, e))?;
    let above = app.objects.folder().join("staging");
    let work = tokio::task::spawn_blocking(move || {
        let folder = tempfile::Builder::new().prefix("import-").tempdir_in(above)?;
        run::unpack(zip.reopen()?, folder.path(), room)?;
        Ok::<_, Reason>(folder)
    });
    let done = work.await.map_err(ApiError::internal)?;
    done.map_err(|reason| BulkError::Folder(reason).into())
}
