//! The audit log: reading, handing out, checking.

use std::time::Duration;

use axum::{
    Json,
    body::Body as Bytes,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use contract::signed::Signed;
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::Semaphore;

use super::Query;
use crate::{
    access::Access,
    api::audit::{AuditPage, AuditQuery, AuditVerified},
    app::AppState,
    audit::{
        chain::Walk,
        head::{self, AuditHead},
    },
    db::{Db, DbResult, audit::WalkError, scope::Scope},
    error::{ApiError, Code},
    pki::keys::SigningKeys,
};

/// Walks through the whole log at a time.
static WALKING: Semaphore = Semaphore::const_new(1);
/// Longest wait for the one before.
const WAIT: Duration = Duration::from_secs(20);

/// Rows of the audit log, one page, newest first.
#[utoipa::path(get, path = "/audit", tag = "audit", params(AuditQuery), responses((status = 200, body = AuditPage)))]
pub async fn list(
    State(app): State<AppState>,
    access: Access,
    Query(query): Query<AuditQuery>,
) -> Result<Json<AuditPage>, ApiError> {
    Ok(Json(AuditPage::new(
        app.db.audit().list(&query, &access.scope).await?,
        query.page(),
    )))
}

/// Whole rows, oldest first, one JSON object in a line, each with its hash and the one before; the last line is the signed
/// head.
#[utoipa::path(get, path = "/audit/export", tag = "audit", params(AuditQuery), responses(
    (status = 200, body = String, content_type = "application/x-ndjson"),
))]
pub async fn export(
    State(app): State<AppState>,
    access: Access,
    Query(query): Query<AuditQuery>,
) -> Result<Response, ApiError> {
    let now = Timestamp::now();
    let (until, head) = signed_end(&app.db, &app.keys, now).await?;
    let rows = Rows {
        db: app.db.clone(),
        query,
        scope: access.scope,
        after: 0,
        until,
    };
    let state = (Some(rows), Some(head));
    let body = futures_util::stream::unfold(state, async |(rows, head)| match rows {
        Some(mut rows) => match rows.next().await {
            Ok(Some(lines)) => Some((Ok(lines), (Some(rows), head))),
            Ok(None) => head.map(|head| (Ok(head), (None, None))),
            // The connection breaks off, and the missing head says that it was not all.
            Err(error) => {
                tracing::error!(error = %error, "an export of the audit log broke off");
                Some((Err(std::io::Error::other(error)), (None, None)))
            }
        },
        None => None,
    });
    let name = format!(
        "attachment; filename=\"audit-{}.ndjson\"",
        now.strftime("%Y%m%dT%H%M%SZ")
    );
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, Bytes::from_stream(body)).into_response())
}

/// Whether the log is as it was written; tells counts only, whoever asks.
#[utoipa::path(get, path = "/audit/verify", tag = "audit", responses((status = 200, body = AuditVerified)))]
pub async fn verify(State(app): State<AppState>, _: Access) -> Result<Json<AuditVerified>, ApiError> {
    let _permit = tokio::time::timeout(WAIT, WALKING.acquire())
        .await
        .map_err(|_| ApiError::new(Code::Busy))?
        .map_err(ApiError::internal)?;
    let file = app.config.data.join(head::FILE_NAME);
    let head = head::read(&file, &app.keys.trusted());
    Ok(Json(check(&app.db, head).await?))
}

/// Walks the whole log and holds it against the signed head.
///
/// # Errors
/// The log cannot be read; what is wrong with it is no error but the answer.
pub(crate) async fn check(db: &Db, head: anyhow::Result<Option<AuditHead>>) -> DbResult<AuditVerified> {
    let mut walk = Walk::default();
    let (head, unreadable) = match head {
        Ok(head) => (head, None),
        Err(error) => (None, Some(format!("{error:#}"))),
    };
    let (broken_at, reason) = match db.audit().walk(&mut walk, head.as_ref()).await {
        Ok(()) => (None, unreadable),
        Err(WalkError::Broken(found)) => (Some(found.seq()), Some(found.to_string())),
        Err(WalkError::Db(error)) => return Err(error),
    };
    Ok(AuditVerified {
        ok: reason.is_none(),
        entries: walk.seq(),
        head_hash: walk.hash(),
        signed_at: head.as_ref().map(|head| head.at),
        signed_seq: head.map(|head| head.seq),
        broken_at,
        reason,
    })
}

/// Where the log ends now, and the last line of an export that says so under our signature. Nothing is checked here, and
/// the head on the disk stays as it is.
pub(crate) async fn signed_end(
    db: &Db,
    keys: &SigningKeys,
    now: Timestamp,
) -> Result<(i64, String), ApiError> {
    let (seq, hash) = db.audit().end().await?;
    let head: Signed<AuditHead> = keys
        .sign_command(&AuditHead { seq, hash, at: now })
        .map_err(ApiError::internal)?;
    let line = json!({ "head": head, "key": keys.command_key() });
    Ok((seq, format!("{line}\n")))
}

/// An export under way.
pub(crate) struct Rows {
    pub(crate) db: Db,
    pub(crate) query: AuditQuery,
    pub(crate) scope: Scope,
    pub(crate) after: i64,
    pub(crate) until: i64,
}

impl Rows {
    /// The next lines; `None`: that was all.
    pub(crate) async fn next(&mut self) -> DbResult<Option<String>> {
        let audit = self.db.audit();
        let found = audit.lines(&self.query, &self.scope, self.after, self.until);
        Ok(found.await?.map(|(lines, last)| {
            self.after = last;
            lines
                .into_iter()
                .fold(String::new(), |text, line| text + &line + "\n")
        }))
    }
}
