//! The door of the API: names who acts before a write begins, and writes down what was refused or failed.

use std::net::SocketAddr;

use axum::{
    extract::{ConnectInfo, MatchedPath, Request, State},
    http::{Method, StatusCode},
    middleware::Next,
    response::Response,
};

use super::{ActorKind, Context, Draft, Outcome};
use crate::{
    access::{PREFIX, Permissions},
    app::AppState,
    error::{ApiError, Code, RequestId},
};

/// Actions of the routes that nobody needs a session for, and which the matrix does not name.
const OPEN: [(&str, &str); 3] = [
    ("POST /session", SIGN_IN),
    ("DELETE /session", "session.close"),
    ("GET /session/oidc/callback", SIGN_IN),
];
/// Signing in, by whatever way.
pub const SIGN_IN: &str = "session.open";

/// The action a request is logged under; `None`: it is none that a person causes, or reads only.
pub fn action_of(method: &Method, route: &str) -> Option<String> {
    let open = format!("{method} {route}");
    if let Some((_, action)) = OPEN.iter().find(|(route, _)| *route == open) {
        return Some((*action).to_owned());
    }
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return None;
    }
    let action = Permissions::get().ok()?.of_route(method, route);
    Some(action.map_or_else(|| open, |action| action.name.clone()))
}

/// The kind of object that a segment of a path counts, e.g. `devices`.
fn kind_of(segment: &str) -> &str {
    match segment {
        "regions" => "region",
        "schools" => "school",
        "classrooms" => "classroom",
        "devices" => "device",
        "lessons" => "lesson",
        "pushes" => "push",
        "tickets" => "ticket",
        "ticket-batches" => "batch",
        "users" => "user",
        "claims" => "claim",
        "clones" => "clone",
        "security-events" => "security_event",
        "sessions" => "session",
        "exams" => "exam",
        "faults" => "fault",
        "orders" => "order",
        "areas" => "area",
        "views" => "view",
        "assets" => "asset",
        "parts" => "part",
        "notices" => "notice",
        "incidents" => "incident",
        "alert-rules" => "alert_rule",
        "maintenance-windows" => "maintenance_window",
        "notification-channels" => "notification_channel",
        "notification-recipients" => "notification_recipient",
        "reports" => "report",
        other => other,
    }
}

/// What a path names first: `/devices/{id}/commands` is about a device.
fn object_of<'a>(route: &'a str, path: &'a str) -> Option<(&'a str, &'a str)> {
    let mut before = "";
    for (pattern, is) in route.split('/').zip(path.split('/')) {
        if pattern.starts_with('{') {
            return Some((kind_of(before), is));
        }
        before = pattern;
    }
    None
}

/// Middleware: everything that the request commits is committed in its name.
pub async fn name_the_actor(
    State(app): State<AppState>,
    path: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let route = path.as_ref().map_or("", |path| path.as_str());
    let route = route.strip_prefix(PREFIX).unwrap_or(route);
    let Some(action) = path.as_ref().and_then(|_| action_of(request.method(), route)) else {
        return next.run(request).await;
    };
    let address = request
        .extensions()
        .get::<ConnectInfo<Caller>>()
        .map(|ConnectInfo(Caller(address))| address.ip().to_string())
        .unwrap_or_default();
    let id = request.extensions().get::<RequestId>();
    let id = id.map_or("", |RequestId(id)| id.as_str());
    let mut context = Context::new(ActorKind::User, "", &action).from(&address, id);
    let is = request.uri().path();
    // The router below has lost the prefix already.
    if let Some((kind, id)) = object_of(route, is.strip_prefix(PREFIX).unwrap_or(is)) {
        context = context.on(kind, id);
    }
    let response = context.clone().scope(next.run(request)).await;
    let refused = response.extensions().get::<Refused>().map(|Refused(code)| *code);
    let error = response.extensions().get::<ApiError>().map(|error| error.code);
    let (written, mut draft) = context.so_far();
    let status = refused.map_or_else(|| response.status(), Code::status);
    let asked_for_more = error == Some(Code::TotpRequired);
    let outcome = outcome_of(status, written, &draft);
    let looked = asked_for_more || (context.is_looking() && outcome == Some(Outcome::Done));
    if let Some(outcome) = outcome.filter(|_| !looked) {
        draft.outcome = outcome;
        if let Some(code) = refused.or(error) {
            draft.detail.insert("code".to_owned(), code.as_str().into());
        }
        if outcome == Outcome::Done {
            draft.detail.insert("unchanged".to_owned(), true.into());
        }
        tell(&app, &draft).await;
    }
    response
}

/// Whether the end of a request deserves a row of its own, and which.
fn outcome_of(status: StatusCode, written: u32, draft: &Draft) -> Option<Outcome> {
    // Without a session nobody is known, and nothing was reached.
    if draft.actor.is_empty() {
        return None;
    }
    match status {
        _ if status.is_server_error() => Some(Outcome::Failed),
        _ if status.is_success() || status.is_redirection() => (written == 0).then_some(Outcome::Done),
        StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::NOT_FOUND
        | StatusCode::CONFLICT
        | StatusCode::TOO_MANY_REQUESTS => Some(Outcome::Refused),
        // A slip of the pen: what was sent cannot be read or is out of its bounds.
        _ => None,
    }
}

/// Writes a row outside of any change, within the bounds for floods. A log that cannot be written is told, not hidden: the
/// request was answered already.
pub async fn tell(app: &AppState, draft: &Draft) {
    if draft.outcome != Outcome::Done && !app.floods.admit(draft, std::time::Instant::now()) {
        return;
    }
    if let Err(error) = app.db.audit().add(draft).await {
        tracing::error!(error = %error, action = draft.action, "the audit log could not be written");
    }
}

/// Put into an answer whose status does not say it (a redirect): it was refused.
#[derive(Debug, Clone, Copy)]
pub struct Refused(pub Code);

/// Who is at the other end of a connection of the web listener.
#[derive(Debug, Clone, Copy)]
pub struct Caller(pub SocketAddr);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_its_object() {
        for (route, path, expected) in [
            (
                "/devices/{id}/commands",
                "/devices/d1/commands",
                Some(("device", "d1")),
            ),
            (
                "/users/{id}/grants/{grant}",
                "/users/3/grants/4",
                Some(("user", "3")),
            ),
            ("/ticket-batches/{id}", "/ticket-batches/9", Some(("batch", "9"))),
            ("/regions", "/regions", None),
        ] {
            assert_eq!(object_of(route, path), expected, "{route}");
        }
    }

    #[test]
    fn reading_is_not_logged_and_a_route_that_nobody_named_is() {
        assert_eq!(action_of(&Method::GET, "/devices"), None);
        assert_eq!(action_of(&Method::POST, "/session").as_deref(), Some(SIGN_IN));
        assert_eq!(
            action_of(&Method::POST, "/regions").as_deref(),
            Some("regions.write")
        );
        assert_eq!(action_of(&Method::PUT, "/new").as_deref(), Some("PUT /new"));
    }
}
