//! Schemathesis over the console's API document, as everybody: each role in one of two counties, all roles at once, the
//! install's administrator, and nobody. What it must never see is said in `tests/schemathesis/hooks.py`.
// Its words are the command's: who runs it sees each role end.
#![allow(clippy::print_stdout)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::{process::Command, sync::Semaphore, task::JoinSet};

use crate::{
    client::Console,
    hostile::{PASSWORD, ROLES, Seed, Words},
    stand::{Bins, ConsoleStand},
};

/// Stands in everything of the county next door.
const MARK: &str = "mk2b";
/// Operations that are left out, and why.
const LEFT_OUT: [(&str, &str); 1] = [(
    "/events",
    "a stream that does not end; `GET /events` has tests of its own",
)];
/// Sessions each: what is called may end them.
const SESSIONS: usize = 6;

/// How it is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whose turn: of [`everybody`]; empty means all.
    pub roles: Vec<String>,
    /// Generated cases for each operation.
    pub examples: u32,
    /// The systematic cases (each bound, each missing field) of each operation as well.
    pub coverage: bool,
    /// The same seed makes the same cases; without one they are always the same.
    pub seed: Option<u64>,
    /// How many at a time.
    pub at_once: usize,
}

/// One turn.
#[derive(Debug)]
pub struct Turn {
    /// Whose.
    pub role: String,
    /// Nothing was found.
    pub clean: bool,
    /// Seconds.
    pub seconds: u64,
    /// Calls by kind of answer, and so on.
    pub counts: BTreeMap<String, u64>,
    /// Operations that answered with a success at least once.
    pub reached: Vec<String>,
    /// What schemathesis said.
    pub said: String,
}

/// All whose turn it may be.
pub fn everybody() -> Vec<String> {
    ROLES
        .into_iter()
        .chain(["everything", "nobody", "install"])
        .map(str::to_owned)
        .collect()
}

/// The program.
///
/// # Errors
/// It is not installed; the message says how.
pub fn program(root: &Path) -> Result<PathBuf> {
    let program = root.join(".bbt/schemathesis/bin/st");
    ensure!(
        program.is_file(),
        "schemathesis is not installed: run `cargo xtask setup` (python3 with venv, and PyPI, are needed)"
    );
    Ok(program)
}

/// Seeds a console in `dir` and lets everybody have their turn.
///
/// # Errors
/// The console cannot be started or seeded, schemathesis cannot be started, or the county next door changed.
pub async fn run(bins: &Bins, root: &Path, dir: &Path, options: &Options) -> Result<Vec<Turn>> {
    let program = program(root)?;
    let begun = Instant::now();
    let mut stand = ConsoleStand::prepare(bins, &dir.join("console"), None, "correct horse 42")?;
    let admin = stand.start().await?;
    let mut homes = Vec::new();
    for (number, mark) in [(1, "mk1a"), (2, MARK)] {
        let mut seed = Seed {
            stand: &stand,
            console: &admin,
            dir,
            words: Words::plain(mark),
            refused: Vec::new(),
            taken: 0,
        };
        let county = seed.county(number).await?;
        let mut ids = seed.ids(&county).await?;
        if number == 1 {
            ids.insert(
                "users".to_owned(),
                accounts(&admin, |name| name.starts_with("spare-mk1a")).await?,
            );
        }
        homes.push((county, ids));
    }
    let document = Console::text(&stand.url(), "/api/openapi.json").await?;
    let schema = dir.join("openapi.json");
    fs::write(&schema, document)?;
    let [(home, own), (next, foreign)] = homes.as_slice() else {
        anyhow::bail!("not two counties")
    };
    println!("   two counties in {} s", begun.elapsed().as_secs());
    let everybody = everybody();
    let chosen: Vec<&String> = everybody
        .iter()
        .filter(|role| options.roles.is_empty() || options.roles.contains(role))
        .collect();
    ensure!(
        !chosen.is_empty(),
        "there is no such role; there are: {}",
        everybody.join(", ")
    );

    // Not the account that holds the install: it stands first in the table, and so is what a made-up id meets.
    let grants: Vec<Value> = ROLES.iter().map(|role| json!({ "role": role })).collect();
    let install = json!({ "username": "install-fuzz", "password": PASSWORD, "grants": grants });
    admin.post("/users", install).await?;
    let keep = accounts(&admin, |name| !name.starts_with("spare")).await?;
    let keep: Vec<String> = keep.iter().map(Value::to_string).collect();
    let mut turns = Vec::new();
    // All sign in before the first wrong password is tried.
    for role in chosen {
        let (mut cookies, mut own) = (Vec::new(), own.clone());
        let name = match role.as_str() {
            "nobody" => None,
            "install" => Some("install-fuzz"),
            role => home.people.get(role).map(String::as_str),
        };
        for number in 0..SESSIONS {
            let Some(name) = name else { continue };
            let person = Console::sign_in(&stand.url(), name, PASSWORD).await?;
            cookies.push(person.cookie().to_owned());
            if number == 0 {
                let view = json!({ "list": "devices", "name": "own" });
                let made = person.post("/views", view).await?;
                own.insert("views".to_owned(), vec![made["id"].clone()]);
            }
        }
        let inside = role == "install";
        let (foreign, marks) = if inside {
            (json!({}), json!([]))
        } else {
            let boards: Vec<&str> = next.boards.iter().map(|board| board.id.as_str()).collect();
            let marks: Vec<&str> = [MARK].into_iter().chain(boards).collect();
            (json!(foreign), json!(marks))
        };
        let told = dir.join(format!("told-{role}.json"));
        let run = json!({ "role": role, "cookies": cookies, "keep": keep, "own": own, "foreign": foreign, "marks": marks, "told": told });
        let file = dir.join(format!("run-{role}.json"));
        fs::write(&file, run.to_string())?;
        turns.push((role.clone(), file, told));
    }

    let neighbour = &next.people["everything"];
    let before = belongings(&stand, neighbour).await?;
    let mut done = Vec::new();
    // The administrator may do anything to anybody, so that turn is the last and alone.
    let (last, first): (Vec<_>, Vec<_>) = turns.into_iter().partition(|(role, _, _)| role == "install");
    for turns in [first, last] {
        if turns.iter().any(|(role, _, _)| role == "install") {
            same(&before, &belongings(&stand, neighbour).await?)?;
        }
        done.extend(together(&program, root, &schema, &stand.url(), turns, options).await?);
    }
    stand.process()?.check_alive()?;
    if done.iter().all(|turn| turn.role != "install") {
        same(&before, &belongings(&stand, neighbour).await?)?;
    }
    Ok(done)
}

/// Ids of the accounts with such names.
async fn accounts(admin: &Console, such: impl Fn(&str) -> bool) -> Result<Vec<Value>> {
    let users = admin.get("/users?page_size=500").await?;
    let all = users["items"].as_array().context("no accounts")?;
    let chosen = all
        .iter()
        .filter(|user| user["username"].as_str().is_some_and(&such));
    Ok(chosen.map(|user| user["id"].clone()).collect())
}

async fn together(
    program: &Path,
    root: &Path,
    schema: &Path,
    url: &str,
    turns: Vec<(String, PathBuf, PathBuf)>,
    options: &Options,
) -> Result<Vec<Turn>> {
    let places = Arc::new(Semaphore::new(options.at_once.max(1)));
    let mut running = JoinSet::new();
    for (role, file, told) in turns {
        let places = Arc::clone(&places);
        let mut command = Command::new(program);
        let phases = if options.coverage {
            "examples,coverage,fuzzing"
        } else {
            "fuzzing"
        };
        command
            .arg("run")
            .arg(schema)
            .args(["--url", &format!("{url}/api/v1"), "--phases", phases, "--mode", "all"])
            .args(["--max-examples", &options.examples.to_string()])
            .arg("--no-shrink")
            .args(["--generation-with-security-parameters", "false"])
            .args(["--suppress-health-check", "all", "--continue-on-failure", "--no-color", "--warnings", "off"])
            .args(["--request-timeout", "30", "--workers", "1"])
            .args([
                "--checks",
                "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                 response_schema_conformance,unsupported_method,nothing_of_the_county_next_door,nobody_gets_in,errors_are_problems",
            ])
            .env("SCHEMATHESIS_HOOKS", "hooks")
            .env("PYTHONPATH", root.join("tests/schemathesis"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("BBT_FUZZ", &file)
            .current_dir(file.parent().unwrap_or(root))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        match options.seed {
            Some(seed) => command.args(["--seed", &seed.to_string(), "--generation-database", "none"]),
            None => command.arg("--generation-deterministic"),
        };
        for (path, _) in LEFT_OUT {
            command.args(["--exclude-path", path]);
        }
        running.spawn(async move {
            let _place = places.acquire_owned().await?;
            let begun = Instant::now();
            let done = command.output().await.context("Failed to start schemathesis")?;
            let said = format!(
                "{}{}",
                String::from_utf8_lossy(&done.stdout),
                String::from_utf8_lossy(&done.stderr)
            );
            let told: Value = fs::read(&told)
                .ok()
                .and_then(|bytes| serde_json::from_slice(&bytes).ok())
                .with_context(|| format!("schemathesis told nothing as {role}:\n{said}"))?;
            // Sessions may be ended by what is called, but whoever has none left tries nothing any more.
            let ended = told["counts"]["sessions ended"].as_u64().unwrap_or(0);
            ensure!(ended <= 40, "{role} was signed out {ended} times:\n{said}");
            anyhow::Ok(Turn {
                clean: done.status.success(),
                seconds: begun.elapsed().as_secs(),
                counts: serde_json::from_value(told["counts"].clone())?,
                reached: serde_json::from_value(told["reached"].clone())?,
                role,
                said,
            })
        });
    }
    let mut done = Vec::new();
    while let Some(turn) = running.join_next().await {
        done.push(turn??);
    }
    Ok(done)
}

/// Ids and names of what somebody sees.
async fn belongings(stand: &ConsoleStand, name: &str) -> Result<BTreeMap<String, Vec<String>>> {
    let person = Console::sign_in(&stand.url(), name, PASSWORD)
        .await
        .context("Failed to sign in next door")?;
    let mut all = BTreeMap::new();
    for path in [
        "/tree",
        "/devices?page_size=500",
        "/lessons?page_size=500",
        "/pushes?page_size=500",
        "/exams?page_size=500",
        "/tickets",
        "/orders?page_size=500",
        "/parts",
        "/areas",
        "/assets?page_size=500",
        "/users?page_size=500",
        "/notification-channels",
        "/reports?page_size=500",
    ] {
        let answer = person.get(path).await?;
        let mut found = Vec::new();
        names(&answer, &mut found);
        found.sort();
        all.insert(path.to_owned(), found);
    }
    Ok(all)
}

fn names(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(all) => all.iter().for_each(|one| names(one, found)),
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::Array(_) | Value::Object(_) => names(value, found),
                    _ if [
                        "id",
                        "name",
                        "title",
                        "code",
                        "username",
                        "display_name",
                        "retired_at",
                        "standing",
                        "stock",
                    ]
                    .contains(&key.as_str()) =>
                    {
                        found.push(format!("{key}={value}"));
                    }
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

fn same(before: &BTreeMap<String, Vec<String>>, after: &BTreeMap<String, Vec<String>>) -> Result<()> {
    for (path, had) in before {
        let has = &after[path];
        let lost: Vec<_> = had.iter().filter(|name| !has.contains(name)).collect();
        // Lessons and the like of the install or of both counties' parent may come; what bears the mark may not.
        let new: Vec<_> = has.iter().filter(|name| !had.contains(name)).collect();
        ensure!(
            lost.is_empty() && new.is_empty(),
            "{path}: the county next door lost {lost:?} and gained {new:?}"
        );
    }
    Ok(())
}

/// One line for each turn; then what was found.
pub fn print(turns: &[Turn]) {
    for turn in turns {
        let of = |name: &str| turn.counts.get(name).copied().unwrap_or(0);
        let calls: u64 = ["2xx", "3xx", "4xx", "5xx"].iter().map(|kind| of(kind)).sum();
        println!(
            "   {:<16} {:>6} calls, {:>5} of them 2xx, {:>5} with a foreign id, {} server errors; {} operations reached; {} s: {}",
            turn.role,
            calls,
            of("2xx"),
            of("with a foreign id"),
            of("5xx"),
            turn.reached.len(),
            turn.seconds,
            if turn.clean {
                "nothing found"
            } else {
                "FOUND SOMETHING"
            },
        );
    }
    for turn in turns.iter().filter(|turn| !turn.clean) {
        println!("\n== as {}\n{}", turn.role, turn.said);
    }
}
