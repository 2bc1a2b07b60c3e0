//! Signing in, and how failures look.

use axum::{
    body::Body,
    extract::ConnectInfo,
    http::{Method, Request, StatusCode, header},
};
use bbt_console::{
    api::session::SignInMethod, audit::door::Caller, auth, config::Language, db::sessions::NewSession,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::common::{self, TestConsole};

#[tokio::test]
async fn where_people_use_tls_the_cookie_goes_no_other_way() {
    for (url, secure) in [("https://bbt.county.example", true), ("http://localhost", false)] {
        let folder = common::Folder::new();
        std::fs::write(
            folder.path().join("console.toml"),
            format!("web_url = \"{url}\"\n"),
        )
        .unwrap();
        let console = TestConsole::in_folder(folder).await;
        let hash = auth::hash_password(common::PASSWORD).unwrap();
        let users = console.app.db.users();
        users
            .add("admin", "管理员", &hash, Language::ZhCn, Timestamp::now())
            .await
            .unwrap();
        let body = json!({ "username": "admin", "password": common::PASSWORD });
        let answer = console.post("/session", body).await;
        let cookie = answer.headers[header::SET_COOKIE].to_str().unwrap();
        assert_eq!(cookie.contains("; Secure"), secure, "{url}: {cookie}");
    }
}

#[tokio::test]
async fn only_a_session_opens_the_api() {
    let mut console = TestConsole::signed_in().await;
    let session = console.get("/session").await;
    let session = session.json();
    assert_eq!(
        (
            &session["username"],
            &session["display_name"],
            &session["language"],
            &session["method"]
        ),
        (
            &json!("admin"),
            &json!("管理员"),
            &json!("zh-CN"),
            &json!("password")
        )
    );
    assert_eq!(session["grants"][0]["node"]["kind"], "root");
    assert!(
        session["actions"]
            .as_array()
            .unwrap()
            .contains(&json!("pushes.write"))
    );
    let cookie = console.cookie.take();
    for path in [
        "/session",
        "/tree",
        "/overview",
        "/devices",
        "/lessons",
        "/pushes",
        "/tickets",
        "/system",
        "/events",
    ] {
        let refused = console.get(path).await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (StatusCode::UNAUTHORIZED, "not_signed_in"),
            "{path}"
        );
    }
    console.cookie = Some("bbt_session=stolen".into());
    assert_eq!(console.get("/tree").await.status, StatusCode::UNAUTHORIZED);
    console.cookie = cookie;
    assert_eq!(console.get("/tree").await.status, StatusCode::OK);
    assert_eq!(console.delete("/session").await.status, StatusCode::NO_CONTENT);
    assert_eq!(
        console.get("/tree").await.status,
        StatusCode::UNAUTHORIZED,
        "the cookie outlives its session"
    );
}

#[tokio::test]
async fn the_cookie_is_kept_from_scripts_and_other_sites() {
    let mut console = TestConsole::signed_in().await;
    let answer = console.sign_in("admin", common::PASSWORD).await;
    let cookie = answer.headers[header::SET_COOKIE].to_str().unwrap();
    for part in ["bbt_session=", "HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
}

#[tokio::test]
async fn wrong_passwords_are_slowed_down_and_say_how_long() {
    let mut console = TestConsole::signed_in().await;
    for _ in 0..5 {
        let refused = console.sign_in("admin", "wrong").await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (StatusCode::UNAUTHORIZED, "wrong_password")
        );
    }
    // On a slow machine the tries alone may outlast the first wait.
    for n in 1..5 {
        let later = Timestamp::now() + SignedDuration::from_mins(6 * n);
        console
            .app
            .sign_ins
            .near("admin", None, later.as_millisecond())
            .unwrap();
    }
    let waiting = console.sign_in("admin", common::PASSWORD).await;
    assert_eq!(
        (waiting.status, waiting.code().as_str()),
        (StatusCode::TOO_MANY_REQUESTS, "too_many_attempts")
    );
    assert!(waiting.headers.contains_key(header::RETRY_AFTER));
    let nobody = console.sign_in("nobody", "wrong").await;
    assert_eq!(
        nobody.code(),
        "wrong_password",
        "an unknown name must look like a wrong password"
    );
}

#[tokio::test]
async fn a_change_from_another_sites_page_is_refused() {
    let console = TestConsole::signed_in().await;
    let new = || Some(json!({ "kind": "county", "name": "某县" }));
    for origin in ["http://evil.example", "null", "http://localhost:81"] {
        let refused = console
            .ask(Method::POST, "/regions", new(), &[("origin", origin)])
            .await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (StatusCode::FORBIDDEN, "foreign_origin"),
            "{origin}"
        );
    }
    let own = console
        .ask(Method::POST, "/regions", new(), &[("origin", "http://localhost")])
        .await;
    assert_eq!(own.status, StatusCode::CREATED);
    let read = console
        .ask(Method::GET, "/tree", None, &[("origin", "http://evil.example")])
        .await;
    assert_eq!(
        read.status,
        StatusCode::OK,
        "reading is guarded by the cookie alone"
    );
}

#[tokio::test]
async fn failures_are_problems_in_the_callers_language() {
    let console = TestConsole::signed_in().await;
    for (language, word) in [
        ("zh-CN,zh;q=0.9", "找不到"),
        ("en-GB,en", "There is no"),
        ("fr", "找不到"),
    ] {
        let answer = console
            .ask(
                Method::GET,
                "/devices/no-such-device",
                None,
                &[("accept-language", language)],
            )
            .await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/problem+json");
        let problem = answer.json();
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(problem["status"], 404);
        assert_eq!(problem["code"], "not_found");
        assert!(problem["message"].as_str().unwrap().contains(word), "{problem}");
        assert!(
            problem["message"].as_str().unwrap().contains("no-such-device"),
            "{problem}"
        );
        assert_eq!(
            answer.headers["x-request-id"].to_str().unwrap(),
            problem["request_id"].as_str().unwrap()
        );
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_a_problem_too() {
    let console = TestConsole::signed_in().await;
    let raw = |method: &str, path: &str, kind: &str, body: &str| {
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header(header::CONTENT_TYPE, kind);
        request.body(Body::from(body.to_owned())).unwrap()
    };
    for (request, code) in [
        (raw("POST", "/regions", "application/json", "{"), "bad_request"),
        (
            raw("POST", "/regions", "text/plain", "{}"),
            "unsupported_media_type",
        ),
        (raw("GET", "/schools/abc", "application/json", ""), "bad_request"),
        (
            raw("GET", "/devices?page=-1", "application/json", ""),
            "bad_request",
        ),
        (
            raw("GET", "/devices/a%20b", "application/json", ""),
            "bad_request",
        ),
        (raw("PUT", "/tree", "application/json", ""), "method_not_allowed"),
        (raw("GET", "/nowhere", "application/json", ""), "no_such_path"),
        (raw("POST", "/lessons", "application/json", "{}"), "bad_request"),
    ] {
        let what = format!("{} {}", request.method(), request.uri());
        let answer = console.send(request).await;
        assert_eq!(answer.code(), code, "{what}");
        assert_eq!(
            answer.headers[header::CONTENT_TYPE],
            "application/problem+json",
            "{what}"
        );
    }
}

#[tokio::test]
async fn a_session_ends_after_twelve_quiet_hours_and_lives_on_when_used() {
    let mut console = TestConsole::signed_in().await;
    let admin = console.app.db.users().find("admin").await.unwrap().unwrap();
    let now = Timestamp::now();
    let hours = SignedDuration::from_hours;
    let open = async |until: Timestamp| {
        let (token, hash) = auth::new_token().unwrap();
        let new = NewSession {
            user: admin.id,
            token_hash: &hash,
            public_id: &token[..8],
            address: "",
            user_agent: "",
            method: SignInMethod::Password,
            until,
        };
        console
            .app
            .db
            .sessions()
            .open(&new, now - hours(14))
            .await
            .unwrap();
        (token, hash)
    };
    let (old, _) = open(now - hours(2)).await;
    let (used, used_hash) = open(now + hours(1)).await;

    console.cookie = Some(format!("bbt_session={old}"));
    assert_eq!(console.get("/session").await.status, StatusCode::UNAUTHORIZED);
    console.cookie = Some(format!("bbt_session={used}"));
    assert_eq!(console.get("/session").await.status, StatusCode::OK);
    let found = console.app.db.sessions().find(&used_hash, now).await.unwrap();
    let until = found.unwrap().1.until;
    assert!(until > now + hours(11), "{until}");
}

#[tokio::test]
async fn a_page_of_another_name_that_was_led_here_is_refused() {
    let console = TestConsole::signed_in().await;
    for (host, fits) in [
        ("localhost:8080", true),
        ("127.0.0.1", true),
        ("evil.example", false),
    ] {
        for path in ["/api/v1/session", "/", "/healthz"] {
            let request = Request::get(path)
                .header(header::HOST, host)
                .body(Body::empty())
                .unwrap();
            let answer = console.send(request).await;
            assert_eq!(
                answer.status == StatusCode::MISDIRECTED_REQUEST,
                !fits,
                "{host}{path}: {}",
                answer.status
            );
            if !fits {
                assert_eq!(answer.code(), "foreign_host");
            }
        }
    }
}

#[tokio::test]
async fn cookies_that_open_nothing_write_nothing() {
    let mut console = TestConsole::signed_in().await;
    let own = console.cookie.take();
    let rows = async |console: &TestConsole| console.app.db.audit().end().await.unwrap().0;
    let before = rows(&console).await;
    let mut bell = console.app.changes.listen();
    for n in 0..50 {
        console.cookie = Some(format!("bbt_session=made-up-{n}"));
        assert_eq!(console.delete("/session").await.status, StatusCode::NO_CONTENT);
    }
    assert_eq!(rows(&console).await, before);
    assert!(bell.try_recv().is_err(), "nobody is told of what did not happen");
    console.cookie = own;
    assert_eq!(console.delete("/session").await.status, StatusCode::NO_CONTENT);
    assert_eq!(rows(&console).await, before + 1);
    assert!(bell.try_recv().is_ok());
}

#[tokio::test]
async fn a_session_ends_in_the_end_however_much_it_is_used() {
    let console = TestConsole::signed_in().await;
    let admin = console.app.db.users().find("admin").await.unwrap().unwrap();
    let sessions = console.app.db.sessions();
    let hours = SignedDuration::from_hours;
    let begun = Timestamp::now();
    for (method, longest) in [
        (SignInMethod::Oidc, hours(12)),
        (SignInMethod::Password, hours(7 * 24)),
        (SignInMethod::BreakGlass, hours(7 * 24)),
    ] {
        let (token, hash) = auth::new_token().unwrap();
        let new = NewSession {
            user: admin.id,
            token_hash: &hash,
            public_id: &token[..8],
            address: "",
            user_agent: "",
            method,
            until: begun + auth::SESSION,
        };
        sessions.open(&new, begun).await.unwrap();
        let mut now = begun;
        while let Some((_, session)) = sessions.find(&hash, now).await.unwrap() {
            assert!(session.until <= begun + longest, "{method:?} {}", session.until);
            sessions.used(&hash, now, now + auth::SESSION).await.unwrap();
            now += hours(1);
            assert!(now <= begun + longest, "{method:?} outlives {longest}");
        }
        assert_eq!(now, begun + longest, "{method:?}");
    }
}

#[tokio::test]
async fn who_guesses_elsewhere_locks_nobody_out() {
    let console = TestConsole::signed_in().await;
    let sign_in = async |from: &str, password: &str| {
        let body = json!({ "username": "admin", "password": password }).to_string();
        let mut request = Request::post("/api/v1/session")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body))
            .unwrap();
        let peer = std::net::SocketAddr::new(from.parse().unwrap(), 40_000);
        request.extensions_mut().insert(ConnectInfo(Caller(peer)));
        console.send(request).await.status
    };
    assert_eq!(sign_in("203.0.113.5", "wrong").await, StatusCode::UNAUTHORIZED);
    let later = (Timestamp::now() + SignedDuration::from_mins(6)).as_millisecond();
    let near = || {
        console
            .app
            .sign_ins
            .near("admin", "203.0.113.6".parse().ok(), later)
    };
    while near().is_ok() {}
    assert_eq!(
        sign_in("203.0.113.77", common::PASSWORD).await,
        StatusCode::TOO_MANY_REQUESTS
    );
    assert_eq!(sign_in("198.51.100.1", common::PASSWORD).await, StatusCode::OK);
    // Many places together have a bound, too, but not at the console's own machine.
    let users = console.app.db.users();
    let admin = users.find("admin").await.unwrap().unwrap();
    let later = Timestamp::now() + SignedDuration::from_mins(6);
    while users.try_sign_in(admin.id, later).await.unwrap().is_ok() {}
    assert_eq!(
        sign_in("198.51.100.1", common::PASSWORD).await,
        StatusCode::TOO_MANY_REQUESTS
    );
    assert_eq!(sign_in("127.0.0.1", common::PASSWORD).await, StatusCode::OK);
}
