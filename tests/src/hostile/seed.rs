//! Something of everything in a county, made over the doors that people and boards use.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    Words,
    boards::{Board, merge},
};
use crate::{
    client::Console,
    stand::{ConsoleStand, until},
};

/// Everybody's password.
pub const PASSWORD: &str = "correct-horse-battery";

/// The roles of the matrix; `everything` is somebody who holds all of them.
pub const ROLES: [&str; 8] = [
    "overseer",
    "county_operator",
    "content_officer",
    "reviewer",
    "technician",
    "school_admin",
    "auditor",
    "system_admin",
];

/// A picture that can be decoded.
const PICTURE: &[u8] = include_bytes!("picture.png");

/// Lists that tell the ids of a county's things, by the noun that stands first in their paths.
const LISTS: [(&str, &str); 24] = [
    ("devices", "/devices?page_size=500"),
    ("lessons", "/lessons?page_size=500"),
    ("pushes", "/pushes?page_size=500"),
    ("packs", "/packs?page_size=500"),
    ("exams", "/exams?page_size=500"),
    ("faults", "/faults?page_size=500"),
    ("notices", "/notices?page_size=500"),
    ("tickets", "/tickets"),
    ("ticket-batches", "/ticket-batches"),
    ("clones", "/clones"),
    ("security-events", "/security-events"),
    ("incidents", "/incidents?page_size=500&parts=true"),
    ("orders", "/orders?page_size=500"),
    ("parts", "/parts"),
    ("areas", "/areas"),
    ("assets", "/assets?page_size=500"),
    ("inspections", "/inspections?page_size=500"),
    ("notification-channels", "/notification-channels"),
    ("notification-recipients", "/notification-recipients"),
    ("maintenance-windows", "/maintenance-windows?page_size=500"),
    ("reports", "/reports?page_size=500"),
    ("alert-rules", "/alert-rules"),
    ("users", "/users?page_size=500"),
    ("views", "/views"),
];

/// What was made.
#[derive(Debug)]
pub struct County {
    /// The county's row id.
    pub region: i64,
    /// Its schools' row ids.
    pub schools: Vec<i64>,
    /// Its classrooms' row ids.
    pub classrooms: Vec<i64>,
    /// Its boards.
    pub boards: Vec<Board>,
    /// Its lessons: one on offer, one that waits for its review.
    pub lessons: Vec<String>,
    /// Account of each role at the county, and of `everything`.
    pub people: BTreeMap<String, String>,
    /// Codes on the walls of its classrooms.
    pub walls: Vec<String>,
}

/// Makes it.
#[derive(Debug)]
pub struct Seed<'a> {
    /// Where.
    pub stand: &'a ConsoleStand,
    /// As somebody who may do everything.
    pub console: &'a Console,
    /// For the boards' keys.
    pub dir: &'a Path,
    /// What is written.
    pub words: Words,
    /// What the console refused of it, to be shown.
    pub refused: Vec<String>,
    /// Fields that took it.
    pub taken: usize,
}

fn id(answer: &Value) -> Result<i64> {
    answer["id"]
        .as_i64()
        .with_context(|| format!("no id in {answer}"))
}

impl Seed<'_> {
    /// `POST`s what `body` makes of texts of ours. An attack that is refused is tried again with others, then with a name.
    pub(super) async fn post(&mut self, path: &str, body: impl Fn(&Words) -> Value) -> Result<Value> {
        self.post_as(self.console, path, body).await
    }

    /// The same as somebody else.
    pub(super) async fn post_as(
        &mut self,
        console: &Console,
        path: &str,
        body: impl Fn(&Words) -> Value,
    ) -> Result<Value> {
        let tries = if self.words.attack() { 4 } else { 0 };
        for _ in 0..tries {
            match console.post(path, body(&self.words)).await {
                Ok(answer) => {
                    self.taken += 1;
                    return Ok(answer);
                }
                Err(error) => self
                    .refused
                    .push(format!("{error:#}").chars().take(300).collect()),
            }
        }
        console.post(path, body(&self.words.harmless())).await
    }

    /// The same of `PUT`.
    ///
    /// # Errors
    /// Even a name is refused.
    pub async fn put(&mut self, path: &str, body: impl Fn(&Words) -> Value) -> Result<Value> {
        let tries = if self.words.attack() { 4 } else { 0 };
        for _ in 0..tries {
            match self.console.put(path, body(&self.words)).await {
                Ok(answer) => {
                    self.taken += 1;
                    return Ok(answer);
                }
                Err(error) => self
                    .refused
                    .push(format!("{error:#}").chars().take(300).collect()),
            }
        }
        self.console.put(path, body(&self.words.harmless())).await
    }

    /// A county, named `name` where names may be no attack.
    ///
    /// # Errors
    /// The console refuses what it should take.
    pub async fn county(&mut self, number: u32) -> Result<County> {
        let region = id(&self
            .post(
                "/regions",
                |w| json!({ "kind": "county", "name": w.text("县", 60), "code": format!("51010{number}") }),
            )
            .await?)?;
        let mut county = County {
            region,
            schools: Vec::new(),
            classrooms: Vec::new(),
            boards: Vec::new(),
            lessons: Vec::new(),
            people: BTreeMap::new(),
            walls: Vec::new(),
        };
        self.places(&mut county, number).await?;
        self.people(&mut county).await?;
        self.teaching(&mut county).await?;
        self.boards(&mut county).await?;
        self.lessons(&mut county).await?;
        self.told(&county).await?;
        self.orders(&county).await?;
        self.stolen(&county).await?;
        self.views(&county).await?;
        self.work(&mut county).await?;
        self.alerts(&county).await?;
        self.figures(&county).await?;
        Ok(county)
    }

    async fn places(&mut self, county: &mut County, number: u32) -> Result<()> {
        let region = county.region;
        let town = id(&self
            .post(
                "/regions",
                |w| json!({ "kind": "township", "parent_id": region, "name": w.text("镇", 60) }),
            )
            .await?)?;
        for n in 0..2 {
            let kind = if n == 0 { "school" } else { "teaching_point" };
            let code = format!("51010{number}00{n}");
            let school = id(&self
                .post(
                    "/schools",
                    |w| json!({ "region_id": town, "code": code, "name": w.text("学校", 60), "kind": kind }),
                )
                .await?)?;
            county.schools.push(school);
            for room in 0..2 {
                let new = |w: &Words| {
                    json!({ "school_id": school, "code": format!("{code}-{room}"), "name": w.text("教室", 60),
                        "grade": w.text("年级", 20) })
                };
                county.classrooms.push(id(&self.post("/classrooms", new).await?)?);
            }
        }
        // The same at night as at eight on a Monday morning.
        self.console
            .put(&format!("/regions/{region}/line"), json!({ "class_hours": [] }))
            .await?;
        Ok(())
    }

    async fn people(&mut self, county: &mut County) -> Result<()> {
        let region = county.region;
        for role in ROLES.into_iter().chain(["everything"]) {
            let name = self.words.code(role);
            let grants: Vec<Value> = match role {
                "everything" => ROLES
                    .iter()
                    .map(|role| json!({ "role": role, "region_id": region }))
                    .collect(),
                one => vec![json!({ "role": one, "region_id": region })],
            };
            let new = |w: &Words| json!({ "username": name, "display_name": w.text("人", 60), "password": PASSWORD, "grants": grants });
            self.post("/users", new).await?;
            county.people.insert(role.to_owned(), name);
        }
        // Somebody whom others may do away with.
        let spare = self.words.code("spare");
        let grants = json!([{ "role": "auditor", "region_id": region }]);
        let new = |w: &Words| json!({ "username": spare, "display_name": w.text("人", 60), "password": PASSWORD, "grants": grants });
        self.post("/users", new).await?;
        Ok(())
    }

    async fn teaching(&mut self, county: &mut County) -> Result<()> {
        let (room, school) = (county.classrooms[0], county.schools[0]);
        self.put(&format!("/classrooms/{room}/timetable"), |w| {
            json!({ "periods": [{ "day": 1, "number": 1, "from_min": 480, "to_min": 525, "subject": w.text("数学", 20) }] })
        })
        .await?;
        self.put(&format!("/schools/{school}/calendar"), |w| {
            json!({ "days": [{ "date": "2026-12-01", "like": 1, "name": w.text("日", 20) }],
                "help": { "office": w.text("办", 40), "phone": w.text("电话", 40), "text": w.text("求助", 200) } })
        })
        .await?;
        self.put(
            &format!("/schools/{school}/line"),
            |_| json!({ "measured_kbps": 8_000, "contracted_kbps": 10_000 }),
        )
        .await?;
        Ok(())
    }

    /// Two boards that are in, one that waits.
    async fn boards(&mut self, county: &mut County) -> Result<()> {
        for (n, room) in [county.classrooms[0], county.classrooms[2]]
            .into_iter()
            .enumerate()
        {
            let hardware = json!({ "serial": self.words.text("SN", 100), "mcu_id": self.words.text("mcu", 100),
                "disk_id": self.words.text("disk", 100), "macs": [self.words.text("mac", 100)] });
            let about = json!({ "serial": hardware["serial"], "board": self.words.text("board", 60),
                "agent_version": self.words.text("0.1.0-", 60), "hardware": hardware });
            let plain = json!({ "serial": self.words.code("SN"), "board": "generic-x86", "agent_version": "0.1.0-test" });
            let board = match Board::enrol(self.console, self.stand, self.dir, room, about).await {
                Ok(board) => board,
                Err(error) if self.words.attack() => {
                    self.refused.push(format!("{error:#}"));
                    Board::enrol(self.console, self.stand, self.dir, room, plain).await?
                }
                Err(error) => return Err(error),
            };
            if n == 0 {
                // It belongs to no county yet, so its names are nobody's.
                let nobodys = Words::plain("waits");
                let w = if self.words.attack() {
                    &self.words
                } else {
                    &nobodys
                };
                let hardware = json!({ "serial": format!("{}{}", w.text("SN", 90), county.region), "macs": [w.text("mac", 100)] });
                let claim = json!({ "board": w.text("board", 60), "agent_version": w.text("0.1.0-", 60), "hardware": hardware });
                if let Err(error) = board.claim(claim).await {
                    ensure!(self.words.attack(), "{error:#}");
                    self.refused.push(format!("{error:#}"));
                }
            }
            self.speak(&board, &hardware)?;
            self.note_down(&board).await?;
            county.boards.push(board);
        }
        // In another one's name.
        let other = format!("bbt/v1/d/{}/report", county.boards[1].id);
        county.boards[0].publish(&other, &json!({ "serial": "x" }), &json!({}))?;
        // On another board's hardware: a copy.
        let copy = json!({ "serial": self.words.text("SN", 100), "mcu_id": self.words.text("mcu", 100) });
        let presence = json!({ "device_id": county.boards[1].id, "boot_id": "copied", "online": true });
        let _ = county.boards[1].publish("presence", &copy, &presence);
        Ok(())
    }

    /// Everything that a board says over MQTT.
    fn speak(&mut self, board: &Board, hardware: &Value) -> Result<()> {
        let (device, boot) = (&board.id, &board.boot);
        let raw = |what: &str, most: usize| self.words.raw(what, most);
        board.publish(
            "presence",
            hardware,
            &json!({ "device_id": device, "boot_id": boot, "online": true }),
        )?;
        let report = json!({
            "device_id": device, "boot_id": boot, "generation": 1, "assignment_generation": 0,
            "agent_version": raw("0.1.0-", 60), "board": raw("board", 60),
            "lessons": [{ "lesson": "no-such-lesson", "version": 1, "state": "failed", "reason": "disk_full",
                "detail": raw("detail", 200), "retrying": true }],
            "disk": { "total_bytes": 64_u64 << 30, "free_bytes": 1_u64 << 20, "lesson_bytes": 0 },
            "player_urls": [format!("javascript:bbtHit=7//{}", raw("url", 60)), raw("url", 60)],
            "peer": { "addresses": [raw("address", 60)], "port": 8010 },
            "controls": { "abilities": ["reboot", "notice", "test_bandwidth", "lock", "screen", "power_off", "collect_logs", raw("ability", 60)],
                "locked": { "reason": raw("lock", 190) } },
        });
        board.publish("report", hardware, &report)?;
        let events = [
            json!({ "event": "tamper", "what": "case_opened", "detail": raw("tamper", 190) }),
            json!({ "event": "storage", "what": "read_only", "detail": raw("storage", 190) }),
            json!({ "event": "usb", "action": "attached", "ids": raw("1234:5678", 100), "classes": [3], "unlisted": true }),
            json!({ "event": "app", "action": "started", "app": raw("app", 100), "unlisted": true }),
            json!({ "event": "player_error", "code": raw("MEDIA_ERR", 100), "count": 99 }),
            json!({ "event": "clock_step", "step_ms": 5, "by": raw("by", 100) }),
            json!({ "event": "booted", "reason": "thermal", "by": "kernel" }),
        ];
        let now = Timestamp::now();
        let with = |n: usize, what: &Value| {
            let mut event =
                json!({ "boot_id": boot, "seq": n + 1, "uptime_ms": 1_000 * (n + 1), "wall_time": now });
            merge(&mut event, what.clone());
            event
        };
        let samples: Vec<Value> = (1..=3)
            .map(|n| {
                json!({ "boot_id": boot, "seq": n, "uptime_ms": n * 60_000, "wall_time": now - SignedDuration::from_secs(n),
                    "readings": { "cpu_percent": 50.0, "temperature_celsius": 99.0, "disk_total_bytes": 64_u64 << 30,
                        "disk_free_bytes": 1_u64 << 20, "emmc_wear_percent": 99 } })
            })
            .collect();
        let events: Vec<Value> = events.iter().enumerate().map(|(n, what)| with(n, what)).collect();
        board.publish(
            "telemetry",
            hardware,
            &json!({ "device_id": device, "samples": samples, "events": events }),
        )
    }

    /// Use, silence in an exam, faults.
    async fn note_down(&mut self, board: &Board) -> Result<()> {
        let boot = &board.boot;
        let now = Timestamp::now();
        let today = now.to_string()[..10].to_owned();
        let entry = json!({ "at": now, "boot_id": boot, "uptime_ms": 1, "kind": "began", "detail": self.words.raw("detail", 100) });
        let records = [
            json!({ "days": [{ "date": today, "revision": 1, "trusted": true,
                "lessons": [{ "subject": self.words.raw("数学", 20), "opens": 3, "finished": 1, "seconds": 60 }],
                "periods": [{ "number": 1, "subject": self.words.raw("数学", 20), "opened": true }] }] }),
            json!({ "faults": [{ "id": self.words.code("F"), "class": "touch", "symptom": self.words.raw("offset", 40),
                "at": now, "boot_id": boot, "uptime_ms": 1 }] }),
            json!({ "silences": [{ "exam": self.words.code("e"), "name": self.words.raw("考试", 60), "from": now, "to": now,
                "revision": 1, "closed": false, "entries": [entry], "refused": { self.words.raw("why", 40): 1 }, "chain": "0".repeat(64) }] }),
        ];
        for record in records {
            let (status, said) = board.records(&record).await?;
            if self.words.attack() && status != 200 {
                self.refused.push(format!("records: {status} {said} of {record}"));
            }
            ensure!(status < 500, "records: {status} {said}");
        }
        // One that is surely taken.
        let fault = json!({ "faults": [{ "id": self.words.code("F"), "class": "sound", "boot_id": boot, "uptime_ms": 1 }] });
        let (status, said) = board.records(&fault).await?;
        ensure!(status == 200, "records: {status} {said}");
        Ok(())
    }

    async fn lessons(&mut self, county: &mut County) -> Result<()> {
        let owner = json!({ "region_id": county.region });
        for n in 0..2 {
            let mut made = Err(anyhow::anyhow!("not tried"));
            for plain in [false, true] {
                let own = self.words.harmless();
                let w = if plain { &own } else { &self.words };
                let meta = json!({ "owner": owner, "meta": { "title": w.text("课", 60), "stage": "小学", "subject": "数学",
                    "edition": "人教版", "grade": "三年级", "volume": "上册", "chapter": w.text("单元", 60),
                    "period": w.text("课时", 30), "source": w.text("来源", 60), "licence": { "scope": "公开" } },
                    "items": [{ "title": w.text("图", 60), "file": "a.png" }] });
                let meta = meta.to_string();
                let parts = [("meta", None, meta.as_bytes()), ("file", Some("a.png"), PICTURE)];
                made = self.console.form("/lessons", &parts).await;
                match &made {
                    Ok(_) => {
                        self.taken += 1;
                        break;
                    }
                    Err(error) => self.refused.push(format!("{error:#}")),
                }
            }
            let lesson = made?["id"].as_str().context("a lesson without an id")?.to_owned();
            if n == 0 {
                self.stand.admin(&[
                    "lesson",
                    "release",
                    &lesson,
                    "--reason",
                    &self.words.text("急用", 60),
                ])?;
            }
            county.lessons.push(lesson);
        }
        let (lesson, school) = (county.lessons[0].clone(), county.schools[0]);
        let push = self
            .post(
                "/pushes",
                |_| json!({ "lesson_ids": [lesson], "target": { "kind": "school", "id": school } }),
            )
            .await?;
        let push = id(&push)?;
        self.post(
            "/packs",
            |w| json!({ "push_id": push, "title": w.text("课程包", 60) }),
        )
        .await?;
        let date = "2099-03-09";
        let room = county.classrooms[0];
        let _ = self
            .console
            .post(
                "/plans",
                json!({ "lesson_id": lesson, "apply": true, "classroom_ids": [room], "at": { "kind": "period", "date": date, "number": 1 } }),
            )
            .await;
        Ok(())
    }

    /// What boards are told: exams, notices, commands, tickets.
    async fn told(&mut self, county: &County) -> Result<()> {
        let (region, school, room) = (county.region, county.schools[0], county.classrooms[1]);
        let board = county.boards[0].id.clone();
        self.post("/exams", |w| {
            json!({ "region_id": region, "name": w.text("考试", 40), "from": "2099-01-10T00:00:00Z", "to": "2099-01-10T02:00:00Z" })
        })
        .await?;
        self.post("/notices", |w| {
            json!({ "targets": [{ "kind": "school", "id": school }], "level": "standard", "title": w.text("停电", 80),
                "text": w.text("说明", 200) })
        })
        .await?;
        self.post(&format!("/devices/{board}/commands"), |w| {
            json!({ "body": { "kind": "notice", "level": "standard", "title": w.text("题", 80), "text": w.text("文", 200), "show_for_s": 60 } })
        })
        .await?;
        self.post(
            "/tickets",
            |w| json!({ "classroom_id": room, "serial": w.text("SN", 100) }),
        )
        .await?;
        self.post(
            "/ticket-batches",
            |_| json!({ "school_id": school, "classroom_ids": [room] }),
        )
        .await?;
        Ok(())
    }

    async fn work(&mut self, county: &mut County) -> Result<()> {
        let (region, school, room) = (county.region, county.schools[0], county.classrooms[0]);
        let part = self
            .post("/parts", |w| json!({ "region_id": region, "code": w.text("P", 40), "name": w.text("灯泡", 80), "unit": w.text("个", 10), "stock": 9 }))
            .await?;
        let part = id(&part)?;
        self.post(
            &format!("/parts/{part}/moves"),
            |w| json!({ "change": 1, "note": w.text("采购", 100) }),
        )
        .await?;
        self.post("/areas", |w| json!({ "region_id": region, "name": w.text("包区", 60), "vendor": w.text("厂商", 100), "school_ids": [school] }))
            .await?;
        let asset = self
            .post("/assets", |w| {
                json!({ "school_id": school, "classroom_id": room, "kind": "panel", "tag": w.text("ZC", 40), "brand": w.text("牌", 40),
                    "model": w.text("型", 40), "serial": w.text("SN", 40) })
            })
            .await?;
        let asset = id(&asset)?;
        self.post("/inspections", |w| {
            json!({ "classroom_id": room, "items": [{ "point": "screen", "result": "fail", "value": w.text("裂", 80) }], "note": w.text("巡检", 200), "open_order": true })
        })
        .await?;
        for n in 0..3 {
            let order = self
                .post("/orders", |w| json!({ "asset_id": asset, "title": w.text("工单", 80), "text": w.text("说明", 200), "fault_class": "sound" }))
                .await?;
            let order = id(&order["order"])?;
            if n == 0 {
                continue;
            }
            for step in ["accept", "on_site", "repaired"] {
                self.post(
                    &format!("/orders/{order}/work"),
                    |w| json!({ "step": step, "note": w.text("记", 200) }),
                )
                .await?;
                if step == "on_site" {
                    self.console
                        .upload(&format!("/orders/{order}/photos"), "a.png", PICTURE)
                        .await?;
                    self.console
                        .post(
                            &format!("/orders/{order}/parts"),
                            json!({ "part_id": part, "count": 1 }),
                        )
                        .await?;
                }
            }
            if n == 2 {
                self.post(
                    &format!("/orders/{order}/verdict"),
                    |w| json!({ "step": "confirm", "note": w.text("好", 200) }),
                )
                .await?;
            }
        }
        self.post("/rectifications", |w| {
            json!({ "school_id": school, "title": w.text("整改", 80), "text": w.text("说明", 200), "due_on": "2099-01-01" })
        })
        .await?;
        let codes = self
            .console
            .post(&format!("/schools/{school}/wall-codes"), json!({}))
            .await?;
        let text = codes.to_string();
        county.walls = text
            .split("/r/")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .map(str::to_owned)
            .collect();
        Ok(())
    }

    async fn alerts(&mut self, county: &County) -> Result<()> {
        let region = county.region;
        let now = Timestamp::now();
        self.put("/alert-rules/hot_here", |w| {
            json!({ "region_id": region, "rule": { "name": w.text("热", 60), "for_s": 0, "severity": "warning",
                "condition": { "kind": "metric", "metric": "temperature_celsius", "side": "above", "raise": 80.0, "clear": 70.0 } } })
        })
        .await?;
        let channel = self
            .post("/notification-channels", |w| {
                json!({ "region_id": region, "kind": "wecom", "name": w.text("群", 60), "url": "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=x" })
            })
            .await?;
        let channel = id(&channel)?;
        let name = county.people["county_operator"].clone();
        self.put(
            "/notification-recipients",
            |w| json!({ "username": name, "channel_id": channel, "address": w.text("址", 100) }),
        )
        .await?;
        self.post("/maintenance-windows", |w| {
            json!({ "region_id": region, "from": now + SignedDuration::from_hours(900), "to": now + SignedDuration::from_hours(901), "reason": w.text("检修", 100) })
        })
        .await?;
        Ok(())
    }

    async fn figures(&mut self, county: &County) -> Result<()> {
        let (region, school) = (county.region, county.schools[0]);
        let month =
            (Timestamp::now() - SignedDuration::from_hours(24 * 31)).to_string()[..8].to_owned() + "01";
        self.put(&format!("/schools/{school}/manual-figures"), |w| {
            json!({ "month": month, "indicator": "pupils_per_computer", "numerator": 9, "denominator": 2, "note": w.text("注", 100) })
        })
        .await?;
        self.post(
            "/reports",
            |_| json!({ "kind": "month", "date": month, "region_id": region }),
        )
        .await?;
        self.post(
            "/reports",
            |_| json!({ "kind": "month", "date": month, "school_id": school }),
        )
        .await?;
        Ok(())
    }

    /// Waits until what boards did has come to something, and gives the ids of a county's things by noun.
    ///
    /// # Errors
    /// It does not come within a minute, or a list cannot be read.
    pub async fn ids(&self, county: &County) -> Result<BTreeMap<String, Vec<Value>>> {
        let name = &county.people["everything"];
        let person = Console::sign_in(&self.stand.url(), name, PASSWORD).await?;
        until(
            "an incident in each county",
            Duration::from_secs(90),
            async || {
                let found = person.get("/incidents?parts=true").await?;
                Ok((found["total"].as_u64() > Some(0)).then_some(()))
            },
        )
        .await?;
        let mut ids: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for (noun, path) in LISTS {
            let answer = person
                .get(path)
                .await
                .with_context(|| format!("Failed to list {noun}"))?;
            let rows = answer["items"].as_array().or(answer.as_array()).cloned();
            let rows = rows
                .or_else(|| answer["rules"].as_array().cloned())
                .unwrap_or_default();
            let of = rows
                .iter()
                .map(|row| {
                    if row["id"].is_null() {
                        row["exam"]["id"].clone()
                    } else {
                        row["id"].clone()
                    }
                })
                .filter(|id| !id.is_null());
            ids.entry(noun.to_owned()).or_default().extend(of);
        }
        // Of each device, in their order, the command that asked for its log: so that a path that names both names a pair.
        let mut commands = Vec::new();
        for device in ids["devices"].iter().filter_map(Value::as_str) {
            let given = person.get(&format!("/devices/{device}/commands")).await?;
            let all = given.as_array().into_iter().flatten();
            let log = all.into_iter().find(|one| one["body"]["kind"] == "collect_logs");
            commands.push(log.map_or(json!("c-none"), |one| one["id"].clone()));
        }
        ids.insert("commands".into(), commands);
        let rows = |list: &[i64]| list.iter().map(|id| json!(id)).collect::<Vec<_>>();
        ids.insert("regions".into(), rows(&[county.region]));
        ids.insert("schools".into(), rows(&county.schools));
        ids.insert("classrooms".into(), rows(&county.classrooms));
        Ok(ids)
    }
}
