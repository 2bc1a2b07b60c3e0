//! What a board is told with a reason, what it answers and hands over, what people say of it, and views that are shared.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Board, County, PASSWORD, Seed, Words, boards::merge};
use crate::{client::Console, stand::until};

impl Seed<'_> {
    /// Orders that say why, the boards' answers to them, and a log of each.
    pub(super) async fn orders(&mut self, county: &County) -> Result<()> {
        for board in &county.boards {
            let device = format!("/devices/{}", board.id);
            let console = self.console;
            until(
                "what the board can is known",
                Duration::from_secs(30),
                async || Ok((!console.get(&device).await?["controls"].is_null()).then_some(())),
            )
            .await?;
            let path = format!("{device}/commands");
            for (kind, state) in [
                ("lock", "failed"),
                ("screen", "rejected"),
                ("power_off", "failed"),
            ] {
                let order = |w: &Words| {
                    let mut body = json!({ "kind": kind, "reason": w.text("因为", 190) });
                    match kind {
                        "screen" => merge(&mut body, json!({ "on": false, "force": true })),
                        "power_off" => merge(&mut body, json!({ "delay_s": 60, "force": true })),
                        _ => {}
                    }
                    json!({ "body": body, "ttl_s": 3_600 })
                };
                let command = self.post(&path, order).await?["id"].clone();
                let why = self.words.raw("why", 190);
                answer(board, &command, &json!({ "state": state, "reason": why }))?;
            }
            let collect = json!({ "body": { "kind": "collect_logs", "hours": 24 }, "ttl_s": 3_600 });
            let command = self.console.post(&path, collect).await?["id"].clone();
            answer(board, &command, &json!({ "state": "succeeded" }))?;
            // The console hands it on unread, whatever its files are called.
            let log = format!("{}/../../etc/passwd", self.words.raw("log", 400));
            let id = command.as_str().context("a command without an id")?;
            let (status, said) = board.hand_over(id, log.as_bytes()).await?;
            ensure!(status == 200, "a log: {status} {said}");
        }
        Ok(())
    }

    /// A board that is gone.
    pub(super) async fn stolen(&mut self, county: &County) -> Result<()> {
        let about =
            json!({ "serial": self.words.code("SN"), "board": "generic-x86", "agent_version": "0.1.0-test" });
        let gone = Board::enrol(self.console, self.stand, self.dir, county.classrooms[3], about).await?;
        self.post(
            &format!("/devices/{}/stolen", gone.id),
            |w| json!({ "reason": w.text("被盗", 190), "contact": w.text("电话", 60) }),
        )
        .await?;
        Ok(())
    }

    /// A view of each list, by somebody who holds every role at the county and shares it.
    pub(super) async fn views(&mut self, county: &County) -> Result<()> {
        let person = Console::sign_in(&self.stand.url(), &county.people["everything"], PASSWORD).await?;
        for list in ["devices", "orders", "lessons", "people", "assets"] {
            self.post_as(&person, "/views", |w| {
                json!({ "list": list, "name": w.text("视图", 60), "query": format!("q={}", w.text("查", 100)), "columns": ["id"],
                    "shared": true, "region_id": county.region })
            })
            .await?;
        }
        Ok(())
    }

    /// What people write down of what boards did and of what others made.
    ///
    /// # Errors
    /// The console refuses what it should take.
    pub async fn said(&mut self, county: &County, ids: &BTreeMap<String, Vec<Value>>) -> Result<()> {
        let of = |noun: &str| ids.get(noun).cloned().unwrap_or_default();
        for incident in of("incidents").iter().take(2) {
            let at = |what: &str| format!("/incidents/{incident}/{what}");
            self.post(&at("notes"), |w| json!({ "note": w.text("记", 400) }))
                .await?;
            self.post(&at("acknowledge"), |w| json!({ "note": w.text("收到", 400) }))
                .await?;
        }
        for fault in of("faults").iter().filter_map(Value::as_str).take(2) {
            self.post(
                &format!("/faults/{fault}/state"),
                |w| json!({ "state": "under_way", "note": w.text("在修", 190) }),
            )
            .await?;
        }
        if let Some(report) = of("reports").first() {
            // Whoever hands it in is not who judges it.
            let person = Console::sign_in(&self.stand.url(), &county.people["everything"], PASSWORD).await?;
            person
                .post(&format!("/reports/{report}/submit"), json!({}))
                .await?;
            self.post(
                &format!("/reports/{report}/return"),
                |w| json!({ "reason": w.text("退回", 190) }),
            )
            .await?;
        }
        let school = county.schools[0];
        self.post("/assets", |w| {
            json!({ "school_id": school, "kind": "panel", "brand": w.text("牌", 40), "model": w.text("型", 40), "owner": w.text("主", 40),
                "builder": w.text("建", 60), "maintainer": w.text("维", 60), "note": w.text("注", 190) })
        })
        .await?;
        self.put("/alert-rules/said_here", |w| {
            json!({ "region_id": county.region, "rule": { "name": w.text("规则", 60), "for_s": 0, "severity": "warning",
                "condition": { "kind": "event", "event": "tamper", "within_s": 600, "count": 1,
                    "field": { "name": "what", "value": w.text("值", 60) } } } })
        })
        .await?;
        Ok(())
    }
}

fn answer(board: &Board, command: &Value, state: &Value) -> Result<()> {
    let mut status = json!({ "id": command, "device_id": board.id, "boot_id": board.boot });
    merge(&mut status, state.clone());
    board.publish("status", &json!({ "serial": "x" }), &status)
}
