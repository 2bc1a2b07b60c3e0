//! A small county at the console: two schools, three classrooms, their tickets and one push.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::client::Console;

/// A school of the small county.
#[derive(Debug)]
pub struct School {
    /// Official code.
    pub code: &'static str,
    /// 学校.
    pub name: &'static str,
    /// `school` or `teaching_point`.
    pub kind: &'static str,
    /// Its classrooms.
    pub classes: &'static [&'static str],
}

/// Two schools, three classrooms.
pub const SCHOOLS: [School; 2] = [
    School {
        code: "3601220001",
        name: "城关小学",
        kind: "school",
        classes: &["四（1）班", "四（2）班"],
    },
    School {
        code: "3601220002",
        name: "桃花村教学点",
        kind: "teaching_point",
        classes: &["三年级"],
    },
];
const COUNTY: (&str, &str) = ("360122", "样例县");

/// A classroom as the console knows it.
#[derive(Debug, Clone)]
pub struct Room {
    /// The console's id of the classroom.
    pub id: i64,
    /// 学校.
    pub school: String,
    /// 班级.
    pub name: String,
    /// Names the classroom's folder.
    pub key: String,
}

/// Makes county, schools and classrooms that are not there yet; gives every classroom, school by school.
///
/// # Errors
/// The console refuses.
pub async fn roster(console: &Console) -> Result<Vec<Room>> {
    let tree = console.get("/tree").await?;
    let regions = tree["regions"].as_array().context("the tree has no regions")?;
    let county = match regions.iter().find(|region| region["name"] == COUNTY.1) {
        Some(region) => region["id"].clone(),
        None => {
            let body = json!({ "kind": "county", "name": COUNTY.1, "code": COUNTY.0 });
            console.post("/regions", body).await?["id"].clone()
        }
    };
    // A demo or a test means the same at eight on a Monday morning as at night; journeys of class hours set their own.
    console
        .put(&format!("/regions/{county}/line"), json!({ "class_hours": [] }))
        .await?;
    let known: Vec<&Value> = regions
        .iter()
        .filter_map(|r| r["schools"].as_array())
        .flatten()
        .collect();
    let mut rooms = Vec::new();
    for School {
        code,
        name,
        kind,
        classes,
    } in SCHOOLS
    {
        let school = match known.iter().find(|school| school["code"] == code) {
            Some(school) => school["id"].clone(),
            None => {
                let body = json!({ "region_id": county, "code": code, "name": name, "kind": kind });
                console.post("/schools", body).await?["id"].clone()
            }
        };
        let there = console.get(&format!("/schools/{school}")).await?;
        for (n, class) in classes.iter().enumerate() {
            let room_code = format!("{code}-{}", n + 1);
            let found = there["classrooms"]
                .as_array()
                .and_then(|all| all.iter().find(|c| c["code"] == *room_code));
            let id = match found {
                Some(room) => room["id"].as_i64(),
                None => {
                    let body = json!({ "school_id": school, "code": room_code, "name": class, "grade": "" });
                    console.post("/classrooms", body).await?["id"].as_i64()
                }
            };
            let id = id.context("a classroom without an id")?;
            rooms.push(Room {
                id,
                school: name.into(),
                name: (*class).into(),
                key: room_code,
            });
        }
    }
    Ok(rooms)
}

/// A ticket that leads through the school's line (HTTPS and MQTT ports), as a file beside the agent.
///
/// # Errors
/// The console refuses, or the disk fails.
pub async fn ticket(console: &Console, classroom: i64, line: [u16; 2], dir: &Path) -> Result<PathBuf> {
    let body = json!({
        "classroom_id": classroom,
        "ttl_hours": 1,
        "console_url": format!("https://127.0.0.1:{}", line[0]),
        "broker_host": "127.0.0.1",
        "broker_port": line[1],
    });
    let made = console.post("/tickets", body).await?;
    let file = dir.join("ticket.json");
    fs::write(&file, made["ticket"].to_string())?;
    Ok(file)
}

/// Pushes every lesson to the county, once; gives the push's id.
///
/// # Errors
/// The console refuses.
pub async fn push(console: &Console) -> Result<String> {
    let id = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let pushes = console.get("/pushes").await?;
    let pushes = pushes["items"]
        .as_array()
        .or(pushes.as_array())
        .cloned()
        .unwrap_or_default();
    if let Some(push) = pushes.iter().find(|push| push["withdrawn_at"].is_null()) {
        return Ok(id(&push["id"]));
    }
    let lessons = console.get("/lessons?page_size=100").await?;
    let ids: Vec<_> = lessons["items"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|l| l["id"].clone())
        .collect();
    let tree = console.get("/tree").await?;
    let county = tree["regions"][0]["id"].clone();
    let body = json!({ "lesson_ids": ids, "target": { "kind": "region", "id": county }, "pinned": false });
    Ok(id(&console.post("/pushes", body).await?["id"]))
}
