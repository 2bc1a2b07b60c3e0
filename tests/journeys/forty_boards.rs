//! Journey 2: a technician installs 40 boards in one day, from one printed batch, on a LAN that leads nowhere.
//!
//! The roster comes from a table, the codes from the printed sheet (read back out of the PDF), each board is typed its code.
//! Forty devices come of it, one to a classroom; doing all of it again changes nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use common::County;
use contract::code::TicketCode;
use serde_json::{Value, json};
use system_tests::stand::{Classroom, until};

const BOARDS: usize = 40;
const AT_ONCE: usize = 8;
/// Says that this process already stands in a network of its own.
const INSIDE: &str = "BBT_ISOLATED";

#[test]
fn forty_boards_from_one_sheet() -> Result<()> {
    if std::env::var_os(INSIDE).is_none() && alone().unwrap_or(false) {
        let status = Command::new("unshare")
            .args([
                "--net",
                "--map-root-user",
                "--",
                "sh",
                "-c",
                "ip link set lo up && exec \"$0\" \"$@\"",
            ])
            .arg(std::env::current_exe()?)
            .args(["--nocapture", "forty_boards_from_one_sheet"])
            .env(INSIDE, "1")
            .status()?;
        ensure!(
            status.success(),
            "the journey failed in its own network: {status}"
        );
        return Ok(());
    }
    if std::env::var_os(INSIDE).is_none() {
        println!(
            "NOTE: this machine gives no network namespace (unshare --net), so the LAN is the loopback of the machine"
        );
    }
    tokio::runtime::Runtime::new()?.block_on(journey())
}

/// Whether this machine lets us have a network of our own.
fn alone() -> Result<bool> {
    let tried = Command::new("unshare")
        .args(["--net", "--map-root-user", "ip", "link", "set", "lo", "up"])
        .output()?;
    Ok(tried.status.success())
}

async fn journey() -> Result<()> {
    let county = County::start_empty().await?;
    let console = &county.console;
    let region = console
        .post("/regions", json!({ "kind": "county", "name": "样例县" }))
        .await?;
    let (school, rooms) = roster(&county, &region["id"]).await?;
    let folder = county.dir.path();
    let county_file = folder.join("county.json");
    county
        .stand
        .admin(&["county", "export", "--out", county_file.to_str().context("path")?])?;

    let batch = console
        .post("/ticket-batches", json!({ "school_id": school, "ttl_hours": 24 }))
        .await?;
    let pdf = console
        .bytes(&format!("/ticket-batches/{}/sheet.pdf", batch["id"]))
        .await?;
    let codes = codes_on(&pdf, folder)?;

    // The image of every board holds the county file, which has no secret; nobody does anything at the board for that.
    let mut boards = Vec::new();
    for (n, code) in codes.into_iter().enumerate() {
        let dir = folder.join(format!("board-{n:02}"));
        let extra = format!("[county]\nfile = {county_file:?}\n");
        // Below those that the system hands out: else a board's own connection may hold another's port when that one starts.
        let port = u16::try_from(20_000 + 2 * n)?;
        let board = Classroom::prepare(&county.bins, &dir, port, &format!("SN-{n:04}"), &extra)?;
        boards.push(Board {
            board,
            code,
            hands: Vec::new(),
        });
    }
    let start = Instant::now();
    for board in &mut boards {
        board.switch_on()?;
    }
    let http = http()?;
    for board in &mut boards {
        board.type_the_label(&http).await?;
    }
    println!(
        "{BOARDS} boards switched on and typed in {:.1} s, one after the other",
        start.elapsed().as_secs_f64()
    );
    let path = format!("/devices?school_id={school}&page_size=100");
    until("all boards online", Duration::from_secs(60), async || {
        let page = console.get(&path).await?;
        let online = items(&page).iter().filter(|d| d["state"] == "online").count();
        if online == BOARDS {
            return Ok(Some(()));
        }
        anyhow::bail!("{online} online of {} devices", items(&page).len())
    })
    .await?;
    let first = devices(&console.get(&path).await?);
    ensure!(first.len() == BOARDS, "{} devices", first.len());
    let placed: BTreeSet<&str> = first.values().map(|(_, room)| room.as_str()).collect();
    ensure!(
        placed.len() == BOARDS && placed.len() == rooms,
        "{} classrooms have a device",
        placed.len()
    );
    println!(
        "after the first run: {} devices, {} classrooms, 0 duplicates",
        first.len(),
        placed.len()
    );

    // The technician is not sure and goes round again.
    enrol_all(&boards)?;
    let waiting = console.get("/claims").await?;
    ensure!(
        items(&waiting).is_empty(),
        "boards that are in still wait: {waiting}"
    );
    let again = console
        .upload(
            &format!("/regions/{}/roster?apply=true", region["id"]),
            "roster.csv",
            table().as_bytes(),
        )
        .await?;
    ensure!(again["change_count"] == 0, "the roster changed: {again}");
    let second = devices(&console.get(&path).await?);
    ensure!(
        first == second,
        "a second run changed something:\n{first:?}\n{second:?}"
    );
    println!(
        "after the second run: the same {} devices with the same certificates",
        second.len()
    );
    let most = boards.iter().map(|b| b.hands.len()).max().unwrap_or(0);
    println!("hands-on steps per board: {most} of 3 allowed");
    for (n, step) in (1..).zip(&boards[0].hands) {
        println!("  {n}. {step}");
    }
    ensure!(most <= 3, "{most} steps at a board");
    Ok(())
}

fn table() -> String {
    let mut table = "学校代码,班级代码,班级名称,年级\n".to_owned();
    for n in 1..=BOARDS {
        table += &format!("3145000001,{n:04},第{n}班,三年级\n");
    }
    table
}

async fn roster(county: &County, region: &Value) -> Result<(i64, usize)> {
    let path = format!("/regions/{region}/roster?apply=true");
    let schools = "学校代码,学校名称\n3145000001,城关镇中心小学\n";
    for file in [schools, &table()] {
        let report = county
            .console
            .upload(&path, "roster.csv", file.as_bytes())
            .await?;
        ensure!(report["applied"] == true, "the roster was refused: {report}");
    }
    let tree = county.console.get("/tree").await?;
    let school = &tree["regions"][0]["schools"][0];
    let rooms = school["classrooms"].as_u64().context("no classrooms")?;
    Ok((
        school["id"].as_i64().context("no school")?,
        usize::try_from(rooms)?,
    ))
}

/// The codes as a person reads them off the printed sheet.
fn codes_on(pdf: &[u8], folder: &Path) -> Result<BTreeSet<String>> {
    let file = folder.join("sheet.pdf");
    fs::write(&file, pdf)?;
    let read = Command::new("pdftotext")
        .arg(&file)
        .arg("-")
        .output()
        .context("Failed to run pdftotext")?;
    let text = String::from_utf8_lossy(&read.stdout).into_owned();
    // The letters of a code stand apart on the label, so a line is read without its blanks.
    let codes: BTreeSet<String> = text
        .lines()
        .map(|line| line.split_whitespace().collect::<String>())
        .filter(|line| line.len() == 11 && line.parse::<TicketCode>().is_ok())
        .collect();
    ensure!(
        codes.len() == BOARDS,
        "{} codes on the sheet, it says:\n{text}",
        codes.len()
    );
    Ok(codes)
}

/// One board, its label, and what hands did to it.
struct Board {
    board: Classroom,
    code: String,
    hands: Vec<&'static str>,
}

impl Board {
    fn switch_on(&mut self) -> Result<()> {
        self.hands.push("switch the board on");
        self.board.start()
    }

    /// On the keypad of its screen, as the page itself asks.
    async fn type_the_label(&mut self, http: &reqwest::Client) -> Result<()> {
        self.hands
            .push("type the 9 characters of the label on its screen");
        let url = self.board.url();
        until(
            "the screen asks for a code",
            Duration::from_secs(30),
            async || {
                let shelf: Value = http.get(format!("{url}/api/shelf")).send().await?.json().await?;
                Ok(shelf.to_string().contains("SN-").then_some(()))
            },
        )
        .await?;
        let home: Value = http.get(format!("{url}/api/home")).send().await?.json().await?;
        let answer = http
            .post(format!("{url}/api/enrol"))
            .header("origin", &url)
            .header("x-bbt-page", "1")
            .header("x-bbt-token", home["token"].as_str().context("the page's token")?)
            .json(&json!({ "code": self.code }))
            .send()
            .await?;
        let (status, text) = (answer.status(), answer.text().await?);
        // A slow board may be in before it has answered the page, whose door then is closed; whether it is, is asked of the
        // console below.
        let in_already = status == reqwest::StatusCode::CONFLICT && text.contains("the ways in are closed");
        ensure!(
            status.is_success() || in_already,
            "{}: {status}: {text}",
            self.code
        );
        Ok(())
    }
}

fn http() -> Result<reqwest::Client> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?)
}

/// The command line of each board, with the same label once more.
fn enrol_all(boards: &[Board]) -> Result<()> {
    for group in boards.chunks(AT_ONCE) {
        std::thread::scope(|scope| {
            let typed: Vec<_> = group
                .iter()
                .map(|b| scope.spawn(move || b.board.once(&["enrol"], &["--code", &b.code])))
                .collect();
            for one in typed {
                let (code, out, err) = one.join().expect("a thread of ours")?;
                ensure!(code == 0, "enrol: {out}{err}");
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn items(page: &Value) -> Vec<Value> {
    page["items"].as_array().cloned().unwrap_or_default()
}

/// Serial → id and classroom.
fn devices(page: &Value) -> BTreeMap<String, (String, String)> {
    items(page)
        .iter()
        .map(|d| {
            (
                d["serial"].to_string(),
                (d["id"].to_string(), d["classroom"].to_string()),
            )
        })
        .collect()
}
