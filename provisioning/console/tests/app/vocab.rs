//! The controlled words at the doors: what is offered, what is refused and how, what is understood.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::{common::TestConsole, people::upload};

#[tokio::test]
async fn the_words_are_offered_with_their_fields() {
    let console = TestConsole::signed_in().await;
    let all = console.get("/vocabularies").await.json();
    let ids: Vec<_> = all["vocabularies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        ids,
        [
            "stage",
            "subject",
            "edition",
            "grade",
            "volume",
            "resource_type",
            "licence_scope"
        ]
    );
    let grade = &all["vocabularies"][3];
    assert_eq!(
        (grade["name"].as_str(), grade["mandatory"].as_bool()),
        (Some("年级"), Some(true))
    );
    let fourth = grade["words"]
        .as_array()
        .unwrap()
        .iter()
        .find(|w| w["word"] == "四年级")
        .unwrap();
    assert_eq!(fourth["under"], json!(["小学", "特殊教育"]));
    assert_eq!(all["vocabularies"][6]["words"][0]["label"], "公开");
}

#[tokio::test]
async fn a_word_that_is_not_there_is_refused_by_name_and_other_spellings_are_understood() {
    let console = TestConsole::signed_in().await;
    let meta = |field: &str, word: &str| {
        let mut meta = json!({ "title": "观察物体", "stage": "小学", "subject": "数学", "edition": "人教版", "grade": "三年级",
            "volume": "上册", "chapter": "自己起的章", "period": "随便第几课时", "resource_type": "微课" });
        meta[field] = Value::from(word);
        meta
    };
    for (field, word, near) in [
        ("subject", "数学课", "数学"),
        ("edition", "人民教育版", "人教版"),
        ("resource_type", "微课程", "微课"),
        ("grade", "七年级", "初中"),
    ] {
        let refused = upload(&console, None, &meta(field, word)).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(refused.code(), "import_word");
        let message = refused.json()["message"].as_str().unwrap().to_owned();
        for part in [field, word, near] {
            assert!(message.contains(part), "{message} lacks {part}");
        }
    }
    let made = upload(&console, Some("L1"), &meta("edition", "部编版")).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    let shown = console.get("/lessons/L1").await.json();
    assert_eq!(
        (
            shown["meta"]["edition"].as_str(),
            shown["meta"]["chapter"].as_str()
        ),
        (Some("统编版"), Some("自己起的章"))
    );
    assert_eq!(
        console
            .get("/lessons?resource_type=%E5%BE%AE%E8%AF%BE")
            .await
            .json()["total"],
        1
    );

    // The same at a draft's description, with what is wrong said by field.
    let path = "/lessons/L1/meta";
    let bad = console
        .patch(path, json!({ "version": 1, "meta": meta("volume", "中册") }))
        .await;
    assert_eq!(bad.code(), "vocab_unknown");
    let mut good = meta("volume", "下册");
    good["licence"] = json!({ "scope": "县内", "expires_at": "2030-08-31T16:00:00Z" });
    good["standard_year"] = json!(2022);
    let good = console.patch(path, json!({ "version": 1, "meta": good })).await;
    assert_eq!(good.status, StatusCode::OK, "{}", good.json());
    let meta = good.json()["meta"].clone();
    assert_eq!(
        (&meta["volume"], &meta["licence"]["scope"], &meta["standard_year"]),
        (&json!("下册"), &json!("county"), &json!(2022))
    );
}

/// The page of words, as the data has them.
fn page() -> String {
    use std::fmt::Write;
    let mut page = String::from(
        "# 词表

本页由 `provisioning/console/vocab/*.toml` 生成：上传、导入、修改课程说明时按同一份数据检查，`GET /vocabularies` 给出同样的内容。

- 词表之外的词会被拒绝，报错里写明是哪一项、哪个词、最接近的词有哪些。
- “也认得”的写法会存成规定的词；全角半角、空格、大小写不论。
- 带 * 的是自审之前必须填的。章节、课时、课题、来源随便写。
- 年级要属于所填的学段；没填学段时，批量导入按“通常”补上。
- 要加词：改 `vocab/` 里的文件，重新构建控制台；已有的课程不受影响。

",
    );
    for vocabulary in bbt_console::domain::vocab::all() {
        let needed = bbt_console::domain::vocab::MANDATORY.contains(&vocabulary.field);
        let star = if needed { " *" } else { "" };
        writeln!(
            page,
            "## {}{star}（`{}`）\n",
            vocabulary.name,
            vocabulary.field.path()
        )
        .unwrap();
        let stages = vocabulary.words.iter().any(|word| !word.under.is_empty());
        let (heading, line) = if stages { (" 学段 |", "---|") } else { ("", "") };
        writeln!(page, "| 词 | 也认得 |{heading}\n|---|---|{line}").unwrap();
        for word in &vocabulary.words {
            let named = match &word.label {
                Some(label) => format!("{label}（`{}`）", word.word),
                None => word.word.clone(),
            };
            let also: Vec<_> = word
                .also
                .iter()
                .filter(|also| Some(*also) != word.label.as_ref())
                .cloned()
                .collect();
            write!(page, "| {named} | {} |", also.join("、")).unwrap();
            if stages {
                let under: Vec<_> = word
                    .under
                    .iter()
                    .map(|stage| match &word.usual {
                        Some(usual) if usual == stage && word.under.len() > 1 => format!("{stage}（通常）"),
                        _ => stage.clone(),
                    })
                    .collect();
                write!(page, " {} |", under.join("、")).unwrap();
            }
            page.push('\n');
        }
        page.push('\n');
    }
    page
}

#[test]
fn the_page_of_words_is_the_data() {
    let file =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/reference/vocabularies.md");
    let page = page();
    if std::env::var_os("BBT_BLESS").is_some() {
        std::fs::write(&file, &page).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&file).unwrap_or_default(),
        page,
        "run: BBT_BLESS=1 cargo test -p bbt-console --test app vocab"
    );
}
