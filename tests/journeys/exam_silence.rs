//! Journey: an exam. Whatever is fired at the board in it, nothing sounds and nothing opens, also after a power cut; listening
//! audio sounds to the right PIN; afterwards everything is as it was, and the console holds a record whose chain fits.
//!
//! The ear is the monitor of a PulseAudio null sink. A tone of another program hums throughout, so that what is silent is the
//! loudspeaker itself and not only our page; before, in the listening audio and after, the same ear hears.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use common::{County, lesson_folder};
use jiff::Timestamp;
use serde_json::{Value, json};
use system_tests::stand::until;

const PIN: &str = "246810";
const VIDEO: &str = "video-exam";
const LISTENING: &str = "listening-exam";
const SINK: &str = "board";
/// Samples in a second.
const RATE: usize = 8000;
/// What is on its way from the board's loudspeaker to the ear.
const LATENCY: Duration = Duration::from_millis(600);
/// A sample louder than this is a sound that somebody hears; a muted sink gives exact zeros.
const HEARD: i16 = 200;

/// What reached the ear, and when.
type Heard = Arc<Mutex<Vec<(Instant, Vec<i16>)>>>;

/// A sound server with one loudspeaker, and an ear at it.
struct Ear {
    server: Child,
    recorder: Child,
    socket: String,
    heard: Heard,
}

impl Ear {
    fn start(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let socket = dir.join("s");
        let log = fs::File::create(dir.join("pulseaudio.log"))?;
        let mut server = Command::new("pulseaudio")
            .args([
                "-n",
                "--daemonize=no",
                "--exit-idle-time=-1",
                "--disable-shm=yes",
                "--use-pid-file=no",
            ])
            .args(["-L", &format!("module-null-sink sink_name={SINK}")])
            .args([
                "-L",
                &format!(
                    "module-native-protocol-unix socket={} auth-anonymous=1",
                    socket.display()
                ),
            ])
            .env("HOME", dir)
            .env("XDG_RUNTIME_DIR", dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("Failed to start pulseaudio; run `cargo xtask setup`")?;
        let socket = format!("unix:{}", socket.display());
        let begun = Instant::now();
        while !pactl(&socket, &["list", "short", "sinks"]).is_ok_and(|said| said.contains(SINK)) {
            if begun.elapsed() > Duration::from_secs(20) {
                let _ = server.kill();
                anyhow::bail!("pulseaudio does not answer; see {}", dir.display());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let mut recorder = Command::new("parec")
            .args([
                "-d",
                &format!("{SINK}.monitor"),
                "--format=s16le",
                "--channels=1",
                "--raw",
            ])
            .args([&format!("--rate={RATE}"), "--latency-msec=50"])
            .env("PULSE_SERVER", &socket)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("Failed to start parec; run `cargo xtask setup`")?;
        let heard = Heard::default();
        let (kept, mut out) = (Arc::clone(&heard), recorder.stdout.take().context("no pipe")?);
        std::thread::spawn(move || {
            let mut buffer = [0; 1600];
            while out.read_exact(&mut buffer).is_ok() {
                let samples = buffer.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]]));
                kept.lock().unwrap().push((Instant::now(), samples.collect()));
            }
        });
        Ok(Self {
            server,
            recorder,
            socket,
            heard,
        })
    }

    /// Samples that reached the ear between two moments, and the loudest of them.
    fn between(&self, from: Instant, to: Instant) -> (usize, i16) {
        let heard = self.heard.lock().unwrap();
        let within = heard.iter().filter(|(at, _)| (from..to).contains(at));
        within.fold((0, 0), |(count, loudest), (_, samples)| {
            let peak = samples.iter().map(|s| s.saturating_abs()).max().unwrap_or(0);
            (count + samples.len(), loudest.max(peak))
        })
    }

    /// Waits until something is heard.
    async fn hears(&self, what: &str, limit: Duration) -> Result<Duration> {
        let begun = Instant::now();
        until(&format!("{what} is heard"), limit, async || {
            Ok((self.between(begun, Instant::now()).1 > HEARD).then_some(()))
        })
        .await?;
        Ok(begun.elapsed())
    }

    fn unmute(&self) -> Result<()> {
        pactl(&self.socket, &["set-sink-mute", SINK, "0"]).map(drop)
    }

    fn is_mute(&self) -> Result<bool> {
        Ok(pactl(&self.socket, &["get-sink-mute", SINK])?.contains("yes"))
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        for child in [&mut self.recorder, &mut self.server] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn pactl(socket: &str, arguments: &[&str]) -> Result<String> {
    let done = Command::new("pactl")
        .args(arguments)
        .env("PULSE_SERVER", socket)
        .env("LC_ALL", "C")
        .output()
        .context("Failed to start pactl; run `cargo xtask setup`")?;
    ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// The board's kiosk: a browser that is told what to do.
struct Kiosk {
    node: Child,
    say: ChildStdin,
    said: BufReader<ChildStdout>,
}

impl Kiosk {
    fn start(base: &str, ear: &Ear) -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("journeys/exam_silence.mjs");
        let mut node = Command::new("node")
            .arg(script)
            .env("BASE_URL", format!("{base}/"))
            .env("PULSE_SERVER", &ear.socket)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("Failed to start node")?;
        let mut kiosk = Self {
            say: node.stdin.take().context("no pipe")?,
            said: BufReader::new(node.stdout.take().context("no pipe")?),
            node,
        };
        kiosk.read()?;
        Ok(kiosk)
    }

    fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.said.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("the browser said {line:?}"))
    }

    fn tell(&mut self, command: &str) -> Result<Value> {
        writeln!(self.say, "{command}")?;
        let said = self.read()?;
        ensure!(said["ok"] == true, "{command}: {said}");
        Ok(said)
    }
}

impl Drop for Kiosk {
    fn drop(&mut self) {
        let _ = writeln!(self.say, "end");
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(10) {
            if matches!(self.node.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.node.kill();
        let _ = self.node.wait();
    }
}

fn lessons(county: &County) -> Result<()> {
    let tone = |file: &Path, more: &[&str]| -> Result<()> {
        let done = Command::new("ffmpeg")
            .args(["-hide_banner", "-loglevel", "error", "-y"])
            .args(more)
            .arg(file)
            .status()
            .context("Failed to start ffmpeg")?;
        ensure!(done.success(), "ffmpeg failed");
        Ok(())
    };
    let folder = lesson_folder(county.dir.path(), VIDEO)?;
    let film = ["-f", "lavfi", "-i", "testsrc=size=320x240:rate=10:duration=60"];
    let sound = ["-f", "lavfi", "-i", "sine=frequency=523:duration=60"];
    let coded = [
        "-c:v",
        "libx264",
        "-pix_fmt",
        "yuv420p",
        "-c:a",
        "aac",
        "-shortest",
    ];
    tone(
        &folder.join("课.mp4"),
        &[&film[..], &sound[..], &coded[..]].concat(),
    )?;
    let listening = lesson_folder(county.dir.path(), LISTENING)?;
    tone(
        &listening.join("听力.mp3"),
        &[
            "-f",
            "lavfi",
            "-i",
            "sine=frequency=660:duration=40",
            "-c:a",
            "libmp3lame",
        ],
    )?;
    for folder in [folder, listening] {
        county
            .stand
            .admin(&["lesson", "import", "--release", folder.to_str().context("path")?])?;
    }
    Ok(())
}

async fn exam_of(http: &reqwest::Client, url: &str) -> Result<Value> {
    Ok(http.get(format!("{url}/api/exam")).send().await?.json().await?)
}

async fn status(http: &reqwest::Client, url: String) -> Result<u16> {
    Ok(http.get(url).send().await?.status().as_u16())
}

fn url_of(shelf: &Value, lesson: &str) -> Result<String> {
    let all = shelf["lessons"].as_array().context("no lessons")?;
    let found = all
        .iter()
        .find(|l| l["id"] == lesson)
        .context("the lesson is not there")?;
    Ok(found["items"][0]["url"]
        .as_str()
        .context("no address")?
        .to_owned())
}

fn write_boot(file: &Path, n: u32) -> Result<()> {
    Ok(fs::write(
        file,
        format!("{n}1111111-1111-4111-8111-111111111111\n"),
    )?)
}

#[tokio::test(flavor = "multi_thread")]
async fn in_an_exam_nothing_sounds_and_nothing_opens() -> Result<()> {
    let mut county = County::start(None).await?;
    let folder = county.dir.path().to_owned();
    let ear = Ear::start(&folder.join("sound"))?;
    lessons(&county)?;
    let (boot, marks, media): (PathBuf, PathBuf, PathBuf) = (
        folder.join("boot_id"),
        folder.join("reboots"),
        folder.join("media"),
    );
    fs::create_dir_all(&media)?;
    write_boot(&boot, 1)?;
    let extra = format!(
        "boot_id_file = {boot:?}\n[sound]\nserver = {:?}\n[usb]\nroots = [{media:?}]\n",
        ear.socket
    );
    county.add_classroom(&extra).await?;
    let config = county.classrooms[0].dir.join("agent.toml");
    let mark = format!(
        "reboot_command = [\"sh\", \"-c\", \"echo reboot >> '{}'\"]",
        marks.display()
    );
    let text = fs::read_to_string(&config)?;
    fs::write(&config, text.replace("reboot_command = [\"true\"]", &mark))?;
    county.classrooms[0].kill();
    county.classrooms[0].start()?;
    county.push_and_wait(Duration::from_secs(90)).await?;
    let device = county.device(0).await?["id"]
        .as_str()
        .context("no device")?
        .to_owned();
    let url = county.classrooms[0].url();
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
    let shelf = common::shelf(&county.classrooms[0]).await?;
    let (video, listening) = (url_of(&shelf, VIDEO)?, url_of(&shelf, LISTENING)?);

    // Before: a lesson plays, and the ear hears it. Then another program hums as well.
    let mut kiosk = Kiosk::start(&url, &ear)?;
    kiosk.tell("open")?;
    kiosk.tell(&format!("play {VIDEO} 0"))?;
    ear.hears("the video", Duration::from_secs(20)).await?;
    let pages = kiosk.tell("look")?["pages"].clone();
    kiosk.tell("hum")?;

    // The exam: listening audio in its second half.
    let from = Timestamp::now() + Duration::from_secs(10);
    let at = |s: u64| from + Duration::from_secs(s);
    let body = json!({
        "school_id": school_of(&county).await?, "name": "期中考试·数学", "from": from, "to": at(80),
        "audio": [{ "from": at(45), "to": at(70) }], "pin": PIN,
    });
    let exam = county.console.post("/exams", body).await?["exam"]["id"]
        .as_str()
        .context("no exam")?
        .to_owned();
    until("the exam on the board", Duration::from_secs(30), async || {
        let now = exam_of(&http, &url).await?;
        Ok((now["state"] == "silent").then_some(()))
    })
    .await?;
    wait_until(from).await;
    let begun = Instant::now() + LATENCY;

    // Every kind of thing that could make a board sound or show itself.
    let command = async |body: Value| {
        let path = format!("/devices/{device}/commands");
        let sent = county
            .console
            .post(&path, json!({ "body": body, "ttl_s": 600 }))
            .await?;
        anyhow::Ok(sent["id"].as_str().context("no command")?.to_owned())
    };
    let notice = |level: &str, title: &str| json!({ "kind": "notice", "level": level, "title": title, "text": "全校", "show_for_s": 600 });
    let mut commands = Vec::new();
    for body in [
        notice("standard", "下午停电"),
        notice("urgent", "紧急集合"),
        json!({ "kind": "reboot", "delay_s": 0 }),
    ] {
        commands.push(command(body).await?);
    }
    common::picture_lesson(&county, "pushed-in-the-exam")?;
    let county_id = county.console.get("/tree").await?["regions"][0]["id"].clone();
    let push = json!({ "lesson_ids": ["pushed-in-the-exam"], "target": { "kind": "region", "id": county_id }, "pinned": false });
    county.console.post("/pushes", push).await?;
    fs::create_dir_all(media.join("teacher/bbt"))?;
    fs::copy(
        county.dir.path().join(LISTENING).join("听力.mp3"),
        media.join("teacher/song.mp3"),
    )?;
    let disk = kiosk.tell("get api/disks")?;
    ensure!(disk["body"]["disks"] == json!([]), "a disk is shown: {disk}");
    let mut refused = Vec::new();
    for path in [video.as_str(), listening.as_str(), "/usb/000000000000/song.mp3"] {
        refused.push(status(&http, format!("{url}{path}")).await?);
    }
    let port = county.classrooms[0].player + 1;
    refused.push(status(&http, format!("http://127.0.0.1:{port}/{VIDEO}/1/index.html")).await?);
    // An exercise has a host of its own; the door may refuse the name before it looks at the exam.
    ensure!(
        refused[..3] == [423, 423, 423] && [421, 423].contains(&refused[3]),
        "handed out: {refused:?}"
    );
    // What the browser still has in its memory may move; that nobody hears it is the loudspeaker's doing.
    kiosk.tell(&format!("listen {video}"))?;
    let played = kiosk.tell(&format!("listen {video}&asked=again"))?;
    ensure!(played["plays"] == false, "the page played in the exam");
    let fault = kiosk.tell("ask api/faults {\"class\":\"sound\",\"symptom\":\"none\"}")?;
    ensure!(fault["status"] == 201, "{fault}");
    let wrong = kiosk.tell("ask api/exam/pin {\"pin\":\"000000\"}")?;
    ensure!(
        wrong["status"] == 409,
        "a PIN outside the listening audio: {wrong}"
    );
    // The console knows that they are held back, and the board has them.
    until("the commands are accepted", Duration::from_secs(20), async || {
        let all = county.console.get(&format!("/devices/{device}/commands")).await?;
        let all = all["items"]
            .as_array()
            .or(all.as_array())
            .context("no commands")?
            .clone();
        let held = commands.iter().filter(|id| {
            all.iter()
                .any(|row| row["id"] == ***id && row["state"] == "accepted")
        });
        Ok((held.count() == commands.len()).then_some(()))
    })
    .await?;
    wait_until(at(12)).await;
    // Somebody turns the sound on by hand: it is off again within a check.
    let by_hand = Instant::now();
    ear.unmute()?;
    until(
        "the loudspeaker is mute again",
        Duration::from_secs(8),
        async || Ok(ear.is_mute()?.then_some(())),
    )
    .await?;
    let mended = Instant::now() + LATENCY;
    wait_until(at(24)).await;
    let seen = kiosk.tell("look")?;
    ensure!(
        seen["exam"] == true && seen["notices"] == json!([]),
        "shown in the exam: {seen}"
    );
    ensure!(
        seen["pages"] == pages && seen["popups"] == 0 && seen["dialogs"] == 0,
        "opened: {seen}"
    );
    ensure!(!marks.exists(), "the board was restarted in the exam");
    if let Ok(shots) = std::env::var("SHOTS") {
        kiosk.tell(&format!("shot {shots}/silent.png"))?;
    }
    let until_cut = Instant::now();
    let first = ear.between(begun, by_hand);
    let second = ear.between(mended, until_cut);

    // The power goes; a mixer comes back loud, the browser starts with the board, and something hums at once.
    drop(kiosk);
    county.classrooms[0].kill();
    ear.unmute()?;
    write_boot(&boot, 2)?;
    county.classrooms[0].start()?;
    let answers: u16 = until("the player answers", Duration::from_secs(30), async || {
        Ok(status(&http, format!("{url}{video}")).await.ok())
    })
    .await?;
    ensure!(
        answers == 423,
        "the first answer after the power cut is {answers}"
    );
    ensure!(
        ear.is_mute()?,
        "the player answers before the loudspeaker is mute"
    );
    let back = Instant::now() + LATENCY;
    let mut kiosk = Kiosk::start(&url, &ear)?;
    kiosk.tell("open")?;
    kiosk.tell("hum")?;
    let played = kiosk.tell(&format!("listen {video}"))?;
    ensure!(played["plays"] == false, "the page played after the power cut");
    until("the exam's page", Duration::from_secs(10), async || {
        Ok((exam_of(&http, &url).await?["state"] == "silent").then_some(()))
    })
    .await?;

    // Listening audio: not to a wrong PIN, to the right one, and nothing else with it.
    wait_until(at(45)).await;
    until(
        "the time of the listening audio",
        Duration::from_secs(5),
        async || Ok((exam_of(&http, &url).await?["audio_now"] == true).then_some(())),
    )
    .await?;
    let wrong = kiosk.tell("ask api/exam/pin {\"pin\":\"000000\"}")?;
    ensure!(
        wrong["status"] == 403 && wrong["body"]["tries_left"] == 4,
        "{wrong}"
    );
    kiosk.tell("unhum")?;
    tokio::time::sleep(LATENCY).await;
    let third = ear.between(back, Instant::now());
    let opened = kiosk.tell(&format!("ask api/exam/pin {{\"pin\":\"{PIN}\"}}"))?;
    ensure!(
        opened["status"] == 200 && opened["body"]["state"] == "listening",
        "{opened}"
    );
    let played = kiosk.tell(&format!("listen {listening}"))?;
    ensure!(
        played["plays"] == true,
        "the listening audio does not play: {played}"
    );
    let heard = ear.hears("the listening audio", Duration::from_secs(10)).await?;
    ensure!(
        status(&http, format!("{url}{video}")).await? == 423,
        "more than the listening audio is open"
    );
    if let Ok(shots) = std::env::var("SHOTS") {
        kiosk.tell(&format!("shot {shots}/listening.png"))?;
    }
    let closed = kiosk.tell("ask api/exam/close {}")?;
    ensure!(closed["body"]["state"] == "silent", "{closed}");
    until(
        "mute after the listening audio",
        Duration::from_secs(5),
        async || Ok(ear.is_mute()?.then_some(())),
    )
    .await?;
    let after_audio = Instant::now() + LATENCY;
    kiosk.tell("unlisten")?;
    kiosk.tell("hum")?;

    // The end: as it was before, and what was held back comes.
    wait_until(at(79)).await;
    let fourth = ear.between(after_audio, Instant::now());
    let silent = [first, second, third, fourth];
    println!(
        "silent: {} samples in 4 stretches, loudest {}; the listening audio was heard after {heard:?}",
        silent.iter().map(|s| s.0).sum::<usize>(),
        silent.iter().map(|s| s.1).max().unwrap_or(0),
    );
    for (n, (samples, loudest)) in silent.iter().enumerate() {
        ensure!(
            *samples > RATE,
            "the ear was deaf in stretch {n}: {samples} samples"
        );
        ensure!(
            *loudest == 0,
            "stretch {n} was not silent: loudest sample {loudest}"
        );
    }
    let pushed = async || {
        let shelf = common::shelf(&county.classrooms[0]).await?;
        let all = shelf["lessons"].as_array().cloned().unwrap_or_default();
        let found = all
            .into_iter()
            .find(|lesson| lesson["id"] == "pushed-in-the-exam");
        anyhow::Ok(found.map(|lesson| lesson["state"].clone()).unwrap_or_default())
    };
    ensure!(
        pushed().await? == "queued",
        "a lesson came in the exam: {}",
        pushed().await?
    );
    wait_until(at(80)).await;
    ear.hears("the hum after the exam", Duration::from_secs(10))
        .await?;
    let shelf: Value = until(
        "the notices after the exam",
        Duration::from_secs(10),
        async || {
            let shelf = common::shelf(&county.classrooms[0]).await?;
            Ok((shelf["notices"].as_array().map_or(0, Vec::len) == 2).then_some(shelf))
        },
    )
    .await?;
    println!("after the exam: {}", shelf["notices"]);
    ensure!(
        status(&http, format!("{url}{video}")).await? == 200,
        "lessons do not play after the exam"
    );
    until(
        "the lesson that was pushed in the exam",
        Duration::from_secs(40),
        async || Ok((pushed().await? == "ready").then_some(())),
    )
    .await?;
    // The power cut was the restart that was asked for; it is not done again.
    ensure!(!marks.exists(), "the board was restarted once more");
    county.classrooms[0].process()?.check_alive()?;

    // The record at the console.
    let room = county.rooms[0].id;
    let record = until(
        "the record at the console",
        Duration::from_secs(120),
        async || {
            let told = county
                .console
                .get(&format!("/exams/{exam}/records/{room}"))
                .await?;
            Ok((told["devices"][0]["record"]["closed"] == true).then_some(told))
        },
    )
    .await
    .with_context(|| agent_log(&county))?;
    let device = &record["devices"][0];
    let kinds: Vec<_> = device["record"]["entries"]
        .as_array()
        .context("no entries")?
        .iter()
        .map(|entry| entry["kind"].as_str().unwrap_or_default().to_owned())
        .collect();
    println!("{kinds:?}\nchecks: {}", device["record"]["checks"]);
    for kind in [
        "began",
        "muted",
        "mended",
        "notice_held",
        "command_held",
        "play_refused",
        "disk_ignored",
        "pin_wrong",
        "powered_on",
        "audio_opened",
        "audio_played",
        "audio_closed",
        "ended",
    ] {
        ensure!(
            kinds.iter().any(|k| k == kind),
            "the record does not tell of {kind}: {kinds:?}"
        );
    }
    ensure!(
        device["record"]["chain"] == "intact",
        "chain: {}",
        device["record"]["chain"]
    );
    ensure!(
        record["summary"]["verdict"] == "allowed_audio",
        "verdict: {}",
        record["summary"]
    );
    ensure!(
        device["record"]["refused"]["notice_held"] == 2,
        "{}",
        device["record"]["refused"]
    );
    // With it went what was reported and what was used: the film, before the exam.
    let faults = county.console.get("/faults").await?;
    ensure!(
        faults["items"][0]["class"] == "sound" && faults["items"][0]["symptom"] == "none",
        "{faults}"
    );
    let day = Timestamp::now()
        .to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(8)))
        .date();
    let usage = county
        .console
        .get(&format!("/usage?from={day}&to={day}&by=lesson"))
        .await?;
    println!("use: {}", usage["rows"]["items"]);
    let film = usage["rows"]["items"].as_array().context("no rows")?;
    let film = film
        .iter()
        .find(|row| row["key"] == VIDEO)
        .context("the film is not counted")?;
    ensure!(film["totals"]["opens"].as_u64() >= Some(1), "{film}");
    Ok(())
}

/// What the board had to say, where something did not come.
fn agent_log(county: &County) -> String {
    let text = fs::read_to_string(county.classrooms[0].log()).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

async fn school_of(county: &County) -> Result<i64> {
    let tree = county.console.get("/tree").await?;
    let schools = tree["regions"][0]["schools"]
        .as_array()
        .context("no schools")?
        .clone();
    let ours = schools
        .iter()
        .find(|school| school["name"] == county.rooms[0].school.as_str());
    ours.and_then(|school| school["id"].as_i64()).context("no school")
}

async fn wait_until(at: Timestamp) {
    let left = at.duration_since(Timestamp::now());
    if let Ok(left) = Duration::try_from(left) {
        tokio::time::sleep(left).await;
    }
}
