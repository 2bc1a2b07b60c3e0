//! Ten thousand school days of a board and its room: mains that fail, clocks that lose the time, agents that
//! hang, summers that heat, people who press the button.
//!
//! What must hold on each of them:
//! - no power at or above the cut limit, full fan from the derate limit on;
//! - on in class, but for heat, for a person's will, and for the minutes that a start takes;
//! - on five minutes before the first bell, whenever there is mains.
#![allow(clippy::unwrap_used)]

use std::thread;

use board_core::faults::{FAULT_BYTES, FaultLog, LOG_BYTES, place_of, to_bytes};
use board_core::{
    BacklightRange, Controller, Cooling, Effect, Event, FanCurve, Identity, Instant, Memory, Parts,
    PowerTimes, Settings, Span, Start, ThermalLimits, WatchdogTimes,
};
use board_link::{
    CentiCelsius, FaultKind, Frame, Handshake, Hello, Message, NEWEST, Payload, Percent, PowerAction,
    PowerState, Request, Response, RtcReading, Seq, StopReason, UnixSeconds, VersionRange, WakePlan,
    WakeWindow, label,
};

const SCHOOL_DAYS: u32 = 10_000;
const SHARDS: u32 = 4;
const DAY: i64 = 86_400;
/// Monday, 2026-09-07, 00:00 in China.
const MONDAY: i64 = 1_788_710_400;
/// Seconds after midnight.
const FIRST_BELL: i64 = 8 * 3_600;
const LAST_BELL: i64 = 17 * 3_600;
/// The agent wants to be early by.
const EARLY: i64 = 600;

fn percent(share: u8) -> Percent {
    Percent::new(share).unwrap()
}

fn celsius(degrees: i16) -> CentiCelsius {
    CentiCelsius::from_celsius(degrees)
}

fn settings() -> Settings {
    let limits = ThermalLimits::new(
        celsius(70),
        celsius(80),
        celsius(90),
        celsius(5),
        Span::from_secs(1_500),
    );
    let curve = [
        (celsius(40), percent(20)),
        (celsius(55), percent(50)),
        (celsius(68), percent(100)),
    ];
    Settings {
        identity: Identity {
            board: label("simulated-rev-a"),
            firmware: label("0.1.0"),
        },
        power: PowerTimes {
            start: Span::from_secs(10),
            stop: Span::from_secs(60),
            rest: Span::from_secs(5),
        },
        watchdog: WatchdogTimes {
            ask: Span::from_secs(180),
            reset: Span::from_secs(60),
            boot: Span::from_secs(300),
            max_resets: 2,
            max_cycles: 2,
        },
        cooling: Some(Cooling {
            limits: limits.unwrap(),
            fan: Some(FanCurve::new(&curve).unwrap()),
        }),
        backlight: Some(BacklightRange {
            min: percent(10),
            max: percent(100),
            initial: percent(70),
            derated: percent(30),
        }),
        amplifier: true,
        rtc: true,
        report_every: Span::from_secs(60),
        parts: Parts {
            built: UnixSeconds(MONDAY - 30 * DAY),
            ..Parts::default()
        },
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: i64) -> i64 {
        i64::try_from(self.next() % u64::try_from(n).unwrap()).unwrap()
    }

    fn one_in(&mut self, n: i64) -> bool {
        self.below(n) == 0
    }
}

/// Monday to Friday but for two weeks in winter and eight in summer, of a year of 52 weeks.
fn is_school_day(day: i64) -> bool {
    let week = (day / 7).rem_euclid(52);
    day.rem_euclid(7) < 5 && !(20..22).contains(&week) && !(43..51).contains(&week)
}

/// What the board has besides its program.
#[derive(Clone)]
struct Keeps {
    faults: [u8; LOG_BYTES],
    starts: u32,
    plan: WakePlan,
    /// Clock chip less true time, seconds; `None` when it stopped.
    clock: Option<i64>,
}

struct World {
    random: Random,
    keeps: Keeps,
    /// `None` without mains.
    board: Option<Controller>,
    /// The true time at which the board's controller started.
    started: i64,
    rails: bool,
    rails_since: i64,
    fan: Percent,
    temperature: f64,
    agent: Agent,
    /// From when on the SoC has power and nobody has asked it to stop.
    counts: Counts,
}

#[derive(Default)]
struct Agent {
    /// The true time at which it will have booted; `None` without power.
    up_at: Option<i64>,
    hung: bool,
    greeted: bool,
    seq: u16,
    knows_time: bool,
    stop_at: Option<i64>,
    online: bool,
}

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    school_days: u32,
    bells: u32,
    cuts_of_mains: u32,
    clocks_lost: u32,
    hangs: u32,
    resets: u32,
    hot_stops: u32,
    wakes: u32,
    declined: u32,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            random: Random(seed),
            keeps: Keeps {
                faults: [0xff; LOG_BYTES],
                starts: 0,
                plan: WakePlan::default(),
                clock: Some(0),
            },
            board: None,
            started: 0,
            rails: false,
            rails_since: 0,
            fan: Percent::ZERO,
            temperature: 25.0,
            agent: Agent::default(),
            counts: Counts::default(),
        };
        world.mains(MONDAY);
        world
    }

    fn mains(&mut self, now: i64) {
        self.keeps.starts += 1;
        let memory = Memory {
            faults: FaultLog::restore(self.keeps.starts, &self.keeps.faults),
            plan: self.keeps.plan.clone(),
            ..Memory::default()
        };
        self.started = now;
        let board = Controller::with_memory(settings(), Start::Mains, memory, Instant::from_ms(0));
        self.board = Some(board);
        self.perform(now);
        self.tick(now);
    }

    fn mains_gone(&mut self) {
        self.board = None;
        self.rails = false;
        self.agent = Agent::default();
    }

    fn since(&self, now: i64) -> Instant {
        Instant::from_ms(u64::try_from(now - self.started).unwrap() * 1_000)
    }

    fn handle(&mut self, event: Event, now: i64) {
        let at = self.since(now);
        if let Some(board) = &mut self.board {
            board.handle(event, at);
        }
        self.perform(now);
    }

    /// Every deadline up to `now`, each at its own time.
    fn run(&mut self, now: i64) {
        let until = self.since(now);
        while let Some(board) = &mut self.board
            && let Some(due) = board.poll_timeout().filter(|due| *due <= until)
        {
            board.handle_timeout(due);
            let at = self.started + i64::try_from(due.as_ms() / 1_000).unwrap();
            self.perform(at);
        }
    }

    fn perform(&mut self, now: i64) {
        for _ in 0..200 {
            let Some(effect) = self.board.as_mut().and_then(Controller::next_effect) else {
                return;
            };
            match effect {
                Effect::SetRail { up, .. } => self.set_rails(up, now),
                Effect::SetFan(duty) => self.fan = duty,
                Effect::ResetSoc => {
                    self.counts.resets += 1;
                    self.boot(now);
                }
                Effect::KeepFault(fault) => {
                    let at = place_of(fault.number) * FAULT_BYTES;
                    self.keeps.faults[at..at + FAULT_BYTES].copy_from_slice(&to_bytes(&fault));
                    self.counts.hot_stops += u32::from(fault.kind == FaultKind::TooHot);
                }
                Effect::CorrectRtc { time } => self.keeps.clock = Some(time.0 - now),
                Effect::KeepPlan(plan) => self.keeps.plan = plan,
                Effect::WriteRtc { seq, time } => {
                    self.keeps.clock = Some(time.0 - now);
                    self.handle(Event::RtcWritten { seq, ok: true }, now);
                }
                Effect::ReadRtc { seq } => {
                    let reading = self.reading(now);
                    self.handle(Event::RtcRead { seq, reading }, now);
                }
                Effect::Send(frame) => self.hear(frame, now),
                Effect::SetBacklight(_)
                | Effect::SetMute(_)
                | Effect::SetLed(_)
                | Effect::SetRelay { .. }
                | Effect::Image { .. }
                | Effect::RestartMcu => {}
            }
        }
        unreachable!("effects do not end");
    }

    fn reading(&self, now: i64) -> Option<RtcReading> {
        Some(RtcReading {
            time: UnixSeconds(self.keeps.clock.map_or(946_684_800, |off| now + off)),
            trusted: self.keeps.clock.is_some(),
        })
    }

    fn set_rails(&mut self, up: bool, now: i64) {
        if up == self.rails {
            return;
        }
        self.rails = up;
        self.rails_since = now;
        if up {
            self.boot(now);
            self.handle(Event::Rail { rail: 0, good: true }, now);
        } else {
            self.agent = Agent::default();
            self.handle(Event::Rail { rail: 0, good: false }, now);
        }
    }

    fn boot(&mut self, now: i64) {
        self.agent = Agent {
            up_at: Some(now + 60),
            online: !self.random.one_in(3),
            ..Agent::default()
        };
    }

    fn hear(&mut self, frame: Frame, now: i64) {
        match frame.payload {
            Payload::Handshake(Handshake::WelcomeFrom { first, .. }) => {
                self.agent.greeted = true;
                self.agent.seq = first.0;
            }
            Payload::Session {
                message: Message::Response(Response::Rtc(reading)),
                ..
            } => self.agent.knows_time |= reading.trusted,
            Payload::Session {
                message: Message::Report(board_link::Report::StopRequested { .. }),
                ..
            } if !self.agent.hung => self.agent.stop_at = Some(now + 10),
            _ => {}
        }
    }

    fn ask(&mut self, request: Request, now: i64) {
        let seq = Seq(self.agent.seq);
        self.agent.seq = self.agent.seq.wrapping_add(1);
        let payload = Payload::Session {
            version: NEWEST,
            message: Message::Request(request),
        };
        self.handle(Event::Received(Frame { seq, payload }), now);
    }

    /// One look of the agent at the world.
    fn agent(&mut self, now: i64) {
        if self.agent.stop_at.is_some_and(|at| at <= now) {
            self.agent.stop_at = None;
            self.handle(Event::SocHalted, now);
            return;
        }
        if self.agent.hung || self.agent.up_at.is_none_or(|at| at > now) {
            return;
        }
        if !self.agent.greeted {
            let hello = Hello {
                versions: VersionRange::OURS,
                software: label("0.1.0"),
            };
            let payload = Payload::Handshake(Handshake::Hello(hello));
            let seq = Seq(self.random.next() as u16);
            self.handle(Event::Received(Frame { seq, payload }), now);
            if self.agent.online {
                self.ask(Request::SetRtc(UnixSeconds(now)), now);
                self.agent.knows_time = true;
            } else {
                self.ask(Request::GetRtc, now);
            }
        }
        if self.agent.knows_time && self.agent.greeted && self.random.one_in(60) {
            let plan = self.plan(now);
            self.ask(Request::SetWakePlan(plan), now);
        }
        if self.agent.greeted {
            self.ask(Request::FeedWatchdog, now);
        }
        let second = (now - MONDAY).rem_euclid(DAY);
        let evening = !(FIRST_BELL - 3_600..LAST_BELL + 1_800).contains(&second);
        if evening && self.agent.knows_time && self.agent.greeted && self.agent.stop_at.is_none() {
            let plan = self.plan(now);
            self.ask(Request::SetWakePlan(plan), now);
            self.ask(Request::SetPower(PowerAction::Off), now);
        }
    }

    /// The next school days that a plan holds.
    fn plan(&self, now: i64) -> WakePlan {
        let today = (now - MONDAY).div_euclid(DAY);
        let days = (today..).filter(|day| is_school_day(*day));
        let window = |day: i64| WakeWindow {
            from: UnixSeconds(MONDAY + day * DAY + FIRST_BELL - EARLY),
            minutes: u16::try_from((LAST_BELL - FIRST_BELL + EARLY) / 60).unwrap(),
        };
        let rest = days
            .map(window)
            .filter(|window| window.from.0 + i64::from(window.minutes) * 60 > now);
        WakePlan {
            windows: rest.take(board_link::WAKE_WINDOWS).collect(),
            weekly: None,
        }
    }

    /// The sensors and the clock, as the board looks at them.
    fn tick(&mut self, now: i64) {
        let temperature = CentiCelsius((self.temperature * 100.0) as i16);
        self.handle(Event::Temperature(Some(temperature)), now);
        let reading = self.reading(now);
        self.handle(Event::Clock(reading), now);
        assert!(!self.rails || temperature < celsius(90), "power at {temperature}");
        let full = self.fan == Percent::FULL || self.board.is_none();
        assert!(temperature < celsius(70) || full, "fan at {temperature}");
    }

    /// Heat comes from the room and from what has power, and goes with the fan.
    fn warm(&mut self, seconds: i64, room: f64) {
        let load = if self.rails {
            35.0 - f64::from(self.fan.get()) * 0.15
        } else {
            0.0
        };
        let target = room + load;
        let share = 1.0 - (-(seconds as f64) / 900.0).exp();
        self.temperature += (target - self.temperature) * share;
    }

    fn state(&self) -> Option<PowerState> {
        Some(self.board.as_ref()?.report().power)
    }
}

/// What is allowed to be off, and since when all was well.
#[derive(Default)]
struct Judge {
    /// Mains have been there since.
    mains_since: i64,
    /// A person last pressed the button.
    pressed: Option<i64>,
    /// A person switched off in this class day.
    declined: bool,
    /// Since when it is off without an excuse.
    off_since: Option<i64>,
}

impl Judge {
    fn judge(&mut self, world: &mut World, now: i64, day: i64) {
        let second = (now - MONDAY).rem_euclid(DAY);
        let class = is_school_day(day) && (FIRST_BELL - EARLY..LAST_BELL).contains(&second);
        let Some(board) = &world.board else {
            self.off_since = None;
            return;
        };
        let report = board.report();
        // Who switches off while the board comes up for class, or in class, is obeyed; and so is who switches off a
        // board that does not know the time.
        let begin = now - second + FIRST_BELL - EARLY;
        self.declined = class && self.pressed.is_some_and(|at| at >= begin - 120);
        let lost = board.details().clock.time.is_none() && report.last_stop == Some(StopReason::Button);
        let excused = self.declined || lost;
        let hot = report.thermal >= board_link::ThermalLevel::Shutdown
            || matches!(
                report.last_stop,
                Some(StopReason::TooHot | StopReason::ThermalCut)
            );
        let on = matches!(report.power, PowerState::On | PowerState::Starting);
        if !class || on || excused {
            self.off_since = None;
        } else {
            let since = *self.off_since.get_or_insert(now);
            // Heat may last; from "cool enough" on a start must follow within two minutes.
            let waits = hot && report.thermal >= board_link::ThermalLevel::Shutdown;
            if waits {
                self.off_since = Some(now);
            } else {
                assert!(
                    now - since <= 600,
                    "off in class on day {day} at {second}: {report:?}"
                );
            }
        }
        let bell = FIRST_BELL - 300;
        let here = (bell..bell + 60).contains(&second) && is_school_day(day);
        if here && self.mains_since <= now - 300 && !excused && !hot {
            assert_eq!(
                report.power,
                PowerState::On,
                "before the bell on day {day}: {report:?}"
            );
            world.counts.bells += 1;
        }
    }
}

fn live(seed: u64, school_days: u32) -> Counts {
    let mut world = World::new(seed);
    let mut judge = Judge {
        mains_since: MONDAY,
        ..Judge::default()
    };
    let mut now = MONDAY;
    let mut mains_back: Option<i64> = None;
    let mut day = -1;
    let (mut room, mut blocked) = (25.0, false);
    while world.counts.school_days < school_days {
        let today = (now - MONDAY).div_euclid(DAY);
        if today != day {
            world.counts.school_days += u32::from(day >= 0 && is_school_day(day));
            day = today;
            let summer = (day / 7).rem_euclid(52) > 36;
            room = if summer {
                28.0 + world.random.below(14) as f64
            } else {
                10.0 + world.random.below(16) as f64
            };
            // Somebody hangs a coat over the vents.
            blocked = world.random.one_in(20);
            if let Some(off) = &mut world.keeps.clock {
                *off += world.random.below(7) - 3;
            }
        }
        let second = (now - MONDAY).rem_euclid(DAY);
        let busy = world.rails || (is_school_day(day) && (FIRST_BELL - 1_200..LAST_BELL).contains(&second));
        let morning = (FIRST_BELL - 1_200..FIRST_BELL).contains(&second);
        let step = if busy && !morning {
            120 - second % 120
        } else if busy {
            60
        } else {
            600 - second % 600
        };
        now += step;

        if let Some(back) = mains_back {
            if back <= now {
                mains_back = None;
                judge.mains_since = now;
                world.warm(step, room);
                world.mains(now);
            } else {
                world.warm(step, room);
            }
            continue;
        }
        // One power cut in four days, of a minute to a weekend.
        if world.random.one_in(4 * DAY / step) {
            world.counts.cuts_of_mains += 1;
            let long = if world.random.one_in(10) {
                60 * 3_600
            } else {
                3_600
            };
            mains_back = Some(now + 60 + world.random.below(long));
            world.mains_gone();
            judge.off_since = None;
            // The battery of the clock is flat.
            if world.random.one_in(5) {
                world.keeps.clock = None;
                world.counts.clocks_lost += 1;
            }
            continue;
        }
        // The chip stops, or is hit by a cosmic ray, while it runs. One that stopped does not begin again by itself.
        if world.random.one_in(20_000) {
            let jump = world.keeps.clock.is_some() && world.random.one_in(2);
            world.keeps.clock = jump.then(|| world.random.below(1_000_000) - 500_000);
            world.counts.clocks_lost += 1;
        }
        world.run(now);
        world.warm(step, if blocked && world.rails { room + 40.0 } else { room });
        world.tick(now);
        world.agent(now);
        if world.rails && !world.agent.hung && world.random.one_in(2_000) {
            world.agent.hung = true;
            world.counts.hangs += 1;
        }
        if world.rails && world.random.one_in(5_000) {
            world.counts.declined += 1;
            judge.pressed = Some(now);
            world.handle(Event::Button, now);
        }
        judge.judge(&mut world, now, day);
    }
    world.counts.wakes = world.keeps.starts;
    let _ = world.state();
    world.counts
}

#[test]
fn ten_thousand_school_days() {
    let shards: Vec<_> = (1..=SHARDS)
        .map(|shard| {
            thread::spawn(move || {
                live(
                    u64::from(shard).wrapping_mul(0x9e37_79b9_7f4a_7c15),
                    SCHOOL_DAYS / SHARDS,
                )
            })
        })
        .collect();
    let mut sum = Counts::default();
    for shard in shards {
        let counts = shard.join().unwrap();
        sum.school_days += counts.school_days;
        sum.bells += counts.bells;
        sum.cuts_of_mains += counts.cuts_of_mains;
        sum.clocks_lost += counts.clocks_lost;
        sum.hangs += counts.hangs;
        sum.resets += counts.resets;
        sum.hot_stops += counts.hot_stops;
        sum.declined += counts.declined;
    }
    assert_eq!(sum.school_days, SCHOOL_DAYS);
    assert!(sum.bells > SCHOOL_DAYS * 7 / 10, "{sum:?}");
    assert!(
        sum.cuts_of_mains > 2_000 && sum.clocks_lost > 300 && sum.hangs > 1_000,
        "{sum:?}"
    );
    assert!(
        sum.resets > 1_000 && sum.hot_stops > 100 && sum.declined > 300,
        "{sum:?}"
    );
}
