//! Boots the board controller's program in QEMU and plays the SoC's part over its serial port:
//! `cargo run -p board-link --example emulated -- path/to/board`. `cargo xtask mcu` builds the program and runs this.
//!
//! The room is set through QEMU's control socket. Shown: what the board has; heat that drives the fan, derates,
//! warns, stops and cuts, in this order; a board that cools and starts; a plan that wakes it; an agent that falls
//! silent and is reset; a controller that is reset and remembers. Ends with an error at the first that is not so.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use board_link::{
    BoardReport, BootReason, Decoder, FaultKind, LinkEvent, Patience, PowerAction, PowerState, Report,
    Request, ResetCause, Response, Seq, SocSide, StopReason, ThermalLevel, UnixSeconds, VersionRange,
    WakePlan, WakeWindow, encode, label,
};

type Done<T = ()> = Result<T, Box<dyn Error>>;

/// The emulated board and the line to it.
struct Stand {
    qemu: Child,
    control: BufReader<UnixStream>,
    port: TcpStream,
    soc: SocSide,
    decoder: Decoder,
    begun: Instant,
    folder: PathBuf,
    /// While it is set, the agent is alive.
    feeding: Option<Instant>,
    /// Everything heard so far, and what was waited for is cut off.
    heard: Vec<LinkEvent>,
}

impl Drop for Stand {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Stand {
    fn start(image: &str) -> Done<Self> {
        let folder = std::env::temp_dir().join(format!("bbt-board-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let control = folder.join("qmp");
        let qemu = Command::new("qemu-system-arm")
            .args([
                "-M",
                "lm3s6965evb",
                "-nographic",
                "-monitor",
                "none",
                "-accel",
                "tcg",
            ])
            .args(["-device", "tmp105,id=t0,address=0x48"])
            .args(["-device", "ds1338,id=rtc,address=0x68"])
            .arg("-qmp")
            .arg(format!("unix:{},server=on,wait=off", control.display()))
            .arg("-serial")
            .arg(format!("tcp:127.0.0.1:{free},server=on,wait=off,nodelay=on"))
            .args(["-kernel", image])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("failed to start qemu-system-arm (package qemu-system-arm): {error}"))?;
        let port = retry(|| TcpStream::connect(("127.0.0.1", free)))?;
        port.set_read_timeout(Some(Duration::from_millis(10)))?;
        let control = retry(|| UnixStream::connect(&control))?;
        let seq = Seq(std::process::id() as u16);
        let soc = SocSide::new(label("emulated"), VersionRange::OURS, seq, Patience::default(), 0);
        let mut stand = Self {
            qemu,
            control: BufReader::new(control),
            port,
            soc,
            decoder: Decoder::new(),
            begun: Instant::now(),
            folder,
            feeding: None,
            heard: Vec::new(),
        };
        stand.control.read_line(&mut String::new())?;
        stand.order("qmp_capabilities", "{}")?;
        stand.room(30)?;
        Ok(stand)
    }

    /// An order to QEMU.
    fn order(&mut self, what: &str, arguments: &str) -> Done {
        let line = format!("{{\"execute\":\"{what}\",\"arguments\":{arguments}}}\n");
        self.control.get_mut().write_all(line.as_bytes())?;
        loop {
            let mut answer = String::new();
            self.control.read_line(&mut answer)?;
            if answer.contains("\"error\"") {
                return Err(format!("QEMU refused {what}: {answer}").into());
            }
            if answer.contains("\"return\"") {
                return Ok(());
            }
        }
    }

    /// Sets the thermometer, °C.
    fn room(&mut self, degrees: i32) -> Done {
        let arguments = format!(
            "{{\"path\":\"/machine/peripheral/t0\",\"property\":\"temperature\",\"value\":{}}}",
            degrees * 1_000
        );
        self.order("qom-set", &arguments)
    }

    fn turn(&mut self) -> Done {
        let now = self.begun.elapsed().as_millis() as u64;
        let mut bytes = [0; 512];
        match self.port.read(&mut bytes) {
            Ok(0) => return Err("QEMU hung up".into()),
            Ok(n) => {
                let frames: Vec<_> = self.decoder.feed(&bytes[..n]).flatten().collect();
                for frame in frames {
                    self.soc.receive(frame, now);
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
        if self
            .feeding
            .is_some_and(|last| last.elapsed() > Duration::from_secs(1))
        {
            self.feeding = Some(Instant::now());
            // Full, the next second feeds.
            let _ = self.soc.request(Request::FeedWatchdog, now);
        }
        self.soc.handle_timeout(now);
        while let Some(event) = self.soc.next_event() {
            self.heard.push(event);
        }
        while let Some(frame) = self.soc.next_frame(now) {
            self.port.write_all(&encode(&frame)?)?;
        }
        Ok(())
    }

    /// Waits for something to be heard.
    fn wait<T>(&mut self, story: &str, mut is: impl FnMut(&LinkEvent) -> Option<T>) -> Done<T> {
        let until = Instant::now() + Duration::from_secs(60);
        let mut looked = 0;
        loop {
            if let Some(found) = self.heard[looked..].iter().find_map(&mut is) {
                println!("{:>7.1} s  {story}", self.begun.elapsed().as_secs_f64());
                self.heard.clear();
                return Ok(found);
            }
            looked = self.heard.len();
            if Instant::now() > until {
                return Err(format!("not within a minute: {story}; heard {:?}", self.heard).into());
            }
            self.turn()?;
        }
    }

    /// Waits for a state.
    fn state(&mut self, story: &str, is: impl Fn(&BoardReport) -> bool) -> Done<BoardReport> {
        self.wait(story, |event| match event {
            LinkEvent::Report(Report::Board(report)) if is(report) => Some(*report),
            _ => None,
        })
    }

    fn ask(&mut self, request: Request) -> Done<Response> {
        let story = format!("{request:?}");
        let now = self.begun.elapsed().as_millis() as u64;
        let ticket = self.soc.request(request, now)?;
        self.wait(&story, |event| match event {
            LinkEvent::Answered(of, response) if *of == ticket => Some(Ok(response.clone())),
            LinkEvent::Lost(of) if *of == ticket => Some(Err("lost")),
            _ => None,
        })?
        .map_err(Into::into)
    }

    fn up(&mut self, story: &str) -> Done {
        self.wait(story, |event| matches!(event, LinkEvent::Up(_)).then_some(()))
    }

    fn faults(&mut self) -> Done<Vec<FaultKind>> {
        match self.ask(Request::GetFaults { after: 0 })? {
            Response::Faults(page) => Ok(page.faults.iter().map(|fault| fault.kind).collect()),
            other => Err(format!("asked for faults, got {other:?}").into()),
        }
    }
}

fn retry<T>(mut connect: impl FnMut() -> std::io::Result<T>) -> Done<T> {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        match connect() {
            Ok(found) => return Ok(found),
            Err(error) if Instant::now() > until => return Err(error.into()),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn must(right: bool, what: &str) -> Done {
    if right { Ok(()) } else { Err(what.into()) }
}

fn main() -> Done {
    let image = std::env::args().nth(1).ok_or("the program's path is missing")?;
    let mut stand = Stand::start(&image)?;
    stand.up("a board answers our Hello")?;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)?
        .as_secs() as i64;
    must(
        stand.ask(Request::SetRtc(UnixSeconds(now)))? == Response::Done,
        "the clock takes the time",
    )?;
    stand.feeding = Some(Instant::now());
    heat(&mut stand)?;
    plan(&mut stand)?;
    silence(&mut stand)?;
    reset(&mut stand)?;
    println!(
        "all as it should be, in {:.0} s",
        stand.begun.elapsed().as_secs_f64()
    );
    Ok(())
}

fn heat(stand: &mut Stand) -> Done {
    stand.room(50)?;
    stand.state("50 °C: the fan turns faster", |r| {
        r.fan.is_some_and(|fan| (35..60).contains(&fan.duty.get()))
    })?;
    stand.room(72)?;
    let derated =
        |r: &BoardReport| r.thermal == ThermalLevel::Derated && r.backlight.is_some_and(|b| b.get() <= 40);
    stand.state("72 °C: the screen is held darker", derated)?;
    stand.room(76)?;
    let warned =
        |event: &LinkEvent| matches!(event, LinkEvent::Report(Report::HeatWarning { .. })).then_some(());
    stand.wait("76 °C: the agent is warned", warned)?;
    stand.room(82)?;
    stand.wait("82 °C: the SoC must stop", |event| match event {
        LinkEvent::Report(Report::StopRequested { reason, .. }) => {
            (*reason == StopReason::TooHot).then_some(())
        }
        _ => None,
    })?;
    stand.room(92)?;
    stand.up("92 °C: cut, which ends the session")?;
    let Response::Board(report) = stand.ask(Request::GetReport)? else {
        return Err("no report after the cut".into());
    };
    must(report.power == PowerState::Off, "the power is off")?;
    must(report.last_stop == Some(StopReason::ThermalCut), "for heat")?;
    must(
        report.fan.is_some_and(|fan| fan.duty.get() == 100),
        "the fan goes on",
    )?;
    stand.room(30)?;
    let cool = |r: &BoardReport| r.thermal == ThermalLevel::Normal;
    stand.state("30 °C: cool again", cool)?;
    must(
        stand.ask(Request::SetPower(PowerAction::On))? == Response::Done,
        "it starts",
    )?;
    stand.state("on again", |r| r.power == PowerState::On)?;
    let faults = stand.faults()?;
    must(
        faults.ends_with(&[FaultKind::TooHot, FaultKind::ThermalCut]),
        "the log has it",
    )
}

fn plan(stand: &mut Stand) -> Done {
    let Response::Rtc(clock) = stand.ask(Request::GetRtc)? else {
        return Err("no clock".into());
    };
    must(clock.trusted, "the clock is trusted")?;
    // The SoC of this board never halts by itself: the power goes after 20 s.
    let window = WakeWindow {
        from: UnixSeconds(clock.time.0 + 30),
        minutes: 60,
    };
    let plan = WakePlan {
        windows: [window].into_iter().collect(),
        weekly: None,
    };
    must(
        stand.ask(Request::SetWakePlan(plan))? == Response::Done,
        "the plan is taken",
    )?;
    must(
        stand.ask(Request::SetPower(PowerAction::Off))? == Response::Done,
        "it stops",
    )?;
    stand.up("off, which ends the session")?;
    let woken = stand.state("the plan wakes it", |r| r.power == PowerState::On)?;
    must(woken.boot_reason == BootReason::Wake, "for the plan")
}

fn silence(stand: &mut Stand) -> Done {
    must(
        stand.ask(Request::FeedWatchdog)? == Response::Done,
        "fed once more",
    )?;
    stand.feeding = None;
    let asked = |event: &LinkEvent| matches!(event, LinkEvent::Report(Report::AskFeed { .. })).then_some(());
    stand.wait("silent: the agent is asked", asked)?;
    // Nothing is said to an SoC that is being reset: the silence that follows is noticed by the next request.
    std::thread::sleep(Duration::from_secs(8));
    let _ = stand.ask(Request::GetReport);
    let Response::Board(report) = stand.ask(Request::GetReport)? else {
        return Err("no report after the reset".into());
    };
    must(report.boot_reason == BootReason::Watchdog, "the SoC was reset")?;
    let faults = stand.faults()?;
    must(faults.last() == Some(&FaultKind::AgentReset), "the log has it")?;
    stand.feeding = Some(Instant::now());
    Ok(())
}

fn reset(stand: &mut Stand) -> Done {
    stand.order("system_reset", "{}")?;
    std::thread::sleep(Duration::from_millis(500));
    let _ = stand.ask(Request::GetReport);
    let Response::Details(details) = stand.ask(Request::GetDetails)? else {
        return Err("no details after the reset".into());
    };
    must(
        details.starts == 2 && details.reset_cause == ResetCause::Watchdog,
        "the controller tells of its reset",
    )?;
    must(details.next_wake.is_some(), "the plan outlives it")?;
    let faults = stand.faults()?;
    must(faults.contains(&FaultKind::ThermalCut), "the log outlives it")?;
    must(
        faults.last() == Some(&FaultKind::McuWatchdog),
        "and has the reset",
    )
}
