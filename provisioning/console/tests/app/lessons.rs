//! Lessons by upload, and their previews.

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use serde_json::json;

use crate::common::{PNG, TestConsole};

fn multipart(meta: Option<&str>, files: &[(&str, &[u8])]) -> Request<Body> {
    let mut body = Vec::new();
    if let Some(meta) = meta {
        body.extend_from_slice(b"--X\r\ncontent-disposition: form-data; name=\"meta\"\r\n\r\n");
        body.extend_from_slice(meta.as_bytes());
        body.extend_from_slice(b"\r\n");
    }
    for (name, bytes) in files {
        body.extend_from_slice(
            format!("--X\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n")
                .as_bytes(),
        );
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--X--\r\n");
    Request::post("/api/v1/lessons")
        .header(header::CONTENT_TYPE, "multipart/form-data; boundary=X")
        .body(Body::from(body))
        .unwrap()
}

#[tokio::test]
async fn a_lesson_is_uploaded_shown_previewed_and_refused_by_name() {
    let console = TestConsole::signed_in().await;
    let meta = json!({ "id": "up1", "meta": {
        "title": "观察物体", "stage": "小学", "subject": "数学", "edition": "人教版", "grade": "三年级", "volume": "上册",
        "chapter": "第一单元", "period": "第1课时" } })
    .to_string();
    let made = console.send(multipart(Some(&meta), &[("图.png", PNG)])).await;
    assert_eq!(
        made.status,
        StatusCode::CREATED,
        "{}",
        String::from_utf8_lossy(&made.body)
    );
    assert_eq!(
        made.json(),
        json!({ "id": "up1", "version": 1, "review_state": "draft", "changed": true })
    );
    let again = console.send(multipart(Some(&meta), &[("图.png", PNG)])).await;
    assert_eq!(
        (again.status, again.json()["changed"].as_bool()),
        (StatusCode::OK, Some(false))
    );

    let shown = console.get("/lessons/up1").await.json();
    assert_eq!(
        (
            shown["meta"]["title"].as_str(),
            shown["items"][0]["kind"].as_str()
        ),
        (Some("观察物体"), Some("image"))
    );
    assert_eq!(
        console.get("/lessons?subject=%E6%95%B0%E5%AD%A6").await.json()["total"],
        1
    );
    assert_eq!(console.get("/lessons?subject=x").await.json()["total"], 0);

    let path = "/lessons/up1/files/%E5%9B%BE.png";
    let whole = console.get(path).await;
    assert_eq!((whole.status, &whole.body[..]), (StatusCode::OK, PNG));
    assert_eq!(whole.headers[header::CONTENT_TYPE], "image/png");
    assert!(
        whole.headers[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap()
            .starts_with("sandbox")
    );
    let part = console
        .ask(Method::GET, path, None, &[("range", "bytes=1-3")])
        .await;
    assert_eq!(
        (part.status, &part.body[..]),
        (StatusCode::PARTIAL_CONTENT, &b"PNG"[..])
    );
    let outside = console
        .ask(Method::GET, path, None, &[("range", "bytes=5000-")])
        .await;
    assert_eq!(outside.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(console.get("/lessons/up1/files/no.png").await.code(), "not_found");

    for (request, code, names) in [
        (
            multipart(Some(&meta), &[("a.mp4", b"MZ\x90\0not a video")]),
            "import_",
            "a.mp4",
        ),
        (multipart(Some(&meta), &[("a.png", b"")]), "import_empty", "a.png"),
        (multipart(Some(&meta), &[]), "invalid_field", "file"),
        (multipart(None, &[("a.png", PNG)]), "invalid_field", "meta"),
        (multipart(Some("{"), &[("a.png", PNG)]), "invalid_field", "meta"),
    ] {
        let refused = console.send(request).await;
        assert!(
            refused.code().starts_with(code),
            "{} instead of {code}",
            refused.code()
        );
        assert!(
            refused.json()["message"].as_str().unwrap().contains(names),
            "{}",
            refused.json()
        );
    }
    assert_eq!(console.get("/lessons/up1").await.json()["version"], 1);
}
