//! Orders to the board through the whole agent, but for its broker: what comes in is signed, what is journalled is on a disk,
//! and what the board is told is noted down.

use contract::{
    classroom::ClassroomPlan,
    command::{CommandBody, CommandEnvelope, CommandState},
    school::{ClassHours, ExamWindow, LinePlan, PinDigest, SchoolMember, SchoolPlan},
    topic::Leaf,
};
use futures_util::future::BoxFuture;
use jiff::{ToSpan, tz::TimeZone};

use super::*;
use crate::{
    io::{
        board::{Abilities, BoardControl, BoardError, BoardLook, BoardState},
        fetch::FetchEvent,
        mqtt::MqttEvent,
    },
    keeper::Answer,
    run::{
        hours::{Hour, Light, is_dark},
        inbox::Inside,
    },
    settings::{PlayerLock, SettingsDoor},
    shelf::PlayerState,
};

/// A board with a screen.
#[derive(Debug)]
struct Screen {
    /// `None` is one that says nothing of it before it was told.
    on: Mutex<Option<bool>>,
    told: Mutex<Vec<bool>>,
    looks: Mutex<u32>,
}

impl BoardControl for Screen {
    fn look(&self) -> BoxFuture<'_, BoardLook> {
        *self.looks.lock().unwrap() += 1;
        let look = BoardLook {
            abilities: Abilities {
                screen: true,
                ..Abilities::default()
            },
            state: BoardState {
                screen_on: *self.on.lock().unwrap(),
                ..BoardState::default()
            },
        };
        Box::pin(async move { look })
    }

    fn power_off(&self) -> BoxFuture<'_, Result<(), BoardError>> {
        Box::pin(async { Ok(()) })
    }

    fn screen(&self, on: bool) -> BoxFuture<'_, Result<(), BoardError>> {
        *self.on.lock().unwrap() = Some(on);
        self.told.lock().unwrap().push(on);
        Box::pin(async { Ok(()) })
    }

    fn volume(&self, _: u8) -> BoxFuture<'_, Result<(), BoardError>> {
        Box::pin(async { Ok(()) })
    }

    fn mute(&self, _: bool) -> BoxFuture<'_, Result<(), BoardError>> {
        Box::pin(async { Ok(()) })
    }
}

struct Doors {
    mqtt: mpsc::Receiver<MqttEvent>,
    fetch: mpsc::Receiver<FetchEvent>,
    keeper: mpsc::Receiver<Answer>,
    inside: mpsc::Receiver<Inside>,
}

struct Bench {
    console: Arc<Console>,
    dir: tempfile::TempDir,
    house: House,
    _player: PlayerState,
    screen: Arc<Screen>,
    agent: Agent,
    doors: Doors,
    sent: u64,
}

fn begin(house: &mut House, identity: Identity) -> (Agent, Doors) {
    let (mqtt, from_mqtt) = mpsc::channel(QUEUE);
    let (fetch, from_fetcher) = mpsc::channel(QUEUE);
    let (keeper, from_keeper) = mpsc::channel(QUEUE);
    let (inside, from_inside) = mpsc::channel(QUEUE);
    let inbox = Inbox {
        mqtt,
        fetch,
        keeper,
        inside,
    };
    let time = TimeWatch::open(&house.config.data_dir, clock::now());
    let doors = Doors {
        mqtt: from_mqtt,
        fetch: from_fetcher,
        keeper: from_keeper,
        inside: from_inside,
    };
    (Agent::start(house, identity, time, inbox).unwrap(), doors)
}

impl Bench {
    async fn start() -> Self {
        let console = Console::start().await;
        let dir = tempfile::tempdir().unwrap();
        let text = format!(
            "data_dir = '{}'\nboard = 'generic-box-rev-a'\nserial = 'S1'\n[usb]\nroots = []\n\
             [sound]\nis_mute = ['true']\nmute = ['true']\nunmute = ['true']\n\
             [logs]\ncommand = ['sleep', '600']\n",
            dir.path().display()
        );
        let config = Config::parse(&text, Path::new("c")).unwrap();
        let (writer, player) = shelf::shelf();
        writer.settings().open(dir.path());
        let (link, _) = board::open(&config, &Mixer::new(config.sound.clone()), false);
        let screen = Arc::new(Screen {
            on: Mutex::new(Some(true)),
            told: Mutex::default(),
            looks: Mutex::default(),
        });
        let mut house = House {
            folder: IdentityFolder::of(&config),
            hardware: hardware(&config),
            boot_id: BootId::new("boot1").unwrap(),
            shelf: Arc::new(writer),
            lessons: LessonStore::new(),
            metrics: Metrics::start(None).await.unwrap(),
            board: screen.clone(),
            link,
            config: Arc::new(config),
        };
        let (agent, doors) = begin(&mut house, owner(&console, "d1"));
        let mut bench = Self {
            console,
            dir,
            house,
            _player: player,
            screen,
            agent,
            doors,
            sent: 0,
        };
        bench.time(day(0));
        bench
    }

    /// The agent ends and starts again within the same power-up, as device `id`.
    async fn again(self, id: &str, time: Timestamp) -> Self {
        let Self {
            console,
            dir,
            mut house,
            _player,
            screen,
            agent,
            sent,
            ..
        } = self;
        agent.close().await;
        house.shelf.settings().open(dir.path());
        let (agent, doors) = begin(&mut house, owner(&console, id));
        let mut bench = Self {
            console,
            dir,
            house,
            _player,
            screen,
            agent,
            doors,
            sent,
        };
        bench.time(time);
        bench
    }

    /// The console tells the time.
    fn time(&mut self, time: Timestamp) {
        let now = clock::now();
        self.agent.time.clock.told(time, now, now);
    }

    fn give<T: SignedBody>(&mut self, leaf: Leaf, body: &T) {
        let signed = Signed::sign(body, key_id(), &self.console.signing).unwrap();
        let payload = serde_json::to_vec(&signed).unwrap().into();
        self.agent.incoming(leaf, &payload, clock::now()).unwrap();
    }

    /// Lets everything that waits be done.
    async fn turn(&mut self) {
        self.agent.settle(clock::now());
        tokio::select! {
            Some(answer) = self.doors.keeper.recv() => self.agent.on_kept(answer),
            Some(event) = self.doors.inside.recv() => self.agent.on_inside(event),
            Some(event) = self.doors.mqtt.recv() => self.agent.on_mqtt(event),
            Some(event) = self.doors.fetch.recv() => self.agent.on_fetch(event),
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
    }

    async fn until(&mut self, what: &str, fits: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !fits(self) {
            assert!(start.elapsed() < LIMIT, "{what}: not in time");
            self.turn().await;
        }
    }

    /// The console sends the plan of the school: class on all of these days, and exams.
    async fn school(&mut self, class: &[Timestamp], exams: Vec<ExamWindow>) {
        self.sent += 1;
        let generation = self.sent;
        let days = |time: &Timestamp| time.to_zoned(TimeZone::UTC).weekday().to_monday_one_offset();
        let plan = SchoolPlan {
            school: "S".into(),
            generation,
            issued_at: day(0),
            members: vec![SchoolMember {
                device_id: DeviceId::new("d1").unwrap(),
                door: None,
            }],
            line: LinePlan::default(),
            class_hours: vec![ClassHours {
                days: class.iter().map(|time| days(time).unsigned_abs()).collect(),
                from_min: 0,
                to_min: 1440,
            }],
            utc_offset_min: 0,
            exams,
            authors: vec![],
            sampling: None,
        };
        self.give(Leaf::School, &plan);
        let known = |b: &Self| b.agent.school_plan().is_some_and(|p| p.generation == generation);
        self.until("the school's plan", known).await;
    }

    /// The console sends the plan of the classroom to `device`, with a technician's PIN or without.
    async fn classroom(&mut self, device: &str, pin: bool) {
        self.sent += 1;
        let generation = self.sent;
        let text = format!(
            r#"{{"device_id": "{device}", "generation": {generation}, "issued_at": "2026-11-01T00:00:00Z"}}"#
        );
        let mut plan: ClassroomPlan = serde_json::from_str(&text).unwrap();
        plan.technician_pin = pin.then(|| PinDigest {
            iterations: 10_000,
            salt: "00".repeat(16),
            digest: "00".repeat(32),
        });
        self.give(Leaf::Classroom, &plan);
        let known = |b: &Self| {
            b.agent
                .classroom
                .plan()
                .is_some_and(|plan| plan.generation == generation)
        };
        self.until("the classroom's plan", known).await;
    }

    fn send(&mut self, body: CommandBody) -> CommandId {
        self.sent += 1;
        let id = CommandId::new(format!("o{}", self.sent)).unwrap();
        let envelope = CommandEnvelope {
            id: id.clone(),
            device_id: self.agent.identity.reply.device_id.clone(),
            issued_at: day(0),
            expires_at: day(30),
            body,
        };
        self.give(Leaf::Command, &envelope);
        id
    }

    fn state(&self, id: &CommandId) -> Option<CommandState> {
        let answers = self.agent.commands.answers();
        answers
            .into_iter()
            .find(|answer| answer.id == *id)
            .map(|answer| answer.state)
    }

    /// Sends it and waits until it is over; why it failed, if it did.
    async fn done(&mut self, body: CommandBody) -> Result<(), String> {
        let id = self.send(body);
        self.over(&id).await
    }

    async fn over(&mut self, id: &CommandId) -> Result<(), String> {
        use CommandState::{Failed, Rejected, Succeeded};
        let over = |b: &Self| matches!(b.state(id), Some(Succeeded | Failed { .. } | Rejected { .. }));
        self.until("the order is over", over).await;
        match self.state(id) {
            Some(Failed { reason } | Rejected { reason }) => Err(reason),
            _ => Ok(()),
        }
    }

    /// Until the board was looked at once more, and what came of that is done.
    async fn looked(&mut self) {
        for _ in 0..2 {
            let before = *self.screen.looks.lock().unwrap();
            self.agent.control.look_soon(clock::now());
            self.until("a look", |b| *b.screen.looks.lock().unwrap() > before)
                .await;
        }
    }

    fn told(&self) -> Vec<bool> {
        self.screen.told.lock().unwrap().clone()
    }

    fn is_locked(&self) -> bool {
        self.house.shelf.beside_now().lock.is_some()
    }

    fn kept_lock(&self) -> Option<PlayerLock> {
        let door = SettingsDoor::default();
        door.open(self.dir.path());
        door.now().lock.clone()
    }
}

fn owner(console: &Console, id: &str) -> Identity {
    let mut identity = console.identity(700);
    identity.reply.device_id = DeviceId::new(id).unwrap();
    // Nobody answers there: what is known of the time is the test's.
    identity.console_url = "https://127.0.0.1:1".into();
    identity.reply.broker.port = 1;
    identity
}

/// Noon, so many days from today.
fn day(days: i64) -> Timestamp {
    let today = Timestamp::now().as_second().div_euclid(86_400);
    Timestamp::from_second((today + days) * 86_400 + 43_200).unwrap()
}

fn screen(on: bool, force: bool) -> CommandBody {
    let reason = if force { "漏水".into() } else { String::new() };
    CommandBody::Screen { on, force, reason }
}

fn lock() -> CommandBody {
    CommandBody::Lock {
        reason: "检修".into(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screen_that_was_dark_after_school_is_bright_at_the_first_bell_and_one_forced_dark_in_class_stays()
{
    let mut bench = Bench::start().await;
    bench.school(&[day(1)], vec![]).await;
    bench.looked().await;
    assert_eq!(bench.told(), [true; 0], "nothing begins");
    bench.done(screen(false, false)).await.unwrap();
    bench.looked().await;
    assert_eq!(bench.told(), [false]);
    bench.time(day(1));
    bench.until("bright", |b| b.told() == [false, true]).await;

    assert_eq!(
        bench.done(screen(false, false)).await,
        Err("class_hours".to_owned())
    );
    bench.done(screen(false, true)).await.unwrap();
    bench.looked().await;
    assert_eq!(bench.told(), [false, true, false], "it was forced");

    // A start in the same class is no other class; one in the next is.
    let mut bench = bench.again("d1", day(1) + 1.hour()).await;
    bench.looked().await;
    assert_eq!(bench.told(), [false, true, false], "it was forced");
    let dark_in = |b: &Bench, boot| is_dark(&b.house.shelf, &BootId::new(boot).unwrap());
    assert!(dark_in(&bench, "boot1") && !dark_in(&bench, "boot2"));
    let mut bench = bench.again("d1", day(8)).await;
    let lit = [false, true, false, true];
    bench
        .until("bright", |b| b.told() == lit && !dark_in(b, "boot1"))
        .await;
    // At the next first bell it is bright already.
    bench.time(day(9));
    bench.looked().await;
    bench.time(day(15));
    bench.looked().await;
    assert_eq!(bench.told(), lit);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screen_that_nobody_made_dark_is_not_told_anything_and_no_time_is_no_bell() {
    let mut bench = Bench::start().await;
    *bench.screen.on.lock().unwrap() = None;
    let exam = ExamWindow {
        from: day(2),
        to: day(2) + 1.hour(),
        ..ExamWindow::default()
    };
    bench.school(&[day(1)], vec![exam]).await;
    bench.looked().await;
    bench.time(day(1));
    bench.looked().await;
    bench.time(day(2));
    bench.until("the exam", |b| b.agent.exam.core.is_on()).await;
    bench.looked().await;
    assert_eq!(bench.told(), [true; 0]);

    bench.time(day(3));
    bench.done(screen(false, false)).await.unwrap();
    let now = clock::now();
    for (hour, light) in [
        (Hour::Unknown, Light::Leave),
        (Hour::Class, Light::Due),
        (Hour::Unknown, Light::Due),
    ] {
        bench.agent.begin_hour(hour, now);
        assert_eq!(bench.agent.control.light, light, "{hour:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_switch_off_is_judged_by_the_hour_in_which_it_is_done() {
    let mut bench = Bench::start().await;
    bench.school(&[day(1)], vec![]).await;
    let off = bench.send(CommandBody::PowerOff {
        delay_s: 1,
        force: false,
        reason: String::new(),
    });
    let accepted = |b: &Bench| b.state(&off) == Some(CommandState::Accepted);
    bench.until("accepted", accepted).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    bench.time(day(1));
    assert_eq!(bench.over(&off).await, Err("class_hours".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_in_an_exam_does_not_end_the_class_right_after_it() {
    for class_after in [true, false] {
        let mut bench = Bench::start().await;
        let to = day(0) + 1.hour();
        let exam = ExamWindow {
            from: day(0) - 1.hour(),
            to,
            ..ExamWindow::default()
        };
        // The other one is days later.
        let class = if class_after { day(0) } else { day(3) };
        bench.school(&[class], vec![exam]).await;
        bench.until("the exam", |b| b.agent.exam.core.is_on()).await;
        bench.looked().await;
        let dark = bench.send(screen(false, false));
        bench
            .until("accepted", |b| b.state(&dark) == Some(CommandState::Accepted))
            .await;
        // Its very end, and the bell.
        bench.time(to);
        let done = bench.over(&dark).await;
        if class_after {
            assert_eq!(done, Err("class_hours".to_owned()));
            assert!(!bench.told().contains(&false), "{:?}", bench.told());
        } else {
            assert_eq!((done, bench.told().last()), (Ok(()), Some(&false)));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_player_is_locked_only_while_a_technicians_pin_opens_it() {
    let mut bench = Bench::start().await;
    assert_eq!(bench.done(lock()).await, Err("no_pin".to_owned()), "no plan");
    bench.classroom("d1", false).await;
    assert_eq!(bench.done(lock()).await, Err("no_pin".to_owned()));
    assert_eq!((bench.is_locked(), bench.kept_lock()), (false, None));

    bench.classroom("d1", true).await;
    bench.done(lock()).await.unwrap();
    assert!(bench.is_locked() && bench.kept_lock().is_some());
    let mut bench = bench.again("d1", day(0)).await;
    bench.turn().await;
    assert!(bench.is_locked(), "it outlives a start");

    bench.classroom("d1", false).await;
    bench
        .until("it is open", |b| !b.is_locked() && b.kept_lock().is_none())
        .await;
    // A PIN that comes later ends no class.
    bench.classroom("d1", true).await;
    bench.turn().await;
    assert!(!bench.is_locked());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_does_not_follow_the_board_to_its_next_owner() {
    let mut bench = Bench::start().await;
    bench.classroom("d1", true).await;
    bench.done(lock()).await.unwrap();
    let before = bench.house.shelf.settings().now();
    let mut bench = bench.again("d2", day(0)).await;
    bench.turn().await;
    assert!(!bench.is_locked());
    bench.until("it is forgotten", |b| b.kept_lock().is_none()).await;

    // Not even where the disk did not forget it.
    bench.classroom("d2", true).await;
    let door = bench.house.shelf.settings().clone();
    tokio::task::spawn_blocking(move || door.change(|settings| *settings = (*before).clone()))
        .await
        .unwrap()
        .unwrap();
    let mut bench = bench.again("d2", day(0)).await;
    bench.turn().await;
    assert!(!bench.is_locked());
    bench.until("it is forgotten", |b| b.kept_lock().is_none()).await;
    bench.done(lock()).await.unwrap();
    assert!(bench.is_locked(), "its own holds");
}

#[tokio::test]
async fn one_log_is_collected_at_a_time_and_no_longer_than_its_order_holds() {
    let logs = || CommandBody::CollectLogs { hours: 1 };
    let mut bench = Bench::start().await;
    let first = bench.send(logs());
    bench
        .until("it is collected", |b| {
            b.state(&first) == Some(CommandState::Executing)
        })
        .await;
    assert_eq!(bench.done(logs()).await, Err("busy".to_owned()));
    // An hour goes by for whoever collects, none for the commands.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(3600)).await;
    tokio::time::resume();
    let reason = bench.over(&first).await.unwrap_err();
    assert!(reason.contains("3600 s"), "{reason}");
    let next = bench.send(logs());
    bench
        .until("the next one is collected", |b| {
            b.state(&next) == Some(CommandState::Executing)
        })
        .await;
    bench.turn().await;
    assert_eq!(bench.state(&next), Some(CommandState::Executing));
}
