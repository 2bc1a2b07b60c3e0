//! What the linter finds is told with the fix, keeps a version from 自审, and goes with a better upload.

use std::process::Command;

use axum::http::StatusCode;
use bbt_console::{
    access::Role,
    db::{
        reviews::Emergency,
        scope::{Node, Scope},
    },
};
use contract::id::LessonId;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    common::{Answer, TestConsole},
    people::{form, multipart, person},
};

/// A PDF of one empty page that names one font.
fn pdf(font: &str) -> Vec<u8> {
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] /Resources << /Font << /F1 4 0 R >> >> >>"
            .to_owned(),
        format!("<< /Type /Font /Subtype /{font} >>"),
    ];
    let mut text = String::from("%PDF-1.4\n");
    let mut offsets = Vec::new();
    for (n, object) in objects.iter().enumerate() {
        offsets.push(text.len());
        text += &format!("{} 0 obj\n{object}\nendobj\n", n + 1);
    }
    let start = text.len();
    text += &format!("xref\n0 {}\n0000000000 65535 f \n", offsets.len() + 1);
    for offset in &offsets {
        text += &format!("{offset:010} 00000 n \n");
    }
    text += &format!(
        "trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n",
        offsets.len() + 1
    );
    text.into_bytes()
}

async fn upload(console: &TestConsole, id: &str, file: &str, bytes: &[u8], transcode: bool) -> Answer {
    let meta = json!({ "id": id, "transcode": transcode, "meta": {
        "title": id, "stage": "小学", "subject": "数学", "edition": "人教版", "grade": "三年级", "volume": "上册",
        "chapter": "第一单元", "period": "第1课时" } })
    .to_string();
    let parts = multipart(&[("meta", None, meta.as_bytes()), ("file", Some(file), bytes)]);
    console.send(form("/lessons", parts)).await
}

fn rules(report: &Value) -> Vec<&str> {
    report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["rule"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_font_that_does_not_travel_keeps_a_version_from_its_review() {
    let console = TestConsole::signed_in().await;
    let bad = upload(&console, "p1", "a.pdf", &pdf("TrueType /BaseFont /SimSun"), false).await;
    assert_eq!(bad.status, StatusCode::CREATED, "an upload is never lost");
    let report = console.get("/lessons/p1/lint").await.json();
    assert_eq!(rules(&report), ["pdf.fonts"]);
    assert_eq!(report["passes"], false);
    let told = &report["findings"][0];
    assert!(told["message"].as_str().unwrap().contains("SimSun"), "{told}");
    assert!(!told["fix"].as_str().unwrap().is_empty());
    let refused = console
        .post("/lessons/p1/review/self-check", json!({ "version": 1 }))
        .await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (StatusCode::CONFLICT, "review_lint_errors")
    );

    let good = upload(&console, "p1", "a.pdf", &pdf("Type1 /BaseFont /Helvetica"), false).await;
    assert_eq!(good.json()["version"], 2);
    let report = console.get("/lessons/p1/lint").await.json();
    assert_eq!(
        (rules(&report), &report["passes"]),
        (vec!["pdf.base_fonts"], &json!(true))
    );
    let first = console.get("/lessons/p1/lint?version=1").await.json();
    assert_eq!(rules(&first), ["pdf.fonts"]);
    let passed = console
        .post("/lessons/p1/review/self-check", json!({ "version": 2 }))
        .await;
    assert_eq!(
        passed.status,
        StatusCode::OK,
        "{}",
        String::from_utf8_lossy(&passed.body)
    );
    assert_eq!(console.get("/lessons/no/lint").await.code(), "not_found");
    let book = console.get("/lint-rules").await.json();
    assert!(book["rules"].as_array().unwrap().len() > 20);
}

#[tokio::test]
async fn a_film_that_boards_do_not_decode_is_refused_with_the_way_out_and_taken_when_transcoded() {
    let console = TestConsole::signed_in().await;
    let folder = tempfile::tempdir().unwrap();
    let film = folder.path().join("a.mkv");
    let made = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i"])
        .args(["testsrc2=size=320x180:rate=10:duration=3", "-c:v", "mpeg4"])
        .arg(&film)
        .status()
        .expect("ffmpeg is needed for this test; `cargo xtask test` installs it");
    assert!(made.success());
    let bytes = std::fs::read(&film).unwrap();
    let refused = upload(&console, "f1", "课.mkv", &bytes, false).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let taken = upload(&console, "f1", "课.mkv", &bytes, true).await;
    assert_eq!(
        taken.status,
        StatusCode::CREATED,
        "{}",
        String::from_utf8_lossy(&taken.body)
    );
    let shown = console.get("/lessons/f1").await.json();
    assert_eq!(shown["items"][0]["entry"], "课.mp4");
    let small = shown["items"][0]["thumbnail"].as_str().unwrap();
    let picture = console.get(&format!("/lessons/f1/files/{small}")).await;
    assert_eq!(picture.headers["content-type"], "image/jpeg");
    let report = console.get("/lessons/f1/lint").await.json();
    assert_eq!(
        (rules(&report), &report["passes"]),
        (vec!["video.silent"], &json!(true))
    );
    let broken = upload(&console, "f2", "坏.mkv", b"no film at all", true).await;
    assert_eq!(broken.code(), "import_transcode");
}

#[tokio::test]
async fn findings_of_a_version_are_for_those_who_see_the_version() {
    let mut console = TestConsole::signed_in().await;
    let county = console.county().await;
    let id = {
        let meta = json!({ "id": "k1", "owner": { "region_id": county.county }, "meta": {
            "title": "k1", "stage": "小学", "subject": "数学", "edition": "人教版", "grade": "三年级", "volume": "上册",
            "chapter": "第一单元", "period": "第1课时" } });
        let file = pdf("Type1 /BaseFont /Helvetica");
        let parts = |meta: &Value| {
            multipart(&[
                ("meta", None, meta.to_string().as_bytes()),
                ("file", Some("a.pdf"), &file),
            ])
        };
        let made = console.send(form("/lessons", parts(&meta))).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
        let lesson: LessonId = "k1".parse().unwrap();
        let release = Emergency {
            scope: &Scope::everything(),
            lesson: &lesson,
            by: "test",
            reason: "test",
            now: Timestamp::now(),
        };
        console.app.releaser().emergency(&release).await.unwrap();
        let mut newer = meta;
        newer["meta"]["title"] = json!("k1, newer");
        let made = console.send(form("/lessons", parts(&newer))).await;
        assert_eq!(made.json()["version"], 2);
        lesson
    };
    let lint = |version: u32| format!("/lessons/{id}/lint?version={version}");
    assert_eq!(console.get(&lint(2)).await.status, StatusCode::OK);
    let none = console.get(&lint(3)).await;
    assert_eq!(
        (none.status, none.code().as_str()),
        (StatusCode::NOT_FOUND, "not_found")
    );

    let school = Node::School(county.schools[0]);
    console.cookie = Some(
        person(&console, "below", &[(Role::SchoolAdmin, school)])
            .await
            .cookie,
    );
    assert_eq!(
        console.get(&format!("/lessons/{id}/lint")).await.json()["version"],
        1
    );
    assert_eq!(console.get(&lint(1)).await.status, StatusCode::OK);
    let draft = console.get(&lint(2)).await;
    assert_eq!(
        (draft.status, draft.code().as_str()),
        (StatusCode::NOT_FOUND, "not_found")
    );
}
