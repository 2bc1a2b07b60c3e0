//! Rules, what they raised, and maintenance windows.

use std::{collections::BTreeMap, convert::Infallible};

use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::{HeaderMap, StatusCode, request::Parts},
};
use jiff::{SignedDuration, Timestamp};

use super::{Body, Path, Query, text};
use crate::{
    access::Access,
    api::{
        alerts::{
            AlertMetric, AlertMetrics, AlertPage, AlertQuery, AlertRule, AlertRules, MaintenancePage,
            MaintenanceQuery, MaintenanceWindow, NewMaintenance, NewRule, PlaceQuery, RuleBody, RuleTest,
        },
        schema,
    },
    app::{AppState, Noun},
    config::Language,
    db::{alerts::RuleRow, scope::Node},
    domain::alerts::{self, metrics},
    error::{ApiError, accepted_language},
    messages,
};

/// The longest maintenance window.
const DAYS: i64 = 31;

/// The node of a region and a school of which at most one is given.
pub(crate) fn node_of(region: Option<i64>, school: Option<i64>) -> Result<Node, ApiError> {
    match (region, school) {
        (Some(_), Some(_)) => Err(ApiError::invalid(
            "school_id",
            "give region_id or school_id, not both",
        )),
        _ => Ok(Node::of_columns(region, school)),
    }
}

pub(crate) fn language(app: &AppState, headers: &HeaderMap) -> Language {
    accepted_language(headers).unwrap_or(app.config.language)
}

impl FromRequestParts<AppState> for Language {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Infallible> {
        Ok(language(app, &parts.headers))
    }
}

/// What people read of a rule.
pub(crate) fn title_of(key: &str, name: &str, language: Language) -> String {
    if !name.is_empty() {
        return name.to_owned();
    }
    let code = format!("alert_rule_{key}");
    let said = messages::text(language, &code, &BTreeMap::new());
    if said == code { key.to_owned() } else { said }
}

/// A rule as people read it.
pub(crate) fn shown(row: RuleRow, language: Language) -> AlertRule {
    let (region_id, school_id) = row.node.columns();
    AlertRule {
        title: title_of(&row.key, &row.rule.name, language),
        source: row.source(),
        key: row.key,
        rule: row.rule,
        id: row.id,
        region_id,
        school_id,
        updated_at: row.updated.as_ref().map(|(at, _)| *at),
        updated_by: row.updated.map(|(_, by)| by),
    }
}

/// A rule as it can be written.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn checked(key: &str, mut rule: RuleBody) -> Result<RuleBody, ApiError> {
    alerts::check(key, &rule).map_err(|error| ApiError::invalid(error.field(), error))?;
    rule.name = text("rule.name", &rule.name, 0, 60)?;
    let built_in = alerts::built_in().map_err(ApiError::internal)?;
    if rule.name.is_empty() && !built_in.contains_key(key) {
        return Err(ApiError::invalid("rule.name", "a rule of your own needs a name"));
    }
    if alerts::topic(key, &rule.condition) == key && key == alerts::CONNECTIVITY {
        return Err(ApiError::invalid(
            "key",
            "connectivity is the name of a topic; choose another",
        ));
    }
    Ok(rule)
}

/// The rules that hold at a place (without one: for the whole install), also those that are off there.
#[utoipa::path(get, path = "/alert-rules", tag = "alerts", params(PlaceQuery), responses(
    (status = 200, body = AlertRules),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn rules(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    Query(query): Query<PlaceQuery>,
) -> Result<Json<AlertRules>, ApiError> {
    let node = node_of(query.region_id, query.school_id)?;
    let db = app.db.alerts();
    // Everybody may see what holds where nobody set anything.
    let rows = match node {
        Node::Root => db.rules_at(&crate::db::scope::Scope::everything(), node).await?,
        _ => db.rules_at(&access.scope, node).await?,
    };
    let language = language(&app, &headers);
    Ok(Json(AlertRules {
        items: rows.into_iter().map(|row| shown(row, language)).collect(),
    }))
}

/// Sets a version of a rule for a place and below; a key of your own adds a rule.
#[utoipa::path(put, path = "/alert-rules/{key}", tag = "alerts", params(("key" = String, Path)), request_body = NewRule, responses(
    (status = 200, body = AlertRule),
    (status = 403, body = schema::Problem, content_type = "application/problem+json"),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn set_rule(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    Path(key): Path<String>,
    Body(new): Body<NewRule>,
) -> Result<Json<AlertRule>, ApiError> {
    let node = node_of(new.region_id, new.school_id)?;
    let rule = checked(&key, new.rule)?;
    let db = app.db.alerts();
    let id = db
        .set_rule(
            &access.scope,
            node,
            &key,
            &rule,
            &access.user.username,
            Timestamp::now(),
        )
        .await?;
    app.changes.tell(Noun::Incident, None);
    let rows = db.rules_at(&access.scope, node).await?;
    let row = rows
        .into_iter()
        .find(|row| row.id == Some(id))
        .ok_or_else(|| ApiError::not_found("alert_rule", id))?;
    Ok(Json(shown(row, language(&app, &headers))))
}

/// Takes a version of a rule away (by its row id, not its key): what holds above holds again.
#[utoipa::path(delete, path = "/alert-rules/{key}", tag = "alerts", params(("key" = i64, Path)), responses(
    (status = 204),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn remove_rule(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiError> {
    app.db.alerts().remove_rule(&access.scope, id).await?;
    app.changes.tell(Noun::Incident, None);
    Ok(StatusCode::NO_CONTENT)
}

/// How often a rule would have been raised in the last seven days; changes nothing. Its schedule is not looked at.
#[utoipa::path(post, path = "/alert-rules/test", tag = "alerts", request_body = NewRule, responses(
    (status = 200, body = RuleTest),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn test_rule(
    State(app): State<AppState>,
    access: Access,
    Body(new): Body<NewRule>,
) -> Result<Json<RuleTest>, ApiError> {
    crate::audit::only_looking();
    let node = node_of(new.region_id, new.school_id)?;
    alerts::check("test", &new.rule).map_err(|error| ApiError::invalid(error.field(), error))?;
    Ok(Json(
        app.db
            .alerts()
            .try_rule(&access.scope, node, &new.rule, Timestamp::now())
            .await?,
    ))
}

/// What rules can look at.
#[utoipa::path(get, path = "/alert-metrics", tag = "alerts", responses((status = 200, body = AlertMetrics)))]
pub async fn metric_list(_: Access) -> Json<AlertMetrics> {
    Json(all_metrics())
}

/// The same.
pub(crate) fn all_metrics() -> AlertMetrics {
    let reading = |name: &String| AlertMetric {
        name: name.clone(),
        derived: false,
    };
    let derived = |name: &&str| AlertMetric {
        name: (*name).to_owned(),
        derived: true,
    };
    AlertMetrics {
        metrics: metrics::DERIVED
            .iter()
            .map(derived)
            .chain(metrics::readings().iter().map(reading))
            .collect(),
        events: metrics::EVENTS.map(str::to_owned).to_vec(),
    }
}

/// Alerts: open ones first, then the newest.
#[utoipa::path(get, path = "/alerts", tag = "alerts", params(AlertQuery), responses(
    (status = 200, body = AlertPage),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn list(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    Query(query): Query<AlertQuery>,
) -> Result<Json<AlertPage>, ApiError> {
    let language = language(&app, &headers);
    let (mut items, total) = app.db.alerts().list(&access.scope, &query).await?;
    for alert in &mut items {
        alert.title = title_of(&alert.rule, &alert.title, language);
    }
    Ok(Json(AlertPage::new((items, total), query.page())))
}

/// Maintenance windows, newest first.
#[utoipa::path(get, path = "/maintenance-windows", tag = "alerts", params(MaintenanceQuery), responses(
    (status = 200, body = MaintenancePage),
))]
pub async fn windows(
    State(app): State<AppState>,
    access: Access,
    Query(query): Query<MaintenanceQuery>,
) -> Result<Json<MaintenancePage>, ApiError> {
    let found = app
        .db
        .alerts()
        .windows(&access.scope, &query, Timestamp::now())
        .await?;
    Ok(Json(MaintenancePage::new(found, query.page())))
}

/// Why a window is set, if it can be set so.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn window_reason(new: &NewMaintenance, now: Timestamp) -> Result<String, ApiError> {
    if new.to <= new.from || new.to <= now {
        return Err(ApiError::invalid("to", "must be after from, and not past"));
    }
    if new.to.duration_since(new.from) > SignedDuration::from_hours(24 * DAYS) {
        return Err(ApiError::invalid(
            "to",
            format!("is more than {DAYS} days after from"),
        ));
    }
    text("reason", &new.reason, 1, 200)
}

/// Sets a stretch in which nobody is told because somebody works there. Alerts are still written down.
#[utoipa::path(post, path = "/maintenance-windows", tag = "alerts", request_body = NewMaintenance, responses(
    (status = 201, body = MaintenanceWindow),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn add_window(
    State(app): State<AppState>,
    access: Access,
    Body(new): Body<NewMaintenance>,
) -> Result<(StatusCode, Json<MaintenanceWindow>), ApiError> {
    let node = node_of(new.region_id, new.school_id)?;
    if node == Node::Root {
        return Err(ApiError::invalid("region_id", "give region_id or school_id"));
    }
    let now = Timestamp::now();
    let reason = window_reason(&new, now)?;
    let db = app.db.alerts();
    let by = &access.user.username;
    let id = db
        .add_window(&access.scope, node, (new.from, new.to), &reason, by, now)
        .await?;
    app.changes.tell(Noun::Incident, None);
    Ok((
        StatusCode::CREATED,
        Json(db.window(&access.scope, id, now).await?),
    ))
}

/// Takes a window back.
#[utoipa::path(post, path = "/maintenance-windows/{id}/cancel", tag = "alerts", params(("id" = i64, Path)), responses(
    (status = 200, body = MaintenanceWindow),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn cancel_window(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<Json<MaintenanceWindow>, ApiError> {
    let now = Timestamp::now();
    let db = app.db.alerts();
    db.cancel_window(&access.scope, id, &access.user.username, now)
        .await?;
    app.changes.tell(Noun::Incident, None);
    Ok(Json(db.window(&access.scope, id, now).await?))
}
