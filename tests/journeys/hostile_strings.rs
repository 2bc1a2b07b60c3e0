//! Journey: whoever may write a name writes a script that is a formula too: operators in every field of theirs, boards in
//! everything that they send, whoever stands at a wall. Then a browser opens every page, and every table that can be saved is
//! read as a spreadsheet would.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::{
    collections::BTreeMap,
    io::{Cursor, Read},
    path::Path,
    process::Command,
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use system_tests::{
    client::Console,
    hostile::{County, SIGN, Seed, Words},
    stand::{Bins, ConsoleStand},
};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_people_or_boards_write_is_ever_run() -> Result<()> {
    let begun = Instant::now();
    let dir = tempfile::Builder::new().prefix("bbt-hostile-").tempdir()?;
    let bins = Bins::beside_the_test()?;
    let mut stand = ConsoleStand::prepare(&bins, &dir.path().join("console"), None, "correct horse 42")?;
    let admin = stand.start().await?;
    let mut seed = Seed {
        stand: &stand,
        console: &admin,
        dir: dir.path(),
        words: Words::hostile("mk9"),
        refused: Vec::new(),
        taken: 0,
    };
    let county = seed.county(1).await?;
    let ids = seed.ids(&county).await?;
    seed.said(&county, &ids).await?;
    rules_of_lines(&mut seed).await?;
    println!(
        "{} writes took attacks, {} refused some, {} s",
        seed.taken,
        seed.refused.len(),
        begun.elapsed().as_secs()
    );
    for refused in &seed.refused {
        println!("   refused: {refused}");
    }
    ensure!(seed.taken > 60, "only {} writes took an attack", seed.taken);
    let wanted = to_be_seen(&admin, &county, &ids).await?;
    let wall = at_the_wall(&stand, &county.walls).await?;

    let files = downloads(&admin, &stand, &ids).await;
    println!("files read after {} s", begun.elapsed().as_secs());
    look(&stand, &ids, &wall, &wanted)?;
    println!("{} files read", files?);
    println!("all done in {} s", begun.elapsed().as_secs());
    stand.process()?.check_alive()?;
    Ok(())
}

/// Sends words that no form offers; gives the wall's address.
async fn at_the_wall(stand: &ConsoleStand, codes: &[String]) -> Result<String> {
    let code = codes.first().context("no wall has a code")?;
    let path = format!("/r/{code}");
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
    let page = http
        .get(format!("{}{path}", stand.url()))
        .send()
        .await?
        .error_for_status()?;
    let page = page.text().await?;
    ensure!(
        !page.contains(&format!("<img {SIGN}")) && !page.contains(&format!("<b {SIGN}")),
        "{page}"
    );
    let form = page
        .split("name=\"form\" value=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .context("no form on the wall's page")?;
    for what in ["display.<img data-bbt src=x onerror=bbtHit=1>", "=1+1", "\u{0}"] {
        let answer = http
            .post(format!("{}{path}", stand.url()))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("form={form}&what={}", encoded(what)))
            .send()
            .await?;
        let (status, said) = (answer.status(), answer.text().await?);
        ensure!(status == 400 && !said.contains(SIGN), "{what:?}: {status} {said}");
    }
    let taken = http
        .post(format!("{}{path}", stand.url()))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("form={form}&what=display.black"))
        .send()
        .await?;
    ensure!(taken.status().is_success(), "{}", taken.status());
    Ok(path)
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The name and the source of a plan for lines, which hold for the whole install.
async fn rules_of_lines(seed: &mut Seed<'_>) -> Result<()> {
    let rules = seed.console.get("/bandwidth/rules").await?;
    let version = rules["version"].as_u64().context("rules without a version")?;
    seed.put("/bandwidth/rules", |w| {
        let mut rules = rules.clone();
        rules["version"] = json!(version + 1);
        rules["sets"][0]["name"] = json!(w.text("规划", 60));
        rules["sets"][0]["source"] = json!(w.text("文件", 100));
        rules["sets"][0]["rules"][0]["quote"] = json!(w.text("原文", 100));
        rules
    })
    .await?;
    Ok(())
}

/// What must stand on which page, letter by letter: as the API tells it.
async fn to_be_seen(
    admin: &Console,
    county: &County,
    ids: &BTreeMap<String, Vec<Value>>,
) -> Result<Vec<Value>> {
    let mut wanted = Vec::new();
    let mut want = |page: String, text: &Value| {
        if text.as_str().is_some_and(|text| text.contains(SIGN)) {
            wanted.push(json!([page, text]));
        }
    };
    // The page shows the first of its kind, as `look` opens it.
    let device = ids["devices"][0].as_str().context("no device")?;
    let page = format!("/devices/{device}");
    want(
        page.clone(),
        &admin.get(&page).await?["controls"]["locked"]["reason"],
    );
    for command in admin
        .get(&format!("{page}/commands"))
        .await?
        .as_array()
        .context("no commands")?
    {
        want(page.clone(), &command["body"]["reason"]);
        want(page.clone(), &command["reason"]);
    }
    for view in admin.get("/views").await?["items"]
        .as_array()
        .context("no views")?
    {
        let list = view["list"].as_str().context("a view of nothing")?;
        want(format!("/{list}"), &view["name"]);
        want(format!("/{list}"), &view["owner"]);
    }
    let incident = format!("/incidents/{}", ids["incidents"][0]);
    for note in admin.get(&incident).await?["history"]
        .as_array()
        .into_iter()
        .flatten()
    {
        want(incident.clone(), &note["note"]);
    }
    let rules = admin.get("/bandwidth/rules").await?;
    want("/bandwidth/rules".to_owned(), &rules["sets"][0]["name"]);
    ensure!(county.boards.len() == 2 && wanted.len() >= 10, "only {wanted:?}");
    Ok(wanted)
}

/// Every page.
fn look(
    stand: &ConsoleStand,
    ids: &BTreeMap<String, Vec<Value>>,
    wall: &str,
    wanted: &[Value],
) -> Result<()> {
    let first = |noun: &str| {
        ids.get(noun)
            .and_then(|all| all.first())
            .cloned()
            .unwrap_or_default()
    };
    let last = |noun: &str| {
        ids.get(noun)
            .and_then(|all| all.last())
            .cloned()
            .unwrap_or_default()
    };
    let by_page = json!({
        "device": first("devices"), "lesson": first("lessons"), "push": first("pushes"), "exam": first("exams"),
        "incident": first("incidents"), "order": first("orders"), "phone-order": first("orders"), "report": first("reports"),
        "person": last("users"),
    });
    for (page, id) in by_page.as_object().context("no object")? {
        ensure!(!id.is_null(), "there is nothing for the page {page}");
    }
    let school = first("schools");
    let more = json!([
        wall,
        format!("/schools?at=school:{school}"),
        format!("/wall-codes?at=school:{school}"),
        format!("/timetables?at=school:{school}"),
        format!(
            "/devices?q={}",
            encoded("=1+1<img data-bbt src=x onerror=bbtHit=1>")
        ),
        format!("/audit?q={}", encoded("<svg data-bbt onload=bbtHit=1>")),
        format!("/sign-in?to={}", encoded("javascript:bbtHit=1")),
    ]);
    let done = Command::new("node")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("journeys/hostile_strings.mjs"))
        .env("BBT_URL", stand.url())
        .env("BBT_USER", stand.username)
        .env("BBT_PASSWORD", &stand.password)
        .env("BBT_IDS", by_page.to_string())
        .env("BBT_MORE", more.to_string())
        .env("BBT_WANTED", json!(wanted).to_string())
        .output()
        .context("Failed to start node")?;
    let (out, err) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    ensure!(done.status.success(), "{out}{err}");
    let seen: Value = serde_json::from_str(&out).with_context(|| format!("{out}{err}"))?;
    let shown = seen["shown"].as_array().context("nothing shown")?;
    println!(
        "{} pages opened, attacks stand as text on {} of them: {}",
        seen["pages"],
        shown.len(),
        seen["shown"]
    );
    let faults = seen["faults"].as_array().context("no list of faults")?;
    for fault in faults {
        println!("FAULT {}", fault.as_str().unwrap_or_default());
    }
    ensure!(faults.is_empty(), "{} faults", faults.len());
    // That they were there to be seen.
    ensure!(shown.len() >= 25, "only {} pages show an attack", shown.len());
    Ok(())
}

/// Every answer of the API that is a file. An operation that the document gains is asked for as well, or told to be missing.
async fn downloads(
    admin: &Console,
    stand: &ConsoleStand,
    ids: &BTreeMap<String, Vec<Value>>,
) -> Result<usize> {
    let document: Value = serde_json::from_str(&Console::text(&stand.url(), "/api/openapi.json").await?)?;
    let catalogue = admin.get("/catalogue").await?;
    let listed = catalogue["tables"]
        .as_array()
        .or(catalogue.as_array())
        .context("no catalogue")?;
    let tables: Vec<String> = listed
        .iter()
        .filter_map(|table| table["name"].as_str())
        .map(str::to_owned)
        .collect();
    ensure!(!tables.is_empty(), "{catalogue}");
    let (mut files, mut wrong, mut missing) = (0, Vec::new(), Vec::new());
    for (path, methods) in document["paths"].as_object().context("no paths")? {
        let Some(kinds) = methods["get"]["responses"]["200"]["content"].as_object() else {
            continue;
        };
        if kinds
            .keys()
            .any(|kind| kind == "application/json" || kind == "text/event-stream")
        {
            continue;
        }
        let mut read = 0;
        for address in addresses(&document, path, ids, &tables) {
            let Ok(bytes) = admin.bytes(&address).await else {
                continue;
            };
            read += 1;
            faults_of(&address, &bytes, &mut wrong)?;
        }
        if read == 0 {
            missing.push(path.clone());
        }
        files += read;
    }
    println!("not read: {missing:?}");
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    ensure!(
        missing.len() <= 4,
        "too many files could not be read: {missing:?}"
    );
    Ok(files)
}

/// The addresses by which a file's route is asked: every thing that there is, in every format that the document names.
fn addresses(
    document: &Value,
    path: &str,
    ids: &BTreeMap<String, Vec<Value>>,
    tables: &[String],
) -> Vec<String> {
    let word = |id: &Value| id.as_str().map_or_else(|| id.to_string(), str::to_owned);
    let noun = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let bases: Vec<String> = if path.contains("{kind}") {
        let kinds = ["use", "repair", "inspection", "resource"];
        kinds.iter().map(|kind| path.replace("{kind}", kind)).collect()
    } else if path.contains("{table}") {
        tables
            .iter()
            .map(|table| path.replace("{table}", table))
            .collect()
    } else if path.contains("{id}") {
        let of = |id| path.replace("{id}", &word(id)).replace("{path}", "a.png");
        ids.get(noun).into_iter().flatten().map(of).collect()
    } else {
        vec![path.to_owned()]
    };
    let operation = &document["paths"][path]["get"];
    let parameter = |name: &str| {
        let all = operation["parameters"].as_array().into_iter().flatten();
        all.into_iter()
            .find(|one| one["name"] == name && one["in"] == "query")
    };
    let days = match parameter("from") {
        Some(from) if from["schema"]["format"] == "date" => month_to_date(),
        _ => String::new(),
    };
    let days = match parameter("month") {
        Some(_) => format!("{days}month={}&", &jiff::Timestamp::now().to_string()[..7]),
        None => days,
    };
    let mut formats = vec![String::new()];
    if let Some(format) = parameter("format") {
        let schema = match format["schema"]["$ref"].as_str() {
            Some(name) => &document["components"]["schemas"][name.rsplit('/').next().unwrap_or_default()],
            None => &format["schema"],
        };
        let all = schema["enum"].as_array().into_iter().flatten();
        let parts = schema["oneOf"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|one| one["enum"].as_array().into_iter().flatten());
        formats = all
            .chain(parts)
            .map(|one| format!("format={}", word(one)))
            .collect();
    }
    let mut addresses = Vec::new();
    for base in bases {
        addresses.extend(formats.iter().map(|format| format!("{base}?{days}{format}")));
    }
    addresses
}

/// The last thirty days, as a query.
fn month_to_date() -> String {
    let now = jiff::Timestamp::now();
    let day = |hours: i64| (now - jiff::SignedDuration::from_hours(hours)).to_string()[..10].to_owned();
    format!("from={}&to={}&", day(24 * 29), day(-8))
}

/// What a spreadsheet or a browser would run in a file.
fn faults_of(name: &str, bytes: &[u8], wrong: &mut Vec<String>) -> Result<()> {
    if bytes.starts_with(b"PK\x03\x04") {
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes))?;
        for n in 0..archive.len() {
            let mut member = archive.by_index(n)?;
            let inside = member
                .name()
                .map_err(|e| anyhow::anyhow!("{name}: {e}"))?
                .into_owned();
            let inner = format!("{name} → {inside}");
            if inside.contains("..") || inside.starts_with('/') {
                wrong.push(format!("{inner}: a name that leads out of the folder"));
            }
            let mut bytes = Vec::new();
            member.read_to_end(&mut bytes)?;
            if inner.ends_with(".xml") {
                let text = String::from_utf8_lossy(&bytes);
                if inner.contains("worksheets/") && (text.contains("<f>") || text.contains("<f ")) {
                    wrong.push(format!("{inner}: a cell is a formula"));
                }
                if text.contains("<hyperlink ") && text.contains("javascript:") {
                    wrong.push(format!("{inner}: a link to a script"));
                }
            } else {
                faults_of(&inner, &bytes, wrong)?;
            }
        }
        return Ok(());
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Ok(());
    };
    let start = text.trim_start_matches('\u{feff}').trim_start();
    if start.starts_with("<!doctype html") || start.starts_with("<html") {
        for tag in ["img", "svg", "script", "b", "i", "a", "u", "iframe", "s"] {
            if text.contains(&format!("<{tag} {SIGN}")) {
                wrong.push(format!("{name}: an element <{tag}> came in"));
            }
        }
        if let Some(at) = text.find('\u{202e}') {
            wrong.push(format!("{name}: the writing is turned at byte {at}"));
        }
        return Ok(());
    }
    if name.contains("csv") {
        for cell in cells(text) {
            let bare = cell.trim_start_matches(|c: char| c.is_whitespace() || c.is_control() || !visible(c));
            let number = bare.parse::<f64>().is_ok();
            if bare.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
                && !number
                && bare.chars().count() > 1
            {
                wrong.push(format!("{name}: a spreadsheet reckons out {cell:?}"));
            }
        }
    }
    Ok(())
}

fn visible(c: char) -> bool {
    !matches!(c, '\u{061C}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

/// The cells of a table, as RFC 4180 has them.
fn cells(text: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut chars = text.trim_start_matches('\u{feff}').chars().peekable();
    while let Some(c) = chars.next() {
        let cell = cells.last_mut().expect("there is always one");
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' if quoted || cell.is_empty() => quoted = !quoted,
            ',' | '\n' if !quoted => cells.push(String::new()),
            '\r' if !quoted => {}
            other => cell.push(other),
        }
    }
    cells
}

#[test]
fn what_a_spreadsheet_would_run_is_seen() {
    let mut wrong = Vec::new();
    faults_of(
        "a.csv",
        "\u{feff}名,数\r\n\"=1+1\",-5\r\n\" \u{202e}@x\",'=1\r\n-,三年级\r\n".as_bytes(),
        &mut wrong,
    )
    .unwrap();
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    faults_of("a.html", b"<!doctype html><b data-bbt>", &mut wrong).unwrap();
    assert_eq!(wrong.len(), 3, "{wrong:?}");
    faults_of("a.html", b"<!doctype html>&lt;b data-bbt&gt;", &mut wrong).unwrap();
    assert_eq!(wrong.len(), 3, "{wrong:?}");
}
