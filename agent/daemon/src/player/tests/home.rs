//! The first page, lists of lessons and one lesson, as they come over HTTP.

use contract::{
    records::{FaultClass, Repair, RepairState},
    time::ClockTrust,
};
use serde_json::{Value, json};

use super::{shown::*, *};
use crate::shelf::{RepairView, ResumePoint};

fn ids(list: &Value) -> Vec<&str> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|one| one.get("lesson").unwrap_or(one)["id"].as_str().unwrap_or("-"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_board_that_knows_nothing_says_so() {
    let bench = bench(&[]).await;
    let home = json_of(bench.at, "/api/home").await;
    assert_eq!(
        (&home["preparing"], &home["on_board"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(home["token"].as_str().unwrap().len(), 32);
    assert_eq!(
        home["clock"],
        json!({"now": null, "trusted": false, "utc_offset_min": 480})
    );
    assert_eq!(
        home["today"],
        json!({"date": null, "day_name": null, "week": null, "source": "none", "periods": []})
    );
    assert_eq!(
        home["tomorrow"],
        json!({"light": "unknown", "date": null, "items": []})
    );
    assert_eq!(
        (&home["next"], &home["resume"], &home["facets"]),
        (&Value::Null, &json!([]), &json!([]))
    );
    assert_eq!(
        home["counts"],
        json!({"ready": 0, "arriving": 0, "failed": 0, "total": 0})
    );
    assert_eq!(
        home["help"],
        json!({"office": "", "phone": "", "text": "", "web": ""})
    );
    assert_eq!(home["features"], json!({"usb_play": true, "pin_set": false}));
    assert_eq!(
        (&home["exam"]["state"], &home["language"]),
        (&json!("none"), &json!("zh-CN"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_a_class() {
    let bench = bench(&[]).await;
    bench.writer.show(class());
    bench
        .writer
        .beside(|beside| beside.opened = vec!["yw-1".parse().unwrap(), "sx-1".parse().unwrap()]);
    let home = json_of(bench.at, "/api/home").await;
    let now = home["clock"]["now"].as_str().unwrap();
    assert!(
        now.starts_with("2026-11-23T10:02:") && now.ends_with("+08:00"),
        "{now}"
    );
    assert_eq!(home["clock"]["trusted"], true);
    let today = &home["today"];
    assert_eq!(
        (
            &today["date"],
            &today["week"],
            &today["source"],
            &today["day_name"]
        ),
        (&json!("2026-11-23"), &json!(12), &json!("console"), &Value::Null)
    );
    let states: Vec<_> = today["periods"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["past", "now", "next", "later"]);
    // Planned and here; not planned; planned and not on the shelf.
    let periods = &today["periods"];
    assert_eq!(
        (&periods[0]["lesson"]["id"], &periods[0]["planned"]),
        (&json!("yw-1"), &json!(true))
    );
    assert_eq!(
        (&periods[1]["lesson"], &periods[1]["planned"]),
        (&Value::Null, &json!(false))
    );
    assert_eq!(
        (&periods[2]["lesson"], &periods[2]["planned"]),
        (&Value::Null, &json!(true))
    );
    // Mathematics is under way: what comes after the lesson that was opened last in it.
    let next = &home["next"];
    assert_eq!(
        (&next["period"]["subject"], &next["lesson"]),
        (&json!("数学"), &Value::Null)
    );
    assert_eq!(next["suggestion"]["id"], "sx-2");
    // Tomorrow is a holiday, so Wednesday counts; what is planned there is on its way, or not here.
    let tomorrow = &home["tomorrow"];
    assert_eq!(
        (&tomorrow["date"], &tomorrow["light"]),
        (&json!("2026-11-25"), &json!("red"))
    );
    let why: Vec<_> = tomorrow["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["why"].as_str().unwrap())
        .collect();
    assert_eq!(why, ["arriving", "missing"]);
    assert_eq!(
        (&home["help"]["office"], &home["school_lessons"]),
        (&json!("县电教站"), &json!(true))
    );
    assert_eq!(home["features"]["pin_set"], true);
    assert_eq!(
        home["counts"],
        json!({"ready": 4, "arriving": 2, "failed": 1, "total": 7})
    );
    let facets = home["facets"].as_array().unwrap();
    let maths = facets.iter().find(|f| f["subject"] == "数学").unwrap();
    assert_eq!(
        maths,
        &json!({"subject": "数学", "grade": "三年级", "volume": "上册", "count": 3, "ready": 3})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_clock_nothing_is_said_of_today() {
    let bench = bench(&[]).await;
    bench.writer.show(Shelf {
        clock: Default::default(),
        ..class()
    });
    let home = json_of(bench.at, "/api/home").await;
    let today = &home["today"];
    assert_eq!(
        (&today["date"], &today["periods"], &today["source"]),
        (&Value::Null, &json!([]), &json!("console"))
    );
    assert_eq!(
        (&today["days"][0]["day"], &today["days"][1]["day"]),
        (&json!(1), &json!(3))
    );
    assert_eq!(today["days"][0]["periods"].as_array().unwrap().len(), 4);
    assert_eq!(
        (&home["next"], &home["tomorrow"]["light"]),
        (&Value::Null, &json!("unknown"))
    );
    // The machine's own clock, which nobody confirmed: told as such.
    bench.writer.show(Shelf {
        clock: clock_at(MONDAY, ClockTrust::Rtc),
        ..class()
    });
    let home = json_of(bench.at, "/api/home").await;
    assert_eq!(
        (&home["clock"]["trusted"], &home["today"]["date"]),
        (&json!(false), &json!("2026-11-23"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_says_when_and_what_waits_does_not() {
    let bench = bench(&[]).await;
    bench.writer.show(class());
    let arriving = json_of(bench.at, "/api/home").await["arriving"].clone();
    assert_eq!(
        (&arriving["total"], ids(&arriving["list"])),
        (&json!(2), vec!["yw-2", "yy-1"])
    );
    // 600 kB at 100 kB/s, and then another 1,000 kB.
    assert_eq!(
        (&arriving["list"][0]["eta_s"], &arriving["list"][1]["eta_s"]),
        (&json!(6), &json!(16))
    );
    assert_eq!(
        (
            &arriving["list"][0]["done_bytes"],
            &arriving["list"][1]["total_bytes"]
        ),
        (&json!(400_000), &json!(1_000_000))
    );
    let until = "2026-11-23T08:00:00Z";
    for (held_back, bytes_per_s) in [
        (Some(contract::report::HeldBack::ClassHours), Some(100_000)),
        (None, None),
    ] {
        bench.writer.show(Shelf {
            held_back,
            held_until: Some(until.parse().unwrap()),
            bytes_per_s,
            ..class()
        });
        let arriving = json_of(bench.at, "/api/home").await["arriving"].clone();
        assert_eq!(arriving["list"][0]["eta_s"], Value::Null);
        let told = held_back.map(|_| json!("class_hours")).unwrap_or_default();
        let at = held_back.map(|_| json!(until)).unwrap_or_default();
        assert_eq!((&arriving["held_back"], &arriving["next_at"]), (&told, &at));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_somebody_stopped_is_shown_as_far_as_it_plays() {
    let bench = bench(&[]).await;
    bench.writer.show(class());
    let stopped = |lesson: &str, version, item| ResumePoint {
        lesson: lesson.parse().unwrap(),
        version,
        item,
        position_ms: 47_000,
        duration_ms: 60_000,
        at: None,
    };
    bench.writer.beside(|beside| {
        beside.resume = vec![
            stopped("yw-1", 1, 0),
            stopped("yw-2", 2, 0),
            stopped("gone-1", 2, 0),
            stopped("sx-1", 2, 9),
        ];
        beside.resume.extend((1..10).map(|n| stopped("sx-2", 2, n % 3)));
        beside.repairs = vec![RepairView {
            class: FaultClass::Touch,
            symptom: "offset".into(),
            repair: Repair {
                fault: "01JD".into(),
                state: RepairState::Fixed,
                note: "换了触摸框".into(),
                since: "2026-11-20T00:00:00Z".parse().unwrap(),
            },
        }];
    });
    let home = json_of(bench.at, "/api/home").await;
    let resume = home["resume"].as_array().unwrap();
    // Nine items of one lesson are one line, where it was open last.
    assert_eq!(ids(&home["resume"]), ["sx-2"]);
    assert_eq!(
        (&resume[0]["item"], &resume[0]["item_title"]),
        (&json!(1), &json!("钱塘江大潮"))
    );
    let repair = &home["repairs"][0];
    assert_eq!(
        (&repair["class"], &repair["fault"], &repair["state"]),
        (&json!("touch"), &json!("01JD"), &json!("fixed"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_come_page_by_page_in_the_order_of_the_book() {
    let bench = bench(&[]).await;
    bench.writer.show(class());
    let all = json_of(bench.at, "/api/lessons").await;
    assert_eq!(
        (&all["total"], ids(&all["lessons"])),
        (
            &json!(7),
            vec!["yw-1", "yw-2", "sx-1", "sx-2", "sx-10", "yy-1", "kx-1"]
        )
    );
    let maths = "/api/lessons?subject=%E6%95%B0%E5%AD%A6&grade=&volume=%E4%B8%8A%E5%86%8C";
    let page = json_of(bench.at, &format!("{maths}&offset=1&limit=1")).await;
    assert_eq!((&page["total"], ids(&page["lessons"])), (&json!(3), vec!["sx-2"]));
    let chapters = json!([{"chapter": "第一单元", "count": 1}, {"chapter": "第二单元", "count": 1}, {"chapter": "第十单元", "count": 1}]);
    assert_eq!(page["chapters"], chapters);
    let chapter = json_of(
        bench.at,
        &format!("{maths}&chapter=%E7%AC%AC%E4%BA%8C%E5%8D%95%E5%85%83"),
    )
    .await;
    assert_eq!((&chapter["total"], &chapter["chapters"]), (&json!(1), &chapters));
    let states = json_of(bench.at, "/api/lessons?state=failed").await;
    assert_eq!(
        (ids(&states["lessons"]), &states["lessons"][0]["reason"]),
        (vec!["kx-1"], &json!("disk_full"))
    );
    let first = &all["lessons"][0];
    assert_eq!(
        (&first["kinds"], &first["items"]),
        (&json!(["video", "pdf"]), &json!(3))
    );
    assert_eq!(first["thumbnail"], "/files/yw-1/%E5%B0%8F%E5%9B%BE.png?v=2");
    assert_eq!(
        (&all["lessons"][1]["thumbnail"], &all["lessons"][1]["done_bytes"]),
        (&Value::Null, &json!(400_000))
    );
    assert_eq!(
        json_of(bench.at, "/api/lessons?offset=99999999999&limit=100000").await["lessons"],
        json!([])
    );
    assert_eq!(
        json_of(bench.at, "/api/lessons?limit=0").await["lessons"],
        json!([])
    );
    assert_eq!(json_of(bench.at, "/api/lessons?subject=%FF%00").await["total"], 0);
    let long = "x".repeat(201);
    for hostile in [
        "offset=-1",
        "limit=abc",
        "offset=99999999999999999999",
        &format!("subject={long}"),
        "offset=1&offset=2",
    ] {
        let answer = ask(bench.at, "GET", &format!("/api/lessons?{hostile}"), &[]).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "bad_question"),
            "{hostile}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_lesson_comes_whole() {
    let bench = bench(&[]).await;
    bench.writer.show(class());
    let lesson = json_of(bench.at, "/api/lessons/yw-1").await;
    assert_eq!(
        (&lesson["title"], &lesson["state"], &lesson["own"]),
        (&json!("大青树下的小学"), &json!("ready"), &json!(false))
    );
    let item = &lesson["items"][1];
    assert_eq!(
        (&item["kind"], &item["pages"], &item["converted"]),
        (&json!("pdf"), &json!([]), &Value::Null)
    );
    let failed = json_of(bench.at, "/api/lessons/kx-1").await;
    assert_eq!(
        (&failed["reason"], &failed["detail"], &failed["items"]),
        (&json!("disk_full"), &json!("why"), &json!([]))
    );
    for id in ["gone-1", "..%2f..%2fetc%2fpasswd", "%00", "%FF", "yw-1%20"] {
        let answer = ask(bench.at, "GET", &format!("/api/lessons/{id}"), &[]).await;
        assert!(matches!(answer.status, 400 | 404), "{id}: {}", answer.status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hear_of_what_stands_beside_the_lessons() {
    let bench = bench(&[]).await;
    let mut stream = TcpStream::connect(bench.at).await.unwrap();
    let request = format!("GET /api/live HTTP/1.1\r\nhost: {}\r\n\r\n", bench.at);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut seen = String::new();
    for events in 1..=2 {
        let mut buffer = [0; 4096];
        while seen.matches("event: shelf").count() < events {
            let read = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut buffer))
                .await
                .unwrap()
                .unwrap();
            assert!(read > 0, "{seen}");
            seen += &String::from_utf8_lossy(&buffer[..read]);
        }
        bench
            .writer
            .beside(|beside| beside.exam.state = crate::shelf::ExamState::Soon);
    }
}
