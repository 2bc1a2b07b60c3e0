//! The other lists: lessons, pushes, incidents, work orders, equipment, schools' lines, reports, the audit log, accounts.

use axum::{extract::State, http::HeaderMap, response::Response};
use jiff::Timestamp;

use super::{at, every, language, or_empty, table, turn, word};
use crate::{
    access::Access,
    api::{
        assets::{Asset, AssetQuery},
        audit::{AuditEntry, AuditQuery},
        bandwidth::{BandwidthMonth, Decision, Direction, MonthQuery},
        incidents::{Incident, IncidentQuery},
        lessons::{LessonQuery, LessonSummary},
        orders::{Order, OrderQuery},
        pushes::{Push, PushQuery},
        reports::{Report, ReportQuery},
        schema,
        users::{UserQuery, UserSummary},
    },
    app::AppState,
    config::Language,
    controllers::{Query, bandwidth, incidents, orders, receipts::local, usage::download},
    db::DbResult,
    error::ApiError,
};

/// A list's query, asked for page by page.
pub(super) trait Paged: Clone {
    /// The same rows, this page of them.
    fn at(self, page: u32, size: u32) -> Self;
}

macro_rules! paged {
    ($($query:ty),+) => {$(
        impl $crate::controllers::exports::lists::Paged for $query {
            fn at(self, page: u32, size: u32) -> Self {
                Self { page: Some(page), page_size: Some(size), ..self }
            }
        }
    )+};
}
pub(super) use paged;
paged!(
    AssetQuery,
    AuditQuery,
    IncidentQuery,
    LessonQuery,
    MonthQuery,
    OrderQuery,
    PushQuery,
    ReportQuery,
    UserQuery
);

/// All rows of a list as a file: what `ask` finds for each page of `query`, each made into cells by `row`.
pub(super) async fn listed<Q: Paged, T, F>(
    (app, headers): (&AppState, &HeaderMap),
    (name, columns): (&'static str, &str),
    query: &Q,
    mut ask: impl FnMut(Q) -> F,
    row: impl Fn(Language, T) -> Vec<String>,
) -> Result<Response, ApiError>
where
    F: Future<Output = DbResult<(Vec<T>, u64)>>,
{
    let _turn = turn().await?;
    let language = language(app, headers);
    let rows = every(|page, size| ask(query.clone().at(page, size))).await?;
    let rows = rows.into_iter().map(|one| row(language, one));
    Ok(download(name, table(language, columns, rows)?))
}

/// The list of lessons as a table, with the same filters and order.
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
    let columns = "lesson title version stage grade subject edition volume chapter items size review \
        released_version belongs_to created retired";
    let (db, scope) = (&app.db, &access.scope);
    let ask = |query: LessonQuery| async move { db.lessons().list(scope, &query).await };
    listed(
        (&app, &headers),
        ("lessons.csv", columns),
        &query,
        ask,
        lesson_row,
    )
    .await
}

fn lesson_row(language: Language, l: LessonSummary) -> Vec<String> {
    vec![
        l.id.to_string(),
        l.meta.title,
        l.version.to_string(),
        l.meta.stage,
        l.meta.grade,
        l.meta.subject,
        l.meta.edition,
        l.meta.volume,
        l.meta.chapter,
        l.item_count.to_string(),
        l.size_bytes.to_string(),
        word(language, "review", &l.review_state),
        or_empty(l.released_version),
        l.owner.name,
        local(l.created_at),
        at(l.retired_at),
    ]
}

/// The list of pushes as a table, with the same filters and order.
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
    let columns = "push target lessons needed_by created_by created withdrawn devices lessons_ready \
        fetching failed bytes_done bytes_total";
    let (db, scope) = (&app.db, &access.scope);
    let ask = |query: PushQuery| async move { db.pushes().list(scope, &query).await };
    listed((&app, &headers), ("pushes.csv", columns), &query, ask, push_row).await
}

fn push_row(_: Language, p: Push) -> Vec<String> {
    let titles: Vec<&str> = p.lessons.iter().map(|lesson| lesson.title.as_str()).collect();
    vec![
        p.id.to_string(),
        p.target_name,
        titles.join("、"),
        at(p.needed_by),
        p.created_by,
        local(p.created_at),
        at(p.withdrawn_at),
        p.totals.devices.to_string(),
        p.totals.ready.to_string(),
        p.totals.fetching.to_string(),
        p.totals.failed.to_string(),
        p.bytes_done.to_string(),
        p.bytes_total.to_string(),
    ]
}

/// The list of incidents as a table, with the same filters and order.
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
    let columns = "incident title place severity cause began cleared acknowledged acknowledged_by \
        resolved resolved_by devices devices_open schools";
    let (db, scope) = (&app.db, &access.scope);
    let ask = |query: IncidentQuery| async move { db.incidents().list(scope, &query).await };
    listed(
        (&app, &headers),
        ("incidents.csv", columns),
        &query,
        ask,
        incident_row,
    )
    .await
}

fn incident_row(language: Language, i: Incident) -> Vec<String> {
    let i = incidents::titled(i, language);
    vec![
        i.id.to_string(),
        i.title,
        i.place,
        word(language, "severity", &i.severity),
        word(language, "cause", &i.cause),
        local(i.began_at),
        at(i.cleared_at),
        at(i.acknowledged_at),
        i.acknowledged_by.unwrap_or_default(),
        at(i.resolved_at),
        i.resolved_by.unwrap_or_default(),
        i.devices.to_string(),
        i.devices_open.to_string(),
        i.schools.to_string(),
    ]
}

/// The list of work orders as a table, with the same filters and order.
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
    let scope = orders::narrowed(&app, &access, &access.scope).await?;
    let (me, now) = (access.user.id, Timestamp::now());
    let columns = "order kind source school classroom device order_class title symptom urgent owner \
        builder maintainer area assigned order_state since opened respond_due repair_due overdue";
    let (db, scope) = (&app.db, &scope);
    let ask = |query: OrderQuery| async move { db.orders().list(scope, &query, me, now).await };
    listed((&app, &headers), ("orders.csv", columns), &query, ask, order_row).await
}

fn order_row(language: Language, o: Order) -> Vec<String> {
    vec![
        o.id.to_string(),
        word(language, "order", &o.kind),
        word(language, "source", &o.source),
        o.school,
        o.classroom.unwrap_or_default(),
        o.device_id.unwrap_or_default(),
        word(language, "class", &o.class),
        o.title,
        o.symptom,
        word(language, "yes", &o.urgent),
        o.owner,
        o.builder,
        o.maintainer,
        o.area.unwrap_or_default(),
        o.assigned_name.unwrap_or_default(),
        word(language, "order_state", &o.state),
        local(o.since),
        local(o.opened_at),
        at(o.respond_due),
        at(o.repair_due),
        word(language, "yes", &o.overdue),
    ]
}

/// The ledger of equipment as a table, with the same filters and order.
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
    let now = Timestamp::now();
    let columns = "asset school classroom kind tag brand model serial device interactive owner builder \
        maintainer bought warranty note retired health";
    let (db, scope) = (&app.db, &access.scope);
    let ask = |query: AssetQuery| async move { db.assets().list(scope, &query, now).await };
    listed((&app, &headers), ("assets.csv", columns), &query, ask, asset_row).await
}

fn asset_row(language: Language, a: Asset) -> Vec<String> {
    vec![
        a.id.to_string(),
        a.school,
        a.classroom.unwrap_or_default(),
        word(language, "asset", &a.kind),
        a.tag,
        a.brand,
        a.model,
        a.serial,
        a.device_id.unwrap_or_default(),
        word(language, "yes", &a.interactive),
        a.owner,
        a.builder,
        a.maintainer,
        or_empty(a.bought_on),
        or_empty(a.warranty_until),
        a.note,
        at(a.retired_at),
        a.health.to_string(),
    ]
}

/// How each school's line was in a month as a table, with the same filters and order. What proves it is
/// `GET /schools/{id}/bandwidth-evidence`.
#[utoipa::path(get, path = "/bandwidth/export.csv", tag = "bandwidth", params(MonthQuery), responses(
    (status = 200, body = String, content_type = "text/csv"),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn line_months(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    Query(query): Query<MonthQuery>,
) -> Result<Response, ApiError> {
    let month = bandwidth::asked(&query);
    let month = &month;
    let columns = "school_code school month verdict down down_target up up_target tests doubtful tested";
    let (db, scope) = (&app.db, &access.scope);
    let ask = |query: MonthQuery| async move { db.bandwidth().months(scope, month, &query).await };
    listed(
        (&app, &headers),
        ("bandwidth.csv", columns),
        &query,
        ask,
        line_row,
    )
    .await
}

fn line_row(language: Language, m: BandwidthMonth) -> Vec<String> {
    let rate = |of: fn(&Decision) -> Option<Direction>| m.decision.as_ref().and_then(of);
    let (down, up) = (rate(|d| d.down), rate(|d| d.up));
    vec![
        m.code,
        m.school,
        m.month,
        word(language, "verdict", &m.verdict),
        or_empty(down.map(|d| d.counted_kbps)),
        or_empty(down.and_then(|d| d.target_kbps)),
        or_empty(up.map(|d| d.counted_kbps)),
        or_empty(up.and_then(|d| d.target_kbps)),
        m.tests.to_string(),
        m.doubtful.to_string(),
        at(m.tested_at),
    ]
}

/// The list of reports as a table, with the same filters and order. What they say is `GET /reports/{id}/file`.
#[utoipa::path(get, path = "/reports/export.csv", tag = "reports", params(ReportQuery), responses(
    (status = 200, body = String, content_type = "text/csv"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn report_list(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    Query(query): Query<ReportQuery>,
) -> Result<Response, ApiError> {
    let columns = "report kind from to place report_state version made made_by digest";
    let (db, scope) = (&app.db, &access.scope);
    let ask = |query: ReportQuery| async move { db.reports().list(scope, &query).await };
    listed(
        (&app, &headers),
        ("reports.csv", columns),
        &query,
        ask,
        report_row,
    )
    .await
}

fn report_row(language: Language, r: Report) -> Vec<String> {
    vec![
        r.id.to_string(),
        word(language, "report", &r.kind),
        r.from.to_string(),
        r.to.to_string(),
        r.place,
        word(language, "report_state", &r.state),
        r.version.to_string(),
        local(r.made_at),
        r.made_by,
        r.digest,
    ]
}

/// The audit log as a table, with the same filters and order. What can be checked is `GET /audit/export`.
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
    let columns = "seq at actor_kind actor action outcome object_kind object place address request_id \
        detail";
    let (db, scope) = (&app.db, &access.scope);
    let ask = |query: AuditQuery| async move { db.audit().list(&query, scope).await };
    listed((&app, &headers), ("audit.csv", columns), &query, ask, audit_row).await
}

fn audit_row(_: Language, e: AuditEntry) -> Vec<String> {
    vec![
        e.seq.to_string(),
        local(e.at),
        e.actor_kind,
        e.actor,
        e.action,
        e.outcome,
        e.object_kind,
        e.object,
        e.place,
        e.address,
        e.request_id,
        serde_json::to_string(&e.detail).unwrap_or_default(),
    ]
}

/// The list of accounts as a table, with the same filters and order.
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
    let now = Timestamp::now();
    let columns = "username display_name kind disabled totp locked_until last_sign_in roles";
    let (db, scope) = (&app.db, &access.scope);
    let ask = |query: UserQuery| async move { db.users().list(scope, &query, now).await };
    listed((&app, &headers), ("users.csv", columns), &query, ask, user_row).await
}

fn user_row(language: Language, u: UserSummary) -> Vec<String> {
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
        u.username,
        u.display_name,
        word(language, "user", &u.kind),
        word(language, "yes", &u.disabled),
        word(language, "yes", &u.totp),
        at(u.locked_until),
        at(u.last_sign_in_at),
        grants.join("；"),
    ]
}
