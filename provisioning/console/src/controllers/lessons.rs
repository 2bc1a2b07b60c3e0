//! Lessons: list, upload, retire, preview.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Multipart, State, multipart::Field},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::Response,
};
use contract::{id::LessonId, path::LessonPath};
use jiff::Timestamp;

use super::{Path, Query};
use crate::{
    access::{Access, Permissions},
    api::{
        lessons::{LessonDetail, LessonPage, LessonQuery, LessonUpload, LessonUploadForm, Uploaded},
        schema,
        users::Place,
    },
    app::{AppState, Noun},
    db::scope::Node,
    device_http::ranges,
    domain::import::{self, Change, Upload},
    error::{ApiError, Code},
    objects::{ObjectError, Staged},
};

/// Most files in one upload; a zipped exercise counts as one.
const MOST_PARTS: usize = 200;
const MOST_META_BYTES: usize = 256 * 1024;
const PREVIEW_POLICY: &str = "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; style-src 'self' 'unsafe-inline'; frame-ancestors 'self'";

/// Lessons, newest first, one page: drafts of one's own nodes among them; of nodes above what is released.
#[utoipa::path(get, path = "/lessons", tag = "lessons", params(LessonQuery), responses((status = 200, body = LessonPage)))]
pub async fn list(
    State(app): State<AppState>,
    access: Access,
    Query(query): Query<LessonQuery>,
) -> Result<Json<LessonPage>, ApiError> {
    Ok(Json(LessonPage::new(
        app.db.lessons().list(&access.scope, &query).await?,
        query.page(),
    )))
}

/// One lesson with everything in it.
#[utoipa::path(get, path = "/lessons/{id}", tag = "lessons", params(("id" = String, Path)), responses(
    (status = 200, body = LessonDetail),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn detail(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<LessonId>,
) -> Result<Json<LessonDetail>, ApiError> {
    Ok(Json(app.db.lessons().detail(&access.scope, &id).await?))
}

/// Takes a lesson off offer and out of all assignments.
#[utoipa::path(delete, path = "/lessons/{id}", tag = "lessons", params(("id" = String, Path)), responses(
    (status = 204),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn retire(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<LessonId>,
) -> Result<StatusCode, ApiError> {
    app.db
        .lessons()
        .retire(&access.scope, &id, Timestamp::now())
        .await?;
    app.changed(Noun::Lesson, id.to_string());
    app.changed(Noun::Push, None);
    Ok(StatusCode::NO_CONTENT)
}

/// Uploads a lesson as a draft: the part `meta` (JSON), then one part `file` for each file.
#[utoipa::path(post, path = "/lessons", tag = "lessons",
    request_body(content = LessonUploadForm, content_type = "multipart/form-data"), responses(
        (status = 201, body = Uploaded),
        (status = 200, body = Uploaded, description = "The same content as before; no new version"),
        (status = 413, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
        (status = 507, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn upload(
    State(app): State<AppState>,
    access: Access,
    mut form: Multipart,
) -> Result<(StatusCode, Json<Uploaded>), ApiError> {
    let unreadable =
        |e: axum::extract::multipart::MultipartError| ApiError::new(Code::BadRequest).detail(e.body_text());
    let mut meta: Option<LessonUpload> = None;
    let mut files: Vec<(String, Staged)> = Vec::new();
    let mut room = app.config.max_upload_bytes;
    while let Some(part) = form.next_field().await.map_err(unreadable)? {
        match part.name() {
            Some("meta") => meta = Some(read_meta(part).await?),
            Some("file") => {
                if files.len() >= MOST_PARTS {
                    return Err(ApiError::invalid(
                        "file",
                        format!("more than {MOST_PARTS} files; zip them or use lesson import"),
                    ));
                }
                let name = part.file_name().unwrap_or_default().to_owned();
                let staged = app
                    .objects
                    .receive(part, room)
                    .await
                    .map_err(|e| refused(&app, e))?;
                let size = staged.size().map_err(ApiError::internal)?;
                room = room.saturating_sub(size);
                files.push((name, staged));
            }
            other => {
                let name = other.unwrap_or("(no name)").chars().take(80).collect::<String>();
                return Err(ApiError::invalid(
                    "form",
                    format!("unknown part {name:?}; expected are meta and file"),
                ));
            }
        }
    }
    let meta = meta.ok_or_else(|| ApiError::invalid("meta", "the part meta (JSON) is missing"))?;
    if files.is_empty() {
        return Err(ApiError::invalid("file", "no file was sent"));
    }
    let owner = owner(&access, meta.owner)?;
    let titles = meta
        .items
        .into_iter()
        .filter_map(|item| item.title.map(|title| (item.file, title)))
        .collect();
    let upload = Upload {
        id: meta.id,
        meta: meta.meta,
        titles,
        files,
        transcode: meta.transcode,
    };
    let done = import::import_upload(
        &app.importer(owner, access.scope, &access.user.username),
        upload,
        Timestamp::now(),
        Arc::new(|_| ()),
    )
    .await?;
    app.changed(Noun::Lesson, done.id.to_string());
    let changed = matches!(done.change, Change::New | Change::Updated);
    let status = if changed {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((
        status,
        Json(Uploaded {
            id: done.id,
            version: done.version,
            review_state: done.state,
            changed,
        }),
    ))
}

/// Whose a new lesson shall be: as asked for, else the one node at which the person may upload.
pub(super) fn owner(access: &Access, asked: Option<Place>) -> Result<Node, ApiError> {
    let Some(asked) = asked else {
        let action = Permissions::get()?.named("lessons.write")?;
        let mut nodes = action.nodes(&access.grants).unwrap_or_default();
        nodes.dedup();
        return match nodes.as_slice() {
            [node] => Ok(*node),
            all if all.contains(&Node::Root) => Ok(Node::Root),
            _ => Err(ApiError::invalid(
                "owner",
                "you are content officer at several nodes; say with owner {region_id or school_id} whose the lesson is",
            )),
        };
    };
    let node = asked
        .node()
        .ok_or_else(|| ApiError::invalid("owner", "name a region or a school, not both"))?;
    match node {
        Node::Region(id) => access.scope.need_region(id)?,
        Node::School(id) => access.scope.need_school(id)?,
        Node::Root if access.scope.is_everything() => {}
        Node::Root => return Err(ApiError::invalid("owner", "name a region or a school")),
    }
    Ok(node)
}

async fn read_meta(mut part: Field<'_>) -> Result<LessonUpload, ApiError> {
    let mut text = Vec::new();
    while let Some(bytes) = part
        .chunk()
        .await
        .map_err(|e| ApiError::new(Code::BadRequest).detail(e.body_text()))?
    {
        text.extend_from_slice(&bytes);
        if text.len() > MOST_META_BYTES {
            return Err(ApiError::invalid(
                "meta",
                format!("longer than {MOST_META_BYTES} bytes"),
            ));
        }
    }
    serde_json::from_slice(&text)
        .map_err(|e| ApiError::invalid("meta", format!("not the expected JSON: {e}")))
}

pub(super) fn refused(app: &AppState, error: ObjectError) -> ApiError {
    match error {
        ObjectError::TooLarge { .. } => {
            ApiError::new(Code::TooLarge).arg("limit", format!("{} bytes", app.config.max_upload_bytes))
        }
        ObjectError::DiskFull { .. } => ApiError::new(Code::DiskFull).detail(error),
        ObjectError::Source(cause) => {
            ApiError::new(Code::BadRequest).detail(format!("the upload ended early: {cause}; send it again"))
        }
        other => ApiError::internal(other),
    }
}

/// One file of the version that the lesson is shown at, for a preview; a single `Range` is honoured.
#[utoipa::path(get, path = "/lessons/{id}/files/{path}", tag = "lessons",
    params(("id" = String, Path), ("path" = String, Path)), responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 206, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 416, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn file(
    State(app): State<AppState>,
    access: Access,
    Path((id, path)): Path<(LessonId, LessonPath)>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let file = app.db.lessons().file(&access.scope, &id, &path).await?;
    let stored = ranges::File {
        hash: file.hash,
        size: file.size,
        media_type: &file.media_type,
    };
    let mut response = ranges::answer(&app.objects, stored, &method, &headers).await?;
    let out = response.headers_mut();
    // The address has no version in it, so what stands here may change; the ETag makes asking again cheap.
    out.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-cache"),
    );
    // Courseware is somebody else's page: shown here it gets no session, no script and no way out.
    out.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(PREVIEW_POLICY),
    );
    Ok(response)
}
