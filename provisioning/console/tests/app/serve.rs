//! The whole program: ports, the folder's lock, the command line beside a serving console, a stop in good order.

use std::{
    io::Write,
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use bbt_console::{api::security::SecurityKind, broker::LinkState, db::scope::Scope, serve::Console};
use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::common::{self, PNG};

const PROGRAM: &str = env!("CARGO_BIN_EXE_bbt-console");

fn program(data: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("--data").arg(data).env_remove("BBT_CONSOLE_DATA");
    command
}

fn run(data: &Path, args: &[&str]) -> Output {
    program(data).args(args).output().unwrap()
}

fn printed(data: &Path, args: &[&str]) -> String {
    let output = run(data, args);
    assert!(
        output.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn refused(data: &Path, args: &[&str]) -> String {
    let output = run(data, args);
    assert!(!output.status.success(), "{args:?} should have failed");
    String::from_utf8(output.stderr).unwrap()
}

/// A folder as `init` makes it, with free ports.
fn folder() -> common::Folder {
    let folder = common::Folder::new();
    let mut init = program(folder.path())
        .args(["init", "--password-stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    writeln!(init.stdin.take().unwrap(), "{}", common::PASSWORD).unwrap();
    assert!(init.wait().unwrap().success());
    listen(folder.path(), ["127.0.0.1:0"; 3]);
    folder
}

fn listen(data: &Path, [web, devices, mqtt]: [&str; 3]) {
    let text = format!("listen_web = \"{web}\"\nlisten_devices = \"{devices}\"\nlisten_mqtt = \"{mqtt}\"\n");
    std::fs::write(data.join("console.toml"), text).unwrap();
}

fn provider() {
    rustls::crypto::ring::default_provider().install_default().ok();
}

async fn link_is_up(console: &Console) {
    let mut link = console.app().link.get().unwrap().clone();
    let up = link.wait_for(|state| matches!(state, LinkState::Up { .. }));
    tokio::time::timeout(Duration::from_secs(10), up)
        .await
        .expect("the link comes up")
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_named_with_its_key() {
    provider();
    let folder = folder();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (at, key) in ["listen_web", "listen_devices", "listen_mqtt"]
        .into_iter()
        .enumerate()
    {
        let mut addresses = ["127.0.0.1:0"; 3];
        addresses[at] = &address;
        listen(folder.path(), addresses);
        let error = Console::start(folder.path()).await.map(|_| ()).unwrap_err();
        let error = format!("{error:#}");
        let port = taken.local_addr().unwrap().port().to_string();
        assert!(
            error.contains(&port) && error.contains(key) && error.contains("console.toml"),
            "{key}: {error}"
        );
    }
    listen(folder.path(), ["127.0.0.1:0"; 3]);
    Console::start(folder.path())
        .await
        .expect("a failed start leaves the folder free")
        .stop()
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_console_on_the_folder_is_refused_and_admin_work_is_not() {
    provider();
    let folder = folder();
    let console = Console::start(folder.path()).await.unwrap();
    let error = refused(folder.path(), &["serve"]);
    let pid = std::process::id().to_string();
    assert!(
        error.contains(&pid)
            && error.contains("--data")
            && error.contains(&folder.path().display().to_string()),
        "{error}"
    );

    link_is_up(&console).await;
    let mut bell = console.app().changes.listen();
    assert_eq!(
        printed(folder.path(), &["region", "add", "某县", "--kind", "county"]),
        "1"
    );
    let heard = async { while bell.recv().await.unwrap().noun != bbt_console::app::Noun::Tree {} };
    tokio::time::timeout(Duration::from_secs(10), heard)
        .await
        .expect("serve notices what the command line changed");
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_tells_of_the_root_key_and_ends_what_the_configuration_no_longer_allows() {
    provider();
    let folder = folder();
    let console = Console::start(folder.path()).await.unwrap();
    let client = reqwest::Client::new();
    let signed = client
        .post(format!("http://{}/api/v1/session", console.web()))
        .json(&json!({ "username": "admin", "password": common::PASSWORD }))
        .send()
        .await
        .unwrap();
    let cookie = signed.headers()["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let status = async |console: &Console| {
        let ask = client.get(format!("http://{}/api/v1/session", console.web()));
        ask.header("cookie", &cookie)
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!(status(&console).await, 200);
    let told = async {
        let everything = Scope::everything();
        loop {
            let events = console
                .app()
                .db
                .security()
                .list(&everything, Some(true))
                .await
                .unwrap();
            if events
                .iter()
                .any(|event| event.kind == SecurityKind::RootKeyOnline)
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), told)
        .await
        .expect("the root key beside the folder is told");
    console.stop().await;

    let file = folder.path().join("console.toml");
    let ports = std::fs::read_to_string(&file).unwrap();
    let oidc = "web_url = \"http://localhost\"\n[oidc]\nissuer = \"http://127.0.0.1:9\"\nclient_id = \"bbt\"\nonly = true\n\
        [[oidc.map]]\nvalue = \"ops\"\nrole = \"auditor\"\nroot = true\n";
    std::fs::write(&file, format!("{ports}{oidc}")).unwrap();
    let console = Console::start(folder.path()).await.unwrap();
    assert_eq!(status(&console).await, 401);
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_api_and_events_are_served_over_http() {
    provider();
    let folder = folder();
    let console = Console::start(folder.path()).await.unwrap();
    let url = |path: &str| format!("http://{}{path}", console.web());
    let client = reqwest::Client::new();
    let text = async |path: &str| client.get(url(path)).send().await.unwrap().text().await.unwrap();
    assert_eq!(text("/healthz").await, "ok\n");
    assert!(text("/").await.contains("<!doctype html>"));
    assert!(
        text("/devices/some-device").await.contains("<!doctype html>"),
        "the page's own addresses are the page"
    );
    let document: Value = serde_json::from_str(&text("/api/openapi.json").await).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let docs = text("/api/docs").await;
    assert!(
        !docs.contains("http://") && !docs.contains("https://"),
        "the document's page asks nobody else"
    );
    for (path, status) in [("/missing.js", 404), ("/api/nowhere", 404), ("/api/v1/tree", 401)] {
        let answer = client.get(url(path)).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(
            answer.headers()["content-type"],
            "application/problem+json",
            "{path}"
        );
    }
    let page = client.get(url("/")).send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'self'") && !policy.contains("unsafe-eval"),
        "{policy}"
    );

    let body = json!({ "username": "admin", "password": common::PASSWORD }).to_string();
    let answer = client
        .post(url("/api/v1/session"))
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let cookie = answer.headers()["set-cookie"]
        .to_str()
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let answer = client
        .get(url("/api/v1/events"))
        .header("cookie", &cookie)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut events = answer.bytes_stream();
    let new = json!({ "kind": "county", "name": "某县" }).to_string();
    let made = client
        .post(url("/api/v1/regions"))
        .header("cookie", &cookie)
        .header("content-type", "application/json")
        .body(new)
        .send();
    assert_eq!(made.await.unwrap().status(), 201);
    let first = tokio::time::timeout(Duration::from_secs(5), events.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(
        String::from_utf8_lossy(&first).contains("event: tree"),
        "{first:?}"
    );

    let stopping = Instant::now();
    console.stop().await;
    assert!(
        stopping.elapsed() < Duration::from_secs(5),
        "an open stream of events must not hold up the stop"
    );
}

#[test]
fn an_unknown_key_or_a_missing_folder_is_named() {
    let folder = folder();
    std::fs::write(
        folder.path().join("console.toml"),
        "listen_wbe = \"127.0.0.1:1\"\n",
    )
    .unwrap();
    for args in [&["serve"][..], &["region", "list"]] {
        let error = refused(folder.path(), args);
        assert!(
            error.contains("listen_wbe") && error.contains("console.toml"),
            "{error}"
        );
    }
    std::fs::write(folder.path().join("console.toml"), "listen_web = \"0.0.0.0:1\"\n").unwrap();
    let error = refused(folder.path(), &["serve"]);
    assert!(
        error.contains("listen_web") && error.contains("web_tls_cert"),
        "{error}"
    );
    let nowhere = folder.path().join("nowhere");
    for args in [&["serve"][..], &["device", "list"]] {
        let error = refused(&nowhere, args);
        assert!(error.contains("nowhere") && error.contains("init"), "{error}");
    }
    assert!(!nowhere.exists(), "a mistyped folder is not made");
}

#[test]
fn the_data_folder_and_the_database_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let mode = |name: &str| std::fs::metadata(data.join(name)).unwrap().permissions().mode() & 0o777;
    let loosen = |name: &str, mode| {
        std::fs::set_permissions(data.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    printed(&data, &["init"]);
    assert_eq!((mode(""), mode("console.db")), (0o700, 0o600), "new");
    loosen("", 0o755);
    loosen("console.db", 0o644);
    printed(&data, &["user", "list"]);
    assert_eq!(
        (mode(""), mode("console.db")),
        (0o700, 0o600),
        "made by an older console"
    );

    // While it serves, the journal's files are there, too.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        provider();
        listen(&data, ["127.0.0.1:0"; 3]);
        let console = Console::start(&data).await.unwrap();
        assert_eq!((mode("console.db-wal"), mode("console.db-shm")), (0o600, 0o600));
        console.stop().await;
    });
}

#[test]
fn accounts_and_what_they_hold_are_kept_on_the_command_line() {
    let folder = folder();
    let data = folder.path();
    let region = printed(data, &["region", "add", "某县", "--kind", "county"]);
    let listed = |name: &str| {
        let users: Value = serde_json::from_str(&printed(data, &["user", "list", "--json"])).unwrap();
        let mut users = users.as_array().unwrap().clone();
        users.retain(|user| user["username"] == name);
        users.pop().unwrap()
    };
    let none = printed(data, &["user", "add", "zhang"]);
    assert!(
        none.contains("password: ") && none.contains("holds no role yet"),
        "{none}"
    );
    assert_eq!(listed("zhang")["grants"], json!([]), "nothing is granted unasked");
    let two = [
        "user",
        "add",
        "li",
        "--role",
        "county_operator",
        "--role",
        "content_officer",
        "--region",
        &region,
    ];
    assert!(!printed(data, &two).contains("holds no role"));
    assert_eq!(listed("li")["grants"].as_array().unwrap().len(), 2);
    assert_eq!(listed("li")["grants"][0]["node"]["name"], "某县");
    assert!(refused(data, &["user", "add", "wu", "--role", "auditor"]).contains("--install"));
    assert!(
        refused(data, &["user", "add", "wu", "--role", "emperor", "--install"]).contains("county_operator")
    );
    assert!(
        refused(
            data,
            &["user", "add", "wu", "--role", "auditor", "--region", "99"]
        )
        .contains("no region 99")
    );
    assert!(refused(data, &["user", "grant", "wu", "--role", "auditor", "--install"]).contains("no user wu"));

    let grant = printed(
        data,
        &["user", "grant", "zhang", "--role", "auditor", "--install"],
    );
    assert_eq!(listed("zhang")["grants"][0]["id"].to_string(), grant);
    printed(data, &["user", "revoke-grant", "zhang", &grant]);
    printed(data, &["user", "disable", "zhang"]);
    assert_eq!(listed("zhang")["disabled"], true);
    printed(data, &["user", "enable", "zhang"]);
    printed(data, &["user", "reset-totp", "zhang"]);
    printed(
        data,
        &[
            "user",
            "add",
            "glass",
            "--break-glass",
            "--role",
            "system_admin",
            "--install",
        ],
    );
    assert_eq!(listed("glass")["kind"], "break_glass");
    printed(data, &["user", "disable", "glass"]);
    assert!(refused(data, &["user", "disable", "admin"]).contains("nobody would be left"));
    assert!(refused(data, &["user", "sessions", "zhang", "--end", "x"]).contains("no session x"));
    assert_eq!(printed(data, &["user", "sessions", "zhang", "--json"]), "[]");
}

#[test]
fn the_command_line_does_the_whole_day() {
    let folder = folder();
    let data = folder.path();
    let do_it = |args: &[&str]| printed(data, args);
    assert_eq!(
        do_it(&["region", "add", "某县", "--kind", "county", "--code", "450100"]),
        "1"
    );
    assert_eq!(
        do_it(&["school", "add", "中心小学", "--region", "1", "--code", "S1"]),
        "1"
    );
    assert_eq!(
        do_it(&[
            "classroom",
            "add",
            "三年级(1)班",
            "--school",
            "1",
            "--code",
            "301"
        ]),
        "1"
    );
    assert!(do_it(&["school", "list"]).contains("中心小学"));
    let rooms: Value = serde_json::from_str(&do_it(&["classroom", "list", "--json"])).unwrap();
    assert_eq!(rooms[0]["code"], "301");
    assert!(
        refused(data, &["school", "add", "x", "--region", "1", "--code", "S1"]).contains("exists already")
    );
    assert!(refused(data, &["school", "add", "x", "--region", "9", "--code", "S2"]).contains("no region 9"));

    let ticket = data.join("ticket.json");
    let out = ticket.display().to_string();
    do_it(&[
        "ticket",
        "new",
        "--classroom",
        "1",
        "--out",
        &out,
        "--broker",
        "10.0.0.5:9883",
        "--console-url",
        "https://10.0.0.5:9443",
    ]);
    let written: Value = serde_json::from_str(&std::fs::read_to_string(&ticket).unwrap()).unwrap();
    assert_eq!(written["console_url"], "https://10.0.0.5:9443");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(
        std::fs::metadata(&ticket).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(do_it(&["ticket", "list"]).contains("open"));

    let lesson = data.join("lessons/good");
    std::fs::create_dir_all(&lesson).unwrap();
    let meta = "id = \"good\"\n[meta]\ntitle = \"观察物体\"\nstage = \"小学\"\nsubject = \"数学\"\nedition = \"人教版\"\n\
                grade = \"三年级\"\nvolume = \"上册\"\nchapter = \"第一单元\"\nperiod = \"第1课时\"\n";
    std::fs::write(lesson.join("lesson.toml"), meta).unwrap();
    std::fs::write(lesson.join("图.png"), PNG).unwrap();
    let lessons = data.join("lessons").display().to_string();
    assert!(do_it(&["lesson", "import", &lessons]).contains("draft"));
    assert!(do_it(&["lesson", "import", &lessons]).contains("unchanged"));
    let bad = data.join("lessons/bad");
    std::fs::create_dir_all(&bad).unwrap();
    std::fs::write(bad.join("lesson.toml"), meta.replace("good", "bad")).unwrap();
    std::fs::write(bad.join("a.mp4"), b"MZ\x90\0 not a video").unwrap();
    let output = run(data, &["lesson", "import", &lessons]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("a.mp4"));
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("unchanged"),
        "the good one is imported all the same"
    );
    assert!(do_it(&["lesson", "show", "good"]).contains("图.png"));

    assert!(refused(data, &["push", "create", "--region", "1", "good"]).contains("no released version"));
    assert!(refused(data, &["lesson", "release", "good", "--reason", " "]).contains("--reason"));
    do_it(&["lesson", "release", "good", "--reason", "演示"]);
    assert!(do_it(&["lesson", "import", "--release", &lesson.display().to_string()]).contains("unchanged"));
    assert!(do_it(&["lesson", "history", "good"]).contains("emergency_release"));
    assert_eq!(do_it(&["push", "create", "--region", "1", "good"]), "1");
    assert!(do_it(&["push", "list"]).contains("某县"));
    assert_eq!(do_it(&["push", "show", "1", "--json"]), "[]");
    do_it(&["push", "withdraw", "1"]);
    do_it(&["lesson", "retire", "good"]);
    assert!(refused(data, &["push", "create", "--region", "1", "good"]).contains("retired"));
    assert_eq!(do_it(&["device", "list", "--json"]), "[]");
    assert!(refused(data, &["device", "command", "reboot", "nobody"]).contains("no device nobody"));
    assert!(refused(data, &["health", "nobody"]).contains("nobody"));
    assert!(do_it(&["user", "add", "li"]).contains("password: "));
    assert!(do_it(&["user", "list"]).contains("li"));
    assert!(do_it(&["user", "passwd", "li"]).contains("password: "));
    assert!(refused(data, &["user", "passwd", "wang"]).contains("no user wang"));
    assert!(
        do_it(&["init"]).contains("exists already"),
        "init again changes nothing"
    );
}

#[test]
fn init_says_what_comes_next() {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("county");
    let said = printed(&data, &["init", "--username", "chief"]);
    let at = |words: &str| {
        said.find(words)
            .unwrap_or_else(|| panic!("{words:?} is missing in: {said}"))
    };
    let serve = at(&format!("bbt-console --data {} serve", data.display()));
    let open = at("http://127.0.0.1:8080/");
    let sign_in = at("sign in as chief");
    assert!(
        at("password: ") < serve && serve < open && open < sign_in,
        "{said}"
    );
    assert!(
        said.contains("public_host"),
        "no other machine finds localhost: {said}"
    );

    // The console's own settings are what is printed.
    std::fs::write(
        data.join("console.toml"),
        "listen_web = \"127.0.0.1:9090\"\npublic_host = \"bbt.example\"\n",
    )
    .unwrap();
    let again = printed(&data, &["init"]);
    assert!(
        again.contains("http://127.0.0.1:9090/") && !again.contains("public_host"),
        "{again}"
    );
}

#[test]
fn sigterm_ends_it_in_good_order() {
    let folder = folder();
    let mut serving = program(folder.path())
        .arg("serve")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = serving.id().to_string();
    let lock = folder.path().join("serve.lock");
    let until = Instant::now() + Duration::from_secs(20);
    let mut log = std::io::BufReader::new(serving.stderr.take().unwrap());
    let mut lines = String::new();
    while !lines.contains("console serves") {
        assert!(Instant::now() < until, "{lines}");
        assert!(
            std::io::BufRead::read_line(&mut log, &mut lines).unwrap() > 0,
            "{lines}"
        );
    }
    assert_eq!(std::fs::read_to_string(&lock).unwrap().trim(), pid);
    let stopping = Instant::now();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    std::io::Read::read_to_string(&mut log, &mut lines).unwrap();
    let status = serving.wait().unwrap();
    assert!(status.success(), "{status}: {lines}");
    assert!(stopping.elapsed() < Duration::from_secs(7), "{lines}");
    assert!(lines.contains("console stopped"), "{lines}");
    assert!(
        !folder.path().join("console.db-wal").exists(),
        "the database was closed"
    );
}
