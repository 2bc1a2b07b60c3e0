//! Files of reports, the seal over them, and whether it still holds.

use std::io::{Cursor, Write as _};

use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use contract::signed::{Signed, TrustedKey};
use jiff::Timestamp;

use super::{Path, Query, dictionary};
use crate::{
    access::Access,
    api::{
        reports::{ReportCheck, ReportFileQuery, ReportFormat},
        schema,
    },
    app::AppState,
    config::Language,
    db::{
        Db,
        reports::{Stored, canonical},
        scope::Scope,
    },
    error::{ApiError, Code, accepted_language},
    pki::keys::SigningKeys,
    reports::{
        body, html,
        seal::{ReportSeal, SealedFile},
        xlsx,
    },
};

/// The language of files that are sealed.
const SEALED_IN: Language = Language::ZhCn;

/// A file as it is sent.
pub(crate) struct Made {
    /// What it is called.
    pub(crate) name: String,
    /// Its media type.
    pub(crate) kind: &'static str,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
}

/// A version as a file: a spreadsheet, a page to print, JSON, or all of a frozen one.
#[utoipa::path(get, path = "/reports/{id}/file", tag = "reports", params(("id" = i64, Path), ReportFileQuery), responses(
    (status = 200, body = String, content_type = "application/octet-stream"),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn file(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Query(query): Query<ReportFileQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let found = app.db.reports().version(&access.scope, id, query.version).await?;
    let language = accepted_language(&headers).unwrap_or(SEALED_IN);
    let made = if query.format == ReportFormat::Zip {
        bundle(&found).await?
    } else {
        make_file(&found, query.format, language).await?
    };
    let mut headers = vec![
        (header::CONTENT_TYPE, made.kind.to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!(
                "{}; filename=\"{}\"",
                if query.format == ReportFormat::Html {
                    "inline"
                } else {
                    "attachment"
                },
                made.name
            ),
        ),
    ];
    if query.format == ReportFormat::Html {
        headers.push((header::CONTENT_SECURITY_POLICY, html::POLICY.to_owned()));
    }
    let mut response = made.bytes.into_response();
    for (name, value) in headers {
        response
            .headers_mut()
            .insert(name, value.parse().map_err(ApiError::internal)?);
    }
    Ok(response)
}

/// One file of a version. The same body, the same bytes.
pub(crate) async fn make_file(
    found: &Stored,
    format: ReportFormat,
    language: Language,
) -> Result<Made, ApiError> {
    let dictionary = dictionary()?;
    let (body, digest) = (found.body.clone(), found.digest.clone());
    let about = &found.body.about;
    let stem = format!(
        "report-{}-{}-v{}",
        about.kind.as_str(),
        about.from.strftime("%Y-%m"),
        found.version
    );
    // Seconds of work for a county.
    let made = tokio::task::spawn_blocking(move || -> Result<(&str, &'static str, Vec<u8>), String> {
        Ok(match format {
            ReportFormat::Xlsx => (
                "xlsx",
                "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
                xlsx::make(&body, dictionary, &digest, language).map_err(|e| e.to_string())?,
            ),
            ReportFormat::Html => (
                "html",
                "text/html; charset=utf-8",
                html::make(&body, dictionary, &digest, language).into_bytes(),
            ),
            ReportFormat::Json | ReportFormat::Zip => (
                "json",
                "application/json",
                canonical(&body).map_err(|e| e.to_string())?.0,
            ),
        })
    });
    let (ending, kind, bytes) = made
        .await
        .map_err(ApiError::internal)?
        .map_err(ApiError::internal)?;
    Ok(Made {
        name: format!("{stem}.{ending}"),
        kind,
        bytes,
    })
}

async fn files(found: &Stored) -> Result<Vec<Made>, ApiError> {
    let mut files = Vec::new();
    for format in [ReportFormat::Json, ReportFormat::Xlsx, ReportFormat::Html] {
        files.push(make_file(found, format, SEALED_IN).await?);
    }
    Ok(files)
}

fn sealed(made: &Made) -> SealedFile {
    SealedFile {
        name: made.name.clone(),
        blake3: blake3::hash(&made.bytes).to_hex().to_string(),
        size_bytes: made.bytes.len() as u64,
    }
}

/// The signed word on a version's files, as JSON.
pub(crate) async fn seal(
    keys: &SigningKeys,
    found: &Stored,
    by: &str,
    at: Timestamp,
) -> Result<String, ApiError> {
    let about = &found.body.about;
    let files = files(found).await?;
    let seal = ReportSeal {
        report: found.report.id,
        version: found.version,
        corrects: (found.version > 1).then(|| found.version - 1),
        kind: about.kind.as_str().to_owned(),
        from: about.from.to_string(),
        to: about.to.to_string(),
        place: format!("{} {}", about.place_code, about.place).trim().to_owned(),
        files: files.iter().map(sealed).collect(),
        frozen_at: at,
        frozen_by: by.to_owned(),
    };
    let signed = keys.sign_content(&seal).map_err(ApiError::internal)?;
    serde_json::to_string(&signed).map_err(ApiError::internal)
}

/// All files of a frozen version with the seal and a list of hashes.
pub(crate) async fn bundle(found: &Stored) -> Result<Made, ApiError> {
    let Some(seal) = &found.seal else {
        return Err(ApiError::new(Code::Conflict)
            .detail("this version is not frozen, so there is no seal; fetch xlsx, html or json"));
    };
    let files = files(found).await?;
    let mut list = String::new();
    for file in &files {
        let of = sealed(file);
        list.push_str(&format!("{}  {}\n", of.blake3, of.name));
    }
    // A fixed time: the same report is the same file.
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated)
        .last_modified_time(zip::DateTime::default());
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let mut put = |name: &str, bytes: &[u8]| -> Result<(), ApiError> {
        archive.start_file(name, options).map_err(ApiError::internal)?;
        archive.write_all(bytes).map_err(ApiError::internal)
    };
    for file in &files {
        put(&file.name, &file.bytes)?;
    }
    put("BLAKE3SUMS.txt", list.as_bytes())?;
    put("seal.json", seal.as_bytes())?;
    let bytes = archive.finish().map_err(ApiError::internal)?.into_inner();
    let about = &found.body.about;
    let month = about.from.strftime("%Y-%m");
    Ok(Made {
        name: format!("report-{}-{month}-v{}.zip", about.kind.as_str(), found.version),
        kind: "application/zip",
        bytes,
    })
}

/// Whether a version still says what the data say, and its files are as they were sealed.
pub(crate) async fn check(
    db: &Db,
    scope: &Scope,
    found: Stored,
    keys: &[TrustedKey],
    now: Timestamp,
) -> Result<ReportCheck, ApiError> {
    let report = &found.report;
    let days = (report.from, report.to);
    let body = db
        .reports()
        .work_out(scope, report.place_of(), report.kind, days, now)
        .await?;
    let (_, is) = canonical(&body)?;
    let seal = match &found.seal {
        None => None,
        Some(text) => Some(holds(&found, text, keys).await?),
    };
    Ok(ReportCheck {
        version: found.version,
        equal: is == found.digest,
        changes: body::changes(&found.body, &body, dictionary()?),
        digest: found.digest,
        now: is,
        seal,
    })
}

async fn holds(found: &Stored, seal: &str, keys: &[TrustedKey]) -> Result<bool, ApiError> {
    let Ok(signed) = serde_json::from_str::<Signed<ReportSeal>>(seal) else {
        return Ok(false);
    };
    let Ok(seal) = signed.verify(keys) else {
        return Ok(false);
    };
    let (_, digest) = canonical(&found.body)?;
    let files = files(found).await?;
    let same = files.iter().map(sealed).eq(seal.files.iter().cloned());
    Ok(same && digest == found.digest && seal.report == found.report.id && seal.version == found.version)
}
