//! All ways at once, against a real console.

use std::fs;

use contract::{code::TicketCode, enrol::Placement, id::DeviceId, usb::OfflineTicket};
use tokio::sync::oneshot;

use super::*;
use crate::{
    io::{
        enrol::kit::{self, Answer, Console, County},
        hardware,
    },
    shelf::shelf,
};

const LIMIT: Duration = Duration::from_secs(40);

struct Bench {
    dir: tempfile::TempDir,
    config: Arc<Config>,
    county: Arc<County>,
    console: Console,
    player: crate::shelf::PlayerState,
    _writer: crate::shelf::ShelfWriter,
    events: mpsc::Receiver<WayEvent>,
    stop: CancellationToken,
}

impl Bench {
    /// At work, with its county known or not.
    async fn start(knows_county: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let county = Arc::new(County::new());
        let console = county.console().await;
        let config = Arc::new(kit::config(dir.path(), "SN 1/甲"));
        if knows_county {
            county::keep(&config.data_dir, &county.file(&console.url())).unwrap();
        }
        let (writer, player) = shelf();
        let mut bench = Self {
            dir,
            config,
            county,
            console,
            player,
            events: mpsc::channel(1).1,
            stop: CancellationToken::new(),
            _writer: writer,
        };
        bench.work(None);
        bench
    }

    fn work(&mut self, copied: Option<Box<Identity>>) {
        self.work_as(hardware::hardware(&self.config), copied);
    }

    fn work_as(&mut self, hardware: Hardware, copied: Option<Box<Identity>>) {
        self.stop.cancel();
        self.stop = CancellationToken::new();
        let (sender, events) = mpsc::channel(64);
        self.events = events;
        let ways = Ways {
            hardware,
            config: Arc::clone(&self.config),
            copied,
            locked: false,
            floor: TimeFloor::default(),
            typed: self._writer.typed(),
            stop: self.stop.clone(),
        };
        tokio::spawn(run(ways, sender));
    }

    /// The page as soon as it is as wished.
    async fn page(&mut self, wished: impl Fn(&Unenrolled) -> bool) -> Unenrolled {
        let mut last = None;
        let seen = async {
            loop {
                match self.events.recv().await {
                    Some(WayEvent::Waiting(page)) if wished(&page) => return page,
                    Some(WayEvent::Waiting(page)) => last = Some(page),
                    other => panic!("{other:?}"),
                }
            }
        };
        let found = tokio::time::timeout(LIMIT, seen).await;
        found.unwrap_or_else(|_| panic!("the page stays {last:?}"))
    }

    async fn changed(&mut self) {
        let seen = async {
            loop {
                match self.events.recv().await {
                    Some(WayEvent::Changed) => return,
                    Some(WayEvent::Waiting(_)) => {}
                    None => panic!("the ways in ended"),
                }
            }
        };
        tokio::time::timeout(LIMIT, seen).await.unwrap();
    }

    fn identity(&self) -> Option<Identity> {
        IdentityFolder::of(&self.config).identity().unwrap()
    }

    async fn wish(&self, wish: Wish) -> Result<Said, Denied> {
        let (answer, answered) = oneshot::channel();
        self.player.typed().send(Typed { wish, answer }).await.unwrap();
        tokio::time::timeout(LIMIT, answered).await.unwrap().unwrap()
    }
}

fn device(identity: Option<Identity>) -> String {
    identity.unwrap().reply.device_id.to_string()
}

#[tokio::test]
async fn a_claim_is_repeated_with_one_key_until_somebody_decides() {
    let mut bench = Bench::start(true).await;
    let page = bench.page(|page| !page.qr_text.is_empty()).await;
    assert_eq!(page.county, "昭觉县");
    assert_eq!(
        page.qr_text,
        format!(
            "https://console.example/claim#fp={}&serial=SN%201%2F%E7%94%B2",
            page.fingerprint
        )
    );
    // After a restart it is the same board.
    bench.work(None);
    let again = bench.page(|page| !page.qr_text.is_empty()).await;
    assert_eq!(again.fingerprint, page.fingerprint);
    let seen = Arc::clone(&bench.console.desk);
    let deadline = tokio::time::Instant::now() + LIMIT;
    while seen.claims.lock().unwrap().len() < 3 {
        assert!(tokio::time::Instant::now() < deadline, "it does not ask again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for (claim, shown) in seen.claims.lock().unwrap().iter() {
        let key = crate::io::enrol::applicant::public_key_of(&claim.csr_pem).unwrap();
        assert_eq!(contract::claim::fingerprint(&key), page.fingerprint);
        assert_eq!((claim.hardware.serial.as_str(), *shown), ("SN 1/甲", false));
    }
    assert_eq!(bench.identity(), None);
    bench.console.desk.answer_claims(Answer::Enrol("d7"));
    bench.changed().await;
    assert_eq!(device(bench.identity()), "d7");
}

#[tokio::test]
async fn without_a_serial_number_nobody_is_asked_and_the_page_says_what_to_write_where() {
    let mut bench = Bench::start(true).await;
    bench.page(|page| !page.qr_text.is_empty()).await;
    let nameless = Hardware {
        serial: String::new(),
        ..hardware::hardware(&bench.config)
    };
    bench.work_as(nameless, None);
    let page = bench.page(|page| page.note.is_some()).await;
    let note = page.note.unwrap();
    let file = bench.config.file.display().to_string();
    assert!(
        note.problem && note.said.zh.contains("serial") && note.said.zh.contains(&file),
        "{note:?}"
    );
    assert_eq!(
        (page.qr_text.as_str(), page.fingerprint.as_str()),
        ("", ""),
        "nothing to scan"
    );
    let code: TicketCode = "7K3M9QX0".parse().unwrap();
    let wish = Wish::Code {
        code: code.typed(),
        classroom: None,
    };
    let refused = bench.wish(wish).await.unwrap_err();
    assert!(refused.said.zh.contains("serial"), "{refused:?}");
    {
        let claims = bench.console.desk.claims.lock().unwrap();
        let nameless = claims
            .iter()
            .filter(|(claim, _)| claim.hardware.serial.is_empty());
        assert_eq!(nameless.count(), 0, "no claim without one");
    }
    // Written in, and started again: nothing of it is left.
    bench.work(None);
    let page = bench.page(|page| !page.qr_text.is_empty()).await;
    assert_eq!(page.note, None);
}

#[tokio::test]
async fn a_refused_claim_stops_and_is_said_and_a_code_still_works() {
    let mut bench = Bench::start(true).await;
    bench.console.desk.answer_claims(Answer::Refuse);
    let page = bench.page(|page| page.note.is_some()).await;
    assert!(page.note.unwrap().said.zh.contains("拒绝"));
    let asked = bench.console.desk.claims.lock().unwrap().len();
    let code: TicketCode = "7K3M9QX0".parse().unwrap();
    let typed = |code: &str| Wish::Code {
        code: code.to_owned(),
        classroom: None,
    };
    let error = bench.wish(typed("7K3M9QX01")).await.unwrap_err();
    assert!(error.said.zh.contains("校验位"), "{error:?}");
    let error = bench.wish(typed(&code.typed())).await.unwrap_err();
    assert!(error.said.zh.contains("不存在"), "{error:?}");
    bench.console.desk.refuse(
        "7K3M9QX0",
        ("ticket_needs_classroom", "请选择教室", "301 一班\n302 二班"),
    );
    let error = bench.wish(typed(&code.typed())).await.unwrap_err();
    assert_eq!(error.classrooms.len(), 2);
    let said = bench
        .wish(Wish::Code {
            code: code.typed(),
            classroom: Some("302".into()),
        })
        .await
        .unwrap();
    assert!(said.zh.contains("d-room"), "{said:?}");
    bench.changed().await;
    assert_eq!(device(bench.identity()), "d-room");
    assert_eq!(
        bench.console.desk.claims.lock().unwrap().len(),
        asked,
        "it asks no more"
    );
}

#[tokio::test]
async fn a_copied_disk_shows_whose_copy_it_is_and_gets_an_identity_of_its_own() {
    let mut bench = Bench::start(true).await;
    bench.console.desk.answer_claims(Answer::Enrol("d1"));
    bench.changed().await;
    let original = bench.identity().unwrap();
    bench.console.desk.claims.lock().unwrap().clear();
    bench.console.desk.answer_claims(Answer::Wait);
    // The disk, in another board.
    let mut config = (*bench.config).clone();
    config.serial = Some("SN-2".into());
    bench.config = Arc::new(config);
    bench.work(Some(Box::new(original.clone())));
    bench.page(|page| !page.qr_text.is_empty()).await;
    bench.console.desk.answer_claims(Answer::Enrol("d2"));
    bench.changed().await;
    let own = bench.identity().unwrap();
    assert_eq!(own.reply.device_id, DeviceId::new("d2").unwrap());
    assert_ne!(own.key_pem, original.key_pem);
    assert!(
        bench
            .console
            .desk
            .claims
            .lock()
            .unwrap()
            .iter()
            .all(|(_, shown)| *shown),
        "the copied certificate was not shown"
    );
}

#[tokio::test]
async fn a_disk_makes_the_county_known_offers_its_classrooms_and_the_board_finishes_online() {
    let mut bench = Bench::start(false).await;
    let page = bench.page(|page| !page.fingerprint.is_empty()).await;
    assert_eq!((page.county.as_str(), page.qr_text.as_str()), ("", ""));
    let denied = bench.wish(Wish::UsbClassroom("302".into())).await.unwrap_err();
    assert!(denied.said.zh.contains("U 盘"), "{denied:?}");
    // Somebody plugs in a disk.
    let folder = bench.dir.path().join("media/stick/bbt");
    fs::create_dir_all(folder.join("tickets")).unwrap();
    let file = bench.county.file(&bench.console.url());
    for (name, room) in [("a", "301"), ("b", "302")] {
        let ticket = bench.county.sign(&OfflineTicket {
            code: format!("7K3M9QX{}", &room[2..]),
            placement: Placement {
                classroom: format!("{room} 班"),
                ..Placement::default()
            },
            classroom_code: room.into(),
            serial: None,
            expires_at: file.issued_at,
            issued_at: file.issued_at,
        });
        let json = serde_json::to_vec(&ticket).unwrap();
        fs::write(folder.join(format!("tickets/{name}.json")), json).unwrap();
    }
    fs::write(folder.join("county.json"), serde_json::to_vec(&file).unwrap()).unwrap();
    let page = bench.page(|page| page.classrooms.len() == 2).await;
    assert_eq!(page.county, "", "nobody has chosen yet");
    let said = bench.wish(Wish::UsbClassroom("302".into())).await.unwrap();
    assert!(said.zh.contains("302 班"), "{said:?}");
    bench.changed().await;
    assert!(folder.join("requests/b.json").exists());
    // It begins anew, as `run` does, and there is a line.
    bench.console.desk.allow("7K3M9QX2", "d5");
    bench.work(None);
    let page = bench.page(|page| !page.place.classroom.is_empty()).await;
    assert_eq!(page.place.classroom, "302 班");
    bench.changed().await;
    assert_eq!(device(bench.identity()), "d5");
    let asked = bench.console.desk.enrolments.lock().unwrap();
    let kept: contract::usb::OfflineRequest =
        serde_json::from_slice(&fs::read(folder.join("requests/b.json")).unwrap()).unwrap();
    let key = |csr: &str| crate::io::enrol::applicant::public_key_of(csr).unwrap();
    assert_eq!(key(&asked[0].csr_pem), key(&kept.request.csr_pem), "the same key");
}

#[tokio::test]
async fn a_key_that_opens_late_is_no_reason_for_a_second_name() {
    let mut bench = Bench::start(true).await;
    bench.console.desk.answer_claims(Answer::Enrol("d1"));
    bench.changed().await;
    bench.console.desk.claims.lock().unwrap().clear();
    let key = bench.config.data_dir.join("identity/key.pem");
    let away = bench.dir.path().join("away");
    // As a TPM that does not answer: the identity is there, its key is not; and no new one can be made.
    fs::rename(&key, &away).unwrap();
    fs::write(bench.config.data_dir.join("identity.pending"), "in the way").unwrap();
    bench.work(None);
    bench.page(|page| page.note.is_some()).await;
    fs::remove_file(bench.config.data_dir.join("identity.pending")).unwrap();
    fs::rename(&away, &key).unwrap();
    bench.changed().await;
    assert!(
        bench.console.desk.claims.lock().unwrap().is_empty(),
        "it asked for another name"
    );
    assert_eq!(device(bench.identity()), "d1");
}
