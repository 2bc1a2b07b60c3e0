//! The thunderstorm: 300 boards of 12 schools are lost in 90 seconds, some to power and some to their line. One parent, at most
//! one incident for each school, the causes right when boards are back, and one message for each person, over a real webhook
//! and a real mail server on loopback, beside a channel that hangs.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{Json, Router, extract::State, routing::post};
use bbt_console::{
    access::Role,
    api::{
        alerts::Severity,
        incidents::{Cause, IncidentDeviceQuery, IncidentKind, IncidentQuery},
        notify::{ChannelKind, NotificationQuery, SmtpSecurity},
        tree::{NewClassroom, NewRegion, NewSchool, RegionKind, SchoolKind},
    },
    auth,
    config::Language,
    db::{
        FILE_NAME,
        notify::{ChannelRow, NewRow, Secrets, Settings},
        scope::{Node, Scope},
    },
    jobs, notify,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use sqlx::{SqlitePool, sqlite::SqliteConnectOptions};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
    task::JoinSet,
};

use crate::{
    alerts::live,
    common::{Folder, TestConsole},
};

const SCHOOLS: usize = 12;
const BOARDS: usize = 25;

type Box_ = Arc<Mutex<Vec<(String, String)>>>;

async fn webhook() -> (String, Box_) {
    let got: Box_ = Arc::default();
    async fn take(State(got): State<Box_>, Json(body): Json<Value>) {
        let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        got.lock()
            .unwrap()
            .push((text("to"), format!("{}\n{}", text("title"), text("text"))));
    }
    let router = Router::new().route("/hook", post(take)).with_state(got.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, got)
}

/// A mail server as far as a client needs one.
async fn mail() -> (u16, Box_) {
    let got: Box_ = Arc::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let sink = got.clone();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let sink = sink.clone();
            tokio::spawn(async move {
                let (read, mut write) = socket.into_split();
                let mut lines = BufReader::new(read).lines();
                let (mut to, mut text, mut data) = (String::new(), String::new(), false);
                write.write_all(b"220 sink\r\n").await.ok();
                while let Ok(Some(line)) = lines.next_line().await {
                    let answer: &[u8] = if data {
                        if line == "." {
                            data = false;
                            sink.lock()
                                .unwrap()
                                .push((std::mem::take(&mut to), std::mem::take(&mut text)));
                            b"250 taken\r\n"
                        } else {
                            text.push_str(&line);
                            text.push('\n');
                            continue;
                        }
                    } else if let Some(rest) = line.strip_prefix("RCPT TO:") {
                        to = rest.trim_matches(['<', '>']).to_owned();
                        b"250 ok\r\n"
                    } else if line == "DATA" {
                        data = true;
                        b"354 go on\r\n"
                    } else if line == "QUIT" {
                        write.write_all(b"221 bye\r\n").await.ok();
                        return;
                    } else {
                        b"250 ok\r\n"
                    };
                    write.write_all(answer).await.ok();
                }
            });
        }
    });
    (port, got)
}

/// Takes connections and never says a word.
async fn silence() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hang", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((socket, _)) = listener.accept().await {
            held.push(socket);
        }
    });
    url
}

struct Board {
    no: i64,
    school: usize,
    truth: Cause,
    comes_back: bool,
    reason: Option<&'static str>,
}

struct Storm {
    console: TestConsole,
    pool: SqlitePool,
    boards: Vec<Board>,
    schools: Vec<i64>,
    memory: jobs::alerts::Memory,
    busy: jobs::notify::Busy,
    sending: JoinSet<()>,
}

impl Storm {
    async fn sql(&self, sql: &'static str, a: i64, b: i64) {
        sqlx::query(sql)
            .bind(a)
            .bind(b)
            .execute(&self.pool)
            .await
            .unwrap();
    }

    async fn round(&mut self, now: Timestamp) {
        self.sql(
            "UPDATE devices SET last_seen_at = ?1 WHERE online = 1 AND ?2 = 0",
            now.as_millisecond(),
            0,
        )
        .await;
        live(&self.console, now).await;
        jobs::alerts::round(&self.console.app, &mut self.memory, now)
            .await
            .unwrap();
        jobs::notify::plan(&self.console.app, now).await.unwrap();
        jobs::notify::dispatch(&self.console.app, &self.busy, &mut self.sending, now)
            .await
            .unwrap();
    }

    async fn event(&self, device: i64, boot: &str, seq: i64, kind: &str, body: &str, now: Timestamp) {
        let boot_no: i64 = sqlx::query_scalar(
            "INSERT INTO boots (device_no, boot_id, first_seen_at) VALUES (?1, ?2, ?3)
             ON CONFLICT (device_no, boot_id) DO UPDATE SET boot_id = excluded.boot_id RETURNING boot_no",
        )
        .bind(device)
        .bind(boot)
        .bind(now.as_millisecond())
        .fetch_one(&self.pool)
        .await
        .unwrap();
        sqlx::query(
            "INSERT INTO device_events (device_no, boot_no, seq, at, received_at, uptime_ms, kind, body) VALUES (?, ?, ?, ?, ?, 0, ?, ?)",
        )
        .bind(device)
        .bind(boot_no)
        .bind(seq)
        .bind(now.as_millisecond())
        .bind(now.as_millisecond())
        .bind(kind)
        .bind(body)
        .execute(&self.pool)
        .await
        .unwrap();
    }
}

/// Twelve schools of one county that are hit, and two of another with one bad board each.
async fn built(base: Timestamp) -> Storm {
    let folder = Folder::new();
    std::fs::write(
        folder.path().join("console.toml"),
        "[notify]\nprivate_hosts = [\"127.0.0.1\"]\n",
    )
    .unwrap();
    let console = TestConsole::in_folder(folder).await;
    let everything = Scope::everything();
    let tree = console.app.db.tree();
    let region = async |name: &str, kind, parent_id| {
        let new = NewRegion {
            parent_id,
            kind,
            name: name.into(),
            code: None,
        };
        tree.add_region(&everything, &new).await.unwrap()
    };
    let counties = [
        region("雷县", RegionKind::County, None).await,
        region("晴县", RegionKind::County, None).await,
    ];
    let mut towns = Vec::new();
    for n in 0..3 {
        towns.push(region(&format!("雷{n}镇"), RegionKind::Township, Some(counties[0])).await);
    }
    let pool = SqlitePool::connect_with(
        SqliteConnectOptions::new()
            .filename(console.folder.path().join(FILE_NAME))
            .busy_timeout(Duration::from_secs(15)),
    )
    .await
    .unwrap();
    let mut storm = Storm {
        console,
        pool,
        boards: Vec::new(),
        schools: Vec::new(),
        memory: jobs::alerts::Memory::default(),
        busy: jobs::notify::Busy::default(),
        sending: JoinSet::new(),
    };
    for at in 0..SCHOOLS + 2 {
        let region_id = if at < SCHOOLS { towns[at % 3] } else { counties[1] };
        let new = NewSchool {
            region_id,
            code: format!("S{at}"),
            name: format!("第{at}小学"),
            kind: SchoolKind::School,
        };
        let school = storm
            .console
            .app
            .db
            .tree()
            .add_school(&everything, &new)
            .await
            .unwrap();
        storm.schools.push(school);
        for n in 0..BOARDS {
            let room = NewClassroom {
                school_id: school,
                code: format!("{n}"),
                name: format!("{n}班"),
                grade: String::new(),
            };
            let room = storm
                .console
                .app
                .db
                .tree()
                .add_classroom(&everything, &room)
                .await
                .unwrap();
            let no: i64 = sqlx::query_scalar(
                "INSERT INTO devices (id, classroom_id, serial, board, agent_version, certificate_serial, enrolled_at, online, last_seen_at, boot_id)
                 VALUES (?1, ?2, ?1, 'generic', '0.1.0', '00', ?3, 1, ?3, ?1 || '-boot-1') RETURNING device_no",
            )
            .bind(format!("d-{at}-{n}"))
            .bind(room)
            .bind(base.as_millisecond())
            .fetch_one(&storm.pool)
            .await
            .unwrap();
            // Eight schools lose power, four their line; some boards tell another story.
            let (truth, reason) = match (at, n) {
                (12, 0) => (Cause::Device, Some("watchdog")),
                (13, 0) => (Cause::Line, None),
                (0..8, 0..3) => (Cause::Power, Some("unknown")),
                (0..8, 3) => (Cause::Power, None),
                (0..8, _) => (Cause::Power, Some("power_loss")),
                (8..12, 0 | 1) => (Cause::Line, Some("restart")),
                (8..12, 2) => (Cause::Line, Some("power_loss")),
                _ => (Cause::Line, None),
            };
            storm.boards.push(Board {
                no,
                school: at,
                truth,
                comes_back: !(at < 3 && n == 24),
                reason,
            });
        }
    }
    storm
}

async fn people(storm: &Storm, hook: &str, smtp: u16, hang: &str) {
    let app = &storm.console.app;
    let everything = Scope::everything();
    let now = Timestamp::now();
    let channel = async |kind, name: &str, settings: Settings, url: Option<&str>, tells| {
        let secrets = Secrets {
            url: url.map(str::to_owned),
            ..Secrets::default()
        };
        let row = ChannelRow {
            node: Node::Root,
            kind,
            name: name.to_owned(),
            settings,
            secret: Some(notify::seal(&app.seal, &secrets).unwrap()),
            tells,
            enabled: true,
        };
        app.db
            .notify()
            .set_channel(&everything, None, &row, "test", now)
            .await
            .unwrap()
    };
    let hang = channel(
        ChannelKind::Webhook,
        "hang",
        Settings::default(),
        Some(hang),
        Some(Severity::Notice),
    )
    .await;
    let hook = channel(
        ChannelKind::Webhook,
        "hook",
        Settings::default(),
        Some(hook),
        None,
    )
    .await;
    let server = Settings {
        target: "mail".into(),
        smtp_host: "127.0.0.1".into(),
        smtp_port: smtp,
        smtp_security: SmtpSecurity::None,
        smtp_user: None,
        smtp_from: "bbt@county.example".into(),
    };
    let mail = channel(ChannelKind::Smtp, "mail", server, None, None).await;
    assert!(hang < hook, "the one that hangs comes first");
    let hash = auth::hash_password("correct-horse-battery").unwrap();
    // Five technicians: four with three schools of the storm each, one with those of the other county.
    for n in 0..5 {
        let name = format!("t{n}");
        let user = app
            .db
            .users()
            .add(&name, &name, &hash, Language::ZhCn, now)
            .await
            .unwrap();
        let of = if n < 4 { n * 3..n * 3 + 3 } else { 12..14 };
        for school in of {
            app.db
                .grants()
                .add(
                    user,
                    Role::Technician,
                    Node::School(storm.schools[school]),
                    "test",
                    now,
                )
                .await
                .unwrap();
        }
        let row = NewRow {
            username: &name,
            channel: if n % 2 == 0 { hook } else { mail },
            address: &format!("{name}@county.example"),
            severity: Severity::Warning,
            cap: 6,
            quiet: (0, 0),
            tell_cleared: false,
        };
        app.db
            .notify()
            .set_recipient(&everything, &row, "test", now)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_boards_in_ninety_seconds() {
    rustls::crypto::ring::default_provider().install_default().ok();
    // A Monday, ten o'clock in Beijing.
    let base: Timestamp = "2026-11-23T02:00:00Z".parse().unwrap();
    let second = |s: i64| base + SignedDuration::from_secs(s);
    let (hook, hooked) = webhook().await;
    let (smtp, mailed) = mail().await;
    let hang = silence().await;
    let mut storm = built(base - SignedDuration::from_mins(5)).await;
    people(&storm, &hook, smtp, &hang).await;
    storm.round(base - SignedDuration::from_secs(15)).await;

    // Each board's session ends at a moment of its own: schools one after the other, keep-alives spread over half a minute.
    let lost_at: Vec<i64> = storm
        .boards
        .iter()
        .enumerate()
        .map(|(n, board)| (board.school as i64 * 5 + (n as i64 * 7919) % 30).min(90))
        .collect();
    let struck = |board: &Board, n: usize| board.school < SCHOOLS || n.is_multiple_of(BOARDS);
    let mut drops = 0;
    let started = Instant::now();
    for step in 0..40 {
        let (from, to) = (15 * (step - 1), 15 * step);
        for (n, (board, lost)) in storm.boards.iter().zip(&lost_at).enumerate() {
            let now = (*lost > from && *lost <= to) || (step == 0 && *lost == 0);
            if now && struck(board, n) {
                drops += usize::from(board.school < SCHOOLS);
                let at = second(*lost).as_millisecond();
                storm
                    .sql(
                        "UPDATE devices SET online = 0, last_seen_at = ?1 WHERE device_no = ?2",
                        at,
                        board.no,
                    )
                    .await;
            }
        }
        storm.round(second(to)).await;
    }
    assert_eq!(drops, 300);

    let everything = Scope::everything();
    let all = IncidentQuery {
        parts: Some(true),
        page_size: Some(500),
        ..IncidentQuery::default()
    };
    let (incidents, _) = storm
        .console
        .app
        .db
        .incidents()
        .list(&everything, &all)
        .await
        .unwrap();
    let areas: Vec<_> = incidents
        .iter()
        .filter(|one| one.kind == IncidentKind::Area)
        .collect();
    assert_eq!(areas.len(), 1, "{incidents:#?}");
    let parts: Vec<_> = incidents
        .iter()
        .filter(|one| one.parent_id == Some(areas[0].id))
        .collect();
    let elsewhere: Vec<_> = incidents
        .iter()
        .filter(|one| one.parent_id.is_none() && one.id != areas[0].id)
        .collect();
    assert_eq!((parts.len(), elsewhere.len()), (SCHOOLS, 2), "{incidents:#?}");
    assert_eq!((areas[0].devices, areas[0].schools), (300, 12));
    assert_eq!(areas[0].cause, Cause::PowerOrLine, "nobody knows yet");

    // One message for each person, while the other channel still hangs.
    let wait = Instant::now();
    while hooked.lock().unwrap().len() + mailed.lock().unwrap().len() < 6
        && wait.elapsed() < Duration::from_secs(8)
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
        jobs::notify::dispatch(&storm.console.app, &storm.busy, &mut storm.sending, second(601))
            .await
            .unwrap();
    }
    let mut by_person: BTreeMap<String, usize> = BTreeMap::new();
    for (to, text) in hooked.lock().unwrap().iter().chain(mailed.lock().unwrap().iter()) {
        *by_person.entry(to.clone()).or_default() += 1;
        if to == "t0@county.example" {
            for school in ["第0小学", "第1小学", "第2小学"] {
                assert!(text.contains(school), "{text}");
            }
            assert!(
                !text.contains("第3小学") && text.contains("3 所学校失联"),
                "{text}"
            );
        }
    }
    let names: Vec<(String, usize)> = by_person.into_iter().collect();
    let expected: Vec<(String, usize)> = (0..5)
        .map(|n| (format!("t{n}@county.example"), if n < 4 { 1 } else { 2 }))
        .collect();
    assert_eq!(
        names, expected,
        "one message for each of the four; the fifth has two boards at two schools"
    );

    // They come back over a minute; one with a disk that is broken.
    for step in 41..90 {
        let now = second(15 * step);
        for n in 0..storm.boards.len() {
            let board = &storm.boards[n];
            if !struck(board, n) || !board.comes_back || 41 + (n as i64) % 5 != step {
                continue;
            }
            let (no, reason) = (board.no, board.reason);
            storm
                .sql(
                    "UPDATE devices SET online = 1, last_seen_at = ?1 WHERE device_no = ?2",
                    now.as_millisecond(),
                    no,
                )
                .await;
            if let Some(reason) = reason {
                storm.sql("UPDATE devices SET boot_id = id || '-boot-2', report_generation = report_generation + ?1 WHERE device_no = ?2", 0, no).await;
                let boot: String = sqlx::query_scalar("SELECT boot_id FROM devices WHERE device_no = ?")
                    .bind(no)
                    .fetch_one(&storm.pool)
                    .await
                    .unwrap();
                let body = format!("{{\"event\":\"booted\",\"reason\":\"{reason}\",\"by\":\"agent\"}}");
                storm.event(no, &boot, 1, "booted", &body, now).await;
            }
            if n == 30 {
                storm
                    .event(
                        no,
                        "d-1-5-boot-2",
                        2,
                        "storage",
                        "{\"event\":\"storage\",\"what\":\"read_only\",\"detail\":\"ext4\"}",
                        now,
                    )
                    .await;
            }
        }
        storm.round(now).await;
    }
    let took = started.elapsed();

    let rows: Vec<(i64, String)> =
        sqlx::query_as("SELECT x.device_no, x.cause FROM incident_devices x JOIN incidents i ON i.id = x.incident_id WHERE i.topic = 'connectivity'")
            .fetch_all(&storm.pool)
            .await
            .unwrap();
    let found: BTreeMap<i64, String> = rows.into_iter().collect();
    let mut right = 0;
    for (n, board) in storm.boards.iter().enumerate() {
        if board.school < SCHOOLS {
            right += usize::from(
                found
                    .get(&board.no)
                    .is_some_and(|cause| cause == board.truth.as_str()),
            );
        } else if struck(board, n) {
            assert_eq!(
                found[&board.no],
                board.truth.as_str(),
                "a single board is judged by its own word"
            );
        }
    }
    let (incidents, _) = storm
        .console
        .app
        .db
        .incidents()
        .list(&everything, &all)
        .await
        .unwrap();
    let parts: Vec<_> = incidents
        .iter()
        .filter(|one| one.parent_id == Some(areas[0].id))
        .collect();
    let power = parts.iter().filter(|one| one.cause == Cause::Power).count();
    let line = parts.iter().filter(|one| one.cause == Cause::Line).count();
    println!(
        "thunderstorm: {drops} drops in 90 s over {SCHOOLS} schools: 1 parent + {} incidents; causes right {right}/300 ({:.1} %), schools {power} power {line} line; \
         messages {names:?}; {} ms for all rounds",
        parts.len(),
        right as f64 / 3.0,
        took.as_millis()
    );
    assert_eq!((power, line), (8, 4));
    assert!(right * 100 >= 95 * 300, "{right} of 300");

    // What is left: three boards that are still away, and one with a broken disk.
    let to_see = IncidentDeviceQuery {
        to_see: Some(true),
        ..IncidentDeviceQuery::default()
    };
    let (damage, _) = storm
        .console
        .app
        .db
        .incidents()
        .devices(&everything, areas[0].id, &to_see)
        .await
        .unwrap();
    assert_eq!(damage.len(), 4, "{damage:#?}");
    assert_eq!(
        damage
            .iter()
            .filter(|board| board.damage == ["disk_read_only"])
            .count(),
        1
    );
    // The one that hangs is written down as such, and nothing else waited for it.
    storm.sending.shutdown().await;
    let hung = NotificationQuery {
        state: Some("sent".into()),
        page_size: Some(500),
        ..NotificationQuery::default()
    };
    let (sent, _) = storm
        .console
        .app
        .db
        .notify()
        .messages(&everything, &hung)
        .await
        .unwrap();
    assert!(sent.iter().all(|message| message.channel != "hang"));
    assert!(sent.len() >= 6);
}
