//! The page behind the code on a classroom's wall (墙上二维码): whoever stands there says what is broken, and whether a repair
//! has helped. No account, no script, nothing typed, no cookie; so there is nobody in whose name a foreign page could act, and
//! a form that this console has not given out within the hour is not taken either.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::IpAddr,
    sync::LazyLock,
    time::{Duration, Instant},
};

use axum::{
    Form, Router,
    extract::{ConnectInfo, DefaultBodyLimit, Path, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware,
    response::{Html, IntoResponse, Response},
    routing::get,
};
use contract::records::FaultClass;
use jiff::Timestamp;
use serde::Deserialize;

use super::receipts::local;
use crate::{
    api::orders::OrderState,
    app::{AppState, Noun},
    audit::door::Caller,
    auth,
    config::Language,
    db::{DbError, orders::WallOrder},
    device_http::rates::Rate,
    domain::{faults, orders as rules},
    error::{RequestId, accepted_language},
    messages,
    reports::clean::html as escape,
};

const BODY_BYTES: usize = 4 << 10;
/// Pages an address may open, reports it may send, reports of one wall: a school is often one address.
static OPENED: LazyLock<Rate<IpAddr>> = LazyLock::new(|| Rate::new(300, Duration::from_secs(600)));
static SENT: LazyLock<Rate<IpAddr>> = LazyLock::new(|| Rate::new(60, Duration::from_secs(600)));
static REPORTED: LazyLock<Rate<String>> = LazyLock::new(|| Rate::new(10, Duration::from_secs(600)));
/// Of this run: a form lives for an hour or two.
static KEY: LazyLock<[u8; 32]> = LazyLock::new(rand::random);
const FORM_S: i64 = 3_600;

/// What can be said of each class; the words are those of the boards' own page.
pub(crate) const SYMPTOMS: [(FaultClass, &[&str]); 10] = [
    (FaultClass::Display, &["black", "flicker", "colour", "blurred"]),
    (FaultClass::Touch, &["none", "offset", "part"]),
    (FaultClass::Sound, &["none", "low", "noise"]),
    (FaultClass::Network, &["offline", "slow"]),
    (FaultClass::Power, &["restarts", "off", "slow_start"]),
    (FaultClass::Accessory, &["remote", "pen", "usb", "camera"]),
    (FaultClass::Body, &["loose", "cable", "noise"]),
    (FaultClass::Software, &["hangs", "error", "slow"]),
    (FaultClass::Lesson, &["not_playing", "wrong", "missing"]),
    (FaultClass::Other, &[]),
];

/// The routes, beside the API and the operators' pages.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/r/{code}", get(show).post(send))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(middleware::from_fn(auth::refuse_foreign_origin))
}

/// What the form sends.
#[derive(Debug, Deserialize)]
pub struct Sent {
    /// Shows that this console gave the form out.
    #[serde(default)]
    form: String,
    /// `class.symptom`, of a report.
    #[serde(default)]
    what: String,
    /// The order, of a verdict.
    #[serde(default)]
    order: Option<i64>,
    /// `yes` or `no`, of a verdict.
    #[serde(default)]
    fixed: String,
}

fn say(language: Language, key: &str) -> String {
    messages::text(language, key, &BTreeMap::new())
}

fn address(request: &axum::http::Extensions) -> IpAddr {
    let of = request.get::<ConnectInfo<Caller>>();
    of.map_or(IpAddr::from([0, 0, 0, 0]), |ConnectInfo(Caller(address))| {
        address.ip()
    })
}

/// Stands in a form; another in each hour and for each wall.
fn form_of(code: &str, hour: i64) -> String {
    let text = format!("{code}/{hour}");
    blake3::keyed_hash(&KEY, text.as_bytes()).to_hex()[..32].to_owned()
}

fn form_fits(code: &str, form: &str, now: Timestamp) -> bool {
    let hour = now.as_second() / FORM_S;
    [hour, hour - 1].iter().any(|hour| form_of(code, *hour) == form)
}

async fn show(State(app): State<AppState>, Path(code): Path<String>, request: Request) -> Response {
    let language = accepted_language(request.headers()).unwrap_or(app.config.language);
    let id = request.extensions().get::<RequestId>().cloned();
    if OPENED
        .book(&address(request.extensions()), Instant::now())
        .is_err()
    {
        return plain(StatusCode::TOO_MANY_REQUESTS, language, "wall.too_many");
    }
    whole(&app, &code, (language, id.as_ref()), "").await
}

async fn send(
    State(app): State<AppState>,
    Path(code): Path<String>,
    caller: Option<axum::Extension<ConnectInfo<Caller>>>,
    id: Option<axum::Extension<RequestId>>,
    headers: HeaderMap,
    form: Result<Form<Sent>, axum::extract::rejection::FormRejection>,
) -> Response {
    let language = accepted_language(&headers).unwrap_or(app.config.language);
    let from = caller.map_or(
        IpAddr::from([0, 0, 0, 0]),
        |axum::Extension(ConnectInfo(Caller(at)))| at.ip(),
    );
    let id = id.as_deref();
    let now = Timestamp::now();
    let clock = Instant::now();
    if SENT.book(&from, clock).is_err() || REPORTED.book(&code, clock).is_err() {
        return plain(StatusCode::TOO_MANY_REQUESTS, language, "wall.too_many");
    }
    let Ok(Form(sent)) = form else {
        return plain(StatusCode::BAD_REQUEST, language, "wall.unreadable");
    };
    if !form_fits(&code, &sent.form, now) {
        // An old page that was left open: the same question again, nothing is lost but a tap.
        return whole(&app, &code, (language, id), "wall.again").await;
    }
    let orders = app.db.orders();
    let said = if let Some(order) = sent.order {
        let fixed = match sent.fixed.as_str() {
            "yes" => true,
            "no" => false,
            _ => return plain(StatusCode::BAD_REQUEST, language, "wall.unreadable"),
        };
        match orders.verdict_from_wall(&code, order, fixed, now).await {
            Ok(()) if fixed => "wall.thanks_fixed",
            Ok(()) => "wall.thanks_reopened",
            Err(DbError::Conflict(_)) => "wall.changed",
            Err(DbError::NotFound { .. }) => return plain(StatusCode::NOT_FOUND, language, "wall.unknown"),
            Err(error) => return failed(&error, language, id),
        }
    } else {
        let Some((class, symptom)) = chosen(&sent.what) else {
            return plain(StatusCode::BAD_REQUEST, language, "wall.unreadable");
        };
        match orders.from_wall(&code, class, symptom, now).await {
            Ok(Some((_, true))) => "wall.thanks",
            Ok(Some((_, false))) => "wall.known",
            Ok(None) => {
                return match orders.wall(&code).await {
                    Ok(Some(_)) => plain(StatusCode::TOO_MANY_REQUESTS, language, "wall.full"),
                    _ => plain(StatusCode::NOT_FOUND, language, "wall.unknown"),
                };
            }
            Err(error) => return failed(&error, language, id),
        }
    };
    app.changed(Noun::Order, None);
    whole(&app, &code, (language, id), said).await
}

/// A class and a symptom of its list.
fn chosen(what: &str) -> Option<(FaultClass, &'static str)> {
    let (class, symptom) = what.split_once('.')?;
    let (of, list) = SYMPTOMS.iter().find(|(of, _)| faults::class_word(*of) == class)?;
    if symptom.is_empty() {
        return Some((*of, ""));
    }
    list.iter()
        .find(|known| **known == symptom)
        .map(|known| (*of, *known))
}

fn failed(error: &DbError, language: Language, id: Option<&RequestId>) -> Response {
    tracing::error!(error = %error, "a report from a wall could not be kept");
    let mut page = head(language);
    let _ = write!(
        page,
        "<main><p class=\"said\">{}<br><small>{}: {}</small></p></main>",
        escape(&say(language, "wall.failed")),
        escape(&say(language, "wall.request_id")),
        escape(id.map_or("", |RequestId(id)| id.as_str())),
    );
    answer(StatusCode::INTERNAL_SERVER_ERROR, page)
}

fn answer(status: StatusCode, page: String) -> Response {
    let mut response = (status, Html(page)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-robots-tag", HeaderValue::from_static("noindex"));
    response
}

fn plain(status: StatusCode, language: Language, key: &str) -> Response {
    let mut page = head(language);
    let _ = write!(
        page,
        "<main><p class=\"said\">{}</p></main>",
        escape(&say(language, key))
    );
    answer(status, page)
}

fn head(language: Language) -> String {
    format!(
        "<!doctype html><html lang=\"{}\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{}</title><style>{STYLE}</style>",
        language.as_str(),
        escape(&say(language, "wall.title")),
    )
}

const STYLE: &str = "*{box-sizing:border-box}body{margin:0;font:17px/1.5 system-ui,'Noto Sans CJK SC',sans-serif;color:#17202a;\
background:#f2f5f8}header{background:#0b4f8a;color:#fff;padding:14px 16px}header b{display:block;font-size:21px}main{max-width:560px;\
margin:0 auto;padding:12px}details,.card{background:#fff;border:1px solid #ccd5de;border-radius:10px;margin:0 0 8px}\
summary{padding:13px 14px;font-weight:600;min-height:48px;cursor:pointer}details button{display:block;width:100%;text-align:left;\
border:0;border-top:1px solid #e3e9ef;background:none;padding:13px 26px;font:inherit;min-height:48px;color:inherit}\
details button:active,details button:focus-visible{background:#e6f0fa}.card{padding:12px 14px}.card form{display:flex;gap:8px;\
margin-top:8px}.card button{flex:1;min-height:48px;border:1px solid #0b4f8a;border-radius:8px;background:#fff;color:#0b4f8a;font:inherit}\
.card button[value=yes]{background:#0b4f8a;color:#fff}.said{background:#e3f4e6;border:1px solid #7dbb88;border-radius:10px;padding:12px 14px}\
h2{font-size:17px;margin:18px 2px 8px}small{color:#4c5b69}";

/// The whole page of a wall, with a sentence on top after something was sent.
async fn whole(
    app: &AppState,
    code: &str,
    (language, id): (Language, Option<&RequestId>),
    said: &str,
) -> Response {
    let found = match app.db.orders().wall(code).await {
        Ok(Some(found)) => found,
        Ok(None) => return plain(StatusCode::NOT_FOUND, language, "wall.unknown"),
        Err(error) => return failed(&error, language, id),
    };
    let (school, room, orders) = found;
    let form = form_of(code, Timestamp::now().as_second() / FORM_S);
    let mut page = head(language);
    let _ = write!(
        page,
        "<header>{}<b>{}</b></header><main>",
        escape(&school),
        escape(&room)
    );
    if !said.is_empty() {
        let _ = write!(
            page,
            "<p class=\"said\" role=\"status\">{}</p>",
            escape(&say(language, said))
        );
    }
    if !orders.is_empty() {
        let _ = write!(page, "<h2>{}</h2>", escape(&say(language, "wall.reported")));
        for order in &orders {
            card(&mut page, order, &form, language);
        }
    }
    let _ = write!(page, "<h2>{}</h2>", escape(&say(language, "wall.what")));
    for (class, symptoms) in SYMPTOMS {
        let word = faults::class_word(class);
        let _ = write!(
            page,
            "<details><summary>{}</summary><form method=\"post\"><input type=\"hidden\" name=\"form\" value=\"{form}\">",
            escape(&say(language, &format!("wall.class.{word}"))),
        );
        for symptom in symptoms {
            let _ = write!(
                page,
                "<button name=\"what\" value=\"{word}.{symptom}\">{}</button>",
                escape(&say(language, &format!("wall.symptom.{word}.{symptom}"))),
            );
        }
        let _ = write!(
            page,
            "<button name=\"what\" value=\"{word}.\">{}</button></form></details>",
            escape(&say(language, "wall.unsure")),
        );
    }
    let _ = write!(
        page,
        "<p><small>{}</small></p></main>",
        escape(&say(language, "wall.privacy"))
    );
    answer(StatusCode::OK, page)
}

fn card(page: &mut String, order: &WallOrder, form: &str, language: Language) {
    let _ = write!(
        page,
        "<div class=\"card\">{} · <b>{}</b><br><small>{:06} · {}</small>",
        escape(&say(
            language,
            &format!("wall.class.{}", faults::class_word(order.fault_class))
        )),
        escape(&say(
            language,
            &format!("orders.state.{}", rules::state_word(order.state))
        )),
        order.id,
        local(order.opened_at),
    );
    if order.state == OrderState::Repaired {
        let _ = write!(
            page,
            "<form method=\"post\"><input type=\"hidden\" name=\"form\" value=\"{form}\">\
             <input type=\"hidden\" name=\"order\" value=\"{}\"><button name=\"fixed\" value=\"yes\">{}</button>\
             <button name=\"fixed\" value=\"no\">{}</button></form>",
            order.id,
            escape(&say(language, "wall.fixed")),
            escape(&say(language, "wall.not_fixed")),
        );
    }
    page.push_str("</div>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_of_the_list_are_taken() {
        assert_eq!(chosen("display.black"), Some((FaultClass::Display, "black")));
        assert_eq!(chosen("other."), Some((FaultClass::Other, "")));
        for what in [
            "",
            "display",
            "display.张三",
            "nothing.black",
            "other.black",
            "DISPLAY.black",
        ] {
            assert_eq!(chosen(what), None, "{what}");
        }
    }

    #[test]
    fn a_form_lives_an_hour_or_two_and_on_its_own_wall() {
        let now = Timestamp::from_second(1_795_000_000).unwrap();
        let later = |s: i64| Timestamp::from_second(1_795_000_000 + s).unwrap();
        let form = form_of("abc", now.as_second() / FORM_S);
        assert!(form_fits("abc", &form, now) && form_fits("abc", &form, later(FORM_S)));
        assert!(!form_fits("abc", &form, later(2 * FORM_S)));
        assert!(!form_fits("abd", &form, now) && !form_fits("abc", "", now));
    }

    #[test]
    fn every_word_has_its_sentence() {
        for language in [Language::ZhCn, Language::En] {
            for (class, symptoms) in SYMPTOMS {
                let word = faults::class_word(class);
                let mut keys = vec![format!("wall.class.{word}")];
                keys.extend(
                    symptoms
                        .iter()
                        .map(|symptom| format!("wall.symptom.{word}.{symptom}")),
                );
                for key in keys {
                    assert_ne!(say(language, &key), key);
                }
            }
        }
    }
}
