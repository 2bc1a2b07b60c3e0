//! The other lists: lessons, pushes, incidents, work orders, equipment, the audit log, accounts.

use axum::{extract::State, http::HeaderMap, response::Response};
use jiff::Timestamp;

use super::{at, every, language, or_empty, table, turn, word};
use crate::{
    access::Access,
    api::{
        assets::{Asset, AssetQuery},
        audit::{AuditEntry, AuditQuery},
        incidents::{Incident, IncidentQuery},
        lessons::{LessonQuery, LessonSummary},
        orders::{Order, OrderQuery},
        pushes::{Push, PushQuery},
        schema,
        users::{UserQuery, UserSummary},
    },
    app::AppState,
    controllers::{Query, incidents, orders, receipts::local, usage::download},
    error::ApiError,
};

/// The list of lessons as a table, with the same filters.
#[utoipa::path(get, path = "/lessons/export.csv", tag = "lessons", params(LessonQuery), responses(
    (status = 200, body = String, content_type = "text/csv"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn lessons(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    Query(query): Query<LessonQuery>,
) -> Result<Response, ApiError> {
    let _turn = turn().await?;
    let language = language(&app, &headers);
    let rows = every(|page, size| {
        let query = LessonQuery {
            page: Some(page),
            page_size: Some(size),
            ..query.clone()
        };
        let (db, scope) = (&app.db, &access.scope);
        async move { db.lessons().list(scope, &query).await }
    })
    .await?;
    let row = |l: &LessonSummary| {
        vec![
            l.id.to_string(),
            l.meta.title.clone(),
            l.version.to_string(),
            l.meta.stage.clone(),
            l.meta.grade.clone(),
            l.meta.subject.clone(),
            l.meta.edition.clone(),
            l.meta.volume.clone(),
            l.meta.chapter.clone(),
            l.item_count.to_string(),
            l.size_bytes.to_string(),
            word(language, "review", &l.review_state),
            or_empty(l.released_version),
            l.owner.name.clone(),
            local(l.created_at),
            at(l.retired_at),
        ]
    };
    let columns = "lesson title version stage grade subject edition volume chapter items size review \
        released_version belongs_to created retired";
    Ok(download(
        "lessons.csv",
        table(language, columns, rows.iter().map(row))?,
    ))
}

/// The list of pushes as a table, with the same filters.
#[utoipa::path(get, path = "/pushes/export.csv", tag = "pushes", params(PushQuery), responses(
    (status = 200, body = String, content_type = "text/csv"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn pushes(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    Query(query): Query<PushQuery>,
) -> Result<Response, ApiError> {
    let _turn = turn().await?;
    let language = language(&app, &headers);
    let rows = every(|page, size| {
        let query = PushQuery {
            page: Some(page),
            page_size: Some(size),
            ..query.clone()
        };
        let (db, scope) = (&app.db, &access.scope);
        async move { db.pushes().list(scope, &query).await }
    })
    .await?;
    let row = |p: &Push| {
        let titles: Vec<&str> = p.lessons.iter().map(|lesson| lesson.title.as_str()).collect();
        vec![
            p.id.to_string(),
            p.target_name.clone(),
            titles.join("、"),
            at(p.needed_by),
            p.created_by.clone(),
            local(p.created_at),
            at(p.withdrawn_at),
            p.totals.devices.to_string(),
            p.totals.ready.to_string(),
            p.totals.fetching.to_string(),
            p.totals.failed.to_string(),
            p.bytes_done.to_string(),
            p.bytes_total.to_string(),
        ]
    };
    let columns = "push target lessons needed_by created_by created withdrawn devices lessons_ready \
        fetching failed bytes_done bytes_total";
    Ok(download(
        "pushes.csv",
        table(language, columns, rows.iter().map(row))?,
    ))
}

/// The list of incidents as a table, with the same filters.
#[utoipa::path(get, path = "/incidents/export.csv", tag = "alerts", params(IncidentQuery), responses(
    (status = 200, body = String, content_type = "text/csv"),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn incident_list(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    Query(query): Query<IncidentQuery>,
) -> Result<Response, ApiError> {
    let _turn = turn().await?;
    let language = language(&app, &headers);
    let rows = every(|page, size| {
        let query = IncidentQuery {
            page: Some(page),
            page_size: Some(size),
            ..query.clone()
        };
        let (db, scope) = (&app.db, &access.scope);
        async move { db.incidents().list(scope, &query).await }
    })
    .await?;
    let row = |i: Incident| {
        let i = incidents::titled(i, language);
        vec![
            i.id.to_string(),
            i.title.clone(),
            i.place.clone(),
            word(language, "severity", &i.severity),
            word(language, "cause", &i.cause),
            local(i.began_at),
            at(i.cleared_at),
            at(i.acknowledged_at),
            i.acknowledged_by.clone().unwrap_or_default(),
            at(i.resolved_at),
            i.resolved_by.clone().unwrap_or_default(),
            i.devices.to_string(),
            i.devices_open.to_string(),
            i.schools.to_string(),
        ]
    };
    let columns = "incident title place severity cause began cleared acknowledged acknowledged_by \
        resolved resolved_by devices devices_open schools";
    Ok(download(
        "incidents.csv",
        table(language, columns, rows.into_iter().map(row))?,
    ))
}

/// The list of work orders as a table, with the same filters.
#[utoipa::path(get, path = "/orders/export.csv", tag = "orders", params(OrderQuery), responses(
    (status = 200, body = String, content_type = "text/csv"),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn order_list(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    Query(query): Query<OrderQuery>,
) -> Result<Response, ApiError> {
    let _turn = turn().await?;
    let language = language(&app, &headers);
    let scope = orders::narrowed(&app, &access, &access.scope).await?;
    let (me, now) = (access.user.id, Timestamp::now());
    let rows = every(|page, size| {
        let query = OrderQuery {
            page: Some(page),
            page_size: Some(size),
            ..query.clone()
        };
        let (db, scope) = (&app.db, &scope);
        async move { db.orders().list(scope, &query, me, now).await }
    })
    .await?;
    let row = |o: &Order| {
        vec![
            o.id.to_string(),
            word(language, "order", &o.kind),
            word(language, "source", &o.source),
            o.school.clone(),
            o.classroom.clone().unwrap_or_default(),
            o.device_id.clone().unwrap_or_default(),
            word(language, "class", &o.class),
            o.title.clone(),
            o.symptom.clone(),
            word(language, "yes", &o.urgent),
            o.owner.clone(),
            o.builder.clone(),
            o.maintainer.clone(),
            o.area.clone().unwrap_or_default(),
            o.assigned_name.clone().unwrap_or_default(),
            word(language, "order_state", &o.state),
            local(o.since),
            local(o.opened_at),
            at(o.respond_due),
            at(o.repair_due),
            word(language, "yes", &o.overdue),
        ]
    };
    let columns = "order kind source school classroom device order_class title symptom urgent owner \
        builder maintainer area assigned order_state since opened respond_due repair_due overdue";
    Ok(download(
        "orders.csv",
        table(language, columns, rows.iter().map(row))?,
    ))
}

/// The ledger of equipment as a table, with the same filters.
#[utoipa::path(get, path = "/assets/export.csv", tag = "assets", params(AssetQuery), responses(
    (status = 200, body = String, content_type = "text/csv"),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn assets(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    Query(query): Query<AssetQuery>,
) -> Result<Response, ApiError> {
    let _turn = turn().await?;
    let language = language(&app, &headers);
    let now = Timestamp::now();
    let rows = every(|page, size| {
        let query = AssetQuery {
            page: Some(page),
            page_size: Some(size),
            ..query.clone()
        };
        let (db, scope) = (&app.db, &access.scope);
        async move { db.assets().list(scope, &query, now).await }
    })
    .await?;
    let row = |a: &Asset| {
        vec![
            a.id.to_string(),
            a.school.clone(),
            a.classroom.clone().unwrap_or_default(),
            word(language, "asset", &a.kind),
            a.tag.clone(),
            a.brand.clone(),
            a.model.clone(),
            a.serial.clone(),
            a.device_id.clone().unwrap_or_default(),
            word(language, "yes", &a.interactive),
            a.owner.clone(),
            a.builder.clone(),
            a.maintainer.clone(),
            or_empty(a.bought_on),
            or_empty(a.warranty_until),
            a.note.clone(),
            at(a.retired_at),
            a.health.to_string(),
        ]
    };
    let columns = "asset school classroom kind tag brand model serial device interactive owner builder \
        maintainer bought warranty note retired health";
    Ok(download(
        "assets.csv",
        table(language, columns, rows.iter().map(row))?,
    ))
}

/// The audit log as a table, with the same filters, newest first. What can be checked is `GET /audit/export`.
#[utoipa::path(get, path = "/audit/export.csv", tag = "audit", params(AuditQuery), responses(
    (status = 200, body = String, content_type = "text/csv"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn audit(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    Query(query): Query<AuditQuery>,
) -> Result<Response, ApiError> {
    let _turn = turn().await?;
    let language = language(&app, &headers);
    let rows = every(|page, size| {
        let query = AuditQuery {
            page: Some(page),
            page_size: Some(size),
            ..query.clone()
        };
        let (db, scope) = (&app.db, &access.scope);
        async move { db.audit().list(&query, scope).await }
    })
    .await?;
    let row = |e: &AuditEntry| {
        vec![
            e.seq.to_string(),
            local(e.at),
            e.actor_kind.clone(),
            e.actor.clone(),
            e.action.clone(),
            e.outcome.clone(),
            e.object_kind.clone(),
            e.object.clone(),
            e.place.clone(),
            e.address.clone(),
            e.request_id.clone(),
            serde_json::to_string(&e.detail).unwrap_or_default(),
        ]
    };
    let columns = "seq at actor_kind actor action outcome object_kind object place address request_id \
        detail";
    Ok(download(
        "audit.csv",
        table(language, columns, rows.iter().map(row))?,
    ))
}

/// The list of accounts as a table, with the same filters.
#[utoipa::path(get, path = "/users/export.csv", tag = "users", params(UserQuery), responses(
    (status = 200, body = String, content_type = "text/csv"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn users(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    Query(query): Query<UserQuery>,
) -> Result<Response, ApiError> {
    let _turn = turn().await?;
    let language = language(&app, &headers);
    let now = Timestamp::now();
    let rows = every(|page, size| {
        let query = UserQuery {
            page: Some(page),
            page_size: Some(size),
            ..query.clone()
        };
        let (db, scope) = (&app.db, &access.scope);
        async move { db.users().list(scope, &query, now).await }
    })
    .await?;
    let row = |u: &UserSummary| {
        let grants: Vec<String> = u
            .grants
            .iter()
            .map(|grant| {
                // The whole install has no name of its own.
                let node = match grant.node.name.as_str() {
                    "" => word(language, "node", &grant.node.kind),
                    name => name.to_owned(),
                };
                format!("{} @ {node}", word(language, "role", &grant.role))
            })
            .collect();
        vec![
            u.username.clone(),
            u.display_name.clone(),
            word(language, "user", &u.kind),
            word(language, "yes", &u.disabled),
            word(language, "yes", &u.totp),
            at(u.locked_until),
            at(u.last_sign_in_at),
            grants.join("；"),
        ]
    };
    let columns = "username display_name kind disabled totp locked_until last_sign_in roles";
    Ok(download(
        "users.csv",
        table(language, columns, rows.iter().map(row))?,
    ))
}
