//! Incidents: what belongs together, and what people say of it.

use std::collections::BTreeMap;

use axum::{Json, extract::State, http::HeaderMap};
use jiff::{SignedDuration, Timestamp};

use super::{
    Body, Path, Query,
    alerts::{language, title_of},
    orders::narrowed,
    text,
};
use crate::{
    access::Access,
    api::{
        incidents::{
            Incident, IncidentDetail, IncidentDevicePage, IncidentDeviceQuery, IncidentKind, IncidentNote,
            IncidentPage, IncidentQuery, IncidentSnooze,
        },
        schema,
    },
    app::{AppState, Noun},
    config::Language,
    db::incidents::Act,
    domain::alerts::CONNECTIVITY,
    error::ApiError,
    messages,
};

pub(crate) const NOTE_CHARS: usize = 500;
/// The longest snooze.
pub(crate) const DAYS: i64 = 30;

/// A sentence about an incident as the database gives it: its title is the name of its rule, if that has one of its own.
pub(crate) fn sentence(incident: &Incident, language: Language) -> String {
    let code = match (incident.kind, incident.topic.as_str()) {
        (IncidentKind::Area, _) => "incident_area",
        (IncidentKind::School, CONNECTIVITY) => "incident_school",
        (IncidentKind::Device, CONNECTIVITY) => "incident_offline",
        _ => "incident_topic",
    };
    let args = BTreeMap::from([
        ("place", incident.place.clone()),
        ("schools", incident.schools.to_string()),
        ("devices", incident.devices.to_string()),
        ("topic", title_of(&incident.topic, &incident.title, language)),
    ]);
    messages::text(language, code, &args)
}

/// An incident with its sentence.
pub(crate) fn titled(mut incident: Incident, language: Language) -> Incident {
    incident.title = sentence(&incident, language);
    incident
}

async fn detailed(
    app: &AppState,
    access: &Access,
    id: i64,
    language: Language,
) -> Result<Json<IncidentDetail>, ApiError> {
    let mut found = app.db.incidents().get(&access.scope, id).await?;
    found.incident = titled(found.incident, language);
    found.parts = found
        .parts
        .into_iter()
        .map(|part| titled(part, language))
        .collect();
    let seen = access.reach(&app.db, "orders.read").await?;
    let seen = narrowed(app, access, &seen).await?;
    found.orders = app.db.orders().of_incident(&seen, id, Timestamp::now()).await?;
    Ok(Json(found))
}

/// Incidents: open ones first, then the newest.
#[utoipa::path(get, path = "/incidents", tag = "alerts", params(IncidentQuery), responses(
    (status = 200, body = IncidentPage),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn list(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    Query(query): Query<IncidentQuery>,
) -> Result<Json<IncidentPage>, ApiError> {
    let language = language(&app, &headers);
    let (items, total) = app.db.incidents().list(&access.scope, &query).await?;
    let items = items
        .into_iter()
        .map(|incident| titled(incident, language))
        .collect();
    Ok(Json(IncidentPage::new((items, total), query.page())))
}

/// One incident with its parts, its history, and who was told.
#[utoipa::path(get, path = "/incidents/{id}", tag = "alerts", params(("id" = i64, Path)), responses(
    (status = 200, body = IncidentDetail),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn detail(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    Path(id): Path<i64>,
) -> Result<Json<IncidentDetail>, ApiError> {
    detailed(&app, &access, id, language(&app, &headers)).await
}

/// Boards of an incident and its parts (the damage list): those that somebody must see first.
#[utoipa::path(get, path = "/incidents/{id}/devices", tag = "alerts", params(("id" = i64, Path), IncidentDeviceQuery), responses(
    (status = 200, body = IncidentDevicePage),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn devices(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Query(query): Query<IncidentDeviceQuery>,
) -> Result<Json<IncidentDevicePage>, ApiError> {
    let found = app.db.incidents().devices(&access.scope, id, &query).await?;
    Ok(Json(IncidentDevicePage::new(found, query.page())))
}

async fn act(
    app: &AppState,
    access: &Access,
    headers: &HeaderMap,
    (id, act): (i64, Act),
    note: &str,
) -> Result<Json<IncidentDetail>, ApiError> {
    let note = text("note", note, 0, NOTE_CHARS)?;
    if act == Act::Note && note.is_empty() {
        return Err(ApiError::invalid("note", "is empty"));
    }
    let by = &access.user.username;
    app.db
        .incidents()
        .act(&access.scope, id, act, &note, by, Timestamp::now())
        .await?;
    app.changes.tell(Noun::Incident, Some(id.to_string()));
    detailed(app, access, id, language(app, headers)).await
}

/// Takes an incident: nobody further up is told any more.
#[utoipa::path(post, path = "/incidents/{id}/acknowledge", tag = "alerts", params(("id" = i64, Path)), request_body = IncidentNote, responses(
    (status = 200, body = IncidentDetail),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn acknowledge(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    Path(id): Path<i64>,
    Body(new): Body<IncidentNote>,
) -> Result<Json<IncidentDetail>, ApiError> {
    act(&app, &access, &headers, (id, Act::Acknowledge), &new.note).await
}

/// Gives an incident back that somebody took: whoever comes next is told in time.
#[utoipa::path(delete, path = "/incidents/{id}/acknowledge", tag = "alerts", params(("id" = i64, Path)), responses(
    (status = 200, body = IncidentDetail),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn give_back(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    Path(id): Path<i64>,
) -> Result<Json<IncidentDetail>, ApiError> {
    act(&app, &access, &headers, (id, Act::GiveBack), "").await
}

/// Tells nobody until a time.
#[utoipa::path(post, path = "/incidents/{id}/snooze", tag = "alerts", params(("id" = i64, Path)), request_body = IncidentSnooze, responses(
    (status = 200, body = IncidentDetail),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn snooze(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    Path(id): Path<i64>,
    Body(new): Body<IncidentSnooze>,
) -> Result<Json<IncidentDetail>, ApiError> {
    if new.until.duration_since(Timestamp::now()) > SignedDuration::from_hours(24 * DAYS) {
        return Err(ApiError::invalid(
            "until",
            format!("is more than {DAYS} days ahead"),
        ));
    }
    act(&app, &access, &headers, (id, Act::Snooze(new.until)), &new.note).await
}

/// Nobody needs to look at it any more.
#[utoipa::path(post, path = "/incidents/{id}/resolve", tag = "alerts", params(("id" = i64, Path)), request_body = IncidentNote, responses(
    (status = 200, body = IncidentDetail),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn resolve(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    Path(id): Path<i64>,
    Body(new): Body<IncidentNote>,
) -> Result<Json<IncidentDetail>, ApiError> {
    act(&app, &access, &headers, (id, Act::Resolve), &new.note).await
}

/// Says something about it.
#[utoipa::path(post, path = "/incidents/{id}/notes", tag = "alerts", params(("id" = i64, Path)), request_body = IncidentNote, responses(
    (status = 200, body = IncidentDetail),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn note(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    Path(id): Path<i64>,
    Body(new): Body<IncidentNote>,
) -> Result<Json<IncidentDetail>, ApiError> {
    act(&app, &access, &headers, (id, Act::Note), &new.note).await
}
