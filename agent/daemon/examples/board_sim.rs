//! A board controller without hardware: `board-core` behind a Unix socket, for an agent with `link.at = "unix:/PATH"`.
//!
//! ```text
//! cargo run -p bbt-agent --example board_sim -- lm3s6965evb-rev-a /tmp/board.sock
//! heat 72        the sensor reads 72 °C from now on (heat none: it does not answer)
//! press          somebody presses the button
//! halted         the machine has stopped
//! quit
//! ```
//!
//! What the board does is printed, one line each, with the seconds since the start.
#![allow(clippy::print_stdout)]

use std::{env, time::Duration};

use anyhow::Context;
use bbt_agent::io::link::core_settings;
use board_configs::Board;
use board_core::{ButtonTimes, Controller, Effect, Event, Instant, Start};
use board_link::{BootReason, CentiCelsius, Decoder, Refusal, Response, RtcReading, UnixSeconds, encode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};

/// Between two looks at the sensor.
const LOOK_EVERY: Duration = Duration::from_millis(500);

struct Sim {
    core: Controller,
    begun: tokio::time::Instant,
    heat: Option<i16>,
}

impl Sim {
    fn now(&self) -> Instant {
        Instant::from_ms(u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn say(&self, what: &str) {
        println!("{:8.1} {what}", self.begun.elapsed().as_secs_f32());
    }

    fn look(&mut self) {
        let now = self.now();
        let heat = self.heat.map(CentiCelsius::from_celsius);
        self.core.handle(Event::Temperature(heat), now);
        self.core.handle(Event::Clock(Some(clock())), now);
        self.core.handle_timeout(now);
    }

    /// What is to be written to the agent.
    fn perform(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while let Some(effect) = self.core.next_effect() {
            let now = self.now();
            match effect {
                Effect::Send(frame) => out.extend(encode(&frame).into_iter().flatten()),
                Effect::ReadRtc { seq } => {
                    let reading = Some(clock());
                    self.core.handle(Event::RtcRead { seq, reading }, now);
                }
                Effect::WriteRtc { seq, .. } => self.core.handle(Event::RtcWritten { seq, ok: true }, now),
                Effect::Image { seq, .. } => {
                    let response = Response::Refused(Refusal::NotFitted);
                    self.core.handle(Event::Image { seq, response }, now);
                }
                effect => {
                    self.say(&format!("{effect:?}"));
                    if let Effect::SetRail { rail, up } = effect {
                        self.core.handle(Event::Rail { rail, good: up }, now);
                    }
                }
            }
        }
        out
    }

    /// `false` ends it.
    fn told(&mut self, line: &str) -> bool {
        let now = self.now();
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["heat", "none"] => self.heat = None,
            ["heat", degrees] => self.heat = degrees.parse().ok().or(self.heat),
            ["press"] => self.core.handle(Event::Button, now),
            ["halted"] => self.core.handle(Event::SocHalted, now),
            ["quit"] => return false,
            _ => println!("heat N | heat none | press | halted | quit"),
        }
        true
    }
}

/// This machine's clock stands for the chip's.
fn clock() -> RtcReading {
    RtcReading {
        time: UnixSeconds(bbt_agent::clock::system().as_second()),
        trusted: true,
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1);
    let name = arguments
        .next()
        .context("which board? such as lm3s6965evb-rev-a")?;
    let path = arguments
        .next()
        .context("which socket? such as /tmp/board.sock")?;
    let board = Board::builtin(&name)?;
    let mut settings = core_settings(&board)?;
    settings.report_every = board_core::Span::from_secs(5);
    settings.parts.relays = u8::from(board.pins.relay.is_some());
    settings.parts.button = board.pins.button.map(|_| ButtonTimes::default());
    let begun = tokio::time::Instant::now();
    let start = Start::SocRunning(BootReason::PowerApplied);
    let mut sim = Sim {
        core: Controller::new(settings, start, Instant::from_ms(0)),
        begun,
        heat: Some(35),
    };
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).with_context(|| format!("Failed to listen at {path}"))?;
    sim.say(&format!("{name} at {path}"));
    let (typed, mut lines) = tokio::sync::mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if typed.blocking_send(line).is_err() {
                return;
            }
        }
    });
    let mut line: Option<UnixStream> = None;
    let mut decoder = Decoder::new();
    let mut buffer = [0; 512];
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        let out = sim.perform();
        if let Some(stream) = &mut line
            && stream.write_all(&out).await.is_err()
        {
            line = None;
        }
        let hears = line.is_some();
        let hearing = async {
            match &mut line {
                Some(stream) => stream.read(&mut buffer).await,
                None => Ok(0),
            }
        };
        tokio::select! {
            heard = hearing, if hears => {
                let now = sim.now();
                let n = heard.unwrap_or(0);
                for frame in decoder.feed(buffer.get(..n).unwrap_or_default()).flatten() {
                    sim.core.handle(Event::Received(frame), now);
                }
                if n == 0 {
                    sim.say("the agent has gone");
                    line = None;
                }
            }
            came = listener.accept() => {
                sim.say("an agent came");
                line = Some(came?.0);
            }
            Some(said) = lines.recv() => {
                if !sim.told(&said) {
                    return Ok(());
                }
            }
            _ = look.tick() => sim.look(),
        }
    }
}
