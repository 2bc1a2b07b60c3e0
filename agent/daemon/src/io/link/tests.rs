//! The door against `board-core`: in this process, and as a board controller at the other end of a line.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use board_core::{Controller, Effect, Event, Instant as At, Start};
use board_link::{
    BootReason, CentiCelsius, Decoder, FaultKind, FaultPage, Frame, ImageReport, ImageSlot, Message,
    OtherImage, Payload, PowerAction, PowerState, Refusal, Seq, ThermalLevel, UnixSeconds, WatchdogStage,
    encode,
};
use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;
use crate::{
    config::{ControlConfig, Screen, Told},
    io::board::{BoardError, BoardLook},
};

/// The operating system, which notes what it is told.
#[derive(Debug, Default)]
struct System {
    stops: Mutex<usize>,
}

impl System {
    fn stops(&self) -> usize {
        *self.stops.lock().unwrap()
    }
}

impl BoardControl for System {
    fn look(&self) -> BoxFuture<'_, BoardLook> {
        Box::pin(async { BoardLook::default() })
    }

    fn power_off(&self) -> BoxFuture<'_, Result<(), BoardError>> {
        *self.stops.lock().unwrap() += 1;
        Box::pin(async { Ok(()) })
    }

    fn screen(&self, _: bool) -> BoxFuture<'_, Result<(), BoardError>> {
        Box::pin(async { Ok(()) })
    }

    fn volume(&self, _: u8) -> BoxFuture<'_, Result<(), BoardError>> {
        Box::pin(async { Ok(()) })
    }

    fn mute(&self, _: bool) -> BoxFuture<'_, Result<(), BoardError>> {
        Box::pin(async { Ok(()) })
    }
}

fn options(board: &str, root: &Path, system: &Arc<System>) -> LinkOptions {
    let board = Board::builtin(board).unwrap();
    LinkOptions {
        port: Port::of(&board, None, None),
        board,
        root: root.to_owned(),
        system: system.clone(),
        dark: false,
    }
}

/// Until it is so; what it was last, if it never is.
#[track_caller]
fn until<'a>(
    link: &'a BoardLink,
    what: &'static str,
    so: impl Fn(&BoardView) -> bool + 'a,
) -> impl Future<Output = BoardView> + 'a {
    let caller = std::panic::Location::caller();
    async move {
        for _ in 0..3_000 {
            let view = link.view();
            if so(&view) {
                return view;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{caller}: never {what}: {:?}", link.view());
    }
}

/// A board controller at the other end of a line: `board-core`, and a heat that the test sets.
struct Mcu {
    core: Controller,
    begun: Instant,
    heat: i16,
    /// Numbers of frames that the line swallows on their way to the agent.
    swallow: u32,
    sent: u32,
    image: Image,
    seen: Vec<Effect>,
    /// What it was asked for, each once.
    heard: Vec<Request>,
    last_heard: Option<Seq>,
    /// So many answers say that it is busy, instead of what they should say.
    busy: u32,
    /// The only page that its fault log has, whatever is asked for.
    page: Option<FaultPage>,
}

/// What the board controller keeps of images.
#[derive(Debug, Default)]
struct Image {
    head: Option<board_link::ImageHead>,
    bytes: Vec<u8>,
    verified: bool,
    running: String,
    trial: bool,
}

impl Image {
    fn ask(&mut self, request: Request) -> Response {
        let wants = |image: &Self| Response::ImageWants {
            offset: image.bytes.len() as u32,
        };
        match request {
            Request::BeginImage(head) => {
                if self.head.as_ref() != Some(&head) {
                    self.bytes.clear();
                    self.head = Some(head);
                }
                wants(self)
            }
            Request::PutImage(chunk) if chunk.offset as usize == self.bytes.len() => {
                self.bytes.extend(chunk.data);
                wants(self)
            }
            Request::PutImage(_) => Response::Refused(Refusal::OutOfOrder),
            Request::VerifyImage => {
                let digest = ring::digest::digest(&ring::digest::SHA256, &self.bytes);
                self.verified = self
                    .head
                    .as_ref()
                    .is_some_and(|head| head.digest == digest.as_ref());
                if self.verified {
                    Response::Done
                } else {
                    Response::Refused(Refusal::BadImage)
                }
            }
            Request::TryImage if self.verified => Response::Done,
            Request::CommitImage if self.trial => {
                self.trial = false;
                Response::Done
            }
            Request::GetImages => Response::Images(ImageReport {
                running: ImageSlot::A,
                trial: self.trial,
                version: board_link::label(&self.running),
                other: match &self.head {
                    None => OtherImage::Empty,
                    Some(head) => OtherImage::Coming {
                        offset: self.bytes.len() as u32,
                        bytes: head.bytes,
                    },
                },
            }),
            _ => Response::Refused(Refusal::WrongState),
        }
    }
}

type Shared = Arc<Mutex<Mcu>>;

impl Mcu {
    fn new() -> Shared {
        Arc::new(Mutex::new(Self {
            core: Self::core(),
            begun: Instant::now(),
            heat: 30,
            swallow: 0,
            sent: 0,
            image: Image {
                running: "0.1.0".to_owned(),
                ..Image::default()
            },
            seen: Vec::new(),
            heard: Vec::new(),
            last_heard: None,
            busy: 0,
            page: None,
        }))
    }

    fn core() -> Controller {
        let board = Board::builtin("lm3s6965evb-rev-a").unwrap();
        let mut settings = settings::settings(&board).unwrap();
        settings.parts.relays = 1;
        settings.parts.image_bytes = 100_000;
        settings.report_every = board_core::Span::from_secs(10);
        Controller::new(
            settings,
            Start::SocRunning(BootReason::PowerApplied),
            At::from_ms(0),
        )
    }

    /// It loses its memory, as by its own watchdog.
    fn reset(&mut self) {
        self.core = Self::core();
        self.begun = Instant::now();
    }

    fn now(&self) -> At {
        At::from_ms(self.begun.elapsed().as_millis() as u64)
    }

    /// What is to be written, in order.
    fn perform(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut restart = false;
        while let Some(mut effect) = self.core.next_effect() {
            let now = self.now();
            if let Effect::Send(frame) = &mut effect {
                self.twist(frame);
            }
            match &effect {
                Effect::Send(frame) => {
                    self.sent += 1;
                    if self.swallow == 0 || !self.sent.is_multiple_of(self.swallow) {
                        out.extend(encode(frame).unwrap());
                    }
                    continue;
                }
                Effect::SetRail { rail, up: true } => {
                    self.core.handle(
                        Event::Rail {
                            rail: *rail,
                            good: true,
                        },
                        now,
                    );
                }
                Effect::ReadRtc { seq } => self.core.handle(
                    Event::RtcRead {
                        seq: *seq,
                        reading: None,
                    },
                    now,
                ),
                Effect::WriteRtc { seq, .. } => {
                    self.core.handle(Event::RtcWritten { seq: *seq, ok: true }, now);
                }
                Effect::Image { seq, request } => {
                    let response = self.image.ask(request.clone());
                    self.core.handle(Event::Image { seq: *seq, response }, now);
                }
                Effect::RestartMcu => restart = true,
                _ => {}
            }
            self.seen.push(effect);
        }
        if restart {
            self.image.running = self
                .image
                .head
                .as_ref()
                .map_or(String::new(), |head| head.version.to_string());
            self.image.trial = true;
            self.reset();
        }
        out
    }

    /// Answers otherwise than it should.
    fn twist(&mut self, frame: &mut Frame) {
        let Payload::Session {
            message: Message::Response(response),
            ..
        } = &mut frame.payload
        else {
            return;
        };
        if let (Response::Faults(page), Some(only)) = (&mut *response, &self.page) {
            *page = only.clone();
        }
        if self.busy > 0 {
            self.busy -= 1;
            *response = Response::Refused(Refusal::Busy);
        }
    }

    fn hear(&mut self, frame: Frame) {
        if let Payload::Session {
            message: Message::Request(request),
            ..
        } = &frame.payload
            && self.last_heard.replace(frame.seq) != Some(frame.seq)
        {
            self.heard.push(request.clone());
        }
        let now = self.now();
        self.core.handle(Event::Received(frame), now);
    }

    fn heard(&self, like: impl Fn(&Request) -> bool) -> Vec<usize> {
        let heard = self.heard.iter().enumerate();
        heard
            .filter(|(_, request)| like(request))
            .map(|(at, _)| at)
            .collect()
    }

    /// Runs until the line is closed.
    async fn run(mcu: Shared, mut line: DuplexStream) {
        let mut decoder = Decoder::new();
        let mut buffer = [0; 256];
        // Whatever was on the line before.
        line.write_all(b"\x01\x02noise that is no frame\x00\x07")
            .await
            .unwrap();
        loop {
            let out = mcu.lock().unwrap().perform();
            if line.write_all(&out).await.is_err() {
                return;
            }
            tokio::select! {
                heard = line.read(&mut buffer) => {
                    let Ok(n @ 1..) = heard else { return };
                    let mut mcu = mcu.lock().unwrap();
                    for frame in decoder.feed(&buffer[..n]).flatten() {
                        mcu.hear(frame);
                    }
                }
                () = tokio::time::sleep(Duration::from_millis(500)) => {}
            }
            let mut mcu = mcu.lock().unwrap();
            let now = mcu.now();
            let heat = CentiCelsius::from_celsius(mcu.heat);
            mcu.core.handle(Event::Temperature(Some(heat)), now);
            mcu.core.handle_timeout(now);
        }
    }
}

/// A link to an emulated board controller.
fn emulated(system: &Arc<System>) -> (BoardLink, Shared) {
    let (ours, theirs) = tokio::io::duplex(4096);
    let mcu = Mcu::new();
    tokio::spawn(Mcu::run(mcu.clone(), theirs));
    let options = options("lm3s6965evb-rev-a", Path::new("/"), system);
    (BoardLink::over(options, Box::new(ours)), mcu)
}

/// By an agent that starts while its screen is dark.
#[tokio::test(start_paused = true)]
async fn a_screen_that_was_made_dark_before_the_agent_started_gets_no_mains() {
    let (ours, theirs) = tokio::io::duplex(4096);
    let mcu = Mcu::new();
    tokio::spawn(Mcu::run(mcu.clone(), theirs));
    let options = LinkOptions {
        dark: true,
        ..options("lm3s6965evb-rev-a", Path::new("/"), &Arc::default())
    };
    let link = BoardLink::over(options, Box::new(ours));
    let relay = |request: &Request| matches!(request, Request::SetRelay { .. });
    until(&link, "told", |_| !mcu.lock().unwrap().heard(relay).is_empty()).await;
    let lit = |request: &Request| matches!(request, Request::SetRelay { closed: true, .. });
    assert!(mcu.lock().unwrap().heard(lit).is_empty());
}

fn write(root: &Path, file: &str, text: &str) {
    let path = root.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_board_without_a_controller_answers_all_the_same_and_the_agent_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let zone = "sys/class/thermal/thermal_zone0/temp";
    write(dir.path(), zone, "45000\n");
    let system = Arc::new(System::default());
    let link = BoardLink::start(options("generic-box-rev-a", dir.path(), &system));
    let view = until(&link, "answered", |view| {
        view.report.is_some_and(|r| r.temperature.is_some())
    })
    .await;
    assert_eq!(view.board.unwrap().board.as_str(), "generic-box-rev-a");
    assert_eq!(view.report.unwrap().temperature, Some(CentiCelsius(4500)));
    assert_eq!(link.temperature(), None, "the probes read the same file");
    let control = LinkControl::new(link.clone(), false, &ControlConfig::default());
    assert_eq!(
        control.look().await,
        BoardLook::default(),
        "the operating system does it"
    );

    write(dir.path(), zone, "99000\n");
    let view = until(&link, "too hot", |view| view.stopping.is_some()).await;
    assert_eq!(view.stopping, Some(StopReason::TooHot));
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(
        system.stops(),
        0,
        "nobody stops a machine that looks after itself"
    );
}

#[tokio::test(start_paused = true)]
async fn an_arm_box_turns_its_fan_and_stops_in_order_when_it_is_too_hot() {
    let dir = tempfile::tempdir().unwrap();
    let (zone, fan) = (
        "sys/class/thermal/thermal_zone0/temp",
        "sys/class/hwmon/hwmon0/pwm1",
    );
    write(dir.path(), zone, "20000\n");
    write(dir.path(), fan, "7");
    write(dir.path(), "sys/class/rtc/rtc0/since_epoch", "1795000000\n");
    let system = Arc::new(System::default());
    let link = BoardLink::start(options("arm-box-rev-a", dir.path(), &system));
    let driven = || std::fs::read_to_string(dir.path().join(fan)).unwrap();
    until(&link, "read", |view| {
        view.report.is_some_and(|r| r.temperature.is_some())
    })
    .await;
    let cool: u32 = driven().parse().unwrap();
    write(dir.path(), zone, "79000\n");
    until(&link, "turning", |_| driven() == "255").await;
    assert!(cool < 255, "{cool}");
    assert_eq!(system.stops(), 0);
    write(dir.path(), zone, "93000\n");
    until(&link, "too hot", |view| view.stopping == Some(StopReason::TooHot)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(system.stops(), 1, "once");
}

#[tokio::test(start_paused = true)]
async fn every_board_that_ships_without_a_controller_runs_in_the_agent() {
    let dir = tempfile::tempdir().unwrap();
    for name in board_configs::builtin_names() {
        let system = Arc::new(System::default());
        let options = options(name, dir.path(), &system);
        if options.port != Port::Inside {
            continue;
        }
        let link = BoardLink::start(options);
        until(&link, name, |view| {
            view.board.is_some() && view.capabilities.is_some()
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_controller_is_found_asked_and_told() {
    let system = Arc::new(System::default());
    let (link, mcu) = emulated(&system);
    mcu.lock().unwrap().heat = 42;
    let view = until(&link, "up", |view| {
        view.capabilities.is_some() && view.details.is_some()
    })
    .await;
    assert_eq!(view.board.as_ref().unwrap().board.as_str(), "lm3s6965evb-rev-a");
    assert_eq!(view.trouble, None);
    until(&link, "warm", |_| link.temperature() == Some(42.0)).await;

    let control = LinkControl::new(link.clone(), true, &ControlConfig::default());
    let look = until_look(&control, |look| look.state.screen_on == Some(true)).await;
    assert!(
        look.abilities.power_off && look.abilities.screen && look.abilities.mute && !look.abilities.volume
    );
    assert_eq!(look.state.muted, Some(false));
    control.mute(true).await.unwrap();
    assert!(mcu.lock().unwrap().seen.contains(&Effect::SetMute(true)));
    control.screen(false).await.unwrap();
    let dark = Effect::SetRelay {
        relay: 0,
        closed: false,
    };
    assert!(mcu.lock().unwrap().seen.contains(&dark));
    assert!(matches!(control.volume(10).await, Err(BoardError::Cannot { .. })));
    // What the board file allows is 10 % and more.
    let dim = link.ask(Request::SetBacklight(Percent::new(5).unwrap())).await;
    assert_eq!(dim, Ok(Response::Refused(Refusal::OutOfRange)));

    control.power_off().await.unwrap();
    until(&link, "stopping", |view| {
        view.stopping == Some(StopReason::Requested)
    })
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        system.stops(),
        1,
        "the machine is asked to stop before its power goes"
    );
    assert_eq!(mcu.lock().unwrap().core.report().power, PowerState::Stopping);
    let again = control.power_off().await;
    assert!(
        again.is_ok() || format!("{again:?}").contains("stopping"),
        "{again:?}"
    );
}

async fn until_look(control: &LinkControl, so: impl Fn(&BoardLook) -> bool) -> BoardLook {
    for _ in 0..3_000 {
        let look = control.look().await;
        if so(&look) {
            return look;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{:?}", control.look().await);
}

#[tokio::test(start_paused = true)]
async fn heat_is_told_step_by_step() {
    let system = Arc::new(System::default());
    let (link, mcu) = emulated(&system);
    until(&link, "up", |view| view.report.is_some()).await;
    let at = |heat| mcu.lock().unwrap().heat = heat;
    at(72);
    until(&link, "derated", |view| {
        view.report.unwrap().thermal == ThermalLevel::Derated
    })
    .await;
    assert_eq!(system.stops(), 0);
    at(82);
    until(&link, "stopping", |view| {
        view.stopping == Some(StopReason::TooHot)
    })
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(system.stops(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_watchdog_is_fed_while_the_loop_lives_and_finds_out_when_it_does_not() {
    let system = Arc::new(System::default());
    let (link, mcu) = emulated(&system);
    let stage = || mcu.lock().unwrap().core.report().watchdog;
    for _ in 0..200 {
        link.alive();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(stage(), WatchdogStage::Fed);
    assert!(!mcu.lock().unwrap().seen.contains(&Effect::ResetSoc));
    // The loop hangs; the task of the link does not.
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if mcu.lock().unwrap().seen.contains(&Effect::ResetSoc) {
            return;
        }
    }
    panic!("the board found nothing: {:?}", stage());
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_resets_is_greeted_again_and_told_everything_again() {
    let system = Arc::new(System::default());
    let (link, mcu) = emulated(&system);
    let plan = WakePlan {
        windows: [board_link::WakeWindow {
            from: UnixSeconds(1_900_000_000),
            minutes: 60,
        }]
        .into_iter()
        .collect(),
        weekly: None,
    };
    link.want(|wanted| {
        wanted.plan = Some(plan.clone());
        wanted.time = Some((Timestamp::constant(1_800_000_000, 0), Instant::now()));
    });
    let kept = |mcu: &Mcu| {
        mcu.seen
            .iter()
            .filter(|e| matches!(e, Effect::KeepPlan(_)))
            .count()
    };
    until(&link, "planned", |_| kept(&mcu.lock().unwrap()) == 1).await;
    let clock = mcu
        .lock()
        .unwrap()
        .seen
        .iter()
        .any(|e| matches!(e, Effect::WriteRtc { time, .. } if time.0 >= 1_800_000_000));
    assert!(clock, "its clock is set");
    let order = |mcu: &Mcu| {
        let clock = mcu.heard(|request| matches!(request, Request::SetRtc(_)));
        (
            clock[0],
            mcu.heard(|request| matches!(request, Request::SetWakePlan(_)))[0],
        )
    };
    let (clock, planned) = order(&mcu.lock().unwrap());
    assert!(clock < planned, "by a wrong clock the plan may seem to be over");
    mcu.lock().unwrap().reset();
    until(&link, "planned again", |_| kept(&mcu.lock().unwrap()) == 2).await;
    // And an ask is answered as if nothing had been.
    let report = link.ask(Request::GetReport).await;
    assert!(matches!(report, Ok(Response::Board(_))), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_line_that_swallows_frames_only_takes_longer() {
    let system = Arc::new(System::default());
    let (link, mcu) = emulated(&system);
    mcu.lock().unwrap().swallow = 3;
    until(&link, "up", |view| view.board.is_some()).await;
    let mut answered = 0;
    for _ in 0..50 {
        match link.ask(Request::GetReport).await {
            Ok(Response::Board(_)) => answered += 1,
            Ok(other) => panic!("{other:?}"),
            Err(LinkError::Lost | LinkError::Away(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert!(answered >= 48, "{answered} of 50");
}

#[tokio::test(start_paused = true)]
async fn a_new_program_is_carried_tried_and_committed() {
    let system = Arc::new(System::default());
    let (link, mcu) = emulated(&system);
    mcu.lock().unwrap().swallow = 13;
    until(&link, "up", |view| view.board.is_some()).await;
    let image: Vec<u8> = (0..5_000_u32).map(|i| (i * 7 % 251) as u8).collect();
    put_image(&link, &image, "0.2.0").await.unwrap();
    let mcu = mcu.lock().unwrap();
    assert_eq!(mcu.image.bytes, image);
    assert_eq!((mcu.image.running.as_str(), mcu.image.trial), ("0.2.0", false));
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_restarts_in_the_middle_of_an_update_goes_on_where_it_was() {
    let system = Arc::new(System::default());
    let mcu = Mcu::new();
    let image: Vec<u8> = (0..5_000_u32).map(|i| (i % 253) as u8).collect();
    let open = || {
        let (ours, theirs) = tokio::io::duplex(4096);
        tokio::spawn(Mcu::run(mcu.clone(), theirs));
        BoardLink::over(
            options("lm3s6965evb-rev-a", Path::new("/"), &system),
            Box::new(ours),
        )
    };
    let link = open();
    until(&link, "up", |view| view.board.is_some()).await;
    let putting = put_image(&link, &image, "0.2.0");
    tokio::select! {
        done = putting => panic!("done already: {done:?}"),
        () = async { while mcu.lock().unwrap().image.bytes.len() < 2_000 { tokio::task::yield_now().await } } => {}
    }
    drop(link);
    let before = mcu.lock().unwrap().image.bytes.len();
    assert!((2_000..5_000).contains(&before), "{before}");
    let link = open();
    put_image(&link, &image, "0.2.0").await.unwrap();
    let asked: VecDeque<_> = {
        let mcu = mcu.lock().unwrap();
        let put = |effect: &Effect| match effect {
            Effect::Image {
                request: Request::PutImage(chunk),
                ..
            } => Some(chunk.offset),
            _ => None,
        };
        mcu.seen.iter().filter_map(put).collect()
    };
    assert!(
        asked.iter().filter(|offset| **offset == 0).count() == 1,
        "not from the beginning: {asked:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_image_that_was_damaged_on_its_way_is_never_tried() {
    let system = Arc::new(System::default());
    let (link, mcu) = emulated(&system);
    until(&link, "up", |view| view.board.is_some()).await;
    mcu.lock().unwrap().image.head = Some(board_link::ImageHead {
        bytes: 100,
        digest: {
            let mut digest = [0; 32];
            digest.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, &[7; 100]).as_ref());
            digest
        },
        version: board_link::label("0.2.0"),
    });
    mcu.lock().unwrap().image.bytes = vec![8; 64];
    let refused = put_image(&link, &[7; 100], "0.2.0").await.unwrap_err();
    assert!(
        matches!(
            refused,
            ImageError::Refused {
                refusal: Refusal::BadImage,
                ..
            }
        ),
        "{refused}"
    );
    assert_eq!(mcu.lock().unwrap().image.running, "0.1.0");
}

#[tokio::test(start_paused = true)]
async fn nobody_there_is_an_error_at_once_and_costs_nothing_else() {
    let system = Arc::new(System::default());
    let mut options = options("lm3s6965evb-rev-a", Path::new("/"), &system);
    options.port = "unix:/not/there".parse().unwrap();
    let link = BoardLink::start(options);
    let view = until(&link, "told", |view| view.trouble.is_some()).await;
    assert!(view.trouble.unwrap().contains("/not/there"));
    let error = link.ask(Request::SetPower(PowerAction::Off)).await.unwrap_err();
    assert!(
        matches!(&error, LinkError::Away(why) if why.contains("/not/there")),
        "{error}"
    );
    let look = LinkControl::new(link, true, &ControlConfig::default())
        .look()
        .await;
    assert_eq!(look, BoardLook::default());
}

#[tokio::test(start_paused = true)]
async fn what_the_configuration_says_the_board_cannot_it_cannot_by_its_controller_either() {
    let system = Arc::new(System::default());
    let (link, mcu) = emulated(&system);
    until(&link, "up", |view| view.capabilities.is_some()).await;
    let config = ControlConfig {
        power_off: Told::Never,
        screen: Some(Screen::Never),
        ..ControlConfig::default()
    };
    let control = LinkControl::new(link.clone(), true, &config);
    let can = control.look().await.abilities;
    assert!(!can.power_off && !can.screen && can.mute, "{can:?}");
    for refused in [control.power_off().await, control.screen(false).await] {
        assert!(matches!(refused, Err(BoardError::Cannot { .. })), "{refused:?}");
    }
    let mcu = mcu.lock().unwrap();
    assert_eq!(mcu.core.report().power, PowerState::On);
    let told = |request: &Request| {
        matches!(
            request,
            Request::SetPower(_) | Request::SetRelay { closed: false, .. }
        )
    };
    assert!(mcu.heard(told).is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_is_busy_is_asked_again() {
    let system = Arc::new(System::default());
    let (link, mcu) = emulated(&system);
    mcu.lock().unwrap().busy = 12;
    link.want(|wanted| wanted.plan = Some(WakePlan::default()));
    let closed = Effect::SetRelay {
        relay: 0,
        closed: true,
    };
    // Not so long that the board would find the agent hung, and be greeted anew.
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(link.view().capabilities.is_some());
    assert!(
        mcu.lock().unwrap().seen.contains(&closed),
        "the screen has its mains"
    );
    let plans = mcu
        .lock()
        .unwrap()
        .heard(|request| matches!(request, Request::SetWakePlan(_)));
    assert!(plans.len() > 1, "{plans:?}");
}

#[tokio::test(start_paused = true)]
async fn a_screen_that_was_switched_off_stays_dark_when_the_controller_is_greeted_again() {
    let system = Arc::new(System::default());
    let (link, mcu) = emulated(&system);
    let control = LinkControl::new(link.clone(), true, &ControlConfig::default());
    until_look(&control, |look| look.state.screen_on == Some(true)).await;
    control.screen(false).await.unwrap();
    mcu.lock().unwrap().heard.clear();
    mcu.lock().unwrap().reset();
    until(&link, "told again", |_| {
        let mcu = mcu.lock().unwrap();
        !mcu.heard(|request| matches!(request, Request::SetRelay { .. }))
            .is_empty()
    })
    .await;
    let lit = |request: &Request| matches!(request, Request::SetRelay { closed: true, .. });
    assert!(mcu.lock().unwrap().heard(lit).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_screen_whose_switching_off_was_refused_has_its_mains_when_the_controller_is_greeted_again() {
    let system = Arc::new(System::default());
    let (link, mcu) = emulated(&system);
    let control = LinkControl::new(link.clone(), true, &ControlConfig::default());
    until_look(&control, |look| look.state.screen_on == Some(true)).await;
    mcu.lock().unwrap().busy = 1_000;
    control.screen(false).await.unwrap_err();
    mcu.lock().unwrap().busy = 0;
    mcu.lock().unwrap().heard.clear();
    mcu.lock().unwrap().reset();
    until(&link, "told again", |_| {
        let lit = |request: &Request| matches!(request, Request::SetRelay { closed: true, .. });
        !mcu.lock().unwrap().heard(lit).is_empty()
    })
    .await;
    let dark = |request: &Request| matches!(request, Request::SetRelay { closed: false, .. });
    assert!(mcu.lock().unwrap().heard(dark).is_empty());
}

#[tokio::test(start_paused = true)]
async fn faults_that_were_not_told_one_by_one_are_read_from_the_log() {
    let system = Arc::new(System::default());
    let (link, mcu) = emulated(&system);
    until(&link, "up", |view| view.capabilities.is_some()).await;
    let remember = |count: i32| {
        let mut mcu = mcu.lock().unwrap();
        for detail in 0..count {
            mcu.core.remember(FaultKind::RailLost, detail);
        }
    };
    let numbers = |view: &BoardView| view.faults.iter().map(|fault| fault.number).collect::<Vec<_>>();
    // More than wait to be told.
    remember(11);
    let all: Vec<_> = (1..=11).collect();
    let view = until(&link, "read", |view| view.faults.len() >= 11).await;
    assert_eq!(numbers(&view), all, "in order, each once");
    // Its memory is gone, and its numbers begin anew.
    mcu.lock().unwrap().reset();
    remember(2);
    let view = until(&link, "read anew", |view| view.faults.len() >= 13).await;
    assert_eq!(numbers(&view)[11..], [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_fault_log_that_never_comes_to_its_end_is_let_be() {
    let system = Arc::new(System::default());
    let (link, mcu) = emulated(&system);
    let fault = Fault {
        number: 1,
        start: 1,
        uptime_ms: 5,
        kind: FaultKind::RailLost,
        detail: 0,
    };
    mcu.lock().unwrap().page = Some(FaultPage {
        newest: 99,
        faults: [fault].into_iter().collect(),
    });
    until(&link, "read", |view| view.faults.len() == 1).await;
    for _ in 0..60 {
        link.alive();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let asked = mcu
        .lock()
        .unwrap()
        .heard(|request| matches!(request, Request::GetFaults { .. }));
    assert!((1..=3).contains(&asked.len()), "{}", asked.len());
}

#[tokio::test(start_paused = true)]
async fn the_boards_clock_is_read_as_it_goes_on() {
    let system = Arc::new(System::default());
    let (link, mcu) = emulated(&system);
    assert_eq!(link.clock(), None, "nobody answers yet");
    until(&link, "up", |view| view.capabilities.is_some()).await;
    let told = Timestamp::constant(1_800_000_000, 600_000_000);
    let at = Instant::now();
    link.want(|wanted| wanted.time = Some((told, at)));
    until(&link, "set", |view| {
        view.details.is_some_and(|details| details.clock.time.is_some())
    })
    .await;
    let asked = |like: fn(&Request) -> bool| mcu.lock().unwrap().heard(like).last().copied();
    let clock = asked(|request| matches!(request, Request::SetRtc(_)));
    let details = asked(|request| matches!(request, Request::GetDetails));
    assert!(
        clock < details,
        "it is looked at after it was set: {clock:?} {details:?}"
    );
    let off = |link: &BoardLink| {
        let now = told + SignedDuration::try_from(at.elapsed()).unwrap();
        link.clock().unwrap().duration_since(now).abs()
    };
    let near = SignedDuration::from_millis(1_700);
    assert!(off(&link) < near, "{:?}", off(&link));
    tokio::time::sleep(Duration::from_millis(45_300)).await;
    assert!(off(&link) < near, "{:?}", off(&link));
    // It loses its memory, and has no chip that would know.
    mcu.lock().unwrap().reset();
    until(&link, "set again", |_| {
        let mcu = mcu.lock().unwrap();
        mcu.heard(|request| matches!(request, Request::SetRtc(_))).len() > 1
    })
    .await;
}
