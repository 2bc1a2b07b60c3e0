use std::process::Command;

use super::*;
use crate::domain::lint::{self, Examined};

fn ffmpeg(args: &[&str], out: &Path) {
    let made = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y"])
        .args(args)
        .arg(out)
        .status()
        .expect("ffmpeg is needed for this test; `cargo xtask test` installs it");
    assert!(made.success());
}

fn item(kind: ItemKind, path: &str) -> LessonItem {
    LessonItem {
        kind,
        title: String::new(),
        entry: path.parse().unwrap(),
        subtitles: Vec::new(),
        duration_ms: None,
        thumbnail: None,
        converted: None,
        pages: Vec::new(),
    }
}

fn prepared(objects: &Objects, items: Vec<(LessonItem, &Path)>) -> Prepared {
    let files = items
        .iter()
        .map(|(item, from)| {
            let mut file = File::open(from).unwrap();
            let size = file.metadata().unwrap().len();
            let sealed = objects.seal_from(&mut file, size, u64::MAX, &mut |_| ()).unwrap();
            let entry = FileEntry {
                path: item.entry.clone(),
                media_type: "x".into(),
                size,
                hash: sealed.digested.hash,
                sha256: sealed.digested.sha256,
                chunks: sealed.digested.chunks.clone(),
            };
            (entry, sealed)
        })
        .collect();
    Prepared {
        items: items.into_iter().map(|(item, _)| item).collect(),
        files,
        ignored: Vec::new(),
    }
}

#[test]
fn a_film_in_a_coding_that_boards_lack_comes_out_in_theirs() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("in.mp4");
    ffmpeg(
        &[
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=2560x1440:rate=50:duration=2",
            "-f",
            "lavfi",
            "-i",
            "sine=duration=2",
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-pix_fmt",
            "yuv444p",
            "-c:a",
            "ac3",
        ],
        &from,
    );
    let examined = |at: &Path| {
        let file = Examined {
            path: "a.mp4".into(),
            media_type: "video/mp4".into(),
            size: at.metadata().unwrap().len(),
            at: at.to_owned(),
        };
        lint::examine(&[item(ItemKind::Video, "a.mp4")], &[file])
    };
    assert!(!lint::passes(&examined(&from)));
    let tools = Tools::of_this_machine();
    let out = tools.transcode(&from, folder.path()).unwrap();
    assert_eq!(examined(&out), []);
}

#[test]
fn small_pictures_and_pages_are_made_and_the_original_stays() {
    let folder = tempfile::tempdir().unwrap();
    let objects = Objects::open(&folder.path().join("objects"), 0).unwrap();
    let (film, broken) = (folder.path().join("a.mp4"), folder.path().join("b.mp4"));
    ffmpeg(
        &[
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=640x360:rate=10:duration=3",
            "-pix_fmt",
            "yuv420p",
        ],
        &film,
    );
    fs::write(&broken, b"no film").unwrap();
    let tools = Tools::of_this_machine();
    let mut lesson = prepared(
        &objects,
        vec![
            (item(ItemKind::Video, "a.mp4"), &film),
            (item(ItemKind::Video, "b.mp4"), &broken),
        ],
    );
    enrich(&objects, &mut lesson, tools).unwrap();
    let thumbnail = lesson.items[0].thumbnail.clone().unwrap();
    assert!(is_derived(&thumbnail));
    let entry = lesson.files.iter().find(|(e, _)| e.path == thumbnail).unwrap();
    let size = imagesize::size(entry.1.path()).unwrap();
    assert_eq!((size.width, size.height), (480, 270));
    assert!(lesson.items[1].thumbnail.is_none(), "of nothing comes nothing");
    assert_eq!(lesson.files.len(), 3);

    if !tools.soffice.is_here() {
        println!(
            "NOT SHOWN: pages of a presentation; soffice is not installed (Debian package libreoffice-impress)"
        );
        return;
    }
    let text = folder.path().join("slides.fodp");
    fs::write(&text, SLIDES).unwrap();
    let made = Command::new("soffice")
        .args(["--headless", "--convert-to", "pptx", "--outdir"])
        .arg(folder.path())
        .arg(format!(
            "-env:UserInstallation=file://{}/p",
            folder.path().display()
        ))
        .arg(&text)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let slides = folder.path().join("slides.pptx");
    let mut lesson = prepared(&objects, vec![(item(ItemKind::Office, "slides.pptx"), &slides)]);
    enrich(&objects, &mut lesson, tools).unwrap();
    let office = &lesson.items[0];
    assert_eq!(office.pages.len(), 2);
    assert!(office.converted.is_some() && office.thumbnail.is_some());
    assert_eq!(office.entry.as_str(), "slides.pptx");
    assert_eq!(lesson.files.len(), 5);
}

#[test]
fn a_presentation_that_points_outside_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let made = |name: &str, relation: &str| {
        let at = folder.path().join(name);
        let mut zip = zip::ZipWriter::new(File::create(&at).unwrap());
        zip.start_file(
            "ppt/slides/_rels/slide1.xml.rels",
            zip::write::SimpleFileOptions::default(),
        )
        .unwrap();
        std::io::Write::write_all(&mut zip, relation.as_bytes()).unwrap();
        zip.finish().unwrap();
        at
    };
    let link = |kind: &str| {
        format!(
            r#"<Relationships><Relationship Id="r1" Type="http://x/{kind}" Target="http://127.0.0.1/a.png" TargetMode="External"/></Relationships>"#
        )
    };
    let tools = Tools::of_this_machine();
    let error = tools
        .office_to_pdf(&made("a.pptx", &link("image")), "pptx", folder.path())
        .unwrap_err()
        .to_string();
    assert!(error.contains("outside of itself"), "{error}");
    assert!(outside(&made("b.pptx", &link("hyperlink"))).is_none());
}

#[test]
fn a_program_that_hangs_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let sleep = Tool::find("sleep", "coreutils");
    let error = sleep
        .run(folder.path(), &["60"], Duration::from_millis(200))
        .unwrap_err();
    assert!(matches!(error, ConvertError::TooLong { .. }), "{error}");
    // What it started goes with it. The number is this run's own, and nobody waits an hour for it to end by itself.
    let sleeper = format!("sleep 3600.{}", std::process::id());
    let shell = Tool::find("sh", "dash");
    let script = format!("{sleeper} & {sleeper}");
    let error = shell
        .run(folder.path(), &["-c", &script], Duration::from_millis(200))
        .unwrap_err();
    assert!(matches!(error, ConvertError::TooLong { .. }), "{error}");
    let left = || {
        let found = Command::new("pgrep").args(["-f", &sleeper]).output().unwrap();
        String::from_utf8(found.stdout).unwrap()
    };
    let mut turns = 0;
    while !left().is_empty() {
        turns += 1;
        assert!(turns < 600, "a child was left behind: {}", left());
        std::thread::sleep(Duration::from_millis(100));
    }
    let missing = Tool::find("no-such-program", "no-such-package");
    let error = missing.run(folder.path(), &["x"], SHORT).unwrap_err().to_string();
    assert!(error.contains("no-such-package"), "{error}");
}

const SLIDES: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0"
 xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0"
 office:version="1.2" office:mimetype="application/vnd.oasis.opendocument.presentation"><office:body><office:presentation>
<draw:page draw:name="1"><draw:frame svg:x="2cm" svg:y="2cm" svg:width="20cm" svg:height="5cm"><draw:text-box><text:p>一</text:p></draw:text-box></draw:frame></draw:page>
<draw:page draw:name="2"><draw:frame svg:x="2cm" svg:y="2cm" svg:width="20cm" svg:height="5cm"><draw:text-box><text:p>二</text:p></draw:text-box></draw:frame></draw:page>
</office:presentation></office:body></office:document>"#;
