//! `cargo xtask demo`: a county in one terminal, whose line can really be cut.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use system_tests::{
    client::Console,
    county::{Room, SCHOOLS, push, roster, ticket},
    kit,
    stand::{Bins, Classroom, ConsoleStand, free_port},
    uplink::Uplink,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
};

use crate::{
    setup,
    sh::{cargo, root, run as run_shown, target_dir},
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Cut the schools' line of the demo that is running.
    #[arg(long, conflicts_with_all = ["online", "fresh"])]
    offline: bool,
    /// Restore the schools' line of the demo that is running.
    #[arg(long, conflicts_with = "fresh")]
    online: bool,
    /// Start over: throw away what earlier demos left.
    #[arg(long)]
    fresh: bool,
    /// End as soon as all classrooms are ready (for scripts).
    #[arg(long)]
    until_ready: bool,
}

const READY_WITHIN: Duration = Duration::from_secs(300);

/// What must be the same in the next run, so that identities and bookmarks stay good.
#[derive(Serialize, Deserialize)]
struct State {
    password: String,
    console_ports: [u16; 3],
    /// For each school: HTTPS and MQTT of its line.
    line_ports: Vec<[u16; 2]>,
    /// For each classroom: the player; the next port is the courseware's.
    player_ports: Vec<u16>,
}

pub(crate) fn run(options: Options) -> Result<()> {
    let folder = root().join(".bbt/demo");
    let runtime = tokio::runtime::Runtime::new()?;
    if options.offline || options.online {
        return runtime.block_on(tell(&folder, if options.offline { "cut" } else { "restore" }));
    }
    setup::for_demo()?;
    println!("\n== build (release)");
    run_shown(cargo().args(["build", "--release", "-p", "bbt-console", "-p", "bbt-agent"]))?;
    let bins = Bins::in_dir(&target_dir().join("release"))?;
    runtime.block_on(county(&folder, &bins, &options))
}

async fn county(folder: &Path, bins: &Bins, options: &Options) -> Result<()> {
    fs::create_dir_all(folder)?;
    let control = claim(folder).await?;
    if options.fresh {
        clear(folder)?;
    }
    let state = state(folder)?;

    println!("\n== lessons");
    let tools = kit::Tools::find()?;
    let kit_dir = folder.join("kit");
    let made = {
        let (kit_dir, tools) = (kit_dir.clone(), tools.clone());
        tokio::task::spawn_blocking(move || kit::make(&kit_dir, &tools, &mut |what| println!("   {what}")))
            .await??
    };
    println!("   {} lessons in {}", made.len(), shown(&kit_dir));

    println!("\n== console, broker and database");
    let mut stand = ConsoleStand::prepare(
        bins,
        &folder.join("console"),
        Some(state.console_ports),
        &state.password,
    )?;
    let console = stand.start().await?;
    println!("   {}", stand.url());
    let report = stand.admin(&[
        "lesson",
        "import",
        "--release",
        kit_dir.to_str().context("the folder's path is not UTF-8")?,
    ])?;
    report.lines().for_each(|line| println!("   {line}"));

    println!("\n== schools and classrooms");
    let rooms = roster(&console).await?;
    let mut lines = Vec::new();
    let mut classrooms = Vec::new();
    let mut ports = state.player_ports.iter();
    for (school, line_ports) in rooms.chunk_by(|a, b| a.school == b.school).zip(&state.line_ports) {
        let mut line = Uplink::new();
        line.relay(line_ports[0], stand.devices_addr(), None).await?;
        line.relay(line_ports[1], stand.mqtt_addr(), None).await?;
        for room in school {
            let dir = folder.join("classrooms").join(&room.key);
            let port = *ports
                .next()
                .context("too few player ports; start over with --fresh")?;
            let mut classroom =
                Classroom::prepare(bins, &dir, port, &serial(room), "[health]\ninterval_s = 5\n")?;
            if !classroom.is_enrolled() {
                let ticket = ticket(&console, room.id, *line_ports, &dir).await?;
                classroom.enrol(&ticket)?;
            }
            classroom.start()?;
            println!("   {} {}: {}", room.school, room.name, classroom.url());
            classrooms.push(classroom);
        }
        lines.push(line);
    }

    println!("\n== push");
    let push = push(&console).await?;
    progress(&console, &push, &rooms, &mut classrooms).await?;
    print_addresses(&stand, &rooms, &classrooms);

    if !options.until_ready {
        serve_control(control, &lines, &mut classrooms).await?;
    }
    println!(
        "\n== ending what was started (the data stays in {})",
        shown(folder)
    );
    for classroom in &mut classrooms {
        report_end(
            classroom
                .process()
                .and_then(|agent| agent.terminate(Duration::from_secs(10))),
        );
    }
    report_end(
        stand
            .process()
            .and_then(|console| console.terminate(Duration::from_secs(15))),
    );
    let _ = fs::remove_file(folder.join("control.sock"));
    Ok(())
}

fn report_end(done: Result<()>) {
    if let Err(error) = done {
        println!("   {error:#}");
    }
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// Holds the demo's folder: its socket, which `--offline` and `--online` talk to.
async fn claim(folder: &Path) -> Result<UnixListener> {
    let socket = folder.join("control.sock");
    if UnixStream::connect(&socket).await.is_ok() {
        bail!(
            "a demo is already running on {}; end it with Ctrl-C in its terminal first",
            shown(folder)
        );
    }
    let _ = fs::remove_file(&socket);
    UnixListener::bind(&socket).with_context(|| format!("Failed to open {}", socket.display()))
}

fn clear(folder: &Path) -> Result<()> {
    // The unlock secret and the offline root lie beside the console's folder.
    for name in [
        "console",
        "console.unlock",
        "console.offline-root",
        "classrooms",
        "state.json",
    ] {
        let path = folder.join(name);
        let done = if path.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        match done {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("Failed to remove {}", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

fn state(folder: &Path) -> Result<State> {
    let file = folder.join("state.json");
    if let Ok(text) = fs::read_to_string(&file) {
        return serde_json::from_str(&text)
            .with_context(|| format!("Failed to read {}; start over with --fresh", file.display()));
    }
    let rooms: usize = SCHOOLS.iter().map(|school| school.classes.len()).sum();
    let near = |wanted: u16| match std::net::TcpListener::bind(("127.0.0.1", wanted)) {
        Ok(_) => Ok(wanted),
        Err(_) => free_port(),
    };
    let state = State {
        password: password()?,
        console_ports: [near(8080)?, near(8443)?, near(8883)?],
        line_ports: SCHOOLS
            .iter()
            .map(|_| Ok([free_port()?, free_port()?]))
            .collect::<Result<_>>()?,
        player_ports: (0..rooms)
            .map(|n| near(8108 + 10 * n as u16))
            .collect::<Result<_>>()?,
    };
    fs::write(&file, serde_json::to_string_pretty(&state)?)?;
    Ok(state)
}

/// 12 characters from the system's own randomness.
fn password() -> Result<String> {
    const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789x";
    let mut bytes = [0; 12];
    std::io::Read::read_exact(&mut fs::File::open("/dev/urandom")?, &mut bytes)?;
    Ok(bytes
        .iter()
        .map(|b| char::from(LETTERS[usize::from(b % 32)]))
        .collect())
}

/// Shows how far the push is until each of our classrooms says, connected, that it has everything.
///
/// Others may have been enrolled by hand; they are not waited for.
async fn progress(console: &Console, push: &str, rooms: &[Room], classrooms: &mut [Classroom]) -> Result<()> {
    let start = Instant::now();
    let mut shown = String::new();
    loop {
        for classroom in &mut *classrooms {
            classroom.process()?.check_alive()?;
        }
        let totals = console.get(&format!("/pushes/{push}")).await?;
        let page = console.get("/devices?page_size=200").await?;
        let devices = page["items"].as_array().context("the console lists no devices")?;
        let is_ready = |room: &&Room| {
            let serial = serial(room);
            devices.iter().any(|d| {
                d["serial"] == *serial
                    && d["state"] == "online"
                    && d["held_generation"] == d["wanted_generation"]
                    && d["lessons_assigned"].as_u64() > Some(0)
                    && d["lessons_ready"] == d["lessons_assigned"]
            })
        };
        let ready = rooms.iter().filter(is_ready).count();
        let line = format!(
            "   {ready} of {} classrooms ready, {:.1} of {:.1} MiB",
            rooms.len(),
            totals["bytes_done"].as_f64().unwrap_or(0.0) / f64::from(1 << 20),
            totals["bytes_total"].as_f64().unwrap_or(0.0) / f64::from(1 << 20),
        );
        if line != shown {
            println!("{line}");
            shown = line;
        }
        if ready == rooms.len() {
            return Ok(());
        }
        if start.elapsed() > READY_WITHIN {
            let devices = console.get(&format!("/pushes/{push}/devices")).await?;
            bail!(
                "not all classrooms are ready after {} s: {devices}",
                READY_WITHIN.as_secs()
            );
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// The board's serial number in the demo.
fn serial(room: &Room) -> String {
    format!("DEMO-{}", room.key)
}

fn print_addresses(stand: &ConsoleStand, rooms: &[Room], classrooms: &[Classroom]) {
    println!("\n班班通终端 is running. Open:");
    println!(
        "   县级控制台 console    {}   ({} / {})",
        stand.url(),
        stand.username,
        stand.password
    );
    for (room, classroom) in rooms.iter().zip(classrooms) {
        println!("   {} {}   {}", room.school, room.name, classroom.url());
    }
    println!(
        "\nNow cut the network: `cargo xtask demo --offline` in a second terminal, and play on; `--online` restores it."
    );
    println!(
        "Ctrl-C ends everything; the data stays, and the next run goes on from it (`--fresh` starts over)."
    );
}

/// Until Ctrl-C: cuts and restores the lines when told, and says when a classroom's program has ended.
async fn serve_control(control: UnixListener, lines: &[Uplink], classrooms: &mut [Classroom]) -> Result<()> {
    let mut watch = tokio::time::interval(Duration::from_secs(2));
    let mut told = vec![false; classrooms.len()];
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    loop {
        let stream = tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            accepted = control.accept() => accepted?.0,
            _ = watch.tick() => {
                for (classroom, told) in classrooms.iter_mut().zip(&mut told) {
                    let alive = classroom.process().and_then(|agent| agent.check_alive());
                    if let (Err(error), false) = (alive, *told) {
                        println!("   {}: {error:#}", classroom.url());
                        *told = true;
                    }
                }
                continue;
            }
        };
        let mut stream = BufReader::new(stream);
        let mut word = String::new();
        let _ = tokio::time::timeout(Duration::from_secs(2), stream.read_line(&mut word)).await;
        let answer = match word.trim() {
            "cut" => {
                lines.iter().for_each(Uplink::cut);
                "the schools' line is cut; the players play on"
            }
            "restore" => {
                lines.iter().for_each(Uplink::restore);
                "the schools' line is back; the devices report what happened meanwhile"
            }
            // Another demo looks whether this one is there.
            _ => continue,
        };
        println!("   {answer}");
        let _ = stream.write_all(answer.as_bytes()).await;
    }
}

/// Talks to the running demo.
async fn tell(folder: &Path, word: &str) -> Result<()> {
    let mut stream = UnixStream::connect(folder.join("control.sock"))
        .await
        .context("no demo is running; start one with `cargo xtask demo` in another terminal")?;
    stream.write_all(format!("{word}\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    println!("{answer}");
    Ok(())
}
