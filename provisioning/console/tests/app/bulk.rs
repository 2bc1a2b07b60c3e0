//! Many lessons at once, over the API: zips of folders, tables, rehearsals, and the same again.

use std::io::{Cursor, Write};

use axum::http::StatusCode;
use serde_json::{Value, json};
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::{
    common::{Answer, PNG, TestConsole},
    people::{form, multipart},
};

pub fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

async fn import(console: &TestConsole, apply: bool, zip: &[u8], table: Option<&[u8]>) -> Answer {
    let mut parts = vec![("zip", Some("课.zip"), zip)];
    if let Some(table) = table {
        parts.push(("table", Some("课.csv"), table));
    }
    let path = format!("/lesson-imports?apply={apply}");
    console.send(form(&path, multipart(&parts))).await
}

fn counts(report: &Value) -> [u64; 5] {
    ["lessons", "new", "updated", "unchanged", "refused"].map(|key| report[key].as_u64().unwrap())
}

#[tokio::test]
async fn a_zip_of_folders_is_rehearsed_imported_as_drafts_and_again_changes_nothing() {
    let console = TestConsole::signed_in().await;
    let tree = zip(&[
        ("包/小学/数学/人教版/三年级上册/观察物体/图.png", PNG),
        ("包/小学/数学/人教版/三年级上册/测量/图.png", PNG),
        ("包/小学/语文/三年级/没有版本/图.png", PNG),
        ("包/小学/数学/人教版/三年级上册/坏课/a.mp4", b"MZ\x90\0 no film"),
        ("包/不知道/什么/图.png", PNG),
    ]);
    let rehearsed = import(&console, false, &tree, None).await;
    assert_eq!(rehearsed.status, StatusCode::OK, "{}", rehearsed.json());
    let rehearsed = rehearsed.json();
    assert_eq!(counts(&rehearsed), [5, 3, 0, 0, 2]);
    assert_eq!(rehearsed["applied"], false);
    assert_eq!(
        console.get("/lessons").await.json()["total"],
        0,
        "a rehearsal makes nothing"
    );
    let complete = &rehearsed["complete"];
    assert_eq!(
        (
            complete["lessons"].as_u64(),
            complete["complete"].as_u64(),
            complete["permille"].as_u64()
        ),
        (Some(3), Some(2), Some(666))
    );
    let messages: Vec<_> = rehearsed["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| {
            format!(
                "{}|{}",
                e["place"].as_str().unwrap(),
                e["message"].as_str().unwrap()
            )
        })
        .collect();
    assert!(
        messages.iter().any(|m| m.contains("坏课") && m.contains("a.mp4")),
        "{messages:?}"
    );
    assert!(
        messages
            .iter()
            .any(|m| m.contains("包/不知道/什么") && m.contains("看不出学科")),
        "{messages:?}"
    );

    let done = import(&console, true, &tree, None).await.json();
    assert_eq!(counts(&done), [5, 3, 0, 0, 2]);
    let lessons = console.get("/lessons?state=draft").await.json();
    assert_eq!(lessons["total"], 3, "what is good is there, as drafts");
    assert_eq!(console.get("/lessons?released=true").await.json()["total"], 0);
    let again = import(&console, true, &tree, None).await.json();
    assert_eq!(counts(&again), [5, 0, 0, 3, 2]);
    let staging = console.folder.path().join("objects/staging");
    let left = || std::fs::read_dir(&staging).unwrap().count();
    for _ in 0..200 {
        if left() == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(left(), 0, "nothing is left behind");
}

#[tokio::test]
async fn a_gbk_table_about_a_zip_is_imported_row_by_row() {
    let console = TestConsole::signed_in().await;
    let files = zip(&[("图/一.png", PNG), ("图/二.png", PNG), ("图/三.png", PNG)]);
    let csv = "文件,课题,学段,学科,版本,年级,册次,资源类型\r\n图\\一.png,第一课,小学,数学,人教版,3年级,上,微课\r\n\
               图/二,第二课,小学,数学,人教版,三年级,上册,微课\r\n图/三,第三课,小学,数学课,人教版,三年级,上册,微课\r\n";
    let (gbk, ..) = encoding_rs::GBK.encode(csv);
    let done = import(&console, true, &files, Some(&gbk)).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.json());
    let done = done.json();
    assert_eq!(counts(&done), [3, 2, 0, 0, 1]);
    let error = &done["errors"][0];
    assert_eq!(
        (
            error["row"].as_u64(),
            error["column"].as_str(),
            error["code"].as_str()
        ),
        (Some(4), Some("学科"), Some("vocab_unknown"))
    );
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("数学课") && message.contains("最接近的有：数学"),
        "{message}"
    );
    assert_eq!(done["complete"]["permille"], 1_000);
    let shown = console.get("/lessons?q=%E7%AC%AC%E4%B8%80%E8%AF%BE").await.json();
    let meta = &shown["items"][0]["meta"];
    assert_eq!(
        (&meta["grade"], &meta["volume"], &meta["resource_type"]),
        (&json!("三年级"), &json!("上册"), &json!("微课"))
    );
    let again = import(&console, true, &files, Some(&gbk)).await.json();
    assert_eq!(counts(&again), [3, 0, 0, 2, 1]);
}

#[tokio::test]
async fn what_is_no_zip_or_table_is_refused_by_name() {
    let console = TestConsole::signed_in().await;
    assert!(
        import(&console, true, b"not a zip", None)
            .await
            .code()
            .starts_with("import_")
    );
    let evil = zip(&[("../evil.png", PNG)]);
    assert_eq!(
        import(&console, true, &evil, None).await.code(),
        "import_zip_name"
    );
    let good = zip(&[("a.png", PNG)]);
    let old = [0xd0, 0xcf, 0x11, 0xe0, 0, 0, 0, 0];
    assert_eq!(
        import(&console, true, &good, Some(&old)).await.code(),
        "roster_old_file"
    );
    let nothing = import(&console, true, &good, None).await.json();
    assert_eq!(nothing["errors"][0]["code"], "bulk_nothing");
    assert_eq!(nothing["ignored"], json!(["a.png"]));
    for (format, start) in [("xlsx", &b"PK"[..]), ("csv", "\u{feff}文件".as_bytes())] {
        let template = console
            .get(&format!("/lesson-imports/template?format={format}"))
            .await;
        assert!(template.body.starts_with(start));
    }
}
