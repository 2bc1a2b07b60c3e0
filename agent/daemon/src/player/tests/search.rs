//! Search over HTTP: the index follows the shelf, and no question harms.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::{shown::*, *};

async fn search(at: SocketAddr, question: &str) -> Value {
    let question = utf8_percent_encode(question, NON_ALPHANUMERIC);
    json_of(at, &format!("/api/search?q={question}")).await
}

/// The index is made beside everything else: until it has `total` answers.
async fn until(at: SocketAddr, question: &str, total: usize) -> Value {
    for _ in 0..200 {
        let found = search(at, question).await;
        if found["total"] == total {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{question}: {}", search(at, question).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lesson_is_found_and_marked() {
    let bench = bench(&[]).await;
    bench.writer.show(class());
    let found = until(bench.at, "sx 3 xiaoshu", 1).await;
    let hit = &found["hits"][0];
    assert_eq!(
        (&hit["lesson"]["id"], &hit["field"]),
        (&json!("sx-2"), &json!("title"))
    );
    assert_eq!(
        (&hit["matched"], &hit["item"], &hit["item_title"]),
        (&json!([[0, 2]]), &Value::Null, &Value::Null)
    );
    let by_item = search(bench.at, "yw qtj").await;
    let hit = &by_item["hits"][0];
    assert_eq!(
        (&hit["field"], &hit["item"], &hit["item_title"]),
        (&json!("item"), &json!(1), &json!("钱塘江大潮"))
    );
    assert_eq!(hit["matched"], json!([[0, 3]]));
    // What plays comes first.
    let both = search(bench.at, "三年级语文").await;
    assert_eq!(
        (&both["total"], &both["hits"][0]["lesson"]["id"]),
        (&json!(2), &json!("yw-1"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_follows_the_shelf() {
    let bench = bench(&[]).await;
    bench.writer.show(class());
    until(bench.at, "xiaoshu", 1).await;
    // Only how far a lesson is has changed: told at once.
    let mut shelf = class();
    shelf.lessons[4] = worded("sx-2", "小数的初步认识", "数学", "第二单元", fetching(1));
    bench.writer.show(shelf);
    assert_eq!(
        search(bench.at, "xiaoshu").await["hits"][0]["lesson"]["state"],
        "fetching"
    );
    // One is gone, and the others have moved: what is found is what is there, whatever the index still says.
    let mut shelf = class();
    shelf.lessons.remove(0);
    shelf
        .lessons
        .push(worded("sx-9", "小数乘法", "数学", "第九单元", LessonState::Ready));
    bench.writer.show(shelf);
    let moved = search(bench.at, "xiaoshudechubu").await;
    assert_eq!(moved["hits"][0]["lesson"]["id"], "sx-2");
    assert_eq!(search(bench.at, "daqingshu").await["hits"], json!([]));
    let found = until(bench.at, "xiaoshu", 2).await;
    assert_eq!(found["hits"][1]["lesson"]["id"], "sx-2", "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_question_harms() {
    let bench = bench(&[]).await;
    bench.writer.show(class());
    until(bench.at, "xiaoshu", 1).await;
    let long = "x".repeat(101);
    for hostile in [
        format!("q={long}"),
        "q=a&limit=-1".into(),
        "q=a&q=b".into(),
        "limit=1e9".into(),
    ] {
        let answer = ask(bench.at, "GET", &format!("/api/search?{hostile}"), &[]).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "bad_question"),
            "{hostile}"
        );
    }
    for empty in [
        "",
        "?q=",
        "?q=%20%20",
        "?limit=3",
        "?q=%00%00",
        "?q=%FF%FE",
        "?q=..%2F..%2Fetc",
        "?q=%3Cscript%3E",
    ] {
        assert_eq!(
            json_of(bench.at, &format!("/api/search{empty}")).await["total"],
            0,
            "{empty}"
        );
    }
    let most = json_of(bench.at, "/api/search?q=x&limit=99999").await;
    assert!(most["hits"].as_array().unwrap().len() <= 50);
    assert_eq!(
        json_of(bench.at, "/api/search?q=x&limit=0").await["hits"],
        json!([])
    );
    // Many at once are answered one after the other.
    let questions = (0..40).map(|n| {
        let at = bench.at;
        tokio::spawn(async move { search(at, &"aeiou xiao shu ".repeat(1 + n % 6)).await["total"].clone() })
    });
    for answered in questions.collect::<Vec<_>>() {
        assert!(answered.await.unwrap().is_number());
    }
}
