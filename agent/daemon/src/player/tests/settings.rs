//! Settings over HTTP: the token, the PIN, what is kept, and a timetable from a disk.

use serde_json::{Value, json};

use super::{shown::*, *};

/// A bench whose settings are kept, with a disk `stick` under its USB root.
async fn kept() -> (Bench, tempfile::TempDir) {
    let bench = bench(&[]).await;
    let dir = tempfile::tempdir().unwrap();
    bench.writer.settings().open(dir.path());
    bench.writer.set_usb_roots(vec![dir.path().join("media")]);
    std::fs::create_dir_all(dir.path().join("media/stick/bbt")).unwrap();
    bench.writer.show(class());
    (bench, dir)
}

async fn session(at: SocketAddr) -> String {
    let (status, opened) = write(at, "/api/settings/unlock", &json!({"pin": "246810"})).await;
    assert_eq!((status, &opened["ttl_s"]), (200, &json!(600)), "{opened}");
    opened["session"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_without_the_pages_token() {
    let (bench, _dir) = kept().await;
    let at = bench.at;
    let (own, token) = (
        format!("http://{at}"),
        json_of(at, "/api/home").await["token"]
            .as_str()
            .unwrap()
            .to_owned(),
    );
    let all = [
        ("origin", own.as_str()),
        ("content-type", "application/json"),
        ("x-bbt-page", "1"),
        ("x-bbt-token", token.as_str()),
    ];
    let body = json!({"pin": "246810"}).to_string();
    let paths = [
        "/api/settings/unlock",
        "/api/settings",
        "/api/timetable",
        "/api/timetable/clear",
        "/api/disks/x/import",
        "/api/enrol",
    ];
    for path in paths {
        for missing in 0..all.len() {
            let mut headers = all.to_vec();
            let (name, _) = headers.remove(missing);
            let (status, answer) = post_with(at, path, &headers, body.as_bytes()).await;
            let code = if name == "x-bbt-token" {
                "token_refused"
            } else {
                "on_board_only"
            };
            assert_eq!(
                (status, &answer["code"]),
                (403, &json!(code)),
                "{path} without {name}"
            );
        }
        let shorter = &token[..31];
        for wrong in [
            "",
            "0",
            shorter,
            &token.to_uppercase().replace(char::is_numeric, "A"),
            &format!("{token}0"),
        ] {
            let mut headers = all;
            headers[3].1 = wrong;
            let (status, answer) = post_with(at, path, &headers, body.as_bytes()).await;
            assert_eq!(
                (status, &answer["code"]),
                (403, &json!("token_refused")),
                "{path} with {wrong:?}"
            );
        }
        let mut twice = all.to_vec();
        twice.push(("x-bbt-token", &token));
        assert_eq!(
            post_with(at, path, &twice, body.as_bytes()).await.0,
            403,
            "{path}"
        );
    }
    // With all of it the settings open; and what is not there is not there.
    assert_eq!(
        post_with(at, "/api/settings/unlock", &all, body.as_bytes())
            .await
            .0,
        200
    );
    assert_eq!(post_with(at, "/api/home", &all, b"{}").await.0, 405);
    assert_eq!(
        post_with(bench.courseware, "/api/settings", &all, b"{}").await.0,
        403
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pin_opens_the_settings_and_five_wrong_ones_do_not() {
    let (bench, dir) = kept().await;
    let at = bench.at;
    let before = json_of(at, "/api/settings").await;
    assert_eq!(
        (&before["pin_set"], &before["tries_left"], &before["usb_play"]),
        (&json!(true), &json!(5), &json!(true))
    );
    assert_eq!(before["device"], json!({"id": "dev-1", "serial": "SN-1"}));
    assert_eq!(
        before["timetable"],
        json!({"source": "console", "periods": 0, "first_monday": null})
    );
    for closed in ["", "x", "0123456789abcdef0123456789abcdef"] {
        let (status, answer) = write(
            at,
            "/api/settings",
            &json!({"session": closed, "usb_play": false}),
        )
        .await;
        assert_eq!((status, &answer["code"]), (403, &json!("settings_closed")));
    }
    let session = session(at).await;
    let (status, after) = write(
        at,
        "/api/settings",
        &json!({"session": session, "usb_play": false, "language": "en"}),
    )
    .await;
    assert_eq!(
        (status, &after["usb_play"], &after["language"]),
        (200, &json!(false), &json!("en"))
    );
    assert_eq!(json_of(at, "/api/home").await["features"]["usb_play"], false);
    // A reader who asks for no language gets the board's.
    assert!(ask(at, "GET", "/nowhere/at/all", &[]).await.status == 404);
    let lost = ask(at, "GET", "/api/lessons/none", &[]).await;
    assert!(String::from_utf8_lossy(&lost.body).contains("This device does not hold"));
    let kept = std::fs::read_to_string(dir.path().join("settings.json")).unwrap();
    assert!(
        kept.contains("\"usb_play\": false") && !kept.contains("246810"),
        "{kept}"
    );
    for left in (0..5).rev() {
        let (status, answer) = write(at, "/api/settings/unlock", &json!({"pin": "000000"})).await;
        assert_eq!(
            (status, &answer["code"], &answer["tries_left"]),
            (403, &json!("pin_wrong"), &json!(left))
        );
    }
    // Not even the right one, and a restart gives no try back.
    let (_, answer) = write(at, "/api/settings/unlock", &json!({"pin": "246810"})).await;
    assert_eq!(answer["code"], "pin_locked");
    assert!(
        (50..=60).contains(&answer["locked_s"].as_u64().unwrap()),
        "{answer}"
    );
    bench.writer.settings().open(dir.path());
    let (_, answer) = write(at, "/api/settings/unlock", &json!({"pin": "246810"})).await;
    assert_eq!(answer["code"], "pin_locked");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_pin_of_the_county_the_settings_stay_closed() {
    let (bench, _dir) = kept().await;
    bench.writer.show(Shelf {
        plan: None,
        ..class()
    });
    let (status, answer) = write(bench.at, "/api/settings/unlock", &json!({"pin": ""})).await;
    assert_eq!((status, &answer["code"]), (403, &json!("pin_not_set")));
    // A digest that makes no sense opens nothing either.
    let mut plan = plan();
    plan.technician_pin = Some(contract::school::PinDigest {
        iterations: 0,
        salt: String::new(),
        digest: String::new(),
    });
    bench.writer.show(Shelf {
        plan: Some(Arc::new(plan)),
        ..class()
    });
    let (status, answer) = write(bench.at, "/api/settings/unlock", &json!({"pin": ""})).await;
    assert_eq!((status, &answer["code"]), (403, &json!("pin_wrong")));
}

const CSES: &str = "version: 1
subjects:
  - name: 语文
    teacher: 张三
schedules:
  - name: 周一
    enable_day: 1
    weeks: all
    classes:
      - subject: 语文
        start_time: \"08:00:00\"
        end_time: \"08:40:00\"
  - name: 双周
    enable_day: 1
    weeks: even
    classes:
      - subject: 科学
        start_time: \"10:00:00\"
        end_time: \"10:40:00\"
";

#[tokio::test(flavor = "multi_thread")]
async fn a_timetable_from_a_disk_holds_where_the_console_has_none() {
    let (bench, dir) = kept().await;
    let mut plan = plan();
    plan.timetable.clear();
    plan.term = None;
    bench.writer.show(Shelf {
        plan: Some(Arc::new(plan)),
        ..class()
    });
    let (at, stick) = (bench.at, dir.path().join("media/stick"));
    std::fs::write(stick.join("课表 1.yaml"), CSES).unwrap();
    std::fs::write(stick.join("gbk.yaml"), encoding_rs::GBK.encode(CSES).0).unwrap();
    let disk = json_of(at, "/api/disks").await["disks"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let session = session(at).await;
    let take = |more: Value| {
        let mut body = json!({"session": session, "disk": disk, "file": "课表 1.yaml"});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        async move { write(at, "/api/timetable", &body).await }
    };
    let (status, taken) = take(json!({})).await;
    assert_eq!(
        (status, taken),
        (200, json!({"periods": 2, "needs_first_monday": true}))
    );
    let today = json_of(at, "/api/home").await["today"].clone();
    assert_eq!(
        (
            &today["source"],
            &today["week"],
            today["periods"].as_array().unwrap().len()
        ),
        (&json!("local"), &Value::Null, 1)
    );
    // With a first week, even weeks are known; the name may be escaped, and the file in GBK.
    for file in ["%E8%AF%BE%E8%A1%A8%201.yaml", "gbk.yaml"] {
        let (status, taken) = take(json!({"file": file, "first_monday": "2026-09-07"})).await;
        assert_eq!(
            (status, &taken["needs_first_monday"]),
            (200, &json!(false)),
            "{file}"
        );
        let today = json_of(at, "/api/home").await["today"].clone();
        assert_eq!(
            (
                &today["week"],
                &today["periods"][1]["subject"],
                &today["periods"][1]["state"]
            ),
            (&json!(12), &json!("科学"), &json!("now"))
        );
    }
    let kept = std::fs::read_to_string(dir.path().join("settings.json")).unwrap();
    assert!(kept.contains("科学") && !kept.contains("张三"), "{kept}");
    // After a restart it still holds; cleared, it is gone.
    bench.writer.settings().open(dir.path());
    assert_eq!(json_of(at, "/api/home").await["today"]["source"], "local");
    let session = self::session(at).await;
    let (status, _) = write(at, "/api/timetable/clear", &json!({"session": session})).await;
    assert_eq!(
        (status, &json_of(at, "/api/home").await["today"]["source"]),
        (200, &json!("none"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_timetable_is_refused_with_line_and_fix() {
    let (bench, dir) = kept().await;
    let (at, stick) = (bench.at, dir.path().join("media/stick"));
    std::fs::write(dir.path().join("secret.yaml"), CSES).unwrap();
    std::os::unix::fs::symlink(dir.path().join("secret.yaml"), stick.join("link.yaml")).unwrap();
    std::fs::write(stick.join("bad.yaml"), CSES.replace("\"08:40:00\"", "\"25:00\"")).unwrap();
    std::fs::write(stick.join("huge.yaml"), vec![b' '; 2 << 20]).unwrap();
    std::fs::write(stick.join("bomb.yaml"), "a: &a [x,x]\nb: [*a,*a]\n").unwrap();
    std::fs::write(stick.join("picture.png"), [0x89, b'P', b'N', b'G', 0, 0xff]).unwrap();
    let disk = json_of(at, "/api/disks").await["disks"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let session = session(at).await;
    for (disk, file, status) in [
        (disk.as_str(), "bad.yaml", 422),
        (&disk, "huge.yaml", 422),
        (&disk, "bomb.yaml", 422),
        (&disk, "picture.png", 422),
        (&disk, "link.yaml", 400),
        (&disk, "../../secret.yaml", 400),
        (&disk, "..%2f..%2fsecret.yaml", 400),
        (&disk, "/etc/passwd", 400),
        (&disk, "none.yaml", 404),
        (&disk, "", 400),
        ("no-such-disk", "bad.yaml", 404),
    ] {
        let body = json!({"session": session, "disk": disk, "file": file});
        let (found, answer) = write(at, "/api/timetable", &body).await;
        assert!(
            found == status || (status == 400 && found == 404),
            "{file}: {found} {answer}"
        );
        assert!(!answer["message"].as_str().unwrap().is_empty(), "{file}");
    }
    let body = json!({"session": session, "disk": disk, "file": "bad.yaml"});
    let (_, answer) = write(at, "/api/timetable", &body).await;
    let said = answer["message"].as_str().unwrap();
    assert_eq!(answer["code"], "cses_invalid");
    assert!(
        said.contains("12") && said.contains("end_time") && said.contains("25:00"),
        "{said}"
    );
    for (body, why) in [
        (
            json!({"session": session, "disk": disk, "file": "bad.yaml", "first_monday": "2026-09-08"}),
            "a Tuesday",
        ),
        (json!({"session": session, "disk": disk}), "no file"),
        (json!({"session": session, "disk": disk, "file": 1}), "a number"),
        (
            json!({"session": session, "disk": disk, "file": "x", "more": 1}),
            "more",
        ),
        (json!([]), "a list"),
    ] {
        let (status, answer) = write(at, "/api/timetable", &body).await;
        assert_eq!((status, &answer["code"]), (400, &json!("bad_wish")), "{why}");
    }
    let long = json!({"session": "x".repeat(5000)});
    assert_eq!(write(at, "/api/settings", &long).await.0, 400);
    assert_eq!(
        write(at, "/api/settings/unlock", &json!({"pin": "1".repeat(17)}))
            .await
            .0,
        400
    );
}
