//! What the player hands out in an exam, what the page says of use and faults, the fault code, and what leaves the board.

use agent_core::usage::What;
use contract::{
    diag::Diagnosis,
    id::BootId,
    lesson::ItemKind,
    records::{FaultClass, FaultReport},
};
use serde_json::json;

use super::{shown::*, *};
use crate::{
    config::{LiveConfig, SoundCommands, SoundConfig},
    io::{
        link::{BoardLink, BoardView},
        sound::Mixer,
    },
    notebook::{FaultDenied, FaultView, PinDenied, PinWhy, Word},
    shelf::{ExamState, ExamView, LessonCard},
};

/// A player whose shelf holds a film and a recording, and the words that its page says.
async fn heard(
    lesson: &Lesson,
) -> (
    Bench,
    tokio::sync::OwnedMutexGuard<tokio::sync::mpsc::Receiver<Word>>,
) {
    let bench = bench(&[lesson]).await;
    let mut card: LessonCard = worded("math-3", "听力", "英语", "一", LessonState::Ready)
        .card
        .as_deref()
        .cloned()
        .unwrap();
    let mut audio = card.items[0].clone();
    audio.kind = ItemKind::Audio;
    audio.entry = lesson.manifest.files[2].path.clone();
    audio.subtitles = Vec::new();
    card.items = vec![audio];
    bench.writer.show(Shelf {
        lessons: vec![Arc::new(ShelfLesson {
            card: Some(Arc::new(card)),
            ..(*worded("math-3", "听力", "英语", "一", LessonState::Ready)).clone()
        })],
        ..Shelf::default()
    });
    let words = bench.writer.notebook().words().lock_owned().await;
    (bench, words)
}

fn exam(bench: &Bench, state: ExamState) {
    bench.writer.beside(|beside| beside.exam.state = state);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_an_exam_nothing_is_handed_out_but_listening_audio_once_it_is_open() {
    let mut lesson = sample();
    lesson.bytes[2] = kit::noise(9, 5000);
    let lesson = with_bytes(lesson);
    let (bench, mut words) = heard(&lesson).await;
    let film = format!("/files/math-3/{}", lesson.manifest.files[0].path);
    let recording = format!("/files/math-3/{}", lesson.manifest.files[2].path);
    let exercise = "/math-3/1/x";
    let statuses = async || {
        let mut all = Vec::new();
        for path in [&film, &recording] {
            all.push(ask(bench.at, "GET", path, &[]).await.status);
        }
        all.push(ask(bench.courseware, "GET", exercise, &[]).await.status);
        all.push(ask(bench.at, "GET", "/usb/0123456789ab/a.mp3", &[]).await.status);
        all.push(
            ask(bench.at, "GET", "/api/disks/0123456789ab/files", &[])
                .await
                .status,
        );
        all
    };
    for state in [ExamState::None, ExamState::Soon] {
        exam(&bench, state);
        let all = statuses().await;
        assert_eq!(all[..2], [200, 200], "{state:?}");
        assert!(!all.contains(&423), "{state:?}: {all:?}");
    }
    assert!(words.try_recv().is_err(), "nothing was refused");
    exam(&bench, ExamState::Silent);
    assert_eq!(statuses().await, [423; 5]);
    assert_eq!(
        ask(bench.at, "GET", &film, &[("range", "bytes=0-9")])
            .await
            .code(),
        "exam"
    );
    let disks = json_of(bench.at, "/api/disks").await;
    assert_eq!(disks["disks"], json!([]));
    // The pages themselves go on.
    for path in ["/", "/api/home", "/api/shelf", "/api/exam"] {
        assert_eq!(ask(bench.at, "GET", path, &[]).await.status, 200, "{path}");
    }
    let mut refused = Vec::new();
    while let Ok(word) = words.try_recv() {
        match word {
            Word::Refused(what) => refused.push(what),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(refused, ["math-3", "math-3", "math-3", "usb", "usb", "math-3"]);
    exam(&bench, ExamState::Listening);
    assert_eq!(statuses().await, [423, 200, 423, 423, 423]);
    let played = std::iter::from_fn(|| words.try_recv().ok())
        .any(|word| matches!(word, Word::Played(id) if id.as_str() == "math-3"));
    assert!(played);
    // Another way to write the address of the film opens nothing.
    for path in [
        format!("{recording}/../{}", lesson.manifest.files[0].path),
        recording.replace("file", "fil%65"),
        film.replace("file-0", "file-%30"),
    ] {
        let answer = ask(bench.at, "GET", &path, &[]).await;
        assert_ne!(answer.status, 200, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_an_exam_no_check_sounds_no_loudspeaker_is_opened_and_no_live_app() {
    let bench = bench(&[]).await;
    let all = [
        ("/api/class/check", json!({})),
        ("/api/class/unmute", json!({})),
        ("/api/class/open", json!({"app": "meet"})),
        ("/api/class/end", json!({})),
    ];
    for state in [ExamState::Silent, ExamState::Listening] {
        exam(&bench, state);
        for (path, body) in &all {
            let (status, said) = write(bench.at, path, body).await;
            assert_eq!((status, &said["code"]), (423, &json!("exam")), "{path}");
        }
    }
    // Before it the list decides: there is none here.
    exam(&bench, ExamState::Soon);
    let (status, _) = write(bench.at, all[2].0, &all[2].1).await;
    assert_eq!(status, 400);
    let (status, found) = write(bench.at, all[0].0, &all[0].1).await;
    assert_eq!((status, &found["parts"][1]["part"]), (200, &json!("sound")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_before_class_finds_an_amplifier_mute_behind_a_mixer_that_is_open() {
    let bench = bench(&[]).await;
    let words = |program: &str| vec![program.to_owned()];
    let mixer = Mixer::new(SoundConfig {
        server: None,
        commands: Some(SoundCommands {
            is_mute: words("false"),
            mute: words("true"),
            unmute: words("true"),
        }),
    });
    let (link, view, _wants) = BoardLink::held();
    bench.writer.classes().open(LiveConfig::default(), mixer);
    bench.writer.classes().ask(link);
    let sound = async || {
        let (status, found) = write(bench.at, "/api/class/check", &json!({})).await;
        assert_eq!(status, 200);
        found["parts"][1].clone()
    };
    assert_eq!(sound().await["code"], "sound_good", "no controller answers");
    view.send_replace(BoardView::with_amplifier(true));
    let mute = sound().await;
    assert_eq!(
        (&mute["code"], &mute["fix"]),
        (&json!("sound_mute"), &json!("unmute"))
    );
    view.send_replace(BoardView::with_amplifier(false));
    assert_eq!(sound().await["code"], "sound_good");
}

/// Another third file, signed anew.
fn with_bytes(lesson: Lesson) -> Lesson {
    let mut anew = kit::lesson("math-3", 1, &lesson.bytes);
    anew.manifest.files[0].media_type = "video/mp4".into();
    anew.manifest.files[1].media_type = "text/html".into();
    anew.manifest.files[2].media_type = "audio/mpeg".into();
    kit::resign(&mut anew);
    anew
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_read_when_an_exam_begins_is_cut_off() {
    let mut lesson = kit::lesson(
        "math-3",
        1,
        &[kit::noise(1, 24 << 20), Vec::new(), kit::noise(2, 10)],
    );
    lesson.manifest.files[0].media_type = "video/mp4".into();
    kit::resign(&mut lesson);
    let (bench, _words) = heard(&lesson).await;
    let mut stream = TcpStream::connect(bench.at).await.unwrap();
    let path = &lesson.manifest.files[0].path;
    let request = format!(
        "GET /files/math-3/{path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
        bench.at
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut first = vec![0; 64 * 1024];
    stream.read_exact(&mut first).await.unwrap();
    assert!(first.starts_with(b"HTTP/1.1 200"));
    exam(&bench, ExamState::Silent);
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest))
        .await
        .unwrap();
    assert!(
        rest.len() < 23 << 20,
        "{} bytes came after the exam began",
        rest.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_hears_whether_a_pin_was_right_and_how_many_tries_are_left() {
    let lesson = sample();
    let (bench, mut words) = heard(&lesson).await;
    let pin = json!({ "pin": "246810" });
    let (asked, ()) = tokio::join!(write(bench.at, "/api/exam/pin", &pin), async {
        let Some(Word::Pin(typed, answer)) = words.recv().await else {
            panic!("no PIN")
        };
        assert_eq!(typed, "246810");
        let exam = ExamView {
            tries_left: 3,
            locked_s: 0,
            ..ExamView::default()
        };
        answer
            .send(Err(PinDenied {
                why: PinWhy::Wrong,
                exam,
            }))
            .unwrap();
    });
    assert_eq!(asked.0, 403);
    assert_eq!(
        (&asked.1["code"], &asked.1["tries_left"]),
        (&json!("pin_wrong"), &json!(3))
    );
    assert!(asked.1["message"].as_str().unwrap().len() > 10);
    let (asked, ()) = tokio::join!(write(bench.at, "/api/exam/pin", &pin), async {
        let Some(Word::Pin(_, answer)) = words.recv().await else {
            panic!("no PIN")
        };
        let exam = ExamView {
            state: ExamState::Listening,
            ..ExamView::default()
        };
        answer.send(Ok(exam)).unwrap();
    });
    assert_eq!((asked.0, &asked.1["state"]), (200, &json!("listening")));
    for wrong in [
        json!({}),
        json!({ "pin": 1 }),
        json!({ "pin": "12345678901234567" }),
    ] {
        assert_eq!(write(bench.at, "/api/exam/pin", &wrong).await.0, 400, "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn use_is_a_lesson_or_a_disk_and_nothing_else() {
    let lesson = sample();
    let (bench, mut words) = heard(&lesson).await;
    let said = json!({ "lesson": "math-3", "version": 1, "item": 0, "event": "playing", "position_ms": 5000, "duration_ms": 90000 });
    assert_eq!(write(bench.at, "/api/use", &said).await.0, 204);
    let Ok(Word::Use(used)) = words.try_recv() else {
        panic!("no word")
    };
    assert_eq!((used.what, used.position_ms, used.item), (What::Playing, 5000, 0));
    assert_eq!(
        write(bench.at, "/api/use", &json!({ "usb": true, "event": "opened" }))
            .await
            .0,
        204
    );
    assert!(matches!(words.try_recv(), Ok(Word::Use(used)) if used.lesson.is_none()));
    for wrong in [
        json!({ "event": "opened" }),
        json!({ "lesson": "math-3", "usb": true, "event": "opened" }),
        json!({ "lesson": "math-3", "event": "watched" }),
        json!({ "lesson": "math-3", "event": "opened", "teacher": "李老师" }),
    ] {
        assert_eq!(write(bench.at, "/api/use", &wrong).await.0, 400, "{wrong}");
    }
    assert!(words.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_is_a_code_and_at_most_a_lesson() {
    let lesson = sample();
    let (bench, mut words) = heard(&lesson).await;
    for said in [
        json!({ "code": "MEDIA_ERR_DECODE", "lesson": "math-3" }),
        json!({ "code": "SCRIPT:media.js:420" }),
    ] {
        assert_eq!(write(bench.at, "/api/trouble", &said).await.0, 204, "{said}");
        let Ok(Word::Trouble { code, lesson }) = words.try_recv() else {
            panic!("no word")
        };
        assert_eq!(code, said["code"]);
        assert_eq!(lesson.is_some(), said.get("lesson").is_some());
    }
    for wrong in [
        json!({}),
        json!({ "code": "" }),
        json!({ "code": "李老师说放不了" }),
        json!({ "code": "<img src=x>" }),
        json!({ "code": "A".repeat(81) }),
        json!({ "code": "A", "text": "more" }),
        json!({ "code": "A", "lesson": "../etc" }),
    ] {
        assert_eq!(write(bench.at, "/api/trouble", &wrong).await.0, 400, "{wrong}");
    }
    assert!(words.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_is_chosen_and_answered() {
    let lesson = sample();
    let (bench, mut words) = heard(&lesson).await;
    let wish = json!({ "class": "sound", "symptom": "none" });
    let (asked, ()) = tokio::join!(write(bench.at, "/api/faults", &wish), async {
        let Some(Word::Fault(wish, answer)) = words.recv().await else {
            panic!("no fault")
        };
        assert_eq!((wish.class, wish.symptom.as_str()), (FaultClass::Sound, "none"));
        let report = FaultReport {
            id: "01J".into(),
            class: wish.class,
            symptom: wish.symptom,
            lesson: None,
            at: None,
            boot_id: BootId::new("b").unwrap(),
            uptime_ms: 1,
        };
        let view = FaultView {
            report: Some(report),
            repair: None,
            sent: false,
        };
        answer.send(Ok(view)).unwrap();
    });
    assert_eq!(asked.0, 201);
    assert_eq!(
        asked.1,
        json!({ "id": "01J", "class": "sound", "symptom": "none", "lesson": null, "at": null, "sent": false, "repair": null })
    );
    let mended = json!({ "fixed": true });
    let (asked, ()) = tokio::join!(write(bench.at, "/api/faults/01J/confirm", &mended), async {
        let Some(Word::Confirm { fault, fixed, answer }) = words.recv().await else {
            panic!("no word")
        };
        assert_eq!((fault.as_str(), fixed), ("01J", true));
        answer.send(Err(FaultDenied::Unknown)).unwrap();
    });
    assert_eq!((asked.0, &asked.1["code"]), (404, &json!("fault_unknown")));
    drop(words);
    let (listed, ()) = tokio::join!(json_of(bench.at, "/api/faults"), async {
        let mut words = bench.writer.notebook().words().lock_owned().await;
        let Some(Word::Faults(answer)) = words.recv().await else {
            panic!("no question")
        };
        answer.send(Vec::new()).unwrap();
    });
    assert_eq!(listed["classes"].as_array().unwrap().len(), 10);
    assert_eq!(listed["faults"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fault_code_is_read_back_and_drawn() {
    let bench = bench(&[]).await;
    bench.writer.show(class());
    let diag = json_of(bench.at, "/api/diag").await;
    let read = Diagnosis::decode(diag["text"].as_str().unwrap()).unwrap();
    assert_eq!((read.device.as_str(), read.lessons), ("dev-1", (4, 2, 1)));
    assert_eq!(read.errors, ["disk_full"]);
    assert_eq!(read.agent, env!("CARGO_PKG_VERSION"));
    let lines = diag["lines"].as_array().unwrap();
    assert!(
        lines
            .iter()
            .all(|l| !l["zh"].as_str().unwrap().is_empty() && !l["en"].as_str().unwrap().is_empty())
    );
    assert!(lines.iter().any(|line| line["bad"] == true));
    let picture = ask(bench.at, "GET", "/api/diag.svg", &[]).await;
    assert_eq!(
        (picture.status, picture.header("content-type")),
        (200, Some("image/svg+xml"))
    );
    assert!(picture.body.starts_with(b"<?xml") || picture.body.starts_with(b"<svg"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_the_board_is_listed() {
    let bench = bench(&[]).await;
    let privacy = json_of(bench.at, "/api/privacy").await;
    let sections = privacy["sections"].as_array().unwrap();
    assert!(sections.len() >= 8);
    for section in sections {
        assert!(
            !section["zh"].as_str().unwrap().is_empty() && !section["every"].as_str().unwrap().is_empty()
        );
        for field in section["fields"].as_array().unwrap() {
            assert!(
                field["name"].as_str().unwrap().contains('.') && !field["zh"].as_str().unwrap().is_empty()
            );
        }
    }
    assert!(!privacy["never"]["zh"].as_array().unwrap().is_empty());
}
