//! The offline root's key that nobody has carried away yet.

use axum::http::StatusCode;
use bbt_console::{jobs::root_key, pki};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::common::TestConsole;

async fn events(console: &TestConsole) -> Vec<Value> {
    let all = console.get("/security-events").await.json();
    let all = all["items"].as_array().unwrap();
    all.iter()
        .filter(|event| event["kind"] == "root_key_online")
        .cloned()
        .collect()
}

#[tokio::test]
async fn it_is_told_once_counted_up_and_told_again_a_day_after_somebody_looked() {
    let console = TestConsole::signed_in().await;
    let start = Timestamp::now();
    let look = async |minutes: i64| {
        let at = start + SignedDuration::from_mins(minutes);
        assert!(root_key::look(&console.app, at).await.unwrap());
    };
    assert_eq!(console.get("/system").await.json()["root_key_online"], true);
    for minutes in [0, 1, 59] {
        look(minutes).await;
    }
    let told = events(&console).await;
    assert_eq!((told.len(), &told[0]["times"]), (1, &json!(1)), "{told:?}");
    assert!(
        told[0]["detail"]["path"]
            .as_str()
            .unwrap()
            .ends_with(".offline-root")
    );
    for day in 1..=2 {
        look(day * 1_440).await;
    }
    let told = events(&console).await;
    assert_eq!((told.len(), &told[0]["times"]), (1, &json!(3)), "{told:?}");

    let path = format!("/security-events/{}/acknowledge", told[0]["id"]);
    assert_eq!(
        console.post(&path, json!({})).await.status,
        StatusCode::NO_CONTENT
    );
    look(10).await;
    assert_eq!(events(&console).await.len(), 1, "somebody has just looked");
    look(1_440).await;
    assert_eq!(events(&console).await.len(), 2);

    std::fs::remove_dir_all(pki::root_folder(console.folder.path()).unwrap()).unwrap();
    assert!(!root_key::look(&console.app, start).await.unwrap());
    assert_eq!(console.get("/system").await.json()["root_key_online"], false);
}
