//! Journey: the board controller's own program, in QEMU, a real agent at its serial port and a real console above both. The room
//! heats up, the agent is frozen, the machine is switched off at night: what the controller does of itself is seen at its wires,
//! and what becomes known of it at the console.
//!
//! The test is the machine around the agent: it runs while the rails are up, is gone when they are cut, starts anew when its reset
//! line is pulled, and says "halted" when it has stopped in order.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;

use std::{
    cell::RefCell,
    fs,
    io::Read,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use board_link::WakePlan;
use common::County;
use jiff::{SignedDuration, Timestamp, ToSpan, tz::Offset};
use serde_json::{Value, json};
use system_tests::{
    county::{roster, ticket},
    emulator::{self, Emulator, Pin},
    stand::{Classroom, free_port, until},
};

const LIMIT: Duration = Duration::from_secs(90);
/// As the board's file has them.
const RAILS: [Pin; 2] = [Pin('B', 4), Pin('B', 5)];
const RESET: Pin = Pin('C', 4);
const HALTED: Pin = Pin('C', 5);
const BUTTON: Pin = Pin('F', 1);
/// From the controller's alarm to the first bell.
const LEAD_MIN: i64 = 10;
/// From the beginning to the alarm: all that comes before is usually done by then.
const MORNING: SignedDuration = SignedDuration::from_secs(55);
/// Where the school is.
const HERE: Offset = Offset::constant(8);

struct Machine {
    county: County,
    board: Emulator,
    /// The console's id of the device.
    id: String,
    boots: u32,
    /// What the agent was told to do with the machine, line by line.
    told: PathBuf,
    /// By how much all clocks here are ahead.
    ahead: SignedDuration,
    begun: Instant,
}

impl Machine {
    /// A console and a board on the eve of its alarm; the machine runs and the device is online.
    async fn start(image: &Path) -> Result<Self> {
        let (begun, now) = (Instant::now(), Timestamp::now());
        let tomorrow = HERE.to_datetime(now).date() + 1.day();
        let alarm = HERE.to_timestamp(tomorrow.at(7, 50, 0, 0))?;
        let ahead = alarm.duration_since(now) - MORNING;
        let clock = Some(format!("+{}", ahead.as_secs()));

        let mut county = County::start_empty().await?;
        county.stand.kill();
        county.stand.clock.clone_from(&clock);
        county.console = county.stand.start().await?;
        county.rooms = roster(&county.console).await?;
        let dir = county.dir.path().to_owned();
        let board = Emulator::start(image, &dir.join("board"), Timestamp::now() + ahead, RESET)?;
        let (boot, told) = (dir.join("boot_id"), dir.join("told"));
        fs::create_dir_all(dir.join("probes"))?;
        fs::write(&told, "")?;
        let room = &county.rooms[0];
        let folder = dir.join(&room.key);
        let extra = format!(
            "boot_id_file = {boot:?}\n\n[health]\ninterval_s = 1\n\n[probes]\nroot = {:?}\n\n[link]\nat = \"tcp:127.0.0.1:{}\"\n\n\
             [control]\npower_off = [\"sh\", \"-c\", \"echo off >> '{}'\"]\n\n[logs]\ncommand = [\"cat\", {:?}]\n",
            dir.join("probes"),
            board.port,
            told.display(),
            folder.join("agent.log"),
        );
        let serial = format!("SN-{}", room.key);
        let mut classroom = Classroom::prepare(&county.bins, &folder, free_port()?, &serial, &extra)?;
        let config = folder.join("agent.toml");
        let text = fs::read_to_string(&config)?;
        fs::write(&config, text.replace("generic-box-rev-a", "lm3s6965evb-rev-a"))?;
        classroom.clock = clock;
        let line = [county.stand.devices, county.stand.mqtt];
        let ticket = ticket(&county.console, room.id, line, &folder).await?;
        classroom.enrol(&ticket)?;
        county.classrooms.push(classroom);

        let mut machine = Self {
            county,
            board,
            id: String::new(),
            boots: 0,
            told,
            ahead,
            begun,
        };
        machine.awake_from(alarm).await?;
        machine.rails(true, LIMIT).await?;
        machine.power_up()?;
        machine.id = until("the device online", LIMIT, async || {
            let device = machine.county.device(0).await?;
            Ok((device["state"] == "online").then(|| device["id"].as_str().unwrap_or_default().to_owned()))
        })
        .await?;
        machine.say("a board at a console");
        Ok(machine)
    }

    fn say(&self, what: &str) {
        println!("{:>6.1} s  {what}", self.begun.elapsed().as_secs_f64());
    }

    /// What time it is for console, agent and board.
    fn now(&self) -> Timestamp {
        Timestamp::now() + self.ahead
    }

    /// The school's day, of which the board's begins at `alarm`.
    async fn awake_from(&self, alarm: Timestamp) -> Result<()> {
        let bell = HERE.to_datetime(alarm + SignedDuration::from_mins(LEAD_MIN));
        let from_min = i64::from(bell.hour()) * 60 + i64::from(bell.minute());
        let monday = bell.date() - (i64::from(bell.date().weekday().to_monday_zero_offset()) + 14).days();
        let console = &self.county.console;
        let tree = console.get("/tree").await?;
        let calendar = json!({
            "term": { "first_monday": monday.to_string(), "weeks": 20 },
            "bells": [{ "number": 1, "from_min": from_min, "to_min": from_min + 40 }],
        });
        console
            .put(
                &format!("/regions/{}/calendar", tree["regions"][0]["id"]),
                calendar,
            )
            .await?;
        let day = |day: u8| json!({ "day": day, "number": 1, "subject": "语文" });
        let week = json!({ "periods": (1..=7).map(day).collect::<Vec<_>>() });
        let room = self.county.rooms[0].id;
        console
            .put(&format!("/classrooms/{room}/timetable"), week)
            .await?;
        Ok(())
    }

    /// What the controller itself keeps of when it must be awake.
    fn plan(&mut self) -> Result<WakePlan> {
        const PLAN: usize = 240;
        let kept = self.board.bytes("bbt_kept")?;
        let (head, plan) = kept.split_at(kept.len().checked_sub(PLAN).context("no plan is kept")?);
        let (_, about) = head.split_last_chunk::<8>().context("no plan is kept")?;
        let used = u32::from_le_bytes(*about.first_chunk().context("no length")?);
        let plan = plan
            .get(..usize::try_from(used)?)
            .context("a plan that is too long")?;
        Ok(postcard::from_bytes(plan).unwrap_or_default())
    }

    /// Waits until the machine has power, or none.
    async fn rails(&mut self, up: bool, limit: Duration) -> Result<()> {
        let what = if up {
            "the rails go up"
        } else {
            "the rails go down"
        };
        let board = RefCell::new(&mut self.board);
        until(what, limit, async || {
            let mut board = board.borrow_mut();
            for rail in RAILS {
                ensure!(board.is_high(rail)? == up, "{rail:?}");
            }
            Ok(Some(()))
        })
        .await
    }

    /// Waits for a word of the controller's memory.
    async fn word(&mut self, name: &str, what: &str, is: impl Fn(u32) -> bool) -> Result<u32> {
        let board = RefCell::new(&mut self.board);
        until(what, LIMIT, async || {
            let word = board.borrow_mut().word(name)?;
            ensure!(is(word), "{name} is {word}");
            Ok(Some(word))
        })
        .await
    }

    /// Power came, or the reset line was let go: another boot of the machine.
    fn power_up(&mut self) -> Result<()> {
        self.board.drive(HALTED, false)?;
        self.boots += 1;
        fs::write(
            self.county.dir.path().join("boot_id"),
            format!("{}\n", boot(self.boots)),
        )?;
        self.county.classrooms[0].start()
    }

    /// Somebody presses the button, for as long as a finger does.
    async fn press(&mut self) -> Result<()> {
        for down in [false, true, false] {
            self.board.drive(BUTTON, !down)?;
            let since = self.board.word("bbt_millis")?;
            self.word("bbt_millis", "the board's time goes on", |now| {
                now.wrapping_sub(since) > 100
            })
            .await?;
        }
        Ok(())
    }

    /// Temperatures in the console's chart, oldest first.
    async fn chart(&self) -> Result<Vec<f64>> {
        let path = format!("/devices/{}/series?metrics=temperature_celsius&step=raw", self.id);
        let set = self.county.console.get(&path).await?;
        let points = set["series"][0]["points"].as_array().context("no series")?;
        Ok(points
            .iter()
            .filter_map(|point| point["value"].as_f64())
            .collect())
    }

    async fn charted(&self, celsius: f64) -> Result<()> {
        until(&format!("{celsius} °C in the chart"), LIMIT, async || {
            let chart = self.chart().await?;
            ensure!(
                chart.last().is_some_and(|last| (last - celsius).abs() < 0.5),
                "{chart:?}"
            );
            Ok(Some(()))
        })
        .await?;
        self.say(&format!("{celsius} °C in the console's chart"));
        Ok(())
    }

    /// The agent's own words.
    fn log(&self) -> Result<String> {
        Ok(fs::read_to_string(self.county.classrooms[0].log())?)
    }

    async fn logged(&self, words: &str) -> Result<()> {
        until(words, LIMIT, async || {
            Ok(self.log()?.contains(words).then_some(()))
        })
        .await
    }

    fn stops_told(&self) -> Result<usize> {
        Ok(fs::read_to_string(&self.told)?.lines().count())
    }

    /// Waits until the agent was told so often to stop the machine.
    async fn stop_told(&self, times: usize) -> Result<()> {
        until("the agent stops the machine", LIMIT, async || {
            Ok((self.stops_told()? == times).then_some(()))
        })
        .await
    }

    /// Waits until the console has heard of this power-up, and gives the reason that it was told.
    async fn reason(&self) -> Result<String> {
        let path = format!("/devices/{}/events?kind=booted", self.id);
        let event = until("the console hears of the power-up", LIMIT, async || {
            let events = self.county.console.get(&path).await?;
            let events = events["items"].as_array().context("no events")?;
            let this = boot(self.boots);
            Ok(events.iter().find(|event| event["boot_id"] == *this).cloned())
        })
        .await?;
        ensure!(event["what"]["by"] == "board_controller", "{event}");
        let reason = event["what"]["reason"].as_str().context("no reason")?.to_owned();
        self.say(&format!(
            "power-up {}: {reason}, says the board controller",
            self.boots
        ));
        Ok(reason)
    }

    async fn command(&self, body: Value, wanted: &str) -> Result<String> {
        let path = format!("/devices/{}/commands", self.id);
        let sent = self
            .county
            .console
            .post(&path, json!({ "body": body, "ttl_s": 600 }))
            .await?;
        let id = sent["id"].as_str().context("no command")?.to_owned();
        until(&format!("the order {wanted}"), LIMIT, async || {
            let all = self.county.console.get(&path).await?;
            let all = all["items"]
                .as_array()
                .or(all.as_array())
                .context("no commands")?
                .clone();
            let row = all
                .into_iter()
                .find(|row| row["id"] == *id)
                .context("the order is not listed")?;
            ensure!(row["state"] == *wanted, "{row}");
            Ok(Some(()))
        })
        .await?;
        Ok(id)
    }

    /// The log, as the console has fetched it.
    async fn fetched_log(&self) -> Result<String> {
        let id = self
            .command(json!({ "kind": "collect_logs", "hours": 1 }), "succeeded")
            .await?;
        let path = format!("/devices/{}/commands/{id}/logs", self.id);
        let packed = self.county.console.bytes(&path).await?;
        let mut archive = tar::Archive::new(zstd::Decoder::new(&packed[..])?);
        for entry in archive.entries()? {
            let mut entry = entry?;
            if entry.path()?.ends_with("agent.log") {
                let mut text = String::new();
                entry.read_to_string(&mut text)?;
                return Ok(text);
            }
        }
        anyhow::bail!("no log of the agent was fetched")
    }
}

fn boot(n: u32) -> String {
    format!("{n}1111111-1111-4111-8111-111111111111")
}

/// Each of them is there, after the one before.
fn in_order(text: &str, words: &[&str]) -> Result<()> {
    let mut rest = text;
    for word in words {
        let at = rest
            .find(word)
            .with_context(|| format!("no {word:?} after what comes before it in: {text}"))?;
        rest = &rest[at + word.len()..];
    }
    Ok(())
}

/// Fan, derated, warned, told to stop, cut: in this order, each at its temperature and none before.
async fn heat(machine: &mut Machine) -> Result<()> {
    const HOT: &str = "the board is getting hot";
    machine.charted(30.0).await?;
    let cool = machine.board.word("bbt_fan")?;
    let bright = machine.board.word("bbt_backlight")?;

    machine.board.heat(50)?;
    let faster = machine
        .word("bbt_fan", "50 °C: the fan turns faster", |fan| fan >= cool + 15)
        .await?;
    machine.charted(50.0).await?;
    ensure!(machine.board.word("bbt_backlight")? == bright, "darker at 50 °C");

    machine.board.heat(72)?;
    let darker = machine
        .word("bbt_backlight", "72 °C: the screen is held darker", |light| {
            light <= bright / 2
        })
        .await?;
    ensure!(
        machine.board.word("bbt_fan")? == 100,
        "hot, and the fan is not at its fastest"
    );
    machine.charted(72.0).await?;
    ensure!(!machine.log()?.contains(HOT), "warned at 72 °C");
    machine.say(&format!(
        "fan {cool} % → {faster} % → 100 %, screen {bright} % → {darker} %"
    ));

    machine.board.heat(76)?;
    machine.logged(HOT).await?;
    machine.charted(76.0).await?;
    ensure!(machine.stops_told()? == 0, "stopped at 76 °C");

    machine.board.heat(82)?;
    machine.stop_told(1).await?;
    for rail in RAILS {
        ensure!(machine.board.is_high(rail)?, "no time to stop in order: {rail:?}");
    }
    // It hangs while it stops, and it gets hotter.
    machine.board.heat(92)?;
    machine.rails(false, LIMIT).await?;
    machine.county.classrooms[0].kill();
    ensure!(machine.board.word("bbt_fan")? == 100, "the fan must go on");
    machine.say("warned at 76 °C, told to stop at 82 °C, cut at 92 °C");

    machine.board.heat(30)?;
    machine
        .word("bbt_fan", "cool: the fan stands", |fan| fan == 0)
        .await?;
    machine.press().await?;
    machine.rails(true, LIMIT).await?;
    machine.power_up()?;
    ensure!(machine.reason().await? == "thermal");
    Ok(())
}

/// An agent that lives no more, in a machine that has power: it is reset.
async fn silence(machine: &mut Machine) -> Result<()> {
    let before = machine.board.falls();
    machine.county.classrooms[0].process()?.freeze()?;
    machine.say("the agent is frozen");
    until("the machine is reset", LIMIT, async || {
        Ok((machine.board.falls() > before).then_some(()))
    })
    .await?;
    once_and_powered(machine, before)?;
    machine.say("the machine's reset line was pulled");
    machine.county.classrooms[0].kill();
    machine.power_up()?;
    ensure!(machine.reason().await? == "watchdog");
    once_and_powered(machine, before)
}

/// One reset since so many, by which no power was taken.
fn once_and_powered(machine: &mut Machine, before: u32) -> Result<()> {
    ensure!(machine.board.falls() == before + 1, "reset more than once");
    for rail in RAILS {
        ensure!(machine.board.is_high(rail)?, "a reset takes no power: {rail:?}");
    }
    Ok(())
}

/// Off by the console's word, on by the controller's clock.
async fn morning(machine: &mut Machine) -> Result<()> {
    const SPARE: SignedDuration = SignedDuration::from_secs(40);
    let first = |plan: &WakePlan| plan.windows.first().map_or(0, |window| window.from.0);
    let mut alarm = first(&machine.plan()?);
    if alarm < (machine.now() + SPARE).as_second() {
        // A slow machine has missed it, or it has not been told yet. Plans are looked through once a minute.
        let next = machine.now().as_second() / 60 * 60 + 180;
        machine.awake_from(Timestamp::from_second(next)?).await?;
        machine.say("too late for the alarm: another one");
        alarm = next;
    }
    let cell = RefCell::new(&mut *machine);
    until("the board knows when to be awake", LIMIT, async || {
        let plan = cell.borrow_mut().plan()?;
        ensure!(first(&plan) == alarm, "{plan:?}, not {alarm}");
        Ok(Some(()))
    })
    .await?;

    machine
        .command(json!({ "kind": "power_off", "delay_s": 0 }), "executing")
        .await?;
    machine.stop_told(2).await?;
    machine.county.classrooms[0]
        .process()?
        .terminate(Duration::from_secs(30))?;
    machine.board.drive(HALTED, true)?;
    machine.rails(false, LIMIT).await?;
    machine.say("off by the console's order");
    let until_then = Timestamp::from_second(alarm)?.duration_since(machine.now());
    machine.say(&format!("the alarm is in {} s", until_then.as_secs()));
    machine.rails(true, Duration::from_secs(240)).await?;
    machine.say("awake by the controller's own clock");
    machine.power_up()?;
    ensure!(machine.reason().await? == "shutdown");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn heat_silence_and_a_morning_at_the_board_controllers_own_program() -> Result<()> {
    let Some(image) = emulator::image()? else {
        println!("NOT SHOWN: the board controller at a real agent; this machine cannot build its program");
        return Ok(());
    };
    let mut machine = Machine::start(&image).await?;
    heat(&mut machine).await?;
    silence(&mut machine).await?;
    morning(&mut machine).await?;

    // What a technician sees from afar.
    let chart = machine.chart().await?;
    let mut rest = chart.iter();
    for step in [30.0, 50.0, 72.0, 76.0, 30.0] {
        ensure!(
            rest.any(|one: &f64| (one - step).abs() < 0.5),
            "no {step} °C in its turn: {chart:?}"
        );
    }
    let log = machine.fetched_log().await?;
    let story = [
        "fan_percent=20",
        "fan_percent=40",
        "heat=Derated",
        "screen_percent=40",
        "the board is getting hot",
        "the board wants the machine to stop",
        "TooHot",
        "ThermalCut",
        "AgentReset",
    ];
    in_order(&log, &story)?;
    let stack = machine.board.stack()?;
    machine.say(&format!(
        "the controller's stack: {} bytes at most of {}, of {} of RAM",
        stack.used, stack.room, stack.ram
    ));
    ensure!(
        stack.room - stack.used >= 512,
        "{stack:?}: too little is left of the controller's stack"
    );
    Ok(())
}
