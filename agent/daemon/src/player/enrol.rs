//! What the page of a board without an identity needs: its QR code, and two questions that only the board's own page may
//! ask (`POST`): enrol with the code that was typed, take the USB disk's ticket for a classroom.
//!
//! Whoever stands before the board may ask, nobody else. The connection comes from a loopback address to a loopback
//! address; `Host` and `Origin` are our own (`guard`); the header [`PAGE`] and the JSON content type cannot be sent by
//! another site's page without a preflight, and a preflight is refused; few questions a minute; and only while the ways in
//! are at work.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Extension, Json,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use contract::api::Problem;
use qrcode::{EcLevel, QrCode, render::svg};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc::error::TrySendError, oneshot};

use super::{problem::Refusal, shelf_json::Api};
use crate::{
    config::Language,
    shelf::{ClassroomChoice, Denied, Membership, Said, Typed, Unenrolled, Wish},
};

/// Where the two questions are asked.
pub(super) const PATHS: [&str; 2] = ["/api/enrol", "/api/usb/choose"];
/// A header that only our own page sends.
pub(super) const PAGE: &str = "x-bbt-page";
/// Most bytes of a question.
const MAX_BYTES: usize = 1024;
/// Most characters of a code or a classroom's code.
const MAX_CHARS: usize = 64;
/// So many questions in so long; a person types slower.
const TRIES: usize = 10;
const TRIES_WITHIN: Duration = Duration::from_secs(60);
/// The console may be far away.
const ANSWERED_WITHIN: Duration = Duration::from_secs(150);

/// When the last questions were asked.
#[derive(Debug, Default)]
pub(super) struct Tries(Mutex<VecDeque<Instant>>);

impl Tries {
    pub(super) fn take(&self, now: Instant) -> bool {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while asked
            .front()
            .is_some_and(|at| now.duration_since(*at) >= TRIES_WITHIN)
        {
            asked.pop_front();
        }
        let free = asked.len() < TRIES;
        if free {
            asked.push_back(now);
        }
        free
    }
}

/// Whether a `POST` is our own page's, as far as its headers tell. That `Origin` is ours, if there is one, is known already.
pub(super) fn is_own_page(headers: &HeaderMap) -> bool {
    let json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.split(';').next().unwrap_or("").trim() == "application/json");
    json && headers.contains_key(header::ORIGIN) && headers.contains_key(PAGE)
}

/// The board's QR code as a picture; white around it, so that a telephone reads it on any ground.
pub(super) async fn qr(State(api): State<Api>, Extension(language): Extension<Language>) -> Response {
    let shelf = api.state.shelf();
    let text = waiting(&shelf.membership).map_or("", |waiting| waiting.qr_text.as_str());
    if text.is_empty() {
        return Refusal::NotFound.answer(language, "there is no QR code now");
    }
    let Ok(code) = QrCode::with_error_correction_level(text, EcLevel::M) else {
        return Refusal::NotFound.answer(language, "the address is too long for a QR code");
    };
    let picture = code
        .render::<svg::Color<'_>>()
        .min_dimensions(400, 400)
        .quiet_zone(true)
        .build();
    let mut answer = Response::new(Body::from(picture));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/svg+xml"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// What a person needs, while a person may get the device in.
const fn waiting(membership: &Membership) -> Option<&Unenrolled> {
    match membership {
        Membership::Unenrolled(waiting) | Membership::Quarantined(waiting) | Membership::Revoked(waiting) => {
            Some(waiting)
        }
        Membership::Enrolled
        | Membership::Provisional(_)
        | Membership::Replaced
        | Membership::Locked { .. } => None,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Code {
    code: String,
    #[serde(default)]
    classroom: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Classroom {
    classroom: String,
}

/// `POST /api/enrol {code, classroom?}`.
pub(super) async fn code(
    State(api): State<Api>,
    Extension(language): Extension<Language>,
    request: Request,
) -> Response {
    let wish = read::<Code>(request).await.map(|asked| Wish::Code {
        code: asked.code,
        classroom: asked.classroom,
    });
    fulfil(&api, language, wish).await
}

/// `POST /api/usb/choose {classroom}`.
pub(super) async fn classroom(
    State(api): State<Api>,
    Extension(language): Extension<Language>,
    request: Request,
) -> Response {
    let wish = read::<Classroom>(request).await;
    fulfil(
        &api,
        language,
        wish.map(|asked| Wish::UsbClassroom(asked.classroom)),
    )
    .await
}

async fn read<T: serde::de::DeserializeOwned>(request: Request) -> Result<T, String> {
    let body: Bytes = to_bytes(request.into_body(), MAX_BYTES)
        .await
        .map_err(|error| error.to_string())?;
    serde_json::from_slice(&body).map_err(|error| error.to_string())
}

async fn fulfil(api: &Api, language: Language, wish: Result<Wish, String>) -> Response {
    if waiting(&api.state.shelf().membership).is_none() {
        return Refusal::NotWaiting.answer(language, "");
    }
    let wish = match wish {
        Ok(wish) if fits(&wish) => wish,
        Ok(_) => return Refusal::BadWish.answer(language, format!("longer than {MAX_CHARS} characters")),
        Err(reason) => return Refusal::BadWish.answer(language, reason),
    };
    if !api.tries.take(Instant::now()) {
        return Refusal::TooOften.answer(language, "");
    }
    let (answer, answered) = oneshot::channel();
    match api.state.typed().try_send(Typed { wish, answer }) {
        Ok(()) => {}
        Err(TrySendError::Full(_)) => return Refusal::EnrolBusy.answer(language, "one is under way"),
        Err(TrySendError::Closed(_)) => return Refusal::NotWaiting.answer(language, ""),
    }
    match tokio::time::timeout(ANSWERED_WITHIN, answered).await {
        Ok(Ok(Ok(said))) => good(&said, language),
        Ok(Ok(Err(denied))) => refused(&denied, language),
        Ok(Err(_)) => Refusal::NotWaiting.answer(language, "the ways in are closed"),
        Err(_) => Refusal::EnrolBusy.answer(language, "the console takes its time"),
    }
}

fn fits(wish: &Wish) -> bool {
    let short = |text: &str| text.chars().count() <= MAX_CHARS && !text.chars().any(char::is_control);
    match wish {
        Wish::Code { code, classroom } => short(code) && classroom.as_deref().is_none_or(short),
        Wish::UsbClassroom(classroom) => short(classroom),
    }
}

#[derive(Serialize)]
struct Good<'a> {
    message: &'a str,
}

fn good(said: &Said, language: Language) -> Response {
    let mut answer = Json(Good {
        message: said.in_language(language),
    })
    .into_response();
    answer
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// The contract's envelope, and the classrooms to choose from beside it.
#[derive(Serialize)]
struct Refused<'a> {
    #[serde(flatten)]
    problem: Problem,
    classrooms: &'a [ClassroomChoice],
}

/// The contract's envelope around a sentence.
pub(super) fn problem(code: &str, message: &str, status: StatusCode) -> Problem {
    Problem {
        kind: "about:blank".to_owned(),
        title: status.canonical_reason().unwrap_or_default().to_owned(),
        status: status.as_u16(),
        code: code.to_owned(),
        message: message.to_owned(),
        detail: String::new(),
        request_id: hex::encode(rand::random::<[u8; 8]>()),
    }
}

fn refused(denied: &Denied, language: Language) -> Response {
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    let code = if denied.classrooms.is_empty() {
        "enrol_refused"
    } else {
        "classroom_needed"
    };
    let refused = Refused {
        problem: problem(code, denied.said.in_language(language), status),
        classrooms: &denied.classrooms,
    };
    let mut answer = (status, Json(refused)).into_response();
    let headers = answer.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use axum::http::{Method, Uri};
    use tokio_util::sync::CancellationToken;
    use tower::ServiceExt;

    use super::*;
    use crate::{
        player::{
            guard::{ArrivedAt, CameFrom, TOKEN},
            player_routes,
        },
        shelf::{PlayerState, Shelf, ShelfWriter, shelf},
    };

    const OWN: &str = "127.0.0.1";

    struct Asked<'a> {
        path: &'static str,
        method: Method,
        came: &'a str,
        arrived: &'a str,
        host: &'a str,
        headers: Vec<(&'static str, &'a str)>,
        body: &'a str,
    }

    impl Asked<'_> {
        /// As the board's own page asks.
        fn page(path: &'static str, body: &'static str) -> Self {
            Self {
                path,
                method: Method::POST,
                came: OWN,
                arrived: OWN,
                host: "127.0.0.1:8008",
                headers: vec![
                    ("origin", "http://127.0.0.1:8008"),
                    ("content-type", "application/json"),
                    (PAGE, "1"),
                ],
                body,
            }
        }

        async fn of(self, state: &PlayerState) -> (u16, serde_json::Value) {
            let api = Api::new(state.clone(), 8009, CancellationToken::new());
            let mut request = Request::builder()
                .method(self.method)
                .uri(Uri::from_static(self.path))
                .header("host", self.host);
            for (name, value) in self.headers {
                request = request.header(name, value);
            }
            let request = request.header(TOKEN, state.token());
            let mut request = request.body(Body::from(self.body.to_owned())).unwrap();
            let ip = |text: &str| text.parse::<IpAddr>().unwrap();
            request.extensions_mut().insert(CameFrom(ip(self.came)));
            request.extensions_mut().insert(ArrivedAt(ip(self.arrived)));
            let answer = player_routes(api, Language::ZhCn).oneshot(request).await.unwrap();
            let status = answer.status().as_u16();
            let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
            (status, serde_json::from_slice(&body).unwrap_or_default())
        }
    }

    fn waits() -> (ShelfWriter, PlayerState) {
        let (writer, state) = shelf();
        show(
            &writer,
            Membership::Unenrolled(Unenrolled {
                serial: "SN-1".into(),
                qr_text: "https://console.example/claim#fp=7K3M-9QXZ&serial=SN-1".into(),
                ..Unenrolled::default()
            }),
        );
        (writer, state)
    }

    fn show(writer: &ShelfWriter, membership: Membership) {
        writer.show(Shelf {
            membership,
            ..Shelf::default()
        });
    }

    #[tokio::test]
    async fn only_the_boards_own_page_may_ask_and_only_while_the_board_waits() {
        let (writer, state) = waits();
        let body = r#"{"code":"7K3M9QXZ0"}"#;
        let page = || Asked::page(PATHS[0], body);
        let mut refused: Vec<(&str, Asked<'_>)> = Vec::new();
        for (what, came, arrived) in [
            ("from the LAN", "192.168.1.7", "192.168.1.20"),
            ("from the LAN, to loopback", "192.168.1.7", OWN),
            ("to the LAN's address", OWN, "192.168.1.20"),
            ("from the LAN, as v6", "::ffff:192.168.1.7", "::ffff:192.168.1.20"),
        ] {
            refused.push((
                what,
                Asked {
                    came,
                    arrived,
                    ..page()
                },
            ));
        }
        for left_out in 0..3 {
            let mut asked = page();
            let (name, _) = asked.headers.remove(left_out);
            refused.push((name, asked));
        }
        let foreign = |origin| {
            let mut asked = page();
            asked.headers[0].1 = origin;
            asked
        };
        refused.push(("courseware", foreign("http://127.0.0.1:8009")));
        refused.push(("another site", foreign("http://evil.example")));
        refused.push(("a sandbox", foreign("null")));
        refused.push((
            "a rebound name",
            Asked {
                host: "evil.example",
                ..page()
            },
        ));
        refused.push((
            "a preflight",
            Asked {
                method: Method::OPTIONS,
                ..page()
            },
        ));
        refused.push((
            "another method",
            Asked {
                method: Method::PUT,
                ..page()
            },
        ));
        refused.push(("another path", Asked::page("/api/shelf", body)));
        for (what, asked) in refused {
            let (status, answer) = asked.of(&state).await;
            assert!([403, 405, 421].contains(&status), "{what}: {status} {answer}");
        }
        let (status, answer) = Asked::page(PATHS[0], "{}").of(&state).await;
        assert_eq!((status, answer["code"].as_str()), (400, Some("bad_wish")));
        for membership in [Membership::Enrolled, Membership::Replaced] {
            show(&writer, membership);
            let (status, answer) = page().of(&state).await;
            assert_eq!((status, answer["code"].as_str()), (409, Some("not_waiting")));
        }
        let codes = writer.typed();
        assert!(
            codes.lock().await.try_recv().is_err(),
            "something was let through"
        );
    }

    #[tokio::test]
    async fn a_wish_is_handed_over_and_its_answer_comes_back() {
        let (writer, state) = waits();
        let codes = writer.typed();
        let desk = tokio::spawn(async move {
            let mut codes = codes.lock().await;
            let first = codes.recv().await.unwrap();
            assert_eq!(
                first.wish,
                Wish::Code {
                    code: "7k3m".into(),
                    classroom: Some("302".into())
                }
            );
            let said = |zh: &str| Said {
                zh: zh.into(),
                en: "words".into(),
            };
            let room = ClassroomChoice {
                code: "301".into(),
                ..ClassroomChoice::default()
            };
            first
                .answer
                .send(Err(Denied {
                    said: said("请选择教室"),
                    classrooms: vec![room],
                }))
                .unwrap();
            let second = codes.recv().await.unwrap();
            assert_eq!(second.wish, Wish::UsbClassroom("301".into()));
            second.answer.send(Ok(said("好"))).unwrap();
        });
        let (status, answer) = Asked::page(PATHS[0], r#"{"code":"7k3m","classroom":"302"}"#)
            .of(&state)
            .await;
        assert_eq!((status, answer["code"].as_str()), (422, Some("classroom_needed")));
        assert_eq!(answer["message"], "请选择教室");
        assert_eq!(answer["classrooms"][0]["code"], "301");
        let (status, answer) = Asked::page(PATHS[1], r#"{"classroom":"301"}"#).of(&state).await;
        assert_eq!((status, answer["message"].as_str()), (200, Some("好")));
        desk.await.unwrap();
    }

    #[tokio::test]
    async fn the_qr_code_is_a_picture_while_there_is_one() {
        let (writer, state) = waits();
        let routes = || {
            let api = Api::new(state.clone(), 8009, CancellationToken::new());
            player_routes(api, Language::ZhCn)
        };
        let get = || {
            let mut request = Request::builder()
                .uri("/api/qr.svg")
                .header("host", "127.0.0.1:8008")
                .body(Body::empty())
                .unwrap();
            request.extensions_mut().insert(ArrivedAt(OWN.parse().unwrap()));
            request
        };
        let answer = routes().oneshot(get()).await.unwrap();
        assert_eq!(answer.headers()["content-type"], "image/svg+xml");
        let picture = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        assert!(String::from_utf8(picture.to_vec()).unwrap().contains("<svg"));
        show(&writer, Membership::Enrolled);
        assert_eq!(routes().oneshot(get()).await.unwrap().status(), 404);
    }

    #[test]
    fn few_questions_a_minute() {
        let (tries, start) = (Tries::default(), Instant::now());
        for n in 0..TRIES as u64 {
            assert!(tries.take(start + Duration::from_secs(n)));
        }
        assert!(!tries.take(start + Duration::from_secs(59)));
        assert!(tries.take(start + Duration::from_secs(60)));
        assert!(!tries.take(start + Duration::from_secs(60)));
    }

    #[test]
    fn another_sites_page_cannot_look_like_ours_without_a_preflight() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            headers
        };
        let whole = [
            ("content-type", "application/json; charset=utf-8"),
            ("origin", "http://127.0.0.1:8008"),
            (PAGE, "1"),
        ];
        assert!(is_own_page(&headers(&whole)));
        for left_out in 0..whole.len() {
            let mut fewer = whole.to_vec();
            fewer.remove(left_out);
            assert!(!is_own_page(&headers(&fewer)), "without {}", whole[left_out].0);
        }
        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
        ] {
            let mut form = whole;
            form[0].1 = kind;
            assert!(!is_own_page(&headers(&form)), "{kind}");
        }
    }
}
