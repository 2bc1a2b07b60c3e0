//! A teacher's disk over real sockets, byte by byte.

use std::{fs, net::SocketAddr, os::unix::ffi::OsStrExt, path::Path};

use crate::{
    config::{Language, PlayerConfig},
    player::{
        Player,
        tests::{ask, raw},
    },
    shelf::{ShelfWriter, shelf},
};

const MP4: &[u8] = b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41 and so on for a while";

struct Bench {
    _player: Player,
    _writer: ShelfWriter,
    root: tempfile::TempDir,
    at: SocketAddr,
    id: String,
}

impl Bench {
    fn disk(&self) -> std::path::PathBuf {
        self.root.path().join("KINGSTON")
    }

    async fn list(&self, dir: &str) -> serde_json::Value {
        let path = format!("/api/disks/{}/files?dir={dir}", self.id);
        let answer = ask(self.at, "GET", &path, &[]).await;
        assert_eq!(answer.status, 200, "{dir}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        serde_json::from_slice(&answer.body).unwrap()
    }
}

async fn bench() -> Bench {
    let root = tempfile::tempdir().unwrap();
    let disk = root.path().join("KINGSTON");
    fs::create_dir_all(disk.join("bbt")).unwrap();
    fs::create_dir_all(disk.join("三年级 语文")).unwrap();
    fs::write(disk.join("三年级 语文/观潮 #1.mp4"), MP4).unwrap();
    let (writer, state) = shelf();
    writer.set_usb_roots(vec![root.path().to_owned()]);
    let config = PlayerConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        lan_listen: vec![],
        courseware_port: std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port(),
        language: Language::ZhCn,
    };
    let player = Player::start(&config, state).await.unwrap();
    let at = player.addresses()[0];
    let shown = ask(at, "GET", "/api/disks", &[]).await;
    let shown: serde_json::Value = serde_json::from_slice(&shown.body).unwrap();
    assert_eq!(
        (&shown["disks"][0]["name"], &shown["disks"][0]["files"]),
        (&"KINGSTON".into(), &true.into())
    );
    let id = shown["disks"][0]["id"].as_str().unwrap().to_owned();
    Bench {
        _player: player,
        _writer: writer,
        root,
        at,
        id,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_on_a_disk_plays_from_where_it_lies() {
    let bench = bench().await;
    let top = bench.list("").await;
    let folder = top["entries"][0].clone();
    assert_eq!(
        (&folder["name"], &folder["kind"]),
        (&"三年级 语文".into(), &"dir".into())
    );
    let inside = bench.list(folder["dir"].as_str().unwrap()).await;
    let film = &inside["entries"][0];
    assert_eq!(
        (&film["name"], &film["kind"], &film["size"]),
        (&"观潮 #1.mp4".into(), &"video".into(), &MP4.len().into())
    );
    let url = film["url"].as_str().unwrap();
    let whole = ask(bench.at, "GET", url, &[]).await;
    assert_eq!((whole.status, &whole.body[..]), (200, MP4));
    assert_eq!(whole.header("content-type"), Some("video/mp4"));
    assert_eq!(whole.header("x-content-type-options"), Some("nosniff"));
    assert!(
        whole
            .header("content-security-policy")
            .unwrap()
            .starts_with("sandbox;")
    );
    let part = ask(bench.at, "GET", url, &[("range", "bytes=4-7")]).await;
    assert_eq!((part.status, &part.body[..]), (206, &b"ftyp"[..]));
    assert_eq!(
        part.header("content-range"),
        Some(format!("bytes 4-7/{}", MP4.len()).as_str())
    );
    assert_eq!(
        ask(bench.at, "GET", url, &[("range", "bytes=9999-")])
            .await
            .status,
        416
    );
    // Pulled out while it is open.
    fs::rename(bench.disk(), bench.root.path().join("gone")).unwrap();
    fs::remove_dir_all(bench.root.path().join("gone/bbt")).unwrap();
    let answer = ask(bench.at, "GET", url, &[]).await;
    assert_eq!((answer.status, answer.code().as_str()), (404, "usb_gone"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_pictures_sound_films_and_pdf_is_handed_out() {
    let bench = bench().await;
    let disk = bench.disk();
    for (name, bytes) in [
        ("page.html", &b"<!doctype html><script>alert(1)</script>"[..]),
        ("page.mp4", b"<!doctype html><script>alert(1)</script>"),
        (
            "drawing.svg",
            b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script/></svg>",
        ),
        (
            "drawing.png",
            b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script/></svg>",
        ),
        ("script.js", b"alert(1)"),
        ("game.exe", b"MZ\x90\0"),
        ("slides.pptx", b"PK\x03\x04"),
        ("empty.mp4", b""),
        ("secret.srt", b"root:x:0:0:root:/root:/bin/sh"),
    ] {
        fs::write(disk.join(name), bytes).unwrap();
        let answer = ask(bench.at, "GET", &format!("/usb/{}/{name}", bench.id), &[]).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (415, "usb_kind"),
            "{name}"
        );
    }
    let shown = bench.list("").await;
    let slides = shown["entries"]
        .as_array()
        .unwrap()
        .iter()
        .find(|e| e["name"] == "slides.pptx");
    assert_eq!(slides.unwrap()["url"], serde_json::Value::Null);
    for method in ["POST", "PUT", "DELETE"] {
        let path = format!("/usb/{}/page.mp4", bench.id);
        assert_eq!(ask(bench.at, method, &path, &[]).await.status, 405, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_path_leaves_the_disk() {
    let bench = bench().await;
    fs::write(bench.root.path().join("secret.mp4"), MP4).unwrap();
    std::os::unix::fs::symlink("../secret.mp4", bench.disk().join("link.mp4")).unwrap();
    std::os::unix::fs::symlink("..", bench.disk().join("up")).unwrap();
    let id = &bench.id;
    for path in [
        "../secret.mp4",
        "%2e%2e/secret.mp4",
        "..%2fsecret.mp4",
        "%2e%2e%2fsecret.mp4",
        "./../secret.mp4",
        "link.mp4",
        "up/secret.mp4",
        "/secret.mp4",
        "//etc/passwd",
        "%2fetc%2fpasswd",
        "%00",
        "..%00/secret.mp4",
        "%E4%B8%89%E5%B9%B4%E7%BA%A7%20%E8%AF%AD%E6%96%87/../../secret.mp4",
        "%E4%B8%89%E5%B9%B4%E7%BA%A7%20%E8%AF%AD%E6%96%87",
        "%zz",
        "%",
        "",
    ] {
        let answer = ask(bench.at, "GET", &format!("/usb/{id}/{path}"), &[]).await;
        assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
        let answer = ask(bench.at, "GET", &format!("/api/disks/{id}/files?dir={path}"), &[]).await;
        // The one folder among them, and the disk itself, are listed; nothing of above them is.
        assert!(
            !String::from_utf8_lossy(&answer.body).contains("secret.mp4"),
            "{path}: {}",
            String::from_utf8_lossy(&answer.body)
        );
    }
    for id in ["", "0", "..", "%2e%2e", &id.to_uppercase(), &"f".repeat(12)] {
        let answer = ask(bench.at, "GET", &format!("/usb/{id}/link.mp4"), &[]).await;
        assert!(answer.status >= 400, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_subtitles_of_any_encoding() {
    let bench = bench().await;
    let (gbk, _, _) = encoding_rs::GBK.encode("旧电脑.mp4");
    fs::write(bench.disk().join(std::ffi::OsStr::from_bytes(&gbk)), MP4).unwrap();
    let srt = "1\n00:00:01,000 --> 00:00:02,000\n同学们好\n";
    let folder = bench.disk().join("三年级 语文");
    fs::write(folder.join("观潮 #1.srt"), &*encoding_rs::GBK.encode(srt).0).unwrap();
    fs::write(
        folder.join("观潮 #1.en.SRT"),
        "1\n00:00:01,000 --> 00:00:02,000\nHello\n",
    )
    .unwrap();
    fs::write(folder.join("观潮 #10.srt"), srt).unwrap();
    let top = bench.list("").await;
    let old = top["entries"]
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["name"] == "旧电脑.mp4")
        .unwrap();
    let answer = ask(bench.at, "GET", old["url"].as_str().unwrap(), &[]).await;
    assert_eq!((answer.status, &answer.body[..]), (200, MP4));
    let dir = top["entries"][0]["dir"].as_str().unwrap();
    let inside = bench.list(dir).await;
    assert_eq!(
        inside["entries"].as_array().unwrap().len(),
        1,
        "subtitles are no entries"
    );
    let subtitles = inside["entries"][0]["subtitles"].as_array().unwrap();
    let mut found: Vec<_> = subtitles.iter().map(|s| s["lang"].as_str().unwrap()).collect();
    found.sort_unstable();
    assert_eq!(found, ["en", "zh-CN"]);
    let chinese = subtitles.iter().find(|s| s["lang"] == "zh-CN").unwrap();
    let answer = ask(bench.at, "GET", chinese["url"].as_str().unwrap(), &[]).await;
    assert_eq!(answer.header("content-type"), Some("text/vtt; charset=utf-8"));
    assert_eq!(
        String::from_utf8(answer.body).unwrap(),
        "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n同学们好\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_files_and_nobody_but_the_board() {
    let bench = bench().await;
    let many = bench.disk().join("照片");
    fs::create_dir(&many).unwrap();
    for n in 0..2_100 {
        fs::write(many.join(format!("IMG_{n:04}.JPG")), b"\xff\xd8\xff\xe0").unwrap();
    }
    let shown = bench.list("%E7%85%A7%E7%89%87").await;
    assert_eq!(shown["entries"].as_array().unwrap().len(), 2_000);
    assert_eq!(shown["more"], true);
    // A page of another site, a rebound name.
    let path = format!("/api/disks/{}/files", bench.id);
    let foreign = ask(bench.at, "GET", &path, &[("origin", "http://evil.example")]).await;
    assert_eq!(foreign.status, 403);
    let request = format!("GET {path} HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n");
    assert_eq!(raw(bench.at, &request).await.status, 421);
    assert!(Path::new(&many).exists());
}
