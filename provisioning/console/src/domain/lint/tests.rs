use std::{path::Path, process::Command};

use contract::lesson::{ItemKind, LessonItem};

use super::*;

fn item(kind: ItemKind, path: &str) -> LessonItem {
    LessonItem {
        kind,
        title: path.to_owned(),
        entry: path.parse().unwrap(),
        subtitles: Vec::new(),
        duration_ms: Some(5_000),
        thumbnail: None,
        converted: None,
        pages: Vec::new(),
    }
}

fn file(at: &Path, path: &str, media_type: &str) -> Examined {
    Examined {
        path: path.to_owned(),
        media_type: media_type.to_owned(),
        size: at.metadata().unwrap().len(),
        at: at.to_owned(),
    }
}

fn rules_of(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|f| f.rule.as_str()).collect()
}

/// A film of the coding asked for, made by the same program that schools use.
fn film(folder: &Path, name: &str, args: &[&str]) -> Examined {
    let at = folder.join(name);
    let made = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y"])
        .args(["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=10:duration=5"])
        .args(["-f", "lavfi", "-i", "sine=frequency=440:duration=5"])
        .args(args)
        .arg(&at)
        .status()
        .expect("ffmpeg is needed for this test; `cargo xtask test` installs it");
    assert!(made.success(), "ffmpeg {args:?}");
    file(&at, name, "video/mp4")
}

#[test]
fn every_rule_is_told_in_both_languages_with_a_fix() {
    let all: Vec<_> = rules().collect();
    assert!(all.len() > 20, "the book of rules cannot be read");
    for rule in all {
        for language in [Language::ZhCn, Language::En] {
            let (sentence, fix) = rule.words(language);
            assert!(!sentence.is_empty() && !fix.is_empty(), "{}", rule.id);
        }
        let told = Finding::of(&rule.id, "a", "F").sentence(Language::ZhCn);
        assert!(!told.message.contains('{'), "{}: {}", rule.id, told.message);
    }
}

#[test]
fn films_are_judged_by_their_coding() {
    let folder = tempfile::tempdir().unwrap();
    let good = &[
        "-c:v",
        "libx264",
        "-profile:v",
        "high",
        "-level",
        "4.1",
        "-pix_fmt",
        "yuv420p",
        "-c:a",
        "aac",
        "-movflags",
        "+faststart",
    ];
    let findings = |name: &str, args: &[&str]| {
        let made = film(folder.path(), name, args);
        examine(&[item(ItemKind::Video, name)], &[made])
    };
    assert_eq!(findings("good.mp4", good), []);
    let ten = findings(
        "ten.mp4",
        &[
            "-c:v",
            "libx264",
            "-profile:v",
            "high10",
            "-pix_fmt",
            "yuv420p10le",
            "-c:a",
            "aac",
            "-movflags",
            "+faststart",
        ],
    );
    assert_eq!(rules_of(&ten), ["video.chroma", "video.profile"]);
    assert!(!passes(&ten));
    assert!(ten[1].sentence(Language::ZhCn).message.contains("High 10"));
    let full = findings(
        "full.mp4",
        &[
            "-c:v",
            "libx264",
            "-pix_fmt",
            "yuv444p",
            "-c:a",
            "aac",
            "-movflags",
            "+faststart",
        ],
    );
    assert!(rules_of(&full).contains(&"video.chroma"), "{full:?}");
    let high = findings(
        "high.mp4",
        &[
            "-vf",
            "scale=2560:1440",
            "-c:v",
            "libx264",
            "-level",
            "5.1",
            "-preset",
            "ultrafast",
            "-pix_fmt",
            "yuv420p",
            "-c:a",
            "aac",
            "-movflags",
            "+faststart",
        ],
    );
    assert_eq!(rules_of(&high), ["video.level", "video.size"]);
    assert!(high[0].sentence(Language::En).message.contains("5.1"), "{high:?}");
    assert!(high[0].sentence(Language::En).message.contains("4.1"));
    let late = findings(
        "late.mp4",
        &["-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac"],
    );
    assert_eq!(rules_of(&late), ["video.faststart"]);
    assert!(passes(&late));
    let silent = findings(
        "silent.mp4",
        &[
            "-an",
            "-c:v",
            "libx264",
            "-pix_fmt",
            "yuv420p",
            "-movflags",
            "+faststart",
        ],
    );
    assert_eq!(rules_of(&silent), ["video.silent"]);
    let fast = findings(
        "fast.mp4",
        &[
            "-vf",
            "fps=100",
            "-c:v",
            "libx264",
            "-pix_fmt",
            "yuv420p",
            "-c:a",
            "aac",
            "-movflags",
            "+faststart",
        ],
    );
    assert_eq!(rules_of(&fast), ["video.rate"]);
    let loud = findings(
        "loud.mp4",
        &[
            "-c:v",
            "libx264",
            "-pix_fmt",
            "yuv420p",
            "-c:a",
            "aac",
            "-ar",
            "96000",
            "-movflags",
            "+faststart",
        ],
    );
    assert_eq!(rules_of(&loud), ["sound.rate"]);
    let foreign = findings(
        "foreign.mp4",
        &[
            "-c:v",
            "libx264",
            "-pix_fmt",
            "yuv420p",
            "-c:a",
            "ac3",
            "-movflags",
            "+faststart",
        ],
    );
    assert_eq!(rules_of(&foreign), ["sound.coding"]);
}

#[test]
fn a_damaged_film_is_told_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let whole = film(
        folder.path(),
        "a.mp4",
        &["-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac"],
    );
    let bytes = std::fs::read(&whole.at).unwrap();
    let at = folder.path().join("cut.mp4");
    for n in 0..300 {
        let mut broken = bytes.clone();
        // The table is at the end of this one.
        let place = broken.len() - 1 - n * 7 % broken.len().min(4000);
        broken[place] ^= 0xff;
        std::fs::write(&at, &broken[..broken.len() - n % 3]).unwrap();
        let _ = examine(
            &[item(ItemKind::Video, "cut.mp4")],
            &[file(&at, "cut.mp4", "video/mp4")],
        );
    }
    std::fs::write(&at, b"no film").unwrap();
    let told = examine(
        &[item(ItemKind::Video, "cut.mp4")],
        &[file(&at, "cut.mp4", "video/mp4")],
    );
    assert_eq!(rules_of(&told), ["media.unread"]);
}

fn pdf(folder: &Path, name: &str, body: &str) -> Examined {
    let mut text = String::from("%PDF-1.4\n");
    let mut offsets = Vec::new();
    for (n, object) in body.split('|').enumerate() {
        offsets.push(text.len());
        text += &format!("{} 0 obj\n{}\nendobj\n", n + 1, object.trim());
    }
    let start = text.len();
    text += &format!("xref\n0 {}\n0000000000 65535 f \n", offsets.len() + 1);
    for offset in &offsets {
        text += &format!("{offset:010} 00000 n \n");
    }
    text += &format!(
        "trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n",
        offsets.len() + 1
    );
    let at = folder.join(name);
    std::fs::write(&at, text).unwrap();
    file(&at, name, "application/pdf")
}

#[test]
fn fonts_that_do_not_travel_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let with = |name: &str, font: &str| {
        let body = format!(
            "<< /Type /Catalog /Pages 2 0 R >>|<< /Type /Pages /Kids [3 0 R] /Count 1 >>|\
             << /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Resources << /Font << /F1 4 0 R >> >> >>|{font}|\
             << /Type /FontDescriptor /FontName /X /FontFile2 6 0 R >>|<< /Length 1 >> stream\nx\nendstream"
        );
        examine(&[item(ItemKind::Pdf, name)], &[pdf(folder.path(), name, &body)])
    };
    let missing = with("a.pdf", "<< /Type /Font /Subtype /TrueType /BaseFont /SimSun >>");
    assert_eq!(rules_of(&missing), ["pdf.fonts"]);
    assert!(missing[0].found.contains("SimSun"));
    assert!(!passes(&missing));
    let base = with("b.pdf", "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>");
    assert_eq!(rules_of(&base), ["pdf.base_fonts"]);
    assert!(passes(&base));
    assert_eq!(
        with(
            "c.pdf",
            "<< /Type /Font /Subtype /TrueType /BaseFont /SimSun /FontDescriptor 5 0 R >>"
        ),
        []
    );
}

#[test]
fn an_exercise_that_calls_out_is_named_with_the_address() {
    let folder = tempfile::tempdir().unwrap();
    let of = |files: &[(&str, &str)]| {
        let files: Vec<_> = files
            .iter()
            .enumerate()
            .map(|(n, (path, text))| {
                let at = folder.path().join(n.to_string());
                std::fs::write(&at, text).unwrap();
                file(&at, path, "text/html")
            })
            .collect();
        examine(&[item(ItemKind::Html5, "game/index.html")], &files)
    };
    let clean = [
        (
            "game/index.html",
            "<!doctype html><svg xmlns=\"http://www.w3.org/2000/svg\"></svg><script src=\"js/a.js\"></script><a href='#top'>x</a>",
        ),
        (
            "game/js/a.js",
            "// see https://example.com/manual\nlet a = 'http://www.w3.org/1999/xhtml';",
        ),
        ("other.js", "fetch('https://example.com/')"),
    ];
    assert_eq!(of(&clean), []);
    for (text, rule) in [
        (
            "<script src=https://cdn.example.com/jq.js></script>",
            "html.external",
        ),
        ("<link href=\"//fonts.example.com/a.css\">", "html.external"),
        (
            "<style>@import \"http://a.example/b.css\"</style>",
            "html.external",
        ),
        (
            "<style>p{background:url(https://a.example/b.png)}</style>",
            "html.external",
        ),
        (
            "<script>fetch('https://a.example/score')</script>",
            "html.external",
        ),
        (
            "<script>new WebSocket(\"wss://a.example\")</script>",
            "html.external",
        ),
        (
            "<script>x.open('POST','http://a.example/')</script>",
            "html.external",
        ),
        (
            "<script>navigator.mediaDevices.getUserMedia({audio:true})</script>",
            "html.device",
        ),
        ("<img src='pic/none.png'>", "html.missing"),
        ("<script>top.location='x'</script>", "html.navigation"),
    ] {
        let found = of(&[("game/index.html", text)]);
        assert!(rules_of(&found).contains(&rule), "{text}: {found:?}");
    }
}

/// `BBT_BLESS=1 cargo test -p bbt-console --lib domain::lint` writes the guide anew.
#[test]
fn the_guide_for_makers_says_what_the_rules_say() {
    let mut guide = String::from(
        "# 课件制作技术要求\n\n本页由检查规则生成（`provisioning/console/src/domain/lint/rules.toml`），与上传时的检查逐条一致。\
         “必须”不满足不能通过自审；“建议”只作提示。\n\nGenerated from the linter's rules; *error* keeps a version from review, \
         *warning* is told only.\n\n| 规则 | 级别 | 说明 | 怎样改 |\n|---|---|---|---|\n",
    );
    for rule in rules() {
        let severity = match rule.severity {
            Severity::Error => "必须",
            Severity::Warning => "建议",
        };
        let told = Finding::of(&rule.id, "", "…");
        let zh = told.sentence(Language::ZhCn);
        let en = told.sentence(Language::En);
        guide += &format!(
            "| `{}` | {severity} | {}<br>{} | {}<br>{} |\n",
            rule.id, zh.message, en.message, zh.fix, en.fix
        );
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/reference/lesson-standard.md");
    if std::env::var_os("BBT_BLESS").is_some() {
        std::fs::write(&file, &guide).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == guide,
        "{} is not what the rules say: run with BBT_BLESS=1 and read the diff",
        file.display()
    );
}
