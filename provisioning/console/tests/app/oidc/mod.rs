//! Single sign-on against a provider on a real port, honest and not.

mod provider;

use std::time::Duration;

use axum::http::{Method, StatusCode, header};
use bbt_console::{
    access::Role,
    api::{
        audit::AuditQuery,
        tree::{NewRegion, RegionKind},
        users::UserKind,
    },
    auth,
    config::Language,
    db::scope::Node,
    db::{scope::Scope, users::NewAccount},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use self::provider::{CLIENT, Provider, SECRET, Seal};
use crate::common::{Answer, Folder, PASSWORD, TestConsole};

const MAP: &str = r#"
[[oidc.map]]
value = "ops"
role = "county_operator"
region_code = "330100"

[[oidc.map]]
value = "audit"
role = "auditor"
root = true

[[oidc.map]]
value = "nowhere"
role = "auditor"
region_code = "999999"
"#;

async fn set_up(more: &str) -> (TestConsole, Provider) {
    let provider = Provider::start().await;
    let folder = Folder::new();
    std::fs::write(folder.path().join("oidc.secret"), format!("{SECRET}\n")).unwrap();
    let config = format!(
        "web_url = \"http://localhost\"\n[oidc]\nname = \"某县统一认证\"\nissuer = \"{}\"\nclient_id = \"{CLIENT}\"\n\
         client_secret_file = \"oidc.secret\"\n{more}\n{MAP}",
        provider.issuer
    );
    std::fs::write(folder.path().join("console.toml"), config).unwrap();
    let console = TestConsole::in_folder(folder).await;
    let county = NewRegion {
        parent_id: None,
        kind: RegionKind::County,
        name: "某县".into(),
        code: Some("330100".into()),
    };
    console
        .app
        .db
        .tree()
        .add_region(&Scope::everything(), &county)
        .await
        .unwrap();
    (console, provider)
}

fn to(answer: &Answer) -> String {
    answer.headers[header::LOCATION].to_str().unwrap().to_owned()
}

fn cookie(answer: &Answer, name: &str) -> Option<String> {
    answer
        .headers
        .get_all(header::SET_COOKIE)
        .iter()
        .find_map(|cookie| {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (key, value) = pair.split_once('=').unwrap();
            (key == name && !value.is_empty()).then(|| pair.to_owned())
        })
}

/// There: the cookie, and the path and query with which the provider sends the browser back.
async fn begin(console: &TestConsole, return_to: &str) -> (String, String) {
    let begun = console.get(&format!("/session/oidc?return_to={return_to}")).await;
    assert_eq!(begun.status, StatusCode::FOUND, "{}", begun.json());
    let tied = cookie(&begun, "bbt_oidc").unwrap_or_else(|| panic!("sent to {}", to(&begun)));
    let browser = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let sent = browser.get(to(&begun)).send().await.unwrap();
    let back = sent.headers()["location"].to_str().unwrap().to_owned();
    let path = back.strip_prefix("http://localhost/api/v1").unwrap().to_owned();
    (tied, path)
}

async fn come_back(console: &TestConsole, tied: &str, path: &str) -> Answer {
    console.ask(Method::GET, path, None, &[("cookie", tied)]).await
}

async fn whole(console: &TestConsole) -> Answer {
    let (tied, path) = begin(console, "/devices").await;
    come_back(console, &tied, &path).await
}

/// Who is signed in with the cookie of an answer.
async fn who(console: &TestConsole, answer: &Answer) -> Value {
    let session = cookie(answer, "bbt_session").unwrap_or_else(|| panic!("sent to {}", to(answer)));
    let answer = console
        .ask(Method::GET, "/session", None, &[("cookie", &session)])
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    answer.json()
}

fn refused(answer: &Answer, code: &str, word: &str) {
    let to = to(answer);
    assert!(to.starts_with(&format!("/sign-in?problem={code}&")), "{to}");
    assert!(to.contains(word), "{word:?} is not in {to}");
    assert!(cookie(answer, "bbt_session").is_none());
}

async fn account(console: &TestConsole, name: &str, kind: UserKind) {
    let hash = auth::hash_password(PASSWORD).unwrap();
    let new = NewAccount {
        username: name,
        display_name: name,
        password_hash: &hash,
        language: Language::ZhCn,
        kind,
        grants: &[(Role::SystemAdmin, Node::Root)],
        by: "test",
    };
    console
        .app
        .db
        .users()
        .create(&Scope::everything(), &new, Timestamp::now())
        .await
        .unwrap();
}

#[tokio::test]
async fn who_the_provider_vouches_for_is_in_with_the_role_of_the_group() {
    let (console, _provider) = set_up("").await;
    let options = console.get("/session/options").await.json();
    assert_eq!(
        options,
        json!({ "oidc": { "name": "某县统一认证" }, "local": true })
    );
    let (tied, path) = begin(&console, "/devices%3Ftab%3Dx").await;
    let done = come_back(&console, &tied, &path).await;
    assert_eq!(
        (done.status, to(&done).as_str()),
        (StatusCode::FOUND, "/devices?tab=x")
    );
    let session = who(&console, &done).await;
    assert_eq!(
        (&session["username"], &session["display_name"]),
        (&json!("zhang"), &json!("张三"))
    );
    assert_eq!(session["method"], "oidc");
    let grants = session["grants"].as_array().unwrap();
    assert_eq!(
        (grants.len(), &grants[0]["role"], &grants[0]["node"]["name"]),
        (1, &json!("county_operator"), &json!("某县"))
    );
    // The same person again is the same account.
    who(&console, &whole(&console).await).await;
    let query = AuditQuery {
        action: Some("session.open".into()),
        ..AuditQuery::default()
    };
    let (rows, total) = console
        .app
        .db
        .audit()
        .list(&query, &Scope::everything())
        .await
        .unwrap();
    assert_eq!(
        (total, rows[0].actor.as_str(), &rows[0].detail["method"]),
        (2, "zhang", &json!("oidc"))
    );
    assert!(rows[0].region.is_some(), "the county's auditor sees it");
}

#[tokio::test]
async fn a_token_that_lies_opens_nothing() {
    let (console, provider) = set_up("").await;
    type Lie = (&'static str, &'static str, fn(&mut provider::Says));
    let lies: [Lie; 11] = [
        ("nonce", "nonce", |says| says.nonce = Some("another".into())),
        ("audience", "audience", |says| says.audience = json!("another")),
        ("two audiences", "audience", |says| {
            says.audience = json!([CLIENT, "another"])
        }),
        ("ran out", "Expired", |says| {
            (says.issued, says.lasts) = (-500, 300)
        }),
        ("old", "issued", |says| {
            (says.issued, says.lasts) = (-4_000, 9_000)
        }),
        ("from tomorrow", "future", |says| {
            (says.issued, says.lasts) = (86_400, 300)
        }),
        ("unsigned", "believed", |says| says.seal = Seal::None),
        ("another key", "believed", |says| says.seal = Seal::OtherKey),
        ("unknown key", "believed", |says| says.seal = Seal::UnknownKey),
        ("shared secret", "believed", |says| says.seal = Seal::Shared),
        ("no role", "role", |says| says.groups = json!(["others"])),
    ];
    for (name, word, lie) in lies {
        provider.say(|says| *says = provider::Says::default());
        provider.say(lie);
        let answer = whole(&console).await;
        println!("{name}: {}", to(&answer));
        refused(&answer, "oidc_refused", word);
    }
    provider.say(|says| *says = provider::Says::default());
    // Clocks that differ a little are fine.
    provider.say(|says| (says.issued, says.lasts) = (-330, 300));
    who(&console, &whole(&console).await).await;
    let query = AuditQuery {
        outcome: Some("refused".into()),
        ..AuditQuery::default()
    };
    let (_, rows) = console
        .app
        .db
        .audit()
        .list(&query, &Scope::everything())
        .await
        .unwrap();
    assert!(rows >= 10, "{rows}");
}

#[tokio::test]
async fn a_sign_in_belongs_to_the_browser_that_began_it_and_is_over_after_one_use() {
    let (console, _provider) = set_up("").await;
    let (tied, path) = begin(&console, "/").await;
    let (other, _) = begin(&console, "/").await;
    for cookie in ["x=y", "bbt_oidc=", other.as_str()] {
        refused(
            &come_back(&console, cookie, &path).await,
            "oidc_refused",
            "browser",
        );
    }
    who(&console, &come_back(&console, &tied, &path).await).await;
    refused(&come_back(&console, &tied, &path).await, "oidc_refused", "before");
    let (tied, path) = begin(&console, "/").await;
    let swapped = path.replace("code=", "code=x");
    refused(
        &come_back(&console, &tied, &swapped).await,
        "oidc_refused",
        "refused",
    );
    let (tied, path) = begin(&console, "/").await;
    let declined = format!("{path}&error=access_denied");
    refused(
        &come_back(&console, &tied, &declined).await,
        "oidc_refused",
        "access_denied",
    );
}

#[tokio::test]
async fn nobody_is_sent_to_another_site() {
    let (console, _provider) = set_up("").await;
    for evil in ["https://evil.example/", "//evil.example", "/%5Cevil.example"] {
        let (tied, path) = begin(&console, evil).await;
        assert_eq!(to(&come_back(&console, &tied, &path).await), "/", "{evil}");
    }
}

#[tokio::test]
async fn a_group_that_is_taken_away_takes_the_role_and_the_sessions() {
    let (console, provider) = set_up("").await;
    provider.say(|says| says.groups = json!(["ops", "audit", "nowhere"]));
    let first = whole(&console).await;
    assert_eq!(who(&console, &first).await["grants"].as_array().unwrap().len(), 2);
    provider.say(|says| says.groups = json!("audit"));
    let session = who(&console, &whole(&console).await).await;
    assert_eq!(session["grants"][0]["role"], "auditor");
    assert_eq!(session["grants"].as_array().unwrap().len(), 1);
    provider.say(|says| says.groups = json!([]));
    refused(&whole(&console).await, "oidc_refused", "role");
    let old = cookie(&first, "bbt_session").unwrap();
    let answer = console
        .ask(Method::GET, "/session", None, &[("cookie", &old)])
        .await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_name_that_is_taken_here_is_not_the_providers_to_give() {
    let (console, provider) = set_up("").await;
    account(&console, "admin", UserKind::Local).await;
    provider.say(|says| says.name = "admin".into());
    let session = who(&console, &whole(&console).await).await;
    assert_eq!(session["username"], "admin~2");
    assert_eq!(session["grants"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_account_that_was_switched_off_here_stays_out() {
    let (console, _provider) = set_up("").await;
    who(&console, &whole(&console).await).await;
    let user = console.app.db.users().find("zhang").await.unwrap().unwrap();
    let users = console.app.db.users();
    users
        .set_disabled(&Scope::everything(), user.id, true, Timestamp::now())
        .await
        .unwrap();
    refused(&whole(&console).await, "account_disabled", "");
}

#[tokio::test]
async fn a_provider_that_is_down_keeps_nobody_from_a_password() {
    let (mut console, provider) = set_up("").await;
    account(&console, "admin", UserKind::Local).await;
    provider.stop();
    tokio::time::sleep(Duration::from_millis(50)).await;
    refused(&console.get("/session/oidc").await, "oidc_unavailable", "detail=");
    assert_eq!(console.sign_in("admin", PASSWORD).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_provider_that_is_slow_or_leads_elsewhere_is_unavailable() {
    let (console, provider) = set_up("").await;
    provider.say(|says| says.waits = Duration::from_secs(60));
    let began = std::time::Instant::now();
    refused(&whole(&console).await, "oidc_unavailable", "");
    assert!(began.elapsed() < Duration::from_secs(20));
    // Its documents must not make the console ask other machines.
    let (console, provider) = set_up("").await;
    provider.say(|says| says.token_host = Some("http://127.0.0.2:1".into()));
    let (tied, path) = begin(&console, "/").await;
    refused(
        &come_back(&console, &tied, &path).await,
        "oidc_unavailable",
        "127.0.0.2",
    );
    let (console, provider) = set_up("").await;
    provider.say(|says| says.issuer = Some("https://another.example".into()));
    refused(&console.get("/session/oidc").await, "oidc_unavailable", "issuer");
}

#[tokio::test]
async fn with_only_the_provider_a_password_opens_nothing_but_in_an_emergency() {
    let (mut console, _provider) = set_up("only = true").await;
    account(&console, "admin", UserKind::Local).await;
    account(&console, "glass", UserKind::BreakGlass).await;
    assert_eq!(console.get("/session/options").await.json()["local"], false);
    let local = console.sign_in("admin", PASSWORD).await;
    assert_eq!(
        (local.status, local.code().as_str()),
        (StatusCode::FORBIDDEN, "local_sign_in_off")
    );
    assert_eq!(
        console.sign_in("admin", "wrong-password").await.code(),
        "wrong_password"
    );
    assert_eq!(console.sign_in("glass", PASSWORD).await.status, StatusCode::OK);
    console.cookie = None;
    who(&console, &whole(&console).await).await;
}

#[tokio::test]
async fn sessions_that_passwords_opened_end_when_only_the_provider_is_left() {
    for (more, local) in [("", StatusCode::OK), ("only = true", StatusCode::UNAUTHORIZED)] {
        let (mut console, _provider) = set_up("").await;
        account(&console, "admin", UserKind::Local).await;
        account(&console, "glass", UserKind::BreakGlass).await;
        let mut open = vec![cookie(&whole(&console).await, "bbt_session").unwrap()];
        for name in ["glass", "admin"] {
            assert_eq!(console.sign_in(name, PASSWORD).await.status, StatusCode::OK);
            open.push(console.cookie.take().unwrap());
        }
        let file = console.folder.path().join("console.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(
            &file,
            text.replace("client_secret_file", &format!("{more}\nclient_secret_file")),
        )
        .unwrap();
        let console = TestConsole::in_folder(console.folder).await;
        console.app.end_local_sessions().await.unwrap();
        for (session, expected) in open.iter().zip([StatusCode::OK, StatusCode::OK, local]) {
            let answer = console
                .ask(Method::GET, "/session", None, &[("cookie", session)])
                .await;
            assert_eq!(answer.status, expected, "{more}");
        }
    }
}

#[tokio::test]
async fn without_a_provider_there_is_no_button() {
    let console = TestConsole::in_folder(Folder::new()).await;
    let options = console.get("/session/options").await.json();
    assert_eq!(options, json!({ "oidc": null, "local": true }));
    refused(&console.get("/session/oidc").await, "oidc_not_configured", "");
}
