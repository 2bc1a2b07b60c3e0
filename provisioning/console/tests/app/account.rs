//! Accounts: the second factor, the lock-out, sessions that are ended, what the last administrator cannot lose.

use axum::http::{Method, StatusCode, header};
use bbt_console::{
    access::Role,
    api::{audit::AuditQuery, users::UserKind},
    app::Noun,
    auth,
    config::Language,
    db::{
        scope::{Node, Scope},
        users::NewAccount,
    },
};
use futures_util::StreamExt;
use jiff::Timestamp;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{
    common::{Answer, PASSWORD, TestConsole},
    people::{World, person, session},
};

async fn sign_in(console: &mut TestConsole, name: &str, password: &str, code: Option<&str>) -> Answer {
    let answer = console
        .post(
            "/session",
            json!({ "username": name, "password": password, "totp": code }),
        )
        .await;
    if let Some(cookie) = answer.headers.get(header::SET_COOKIE) {
        console.cookie = Some(cookie.to_str().unwrap().split(';').next().unwrap().to_owned());
    }
    answer
}

async fn account(console: &TestConsole, name: &str, kind: UserKind, grants: &[(Role, Node)]) -> i64 {
    let hash = auth::hash_password(PASSWORD).unwrap();
    let new = NewAccount {
        username: name,
        display_name: name,
        password_hash: &hash,
        language: Language::ZhCn,
        kind,
        grants,
        by: "test",
    };
    let users = console.app.db.users();
    users
        .create(&Scope::everything(), &new, Timestamp::now())
        .await
        .unwrap()
}

/// Codes of a secret as an authenticator shows them.
struct Authenticator(totp_rs::Totp);

impl Authenticator {
    fn new(secret: &str) -> Self {
        let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
        let totp = totp_rs::Builder::new()
            .with_secret(secret)
            .with_skew(0)
            .build()
            .unwrap();
        Self(totp)
    }

    fn code(&self, steps_from_now: i64) -> String {
        let at = Timestamp::now().as_second() + 30 * steps_from_now;
        self.0.generate(u64::try_from(at).unwrap()).to_string()
    }

    /// Waits, where needed, until the step has some time left, so that codes made now are judged in it.
    async fn early_in_a_step() {
        while Timestamp::now().as_second() % 30 > 24 {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    }
}

#[tokio::test]
async fn the_second_factor_is_asked_for_once_confirmed_and_a_code_opens_once() {
    let mut console = TestConsole::signed_in().await;
    let wrong = console
        .post("/account/totp", json!({ "password": "wrong" }))
        .await;
    assert_eq!(wrong.code(), "wrong_password");
    let setup = console
        .post("/account/totp", json!({ "password": PASSWORD }))
        .await
        .json();
    assert!(
        setup["uri"].as_str().unwrap().starts_with("otpauth://totp/"),
        "{setup}"
    );
    assert!(setup["qr_svg"].as_str().unwrap().contains("<svg"), "{setup}");
    let phone = Authenticator::new(setup["secret"].as_str().unwrap());
    assert_eq!(
        sign_in(&mut console, "admin", PASSWORD, None).await.status,
        StatusCode::OK,
        "not asked for before its first code"
    );
    let bad = console
        .post("/account/totp/confirm", json!({ "code": "000000" }))
        .await;
    assert_eq!(bad.code(), "totp_wrong");
    Authenticator::early_in_a_step().await;
    let confirmed = console
        .post("/account/totp/confirm", json!({ "code": phone.code(-1) }))
        .await;
    assert_eq!(confirmed.status, StatusCode::NO_CONTENT, "{}", confirmed.json());
    assert_eq!(console.get("/account").await.json()["totp"], true);
    let again = console
        .post("/account/totp", json!({ "password": PASSWORD }))
        .await;
    assert_eq!(
        again.code(),
        "conflict",
        "a confirmed one is not replaced by who sits at the page"
    );

    // The password alone tells that it fits, and counts no failure.
    for _ in 0..8 {
        let asked = sign_in(&mut console, "admin", PASSWORD, None).await;
        assert_eq!(
            (asked.status, asked.code().as_str()),
            (StatusCode::UNAUTHORIZED, "totp_required")
        );
    }
    let query = AuditQuery {
        outcome: Some("refused".into()),
        ..AuditQuery::default()
    };
    let (refused, _) = console
        .app
        .db
        .audit()
        .list(&query, &Scope::everything())
        .await
        .unwrap();
    assert!(
        refused.iter().all(|row| row.detail["code"] != "totp_required"),
        "to be asked for the code is no refusal: {refused:?}"
    );
    Authenticator::early_in_a_step().await;
    let replayed = sign_in(&mut console, "admin", PASSWORD, Some(&phone.code(-1))).await;
    assert_eq!(
        replayed.code(),
        "totp_wrong",
        "the step of the confirmation was used"
    );
    let code = phone.code(0);
    let opened = sign_in(&mut console, "admin", PASSWORD, Some(&code)).await;
    assert_eq!(opened.status, StatusCode::OK, "{}", opened.json());
    assert_eq!(opened.json()["method"], "password+totp");
    let replayed = sign_in(&mut console, "admin", PASSWORD, Some(&code)).await;
    assert_eq!(replayed.code(), "totp_wrong", "a code opens once");
    let spaced = phone.code(1);
    let spaced = format!("{} {}", &spaced[..3], &spaced[3..]);
    assert_eq!(
        sign_in(&mut console, "admin", PASSWORD, Some(&spaced))
            .await
            .status,
        StatusCode::OK
    );
    let early = phone.code(3);
    assert_eq!(
        sign_in(&mut console, "admin", PASSWORD, Some(&early))
            .await
            .code(),
        "totp_wrong"
    );

    // It survives a restart, sealed: the secret stands nowhere in the folder.
    let console = console.restarted().await;
    let user = console.app.db.users().find("admin").await.unwrap().unwrap();
    let sealed = user.totp_sealed.unwrap();
    let secret = totp_rs::Secret::try_from_base32(setup["secret"].as_str().unwrap()).unwrap();
    assert!(!sealed.windows(20).any(|window| window == secret.as_ref()));
    let gone = console
        .ask(
            Method::DELETE,
            "/account/totp",
            Some(json!({ "password": PASSWORD })),
            &[],
        )
        .await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.json());
    let mut console = console;
    assert_eq!(
        sign_in(&mut console, "admin", PASSWORD, None).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn guessing_codes_locks_like_guessing_passwords_and_a_restart_does_not_help() {
    let mut console = TestConsole::signed_in().await;
    let setup = console
        .post("/account/totp", json!({ "password": PASSWORD }))
        .await
        .json();
    let phone = Authenticator::new(setup["secret"].as_str().unwrap());
    Authenticator::early_in_a_step().await;
    console
        .post("/account/totp/confirm", json!({ "code": phone.code(-1) }))
        .await;
    for _ in 0..5 {
        let wrong = sign_in(&mut console, "admin", PASSWORD, Some("abcdef")).await;
        assert_eq!(wrong.code(), "totp_wrong");
    }
    let users = console.app.db.users();
    let admin = users.find("admin").await.unwrap().unwrap();
    assert_eq!(admin.failures, 5);
    // As if the last one had been tried just now, however slow this machine is.
    let soon = Timestamp::now() + jiff::SignedDuration::from_mins(6);
    for _ in 5..auth::lockout::ANYWHERE {
        assert_eq!(users.try_sign_in(admin.id, soon).await.unwrap(), Ok(()));
    }
    assert!(users.try_sign_in(admin.id, soon).await.unwrap().is_err());
    let mut console = console.restarted().await;
    let locked = sign_in(&mut console, "admin", PASSWORD, Some(&phone.code(0))).await;
    assert_eq!(
        (locked.status, locked.code().as_str()),
        (StatusCode::TOO_MANY_REQUESTS, "too_many_attempts"),
        "a restart forgives nothing"
    );
    let seconds: u32 = locked.headers[header::RETRY_AFTER]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=301).contains(&seconds), "{seconds}");
    let shown = console.get("/users").await.json();
    assert!(shown["items"][0]["locked_until"].is_string(), "{shown}");
}

#[tokio::test]
async fn sessions_are_listed_and_ended_at_once() {
    let world = World::new().await;
    let who = world.person(&[(Role::Overseer, world.county.node)]).await;
    let (other, other_id, _) = session(&world.console, who.id).await;
    let listed = world
        .ask(&who, Method::GET, "/account/sessions", None)
        .await
        .json();
    let items = listed["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!(items.iter().filter(|item| item["current"] == true).count(), 1);
    assert_eq!(
        (&items[0]["address"], &items[0]["method"]),
        (&json!("192.0.2.7"), &json!("password"))
    );
    assert!(
        !listed.to_string().contains(other.split('=').nth(1).unwrap()),
        "a cookie was told"
    );

    let request = |cookie: &str, path: &str| {
        axum::http::Request::get(format!("/api/v1{path}"))
            .header(header::HOST, "localhost")
            .header(header::COOKIE, cookie)
            .body(axum::body::Body::empty())
            .unwrap()
    };
    // The other session is listening when it is ended.
    let stream = world
        .console
        .router
        .clone()
        .oneshot(request(&other, "/events"))
        .await
        .unwrap();
    assert_eq!(stream.status(), StatusCode::OK);
    let mut stream = stream.into_body().into_data_stream();
    assert_eq!(world.send(request(&other, "/tree")).await.status, StatusCode::OK);
    let ended = world
        .ask(
            &who,
            Method::DELETE,
            &format!("/account/sessions/{other_id}"),
            None,
        )
        .await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT);
    assert_eq!(
        world.send(request(&other, "/tree")).await.status,
        StatusCode::UNAUTHORIZED
    );
    let end = tokio::time::timeout(std::time::Duration::from_secs(5), async {
        while stream.next().await.is_some() {}
    });
    end.await.expect("its stream of events went on");
    let again = world
        .ask(
            &who,
            Method::DELETE,
            &format!("/account/sessions/{other_id}"),
            None,
        )
        .await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
    assert_eq!(
        world.ask(&who, Method::GET, "/tree", None).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_disabled_account_is_out_at_once_and_a_changed_password_ends_the_other_sessions() {
    let mut console = TestConsole::signed_in().await;
    let admin = console.cookie.clone();
    let id = account(&console, "zhang", UserKind::Local, &[(Role::Auditor, Node::Root)]).await;
    assert_eq!(
        sign_in(&mut console, "zhang", PASSWORD, None).await.status,
        StatusCode::OK
    );
    let first = console.cookie.clone();
    assert_eq!(
        sign_in(&mut console, "zhang", PASSWORD, None).await.status,
        StatusCode::OK
    );
    let change = json!({ "current": PASSWORD, "new": "another-horse-staple" });
    let weak = console
        .post(
            "/account/password",
            json!({ "current": PASSWORD, "new": "1234567890" }),
        )
        .await;
    assert_eq!(weak.code(), "password_weak");
    assert_eq!(
        console.post("/account/password", change).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        console.get("/tree").await.status,
        StatusCode::OK,
        "one's own session stays"
    );
    let own = std::mem::replace(&mut console.cookie, first);
    assert_eq!(console.get("/tree").await.status, StatusCode::UNAUTHORIZED);
    console.cookie = admin.clone();
    let off = console
        .patch(&format!("/users/{id}"), json!({ "disabled": true }))
        .await;
    assert_eq!(off.status, StatusCode::NO_CONTENT, "{}", off.json());
    console.cookie = own;
    assert_eq!(console.get("/tree").await.status, StatusCode::UNAUTHORIZED);
    let refused = sign_in(&mut console, "zhang", "another-horse-staple", None).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (StatusCode::FORBIDDEN, "account_disabled")
    );
    let wrong = sign_in(&mut console, "zhang", "wrong", None).await;
    assert_eq!(
        wrong.code(),
        "wrong_password",
        "only who knows the password learns that it is off"
    );
    console.cookie = admin;
    console
        .patch(&format!("/users/{id}"), json!({ "disabled": false }))
        .await;
    assert_eq!(
        sign_in(&mut console, "zhang", "another-horse-staple", None)
            .await
            .status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_role_that_is_taken_away_ends_what_it_allowed() {
    let world = World::new().await;
    let who = world.person(&[(Role::Overseer, world.county.node)]).await;
    let grant = world.console.app.db.grants().of(who.id).await.unwrap()[0].id;
    assert_eq!(
        world.ask(&who, Method::GET, "/devices", None).await.status,
        StatusCode::OK
    );
    let gone = world
        .console
        .delete(&format!("/users/{}/grants/{grant}", who.id))
        .await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(
        world.ask(&who, Method::GET, "/devices", None).await.status,
        StatusCode::UNAUTHORIZED
    );
    let (cookie, ..) = session(&world.console, who.id).await;
    let who = crate::people::Person { cookie, ..who };
    assert_eq!(
        world.ask(&who, Method::GET, "/devices", None).await.status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn the_last_administrator_stays() {
    let console = TestConsole::signed_in().await;
    let users = console.get("/users").await.json();
    let admin = users["items"][0]["id"].as_i64().unwrap();
    let grants = users["items"][0]["grants"].as_array().unwrap();
    let grant = grants
        .iter()
        .find(|grant| grant["role"] == "system_admin")
        .unwrap()["id"]
        .clone();
    let refused = async |answer: Answer| {
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (StatusCode::CONFLICT, "last_admin")
        );
    };
    refused(console.delete(&format!("/users/{admin}/grants/{grant}")).await).await;
    refused(
        console
            .patch(&format!("/users/{admin}"), json!({ "disabled": true }))
            .await,
    )
    .await;
    // A county's administrator, or one that is switched off, is no replacement.
    let tree = console.county().await;
    person(
        &console,
        "county",
        &[(Role::SystemAdmin, Node::Region(tree.county))],
    )
    .await;
    let second = person(&console, "second", &[(Role::SystemAdmin, Node::Root)]).await;
    console
        .patch(&format!("/users/{}", second.id), json!({ "disabled": true }))
        .await;
    refused(console.delete(&format!("/users/{admin}/grants/{grant}")).await).await;
    console
        .patch(&format!("/users/{}", second.id), json!({ "disabled": false }))
        .await;
    let gone = console.delete(&format!("/users/{admin}/grants/{grant}")).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.json());
}

#[tokio::test]
async fn a_county_grants_within_itself_only() {
    let world = World::new().await;
    let who = world.person(&[(Role::SystemAdmin, world.county.node)]).await;
    let new = |grants: Value| json!({ "username": crate::people::unique("u"), "grants": grants });
    let ask = async |body| world.ask(&who, Method::POST, "/users", Some(body)).await;
    let made = ask(new(
        json!([{ "role": "technician", "region_id": world.county.region }]),
    ))
    .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    assert!(
        made.json()["password"].as_str().unwrap().len() > 20,
        "made and told once"
    );
    for (grants, status) in [
        (json!([]), StatusCode::UNPROCESSABLE_ENTITY),
        (json!([{ "role": "technician" }]), StatusCode::FORBIDDEN),
        (
            json!([{ "role": "technician", "region_id": world.neighbour.region }]),
            StatusCode::NOT_FOUND,
        ),
        (
            json!([{ "role": "technician", "region_id": world.city.region }]),
            StatusCode::NOT_FOUND,
        ),
        (
            json!([{ "role": "technician", "school_id": world.neighbour.school }]),
            StatusCode::NOT_FOUND,
        ),
        (
            json!([{ "role": "technician", "region_id": 1, "school_id": 1 }]),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (json!([{ "role": "emperor" }]), StatusCode::BAD_REQUEST),
    ] {
        let answer = ask(new(grants.clone())).await;
        assert_eq!(answer.status, status, "{grants}: {}", answer.json());
    }
    // Somebody who holds anything outside is out of reach, whatever they hold within.
    let both = [
        (Role::Auditor, world.county.node),
        (Role::Auditor, world.neighbour.node),
    ];
    let both = world.person(&both).await;
    let root = world
        .person(&[(Role::Auditor, world.county.node), (Role::Auditor, Node::Root)])
        .await;
    let none = world.person(&[]).await;
    for other in [both, root, none] {
        let path = format!("/users/{}", other.id);
        assert_eq!(
            world.ask(&who, Method::GET, &path, None).await.status,
            StatusCode::NOT_FOUND
        );
        let off = Some(json!({ "disabled": true }));
        assert_eq!(
            world.ask(&who, Method::PATCH, &path, off).await.status,
            StatusCode::NOT_FOUND
        );
    }
}

#[tokio::test]
async fn the_account_for_emergencies_is_told_when_used() {
    let mut console = TestConsole::signed_in().await;
    let admin = console.cookie.clone();
    account(
        &console,
        "glass",
        UserKind::BreakGlass,
        &[(Role::SystemAdmin, Node::Root)],
    )
    .await;
    let mut bell = console.app.changes.listen();
    let opened = sign_in(&mut console, "glass", PASSWORD, None).await;
    assert_eq!(
        (opened.status, &opened.json()["method"]),
        (StatusCode::OK, &json!("break_glass"))
    );
    let mut rung = Vec::new();
    while let Ok(change) = bell.try_recv() {
        rung.push(change.noun);
    }
    assert!(rung.contains(&Noun::Security));
    console.cookie = admin;
    let events = console.get("/security-events").await.json();
    assert_eq!(events["items"][0]["kind"], "break_glass_used", "{events}");
    assert_eq!(events["items"][0]["detail"]["username"], "glass");
}

#[tokio::test]
async fn only_an_account_that_was_never_used_is_removed() {
    let mut console = TestConsole::signed_in().await;
    let admin = console.cookie.clone();
    let id = account(&console, "zhang", UserKind::Local, &[]).await;
    sign_in(&mut console, "zhang", PASSWORD, None).await;
    let nothing = console.get("/session").await.json();
    assert_eq!(nothing["actions"], json!(["account.own"]));
    assert_eq!(console.get("/tree").await.status, StatusCode::FORBIDDEN);
    console.cookie = admin;
    let kept = console.delete(&format!("/users/{id}")).await;
    assert_eq!(
        (kept.status, kept.code().as_str()),
        (StatusCode::CONFLICT, "conflict")
    );
    let fresh = account(&console, "li", UserKind::Local, &[]).await;
    assert_eq!(
        console.delete(&format!("/users/{fresh}")).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        console.get(&format!("/users/{fresh}")).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_lesson_of_above_may_be_pushed_and_not_changed() {
    let world = World::new().await;
    let who = world.person(&[(Role::ContentOfficer, world.county.node)]).await;
    let push = |lesson: &str, to: i64| {
        let target = json!({ "kind": "region", "id": to });
        Some(json!({ "lesson_ids": [lesson], "target": target }))
    };
    let post = async |body| world.ask(&who, Method::POST, "/pushes", body).await;
    let of_the_city = post(push(&world.city.lesson, world.county.region)).await;
    assert_eq!(of_the_city.status, StatusCode::CREATED, "{}", of_the_city.json());
    let neighbours = post(push(&world.neighbour.lesson, world.county.region)).await;
    assert_eq!(
        (neighbours.status, neighbours.code().as_str()),
        (StatusCode::NOT_FOUND, "not_found")
    );
    let path = format!("/lessons/{}", world.city.lesson);
    assert_eq!(
        world.ask(&who, Method::DELETE, &path, None).await.status,
        StatusCode::NOT_FOUND
    );
    let shown = world.ask(&who, Method::GET, &path, None).await.json();
    assert_eq!(
        (&shown["owner"]["kind"], &shown["owner"]["name"]),
        (&json!("region"), &json!("一市"))
    );
}

#[tokio::test]
async fn the_tree_shows_the_way_down_and_no_neighbours() {
    let world = World::new().await;
    let who = world.person(&[(Role::SchoolAdmin, world.school.node)]).await;
    let tree = world.ask(&who, Method::GET, "/tree", None).await.json();
    let regions: Vec<(&str, bool, usize)> = tree["regions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| {
            (
                r["name"].as_str().unwrap(),
                r["above"].as_bool().unwrap(),
                r["schools"].as_array().unwrap().len(),
            )
        })
        .collect();
    assert_eq!(regions, [("一省", true, 0), ("一市", true, 0), ("甲县", true, 1)]);
    let who = world.person(&[(Role::Overseer, world.city.node)]).await;
    let tree = world.ask(&who, Method::GET, "/tree", None).await.json();
    let above: Vec<_> = tree["regions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["above"].as_bool().unwrap())
        .collect();
    assert_eq!(above, [true, false, false, false]);
}

#[tokio::test]
async fn only_who_administers_the_whole_install_makes_accounts_for_emergencies() {
    let world = World::new().await;
    let county = world.county.node;
    let who = world.person(&[(Role::SystemAdmin, county)]).await;
    let Node::Region(region) = county else {
        panic!("a county is a region");
    };
    let new = |kind: &str| {
        Some(json!({
            "username": format!("new-{kind}"),
            "kind": kind,
            "language": "zh-CN",
            "grants": [{ "role": "system_admin", "region_id": region }],
        }))
    };
    let refused = world.ask(&who, Method::POST, "/users", new("break_glass")).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (StatusCode::UNPROCESSABLE_ENTITY, "invalid_field"),
        "{}",
        refused.json()
    );
    assert!(
        world
            .console
            .app
            .db
            .users()
            .find("new-break_glass")
            .await
            .unwrap()
            .is_none()
    );
    let made = world.ask(&who, Method::POST, "/users", new("local")).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    // One that the whole install has made for the county is not opened by another password from there.
    let made = world.console.post("/users", new("break_glass").unwrap()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    let path = format!("/users/{}/password", made.json()["id"]);
    let refused = world.ask(&who, Method::POST, &path, Some(json!({}))).await;
    assert_eq!(refused.code(), "invalid_field", "{}", refused.json());
    assert_eq!(world.console.post(&path, json!({})).await.status, StatusCode::OK);
}
