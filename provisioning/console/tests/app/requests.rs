//! Each answer has an id, the same in its head, in a problem and in the audit log; what was done by a slip can be taken back.

use std::collections::HashSet;

use axum::http::{Method, StatusCode, header};
use bbt_console::api::audit::AuditQuery;
use bbt_console::db::scope::Scope;
use serde_json::{Value, json};

use crate::common::{Answer, TestConsole};

fn id_of(answer: &Answer) -> String {
    answer.headers["x-request-id"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_answer_has_an_id_of_its_own_and_every_problem_says_it() {
    let console = TestConsole::signed_in().await;
    let mut seen = HashSet::new();
    let asked = [
        (Method::GET, "/overview", StatusCode::OK),
        (Method::GET, "/devices/none", StatusCode::NOT_FOUND),
        (Method::GET, "/nowhere", StatusCode::NOT_FOUND),
        (Method::PUT, "/overview", StatusCode::METHOD_NOT_ALLOWED),
        (Method::GET, "/devices?page=x", StatusCode::BAD_REQUEST),
    ];
    for (method, path, status) in asked {
        let answer = console.ask(method.clone(), path, None, &[]).await;
        assert_eq!(answer.status, status, "{method} {path}");
        let id = id_of(&answer);
        assert_eq!(id.len(), 32, "{method} {path}");
        assert!(seen.insert(id.clone()), "{method} {path}: an id twice");
        if !status.is_success() {
            let problem = answer.json();
            assert_eq!(problem["request_id"], id, "{method} {path}");
            for part in ["code", "message"] {
                assert!(
                    problem[part].as_str().is_some_and(|text| !text.is_empty()),
                    "{method} {path}: no {part} in {problem}"
                );
            }
        }
    }
    let signed_out = TestConsole {
        cookie: None,
        ..console
    };
    let answer = signed_out.get("/overview").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.json()["request_id"], id_of(&answer));
}

/// A page of its own words stays one, also when it is about a failure.
#[tokio::test]
async fn a_wall_that_is_unknown_is_answered_in_words_and_not_with_a_problem() {
    let console = TestConsole::signed_in().await;
    let request = axum::http::Request::get("/r/AAAAAAAAAAAAAAAA")
        .header(header::HOST, "localhost")
        .body(axum::body::Body::empty())
        .unwrap();
    let answer = console.send(request).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let kind = answer.headers[header::CONTENT_TYPE].to_str().unwrap();
    assert!(kind.starts_with("text/html"), "{kind}");
    assert!(String::from_utf8_lossy(&answer.body).contains("这个二维码已失效"));
    assert!(!id_of(&answer).is_empty());
}

#[tokio::test]
async fn the_id_of_an_answer_finds_its_row_in_the_audit_log() {
    let console = TestConsole::signed_in().await;
    let answer = console
        .post("/regions", json!({ "kind": "county", "name": "青山县" }))
        .await;
    assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.json());
    let query = AuditQuery {
        q: Some(id_of(&answer)),
        ..AuditQuery::default()
    };
    let audit = console.app.db.audit();
    let (rows, total) = audit.list(&query, &Scope::everything()).await.unwrap();
    assert_eq!((rows.len(), total), (1, 1));
    assert_eq!(rows[0].request_id, id_of(&answer));
}

#[tokio::test]
async fn a_security_event_that_was_marked_by_a_slip_is_open_again() {
    let console = TestConsole::signed_in().await;
    let county = console.county().await;
    let device = console.enrol("d-one", county.classrooms[0]).await;
    let security = console.app.db.security();
    security
        .note(
            bbt_console::api::security::SecurityKind::ForeignName,
            Some(&device),
            None,
            &json!({}),
            jiff::Timestamp::now(),
        )
        .await
        .unwrap();
    let open = async || -> Vec<Value> {
        let answer = console.get("/security-events?open=true").await.json();
        answer["items"].as_array().unwrap().clone()
    };
    let id = open().await[0]["id"].as_i64().unwrap();
    let path = format!("/security-events/{id}/acknowledge");
    assert_eq!(
        console.post(&path, Value::Null).await.status,
        StatusCode::NO_CONTENT
    );
    assert!(open().await.is_empty());
    assert_eq!(console.delete(&path).await.status, StatusCode::NO_CONTENT);
    let again = open().await;
    assert_eq!(again.len(), 1);
    assert!(again[0]["acknowledged_by"].is_null());
    let none = console.delete("/security-events/999/acknowledge").await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);

    // Somebody else was faster: it is theirs, and nobody else opens it again by a slip of their own.
    let now = jiff::Timestamp::now();
    let everything = Scope::everything();
    security.acknowledge(&everything, id, "li", now).await.unwrap();
    assert_eq!(
        console.post(&path, Value::Null).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(console.delete(&path).await.status, StatusCode::CONFLICT);
    assert!(open().await.is_empty());
    let all = security.list(&everything, None).await.unwrap();
    assert_eq!(all[0].acknowledged_by.as_deref(), Some("li"));

    // The log tells the one from the other, and whose word it was.
    let query = AuditQuery {
        action: Some("security.acknowledge".into()),
        outcome: Some("done".into()),
        ..AuditQuery::default()
    };
    let (rows, _) = console.app.db.audit().list(&query, &everything).await.unwrap();
    let said: Vec<_> = rows
        .iter()
        .rev()
        .map(|row| {
            (
                row.detail["step"].as_str().unwrap(),
                row.detail.get("acknowledged_by"),
            )
        })
        .collect();
    let (admin, li) = (json!("admin"), json!("li"));
    let expected = [
        ("acknowledged", None),
        ("taken_back", Some(&admin)),
        ("acknowledged", Some(&li)),
    ];
    assert_eq!(said, expected);
}
