//! Signing in, and how failures look.

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use bbt_console::auth;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::common::{self, TestConsole};

#[tokio::test]
async fn only_a_session_opens_the_api() {
    let mut console = TestConsole::signed_in().await;
    let session = console.get("/session").await;
    assert_eq!(
        session.json(),
        json!({ "username": "admin", "display_name": "管理员", "language": "zh-CN" })
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
    for _ in 0..4 {
        console.app.sign_ins.failed("admin", std::time::Instant::now());
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
    for origin in ["http://evil.example", "null", "http://console.test:81"] {
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
        .ask(
            Method::POST,
            "/regions",
            new(),
            &[("origin", "http://console.test")],
        )
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
    let users = console.app.db.users();
    let admin = users.find("admin").await.unwrap().unwrap();
    let now = Timestamp::now();
    let (old, old_hash) = auth::new_token().unwrap();
    let hours = SignedDuration::from_hours;
    users
        .open_session(admin.id, &old_hash, now - hours(14), now - hours(2))
        .await
        .unwrap();
    let (used, used_hash) = auth::new_token().unwrap();
    users
        .open_session(admin.id, &used_hash, now - hours(14), now + hours(1))
        .await
        .unwrap();

    console.cookie = Some(format!("bbt_session={old}"));
    assert_eq!(console.get("/session").await.status, StatusCode::UNAUTHORIZED);
    console.cookie = Some(format!("bbt_session={used}"));
    assert_eq!(console.get("/session").await.status, StatusCode::OK);
    let (_, until) = console
        .app
        .db
        .users()
        .session(&used_hash, now)
        .await
        .unwrap()
        .unwrap();
    assert!(until > now + hours(11), "{until}");
}
