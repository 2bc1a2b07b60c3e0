//! A board in a test: a controller with what it last ordered and what it last said.
#![allow(dead_code)] // each test file uses a part
#![allow(clippy::unwrap_used, clippy::panic)]

use board_core::{
    BacklightRange, ButtonTimes, Controller, Cooling, Effect, Event, FanCurve, Identity, Instant, LightCurve,
    Memory, Parts, PowerTimes, Settings, Span, Start, ThermalLimits, WatchdogTimes,
};
use board_link::{
    CentiCelsius, Fault, Frame, Handshake, Hello, LedMode, Message, NEWEST, Payload, Percent, Report,
    Request, Response, Seq, UnixSeconds, VersionRange, WakePlan, label,
};

pub(crate) fn percent(share: u8) -> Percent {
    Percent::new(share).unwrap()
}

pub(crate) fn celsius(degrees: i16) -> CentiCelsius {
    CentiCelsius::from_celsius(degrees)
}

pub(crate) fn ms(ms: u64) -> Instant {
    Instant::from_ms(ms)
}

/// 20 % at 40 °C, 50 % at 55 °C, 100 % at 65 °C.
pub(crate) fn curve() -> FanCurve {
    FanCurve::new(&[
        (celsius(40), percent(20)),
        (celsius(55), percent(50)),
        (celsius(65), percent(100)),
    ])
    .unwrap()
}

/// Derate at 70 °C, stop at 80 °C, cut at 90 °C, 5 °C of hysteresis, a reading is good for 10 s.
pub(crate) fn limits() -> ThermalLimits {
    ThermalLimits::new(
        celsius(70),
        celsius(80),
        celsius(90),
        celsius(5),
        Span::from_secs(10),
    )
    .unwrap()
}

pub(crate) const POWER: PowerTimes = PowerTimes {
    start: Span::from_secs(2),
    stop: Span::from_secs(60),
    rest: Span::from_secs(3),
};

pub(crate) const WATCHDOG: WatchdogTimes = WatchdogTimes {
    ask: Span::from_secs(30),
    reset: Span::from_secs(15),
    boot: Span::from_secs(120),
    max_resets: 2,
    max_cycles: 0,
};

pub(crate) fn settings() -> Settings {
    Settings {
        identity: Identity {
            board: label("test-rev-a"),
            firmware: label("0.1.0"),
        },
        power: POWER,
        watchdog: WATCHDOG,
        cooling: Some(Cooling {
            limits: limits(),
            fan: Some(curve()),
        }),
        backlight: Some(BacklightRange {
            min: percent(10),
            max: percent(90),
            initial: percent(80),
            derated: percent(40),
        }),
        amplifier: true,
        rtc: true,
        report_every: Span::from_secs(10),
        parts: Parts::default(),
    }
}

/// The same with every part that a board may have.
pub(crate) fn equipped() -> Settings {
    let mut settings = settings();
    settings.parts = Parts {
        light: Some(LightCurve::new(&[(10, percent(20)), (300, percent(60)), (1_000, percent(90))]).unwrap()),
        meter: true,
        tachometer: true,
        button: Some(ButtonTimes::default()),
        led: true,
        relays: 2,
        image_bytes: 65_536,
        built: UnixSeconds(1_790_000_000),
        ..Parts::default()
    };
    settings
}

/// A controller, and the world as its effects have made it.
pub(crate) struct Rig {
    pub(crate) board: Controller,
    /// The first rail's; boards of most tests have no other.
    pub(crate) rails: Option<bool>,
    /// Each order to a rail, in turn.
    pub(crate) rail_orders: Vec<(u8, bool)>,
    pub(crate) led: Option<LedMode>,
    pub(crate) relays: Vec<(u8, bool)>,
    pub(crate) kept_faults: Vec<Fault>,
    pub(crate) kept_plan: Option<WakePlan>,
    pub(crate) restarts: usize,
    pub(crate) first: u16,
    hellos: u16,
    pub(crate) fan: Option<Percent>,
    pub(crate) backlight: Option<Percent>,
    pub(crate) muted: Option<bool>,
    pub(crate) resets: usize,
    pub(crate) jobs: Vec<Effect>,
    pub(crate) sent: Vec<Frame>,
}

impl Rig {
    pub(crate) fn new(settings: Settings, start: Start) -> Self {
        Self::with_memory(settings, start, Memory::default())
    }

    pub(crate) fn with_memory(settings: Settings, start: Start, memory: Memory) -> Self {
        let board = Controller::with_memory(settings, start, memory, ms(0));
        let mut rig = Self {
            board,
            rails: None,
            rail_orders: Vec::new(),
            led: None,
            relays: Vec::new(),
            kept_faults: Vec::new(),
            kept_plan: None,
            restarts: 0,
            first: 0,
            hellos: 0,
            fan: None,
            backlight: None,
            muted: None,
            resets: 0,
            jobs: Vec::new(),
            sent: Vec::new(),
        };
        rig.drain();
        rig
    }

    /// On, fed with a cool reading, in a session; what was sent so far is forgotten.
    pub(crate) fn running() -> Self {
        let mut rig = Self::new(
            settings(),
            Start::SocRunning(board_link::BootReason::PowerApplied),
        );
        rig.event(Event::Temperature(Some(celsius(30))), 0);
        rig.hello(0);
        rig.sent.clear();
        rig
    }

    pub(crate) fn event(&mut self, event: Event, at: u64) {
        self.board.handle(event, ms(at));
        self.drain();
    }

    /// Runs every deadline up to `until`, each at its own time, with the sensor read each second if given.
    pub(crate) fn run(&mut self, from: u64, until: u64, temperature: Option<CentiCelsius>) {
        let mut next_reading = from;
        loop {
            let due = self.board.poll_timeout().map_or(u64::MAX, Instant::as_ms);
            let reading = if temperature.is_some() {
                next_reading
            } else {
                u64::MAX
            };
            let at = due.min(reading);
            if at > until {
                return;
            }
            if reading <= due {
                self.event(Event::Temperature(temperature), at);
                next_reading += 1_000;
            } else {
                self.timeout(at);
            }
        }
    }

    pub(crate) fn timeout(&mut self, at: u64) {
        self.board.handle_timeout(ms(at));
        self.drain();
    }

    pub(crate) fn hello(&mut self, at: u64) {
        let hello = Hello {
            versions: VersionRange::OURS,
            software: label("0.1.0"),
        };
        let payload = Payload::Handshake(Handshake::Hello(hello));
        self.hellos += 1;
        let sent = self.sent.len();
        let seq = Seq(self.hellos);
        self.event(Event::Received(Frame { seq, payload }), at);
        let welcome = self.sent[sent..].iter().find_map(|frame| match &frame.payload {
            Payload::Handshake(Handshake::WelcomeFrom { first, .. }) => Some(first.0),
            _ => None,
        });
        self.first = welcome.unwrap();
    }

    /// The number that the n-th request of the session has, from 1.
    pub(crate) fn seq(&self, n: u16) -> Seq {
        Seq(self.first.wrapping_add(n).wrapping_sub(1))
    }

    /// Asks; requests are numbered from 1 in each session.
    pub(crate) fn request(&mut self, n: u16, request: Request, at: u64) {
        let payload = Payload::Session {
            version: NEWEST,
            message: Message::Request(request),
        };
        let seq = self.seq(n);
        self.event(Event::Received(Frame { seq, payload }), at);
    }

    /// Asks, and gives the one answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, seq: u16, request: Request, at: u64) -> Response {
        self.sent.clear();
        self.request(seq, request.clone(), at);
        let answers = self.responses();
        assert_eq!(answers.len(), 1, "one answer to {request:?}");
        assert_eq!(answers[0].0, seq);
        answers[0].1.clone()
    }

    pub(crate) fn responses(&self) -> Vec<(u16, Response)> {
        self.sent
            .iter()
            .filter_map(|frame| match &frame.payload {
                Payload::Session {
                    message: Message::Response(response),
                    ..
                } => Some((
                    frame.seq.0.wrapping_sub(self.first).wrapping_add(1),
                    response.clone(),
                )),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn reports(&self) -> Vec<Report> {
        self.sent
            .iter()
            .filter_map(|frame| match &frame.payload {
                Payload::Session {
                    message: Message::Report(report),
                    ..
                } => Some(report.clone()),
                _ => None,
            })
            .collect()
    }

    fn drain(&mut self) {
        for _ in 0..64 {
            let Some(effect) = self.board.next_effect() else {
                return;
            };
            match effect {
                Effect::SetRail { rail, up } => {
                    self.rail_orders.push((rail, up));
                    if rail == 0 {
                        self.rails = Some(up);
                    }
                }
                Effect::SetLed(mode) => self.led = Some(mode),
                Effect::SetRelay { relay, closed } => self.relays.push((relay, closed)),
                Effect::KeepFault(fault) => self.kept_faults.push(fault),
                Effect::KeepPlan(plan) => self.kept_plan = Some(plan),
                Effect::RestartMcu => self.restarts += 1,
                Effect::SetFan(duty) => self.fan = Some(duty),
                Effect::SetBacklight(share) => self.backlight = Some(share),
                Effect::SetMute(muted) => self.muted = Some(muted),
                Effect::ResetSoc => self.resets += 1,
                Effect::ReadRtc { .. }
                | Effect::WriteRtc { .. }
                | Effect::CorrectRtc { .. }
                | Effect::Image { .. } => self.jobs.push(effect),
                Effect::Send(frame) => self.sent.push(frame),
            }
        }
        panic!("effects do not end");
    }
}
