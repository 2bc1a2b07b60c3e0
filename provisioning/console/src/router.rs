//! Every path for people: the API, its document, the pages. Paths for devices are in `device_http`.

use axum::{
    Json, Router,
    extract::DefaultBodyLimit,
    http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header},
    middleware,
    response::Html,
    routing::get,
};
use serde_json::{Value, json};
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::{
        CompressionLayer,
        predicate::{Predicate, SizeAbove},
    },
    set_header::SetResponseHeaderLayer,
};
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    access,
    api::schema,
    app::AppState,
    audit, auth,
    controllers::{
        account, batches, claims, clones, commands, devices, events, health, identity, lesson_imports,
        lessons, lines, lint, packs, pushes, reviews, roster, security, session, system, tickets, timetables,
        tree, usb, users, vocab,
    },
    domain::roster::MAX_FILE_BYTES,
    error::render_problems,
    pages,
};

/// Largest JSON body in bytes; uploads have a limit of their own.
const BODY_BYTES: usize = 2 << 20;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "班班通 console",
        description = "API of the county ops console. Errors are `application/problem+json`; `message` is in the language of \
                       `Accept-Language` (zh-CN, en). Sign in with `POST /api/v1/session`; the cookie `bbt_session` does the rest.",
    ),
    servers((url = "/api/v1")),
)]
struct Document;

fn open() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(session::sign_in, session::current, session::sign_out))
        .routes(routes!(crate::controllers::oidc::options))
        .routes(routes!(crate::controllers::oidc::begin))
        .routes(routes!(crate::controllers::oidc::callback))
}

fn closed() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(account::account, account::change))
        .routes(routes!(account::password))
        .routes(routes!(account::propose_totp, account::clear_totp))
        .routes(routes!(account::confirm_totp))
        .routes(routes!(account::sessions))
        .routes(routes!(account::end_session))
        .routes(routes!(users::list, users::add))
        .routes(routes!(users::detail, users::change, users::remove))
        .routes(routes!(users::reset_password))
        .routes(routes!(users::clear_totp))
        .routes(routes!(users::sessions))
        .routes(routes!(users::end_session))
        .routes(routes!(users::grant))
        .routes(routes!(users::revoke))
        .routes(routes!(users::role_list))
        .routes(routes!(tree::tree))
        .routes(routes!(tree::add_region))
        .routes(routes!(tree::rename_region))
        .routes(routes!(tree::add_school))
        .routes(routes!(tree::school, tree::rename_school))
        .routes(routes!(tree::add_classroom))
        .routes(routes!(tree::rename_classroom))
        .routes(routes!(lines::school, lines::set_school))
        .routes(routes!(lines::region, lines::set_region))
        .routes(routes!(lines::authors, lines::set_authors))
        .routes(routes!(timetables::get, timetables::set))
        .routes(routes!(timetables::export))
        .routes(routes!(timetables::list))
        .routes(routes!(timetables::template))
        .routes(routes!(
            timetables::calendars::school,
            timetables::calendars::set_school
        ))
        .routes(routes!(
            timetables::calendars::region,
            timetables::calendars::set_region
        ))
        .routes(routes!(timetables::calendars::set_school_pin))
        .routes(routes!(timetables::calendars::set_region_pin))
        .routes(routes!(timetables::planned::get, timetables::planned::set))
        .routes(routes!(timetables::planned::many))
        .routes(routes!(timetables::planned::readiness))
        .routes(routes!(timetables::planned::school_readiness))
        .routes(routes!(system::overview))
        .routes(routes!(crate::controllers::setup::status))
        .routes(routes!(roster::template))
        .merge(fleet())
        .merge(tables())
        .routes(routes!(identity::identity))
        .routes(routes!(identity::revoke))
        .routes(routes!(identity::stolen))
        .routes(routes!(identity::unlock))
        .routes(routes!(health::series))
        .routes(routes!(crate::controllers::series::series))
        .routes(routes!(crate::controllers::series::events))
        .routes(routes!(commands::add, commands::list))
        .routes(routes!(commands::logs))
        .routes(routes!(tickets::add, tickets::list))
        .routes(routes!(tickets::revoke))
        .routes(routes!(tickets::replace))
        .routes(routes!(batches::add, batches::list))
        .routes(routes!(batches::revoke))
        .routes(routes!(batches::sheet))
        .routes(routes!(batches::usb_zip))
        .routes(routes!(usb::county))
        .routes(routes!(claims::list))
        .routes(routes!(claims::by_fingerprint))
        .routes(routes!(claims::approve))
        .routes(routes!(claims::refuse))
        .routes(routes!(lessons::list))
        .routes(routes!(lessons::detail, lessons::retire))
        .routes(routes!(lesson_imports::template))
        .routes(routes!(reviews::describe))
        .routes(routes!(reviews::list))
        .routes(routes!(reviews::detail))
        .routes(routes!(reviews::self_check))
        .routes(routes!(reviews::first))
        .routes(routes!(reviews::second))
        .routes(routes!(reviews::admit))
        .routes(routes!(reviews::release))
        .routes(routes!(reviews::withdraw))
        .routes(routes!(vocab::list))
        .routes(routes!(lint::report))
        .routes(routes!(lint::rules))
        .routes(routes!(pushes::add, pushes::list))
        .routes(routes!(pushes::detail, pushes::withdraw))
        .routes(routes!(pushes::devices))
        .routes(routes!(crate::controllers::forecast::preview))
        .routes(routes!(crate::controllers::forecast::of_push))
        .routes(routes!(crate::controllers::receipts::list))
        .routes(routes!(crate::controllers::receipts::summary))
        .routes(routes!(crate::controllers::receipts::table))
        .routes(routes!(packs::add, packs::list))
        .routes(routes!(packs::download))
        .routes(routes!(clones::list))
        .routes(routes!(clones::enrol))
        .routes(routes!(clones::accept))
        .routes(routes!(clones::dismiss))
        .routes(routes!(security::list))
        .routes(routes!(security::acknowledge, security::take_back))
        .routes(routes!(events::events))
        .routes(routes!(crate::controllers::audit::list))
        .routes(routes!(crate::controllers::audit::export))
        .routes(routes!(crate::controllers::audit::verify))
        .routes(routes!(system::system))
        .routes(routes!(crate::controllers::trust::standing))
        .routes(routes!(
            crate::controllers::backup::list,
            crate::controllers::backup::start
        ))
        .routes(routes!(crate::controllers::backup::download))
        .routes(routes!(
            crate::controllers::backup::conflicts,
            crate::controllers::backup::decide
        ))
        .routes(routes!(crate::controllers::backup::confirm_withdrawals))
        .routes(routes!(
            crate::controllers::views::list,
            crate::controllers::views::add
        ))
        .routes(routes!(
            crate::controllers::views::change,
            crate::controllers::views::remove
        ))
        .merge(records())
        .merge(alerting())
        .merge(work_orders())
        .merge(reports())
        .merge(bandwidth())
}

/// Devices: the list, one of them, many of them.
fn fleet() -> OpenApiRouter<AppState> {
    use crate::controllers::{device_bulk, fleet};
    OpenApiRouter::new()
        .routes(routes!(devices::list))
        .routes(routes!(devices::choices))
        .routes(routes!(device_bulk::order))
        .routes(routes!(devices::detail, devices::relocate))
        .routes(routes!(devices::network))
        .routes(routes!(devices::timeline))
        .routes(routes!(fleet::counts))
}

/// Lists as tables for a spreadsheet.
fn tables() -> OpenApiRouter<AppState> {
    use crate::controllers::exports;
    OpenApiRouter::new()
        .routes(routes!(exports::devices))
        .routes(routes!(exports::schools))
        .routes(routes!(exports::classrooms))
        .routes(routes!(exports::lists::lessons))
        .routes(routes!(exports::lists::pushes))
        .routes(routes!(exports::lists::incident_list))
        .routes(routes!(exports::lists::order_list))
        .routes(routes!(exports::lists::assets))
        .routes(routes!(exports::lists::line_months))
        .routes(routes!(exports::lists::report_list))
        .routes(routes!(exports::records::faults))
        .routes(routes!(exports::records::exams))
        .routes(routes!(exports::records::notices))
        .routes(routes!(exports::records::inspections))
        .routes(routes!(exports::lists::audit))
        .routes(routes!(exports::lists::users))
}

/// What schools' lines carry.
fn bandwidth() -> OpenApiRouter<AppState> {
    use crate::controllers::bandwidth;
    OpenApiRouter::new()
        .routes(routes!(bandwidth::rules, bandwidth::set_rules))
        .routes(routes!(bandwidth::followed, bandwidth::follow))
        .routes(routes!(bandwidth::settings, bandwidth::set_settings))
        .routes(routes!(bandwidth::months))
        .routes(routes!(bandwidth::tests))
        .routes(routes!(bandwidth::test))
        .routes(routes!(bandwidth::order))
        .routes(routes!(bandwidth::evidence))
}

/// What boards noted down on their own, exams, and notices to many.
fn records() -> OpenApiRouter<AppState> {
    use crate::controllers::{exams, faults, notices, usage};
    OpenApiRouter::new()
        .routes(routes!(usage::usage))
        .routes(routes!(usage::usage_table))
        .routes(routes!(usage::opening))
        .routes(routes!(usage::opening_table))
        .routes(routes!(usage::periods))
        .routes(routes!(exams::add, exams::list))
        .routes(routes!(exams::detail, exams::change))
        .routes(routes!(exams::cancel))
        .routes(routes!(exams::set_pin))
        .routes(routes!(exams::records))
        .routes(routes!(exams::records_table))
        .routes(routes!(exams::classroom_record))
        .routes(routes!(faults::list))
        .routes(routes!(faults::detail))
        .routes(routes!(faults::step))
        .routes(routes!(notices::preview))
        .routes(routes!(notices::send, notices::list))
        .routes(routes!(notices::detail))
        .routes(routes!(notices::devices))
}

/// Reports, registers, indicators, tables for other programs.
fn reports() -> OpenApiRouter<AppState> {
    use crate::controllers::reports;
    OpenApiRouter::new()
        .routes(routes!(reports::list, reports::add))
        .routes(routes!(reports::detail))
        .routes(routes!(reports::preview))
        .routes(routes!(reports::figures))
        .routes(routes!(reports::rows))
        .routes(routes!(reports::file))
        .routes(routes!(reports::check_again))
        .routes(routes!(reports::refresh))
        .routes(routes!(reports::correct))
        .routes(routes!(reports::submit))
        .routes(routes!(reports::send_back))
        .routes(routes!(reports::approve))
        .routes(routes!(reports::freeze))
        .routes(routes!(reports::manual, reports::set_manual))
        .routes(routes!(reports::indicators))
        .routes(routes!(reports::register))
        .routes(routes!(reports::register_file))
        .routes(routes!(reports::catalogue))
        .routes(routes!(reports::export))
}

/// Work orders, spare parts, codes on walls; equipment, areas, inspections.
fn work_orders() -> OpenApiRouter<AppState> {
    use crate::controllers::{assets, orders};
    OpenApiRouter::new()
        .routes(routes!(assets::list, assets::add))
        .routes(routes!(assets::detail, assets::change))
        .routes(routes!(assets::template))
        .routes(routes!(assets::equipment))
        .routes(routes!(assets::areas, assets::add_area))
        .routes(routes!(assets::set_area, assets::remove_area))
        .routes(routes!(assets::inspections, assets::inspect))
        .routes(routes!(orders::open, orders::list))
        .routes(routes!(orders::counts))
        .routes(routes!(orders::detail, orders::change))
        .routes(routes!(orders::work))
        .routes(routes!(orders::verdict))
        .routes(routes!(orders::photo))
        .routes(routes!(orders::use_part))
        .routes(routes!(orders::open_rectification))
        .routes(routes!(orders::parts, orders::add_part))
        .routes(routes!(orders::move_part))
        .routes(routes!(orders::slas, orders::set_slas))
        .routes(routes!(orders::figures))
        .routes(routes!(orders::figures_table))
        .routes(routes!(orders::evidence))
        .routes(routes!(orders::wall_codes, orders::make_wall_codes))
        .routes(routes!(orders::renew_wall_code))
}

/// Rules, alerts, incidents, and who is told of them.
fn alerting() -> OpenApiRouter<AppState> {
    use crate::controllers::{alerts, incidents, notify};
    OpenApiRouter::new()
        .routes(routes!(alerts::rules))
        .routes(routes!(alerts::set_rule, alerts::remove_rule))
        .routes(routes!(alerts::test_rule))
        .routes(routes!(alerts::metric_list))
        .routes(routes!(alerts::list))
        .routes(routes!(alerts::add_window, alerts::windows))
        .routes(routes!(alerts::cancel_window))
        .routes(routes!(incidents::list))
        .routes(routes!(incidents::detail))
        .routes(routes!(incidents::devices))
        .routes(routes!(incidents::acknowledge, incidents::give_back))
        .routes(routes!(incidents::snooze))
        .routes(routes!(incidents::resolve))
        .routes(routes!(incidents::note))
        .routes(routes!(notify::channels, notify::add_channel))
        .routes(routes!(notify::change_channel, notify::remove_channel))
        .routes(routes!(notify::test_channel))
        .routes(routes!(notify::recipients, notify::set_recipient))
        .routes(routes!(notify::remove_recipient))
        .routes(routes!(notify::escalations, notify::set_escalation))
        .routes(routes!(notify::remove_escalation))
        .routes(routes!(notify::messages))
}

/// Paths whose document and route differ: the upload's limit, the preview's wildcard.
fn special() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(lessons::upload))
        .routes(routes!(lesson_imports::import))
        .routes(routes!(roster::import))
        .routes(routes!(timetables::import_school))
        .routes(routes!(timetables::import_classroom))
        .routes(routes!(usb::requests))
        .routes(routes!(packs::merge))
        .routes(routes!(lessons::file))
        .routes(routes!(crate::controllers::orders::add_photo))
        .routes(routes!(crate::controllers::assets::import))
}

/// The OpenAPI 3.1 document, with the contract's types as their own schemas say.
pub fn openapi() -> Value {
    let mut document = Document::openapi();
    for router in [open(), closed(), special()] {
        document.merge(router.into_openapi());
    }
    let mut document = serde_json::to_value(document).unwrap_or_default();
    if let Some(components) = document
        .pointer_mut("/components/schemas")
        .and_then(Value::as_object_mut)
    {
        components.extend(schema::components());
    }
    document["components"]["securitySchemes"] =
        json!({ "session": { "type": "apiKey", "in": "cookie", "name": auth::COOKIE } });
    document["security"] = json!([{ "session": [] }]);
    name_operations(&mut document);
    crate::api::answers::complete(&mut document);
    document
}

/// Gives each operation an id of its own, from method and path: handlers in different files share names.
fn name_operations(document: &mut Value) {
    let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) else {
        return;
    };
    for (path, methods) in paths {
        let place = path.replace(['{', '}'], "").replace(['/', '-'], "_");
        let Some(methods) = methods.as_object_mut() else {
            continue;
        };
        for (method, operation) in methods {
            operation["operationId"] = json!(format!("{method}{place}"));
            let open = operation
                .get("security")
                .is_some_and(|security| *security == json!([{}]));
            if open || path == "/session" && method != "get" {
                operation["security"] = json!([]);
            }
        }
    }
}

/// Lesson files are compressed already, and ranges of them must stay as they are; a stream of events must not be held up.
fn is_text(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    let text = [
        "application/json",
        "text/html",
        "text/css",
        "text/javascript",
        "image/svg+xml",
    ];
    text.iter().any(|text| kind.starts_with(text)) && !headers.contains_key(header::ACCEPT_RANGES)
}

/// All paths of the web listener.
pub fn router(app: AppState) -> Router {
    let (open, _) = open().split_for_parts();
    let (closed, _) = closed().split_for_parts();
    let upload_limit = usize::try_from(app.config.max_upload_bytes)
        .unwrap_or(usize::MAX)
        .saturating_add(1 << 20);
    let special = Router::new()
        .route(
            "/lessons",
            axum::routing::post(lessons::upload).layer(DefaultBodyLimit::max(upload_limit)),
        )
        .route(
            "/lesson-imports",
            axum::routing::post(lesson_imports::import).layer(DefaultBodyLimit::max(upload_limit)),
        )
        .route(
            "/usb-requests",
            axum::routing::post(usb::requests).layer(DefaultBodyLimit::max(usb::MAX_BODY_BYTES)),
        )
        .route(
            "/pack-receipts",
            axum::routing::post(packs::merge).layer(DefaultBodyLimit::max(packs::MAX_BODY_BYTES)),
        )
        .route("/lessons/{id}/files/{*path}", get(lessons::file))
        .route(
            "/regions/{id}/assets",
            axum::routing::post(crate::controllers::assets::import)
                .layer(DefaultBodyLimit::max(MAX_FILE_BYTES + (1 << 20))),
        )
        .route(
            "/orders/{id}/photos",
            axum::routing::post(crate::controllers::orders::add_photo)
                .layer(DefaultBodyLimit::max(crate::photos::MAX_BYTES + (1 << 16))),
        )
        .route(
            "/regions/{id}/roster",
            axum::routing::post(roster::import).layer(DefaultBodyLimit::max(MAX_FILE_BYTES + (1 << 20))),
        )
        .route(
            "/schools/{id}/timetables",
            axum::routing::post(timetables::import_school)
                .layer(DefaultBodyLimit::max(timetables::MAX_FILE_BYTES + (1 << 20))),
        )
        .route(
            "/classrooms/{id}/timetable",
            axum::routing::post(timetables::import_classroom)
                .layer(DefaultBodyLimit::max(timetables::MAX_FILE_BYTES + (1 << 20))),
        );
    let closed = closed
        .merge(special)
        .route_layer(middleware::from_fn_with_state(app.clone(), access::authorise));
    let api = Router::new()
        .merge(open)
        .merge(closed)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(middleware::from_fn(auth::refuse_foreign_origin))
        .layer(middleware::from_fn_with_state(
            app.clone(),
            audit::door::name_the_actor,
        ))
        .layer(SetResponseHeaderLayer::if_not_present(
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-store"),
        ))
        .fallback(pages::nothing_here);

    Router::new()
        .nest("/api/v1", api)
        .route("/api/openapi.json", get(async || Json(openapi())))
        .route("/api/docs", get(async || Html(pages::API_DOCS)))
        .route("/api/docs.js", get(pages::api_docs_script))
        .route("/healthz", get(system::healthz))
        .merge(crate::controllers::wall::routes())
        .route("/api/{*rest}", axum::routing::any(pages::nothing_here))
        .fallback(pages::page)
        .layer(CompressionLayer::new().compress_when(SizeAbove::new(1_024).and(is_text)))
        .layer(SetResponseHeaderLayer::if_not_present(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(pages::POLICY),
        ))
        .layer(SetResponseHeaderLayer::overriding(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ))
        .layer(SetResponseHeaderLayer::overriding(
            HeaderName::from_static("referrer-policy"),
            HeaderValue::from_static("no-referrer"),
        ))
        .layer(middleware::from_fn_with_state(
            app.clone(),
            auth::host::refuse_foreign_host,
        ))
        .layer(CatchPanicLayer::new())
        .layer(middleware::from_fn_with_state(
            app.default_language(),
            render_problems,
        ))
        .with_state(app)
}
