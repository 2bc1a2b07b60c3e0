//! Whole imports with real files, a real database and a real object store.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use contract::{
    id::LessonId,
    lesson::{ItemKind, LessonManifest, LessonMeta},
    signed::Signed,
};
use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use super::{fixtures as fx, *};
use crate::{api::lessons::LessonQuery, objects::ObjectError};

struct Kit {
    dir: tempfile::TempDir,
    importer: Importer,
}

fn toml(id: &str, more: &str) -> String {
    format!(
        "id = '{id}'\n[meta]\ntitle = '{id}'\nstage = '小学'\nsubject = '数学'\nedition = '人教版'\ngrade = '四年级'\n\
         volume = '下册'\nchapter = '第五单元'\nperiod = '第1课时'\n{more}"
    )
}

impl Kit {
    async fn new() -> Self {
        Self::with(u64::MAX / 4, 0).await
    }

    async fn with(max_lesson_bytes: u64, reserve: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(dir.path()).await.unwrap();
        let objects = Objects::open(&dir.path().join("objects"), reserve).unwrap();
        let keys = Arc::new(
            SigningKeys::open_or_create(
                &dir.path().join("keys"),
                &crate::pki::Unlock::given(crate::pki::TEST_SECRET),
            )
            .unwrap(),
        );
        fs::create_dir(dir.path().join("lessons")).unwrap();
        Self {
            dir,
            importer: Importer {
                db,
                objects,
                keys,
                max_lesson_bytes,
                owner: Node::Root,
                scope: Scope::everything(),
                by: "test".into(),
                release: Some("test".into()),
                revive: true,
                transcode: false,
            },
        }
    }

    fn lessons(&self) -> PathBuf {
        self.dir.path().join("lessons")
    }

    fn lesson(&self, id: &str, more: &str, files: &[(&str, Vec<u8>)]) -> PathBuf {
        let folder = self.lessons().join(id);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("lesson.toml"), toml(id, more)).unwrap();
        for (name, bytes) in files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        folder
    }

    async fn import(&self, folder: &Path) -> Vec<LessonOutcome> {
        import_folder(&self.importer, folder, Timestamp::now(), Arc::new(|_| ()))
            .await
            .unwrap()
    }

    async fn import_one(&self, folder: &Path) -> Result<Imported, ImportError> {
        self.import(folder).await.remove(0).result
    }

    async fn registered(&self) -> Vec<String> {
        let (lessons, _) = self
            .importer
            .db
            .lessons()
            .list(&Scope::everything(), &LessonQuery::default())
            .await
            .unwrap();
        lessons.into_iter().map(|l| l.id.to_string()).collect()
    }

    async fn manifest(&self, id: &LessonId) -> LessonManifest {
        let latest = self.importer.db.lessons().latest(id).await.unwrap().unwrap();
        let document = self.importer.objects.manifest(latest.manifest).await.unwrap();
        let signed: Signed<LessonManifest> = serde_json::from_slice(&document).unwrap();
        let manifest = signed.verify(&self.importer.keys.trusted()).unwrap();
        manifest.check().unwrap();
        assert_eq!(manifest.version, latest.version);
        manifest
    }

    async fn stored(&self, manifest: &LessonManifest, path: &str) -> Vec<u8> {
        let file = manifest
            .files
            .iter()
            .find(|f| f.path.as_str() == path)
            .unwrap_or_else(|| panic!("no {path}"));
        let mut stream = self.importer.objects.read(file.hash, 0..file.size).await.unwrap();
        let mut bytes = Vec::new();
        while let Some(part) = stream.next().await {
            bytes.extend(part.unwrap());
        }
        bytes
    }

    async fn objects(&self) -> u64 {
        self.importer.objects.usage().await.unwrap().kept
    }
}

fn all_kinds() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("1 看.mp4", fx::mp4(700_000)),
        (
            "1 看.zh-CN.srt",
            "1\n00:00:01,000 --> 00:00:02,000\n三角形\n".into(),
        ),
        ("2 听.mp3", fx::mp3(50)),
        ("3 读.pdf", fx::pdf()),
        ("4 图.png", fx::png(40, 30)),
        ("5 图.jpg", fx::jpeg(40, 30)),
        ("6 讲.pptx", fx::pptx()),
        ("10 练.zip", fx::html5()),
        ("Thumbs.db", b"litter".to_vec()),
    ]
}

#[tokio::test]
async fn every_kind_arrives_byte_for_byte() {
    let kit = Kit::new().await;
    let folder = kit.lesson("triangle", "", &all_kinds());
    let heard = Arc::new(AtomicU64::new(0));
    let hear = heard.clone();
    let progress: OnProgress = Arc::new(move |p| hear.store(p.done_bytes, Ordering::Relaxed));
    let outcome = import_folder(&kit.importer, &folder, Timestamp::now(), progress)
        .await
        .unwrap()
        .remove(0);
    let imported = outcome.result.unwrap();
    assert_eq!((imported.change, imported.version), (Change::New, 1));
    assert!(heard.load(Ordering::Relaxed) > 700_000);

    let manifest = kit.manifest(&imported.id).await;
    // Small pictures are made of some of them, as the programs of this machine can.
    let brought = manifest.files.iter().filter(|f| !convert::is_derived(&f.path));
    assert_eq!(brought.count(), 10);
    assert_eq!(imported.files, manifest.files.len());
    let items: Vec<_> = manifest
        .items
        .iter()
        .map(|i| (i.kind, i.title.as_str(), i.entry.as_str()))
        .collect();
    assert_eq!(
        items,
        [
            (ItemKind::Video, "1 看", "1 看.mp4"),
            (ItemKind::Audio, "2 听", "2 听.mp3"),
            (ItemKind::Pdf, "3 读", "3 读.pdf"),
            (ItemKind::Image, "4 图", "4 图.png"),
            (ItemKind::Image, "5 图", "5 图.jpg"),
            (ItemKind::Office, "6 讲", "6 讲.pptx"),
            (ItemKind::Html5, "10 练", "10 练/index.html"),
        ]
    );
    assert_eq!(manifest.items[0].duration_ms, Some(12_500));
    assert_eq!(manifest.items[0].subtitles[0].path.as_str(), "1 看.zh-CN.vtt");
    for (name, bytes) in all_kinds()
        .iter()
        .filter(|(n, _)| !n.ends_with("zip") && !n.ends_with("srt") && !n.ends_with("db"))
    {
        assert_eq!(&kit.stored(&manifest, name).await, bytes, "{name}");
    }
    assert!(
        kit.stored(&manifest, "1 看.zh-CN.vtt")
            .await
            .starts_with(b"WEBVTT")
    );
    assert_eq!(kit.stored(&manifest, "10 练/js/a.js").await, b"1");
    let types: Vec<_> = manifest
        .files
        .iter()
        .map(|f| (f.path.extension(), f.media_type.as_str()))
        .collect();
    assert!(
        types.contains(&("js".into(), "text/javascript")) && types.contains(&("mp4".into(), "video/mp4")),
        "{types:?}"
    );
    assert!(
        manifest
            .files
            .iter()
            .find(|f| f.path.as_str() == "1 看.mp4")
            .unwrap()
            .chunks
            .len()
            > 1
    );
}

#[tokio::test]
async fn the_same_again_is_unchanged_and_another_is_a_version_more() {
    let kit = Kit::new().await;
    let folder = kit.lesson("a", "", &[("a.pdf", fx::pdf()), ("b.png", fx::png(2, 2))]);
    let first = kit.import_one(&folder).await.unwrap();
    let objects = kit.objects().await;
    assert_eq!(kit.import_one(&folder).await.unwrap().change, Change::Unchanged);
    assert_eq!(kit.objects().await, objects, "an unchanged lesson stores nothing");
    fs::write(folder.join("b.png"), fx::png(3, 3)).unwrap();
    let second = kit.import_one(&folder).await.unwrap();
    assert_eq!(
        (second.id.clone(), second.version, second.change),
        (first.id.clone(), 2, Change::Updated)
    );
    kit.importer
        .db
        .lessons()
        .retire(&Scope::everything(), &first.id, Timestamp::now())
        .await
        .unwrap();
    assert_eq!(kit.import_one(&folder).await.unwrap().change, Change::Restored);
    assert_eq!(kit.registered().await, ["a"]);
}

#[tokio::test]
async fn importing_again_mends_what_the_store_has_lost() {
    let kit = Kit::new().await;
    let folder = kit.lesson("a", "", &[("a.pdf", fx::pdf())]);
    let first = kit.import_one(&folder).await.unwrap();
    let (before, root) = (kit.objects().await, kit.importer.objects.folder().to_owned());
    let remove_all = |under: &std::path::Path| {
        let mut folders = vec![under.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else {
                    fs::remove_file(entry.path()).unwrap();
                }
            }
        }
    };
    for entry in fs::read_dir(&root)
        .unwrap()
        .flatten()
        .filter(|e| e.file_name() != "manifests")
    {
        if entry.file_type().unwrap().is_dir() {
            remove_all(&entry.path());
        }
    }
    assert_eq!(kit.import_one(&folder).await.unwrap().change, Change::Unchanged);
    assert_eq!(kit.objects().await, before, "the lost file is back");
    remove_all(&root.join("manifests"));
    let again = kit.import_one(&folder).await.unwrap();
    assert_eq!(
        (again.version, again.change),
        (first.version + 1, Change::Updated)
    );
}

#[tokio::test]
async fn two_imports_of_one_lesson_at_once_make_two_versions() {
    let kit = Kit::new().await;
    let a = kit.lesson("x", "", &[("a.pdf", fx::pdf())]);
    let b = kit.dir.path().join("b");
    fs::create_dir(&b).unwrap();
    fs::write(b.join("lesson.toml"), toml("x", "")).unwrap();
    fs::write(b.join("b.png"), fx::png(2, 2)).unwrap();
    let (a, b) = tokio::join!(kit.import_one(&a), kit.import_one(&b));
    let mut versions = [a.unwrap().version, b.unwrap().version];
    versions.sort_unstable();
    assert_eq!(versions, [1, 2]);
}

/// Imports a folder of two lessons, one good, one bad: the bad one is refused with `code` and leaves nothing, the good one is
/// there.
async fn refused_beside_a_good_one(kit: Kit, code: &str) {
    kit.lesson("good", "", &[("a.pdf", fx::pdf()), ("b.mp4", fx::mp4(1000))]);
    let outcomes = kit.import(&kit.lessons()).await;
    let result = |name: &str| &outcomes.iter().find(|o| o.folder == name).unwrap().result;
    let error = result("bad").as_ref().unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    let text = error.message(crate::config::Language::En);
    assert!(text.contains("bad"), "{text}");
    assert_eq!(result("good").as_ref().unwrap().change, Change::New);
    assert_eq!(kit.registered().await, ["good"]);
    assert_eq!(
        kit.objects().await,
        3,
        "two files and the manifest of the good one"
    );
}

async fn refused_file(name: &str, bytes: Vec<u8>, code: &str) {
    let kit = Kit::new().await;
    // A good file before and behind the bad one: neither may stay.
    kit.lesson(
        "bad",
        "",
        &[("0.png", fx::png(9, 9)), (name, bytes), ("z.png", fx::png(8, 8))],
    );
    refused_beside_a_good_one(kit, code).await;
}

macro_rules! refused_files {
    ($($test:ident: $name:literal, $bytes:expr => $code:literal;)*) => {
        $(#[tokio::test]
        async fn $test() {
            refused_file($name, $bytes, $code).await;
        })*
    };
}

fn cut(mut bytes: Vec<u8>, by: usize) -> Vec<u8> {
    bytes.truncate(bytes.len() - by);
    bytes
}

refused_files! {
    a_renamed_program: "a.mp4", fx::exe() => "import_mislabelled";
    a_program: "a.exe", fx::exe() => "import_unsupported_kind";
    an_empty_file: "a.mp4", Vec::new() => "import_empty";
    a_truncated_video: "a.mp4", cut(fx::mp4(5000), 900) => "import_truncated";
    a_video_without_contents: "a.mp4", [fx::atom(b"ftyp", b"isom\0\0\x02\0"), fx::atom(b"mdat", &[1; 99])].concat() => "import_truncated";
    a_video_no_device_plays: "a.mp4", [fx::mp4_parts(b"hvc1", b"mp4a", 8), fx::atom(b"mdat", &[1; 99])].concat() => "import_codec";
    a_truncated_picture: "a.png", cut(fx::png(9, 9), 5) => "import_truncated";
    a_truncated_photo: "a.jpg", cut(fx::jpeg(9, 9), 2) => "import_truncated";
    a_truncated_pdf: "a.pdf", cut(fx::pdf(), 9) => "import_truncated";
    a_truncated_zip: "a.zip", cut(fx::html5(), 30) => "import_truncated";
    a_picture_too_large_to_show: "a.png", fx::png(60_000, 60_000) => "import_too_many_pixels";
    a_text_file: "a.txt", b"hello".to_vec() => "import_unsupported_kind";
    a_zip_that_climbs_out: "a.zip", fx::zip_with_name(b"../../evil.sh") => "import_zip_name";
    a_zip_bomb: "a.zip", fx::zip_bomb() => "import_zip_bomb";
    a_zip_with_a_link: "a.zip", fx::zip_with_link() => "import_zip_symlink";
    a_zip_with_a_name_twice: "a.zip", fx::zip_with_name(b"index.html") => "import_zip_duplicate";
    an_encrypted_zip: "a.zip", fx::zip_encrypted() => "import_zip_encrypted";
    a_zip_without_a_page: "a.zip", fx::zip(&[("a.js", b"1")]) => "import_zip_no_index";
    a_zip_with_a_program: "a.zip", fx::zip(&[("index.html", b"x"), ("setup.exe", &fx::exe())]) => "import_program";
}

#[tokio::test]
async fn subtitles_without_a_cue() {
    let kit = Kit::new().await;
    kit.lesson(
        "bad",
        "",
        &[("a.mp4", fx::mp4(100)), ("a.vtt", b"WEBVTT\n".to_vec())],
    );
    refused_beside_a_good_one(kit, "import_subtitle").await;
}

#[tokio::test]
async fn a_lesson_over_the_limit() {
    let kit = Kit::with(6000, 0).await;
    // Each file alone would fit.
    kit.lesson("bad", "", &[("a.mp4", fx::mp4(4000)), ("b.mp4", fx::mp4(4001))]);
    refused_beside_a_good_one(kit, "import_too_large").await;
}

#[tokio::test]
async fn a_link_instead_of_a_file() {
    let kit = Kit::new().await;
    let folder = kit.lesson("bad", "", &[("0.png", fx::png(9, 9))]);
    symlink("/etc/passwd", folder.join("a.mp4")).unwrap();
    refused_beside_a_good_one(kit, "import_unreadable").await;
}

#[tokio::test]
async fn a_folder_without_a_description() {
    let kit = Kit::new().await;
    fs::create_dir(kit.lessons().join("bad")).unwrap();
    refused_beside_a_good_one(kit, "import_no_lesson_toml").await;
}

#[tokio::test]
async fn a_description_that_cannot_be_read() {
    let kit = Kit::new().await;
    let folder = kit.lesson("bad", "", &[("a.pdf", fx::pdf())]);
    fs::write(folder.join("lesson.toml"), "title = ").unwrap();
    refused_beside_a_good_one(kit, "import_description").await;
}

#[tokio::test]
async fn a_named_file_that_is_missing() {
    let kit = Kit::new().await;
    kit.lesson("bad", "[[items]]\nfile = 'x.mp4'\n", &[("a.pdf", fx::pdf())]);
    refused_beside_a_good_one(kit, "import_missing_file").await;
}

#[tokio::test]
async fn a_name_that_cannot_stand_in_a_lesson() {
    let kit = Kit::new().await;
    kit.lesson("bad", "", &[("a:b.pdf", fx::pdf())]);
    refused_beside_a_good_one(kit, "import_path").await;
}

#[tokio::test]
async fn an_empty_lesson() {
    let kit = Kit::new().await;
    kit.lesson("bad", "", &[]);
    refused_beside_a_good_one(kit, "import_no_items").await;
}

#[tokio::test]
async fn a_full_disk_changes_nothing_and_says_how_much_is_missing() {
    let kit = Kit::with(u64::MAX / 4, u64::MAX / 2).await;
    let folder = kit.lesson("a", "", &[("a.pdf", fx::pdf())]);
    let error = kit.import_one(&folder).await.unwrap_err();
    assert_eq!(error.code(), "import_disk_full");
    let text = error.message(crate::config::Language::ZhCn);
    assert!(
        text.contains("objects") && text.contains(&(u64::MAX / 2 + fx::pdf().len() as u64).to_string()),
        "{text}"
    );
    assert!(kit.registered().await.is_empty());
    assert_eq!(kit.objects().await, 0);
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named() {
    let kit = Kit::new().await;
    let nowhere = kit.dir.path().join("nowhere");
    let error = import_folder(&kit.importer, &nowhere, Timestamp::now(), Arc::new(|_| ()))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("nowhere"), "{error}");
}

fn meta() -> LessonMeta {
    lesson_toml::parse(&toml("upload", "")).unwrap().meta
}

async fn received(kit: &Kit, bytes: &[u8]) -> Staged {
    let parts: Vec<_> = bytes
        .chunks(1000)
        .map(|c| Ok::<_, std::io::Error>(bytes::Bytes::copy_from_slice(c)))
        .collect();
    kit.importer
        .objects
        .receive(stream::iter(parts), 1 << 30)
        .await
        .unwrap()
}

async fn upload(kit: &Kit, id: Option<&str>, files: &[(&str, Vec<u8>)]) -> Result<Imported, ImportError> {
    let mut staged = Vec::new();
    for (name, bytes) in files {
        staged.push(((*name).to_owned(), received(kit, bytes).await));
    }
    let titles = vec![("a.mp4".to_owned(), "先看".to_owned())];
    let id = id.map(|id| LessonId::new(id).unwrap());
    let upload = Upload {
        id,
        meta: meta(),
        titles,
        files: staged,
        transcode: false,
    };
    import_upload(&kit.importer, upload, Timestamp::now(), Arc::new(|_| ())).await
}

#[tokio::test]
async fn an_upload_keeps_its_order_and_titles() {
    let kit = Kit::new().await;
    let files = [
        ("z.pdf", fx::pdf()),
        ("C:\\课件\\a.mp4", fx::mp4(300_000)),
        ("a.vtt", b"WEBVTT\n\n00:01.000 --> 00:02.000\nhi\n".to_vec()),
        ("b.zip", fx::html5()),
    ];
    let imported = upload(&kit, None, &files).await.unwrap();
    let manifest = kit.manifest(&imported.id).await;
    let items: Vec<_> = manifest
        .items
        .iter()
        .map(|i| (i.title.as_str(), i.subtitles.len()))
        .collect();
    assert_eq!(items, [("z", 0), ("先看", 1), ("b", 0)]);
    assert_eq!(kit.stored(&manifest, "a.mp4").await, fx::mp4(300_000));
    let again = upload(&kit, Some(imported.id.as_str()), &files[..1])
        .await
        .unwrap();
    assert_eq!((again.version, again.change), (2, Change::Updated));
    assert_eq!(
        kit.importer
            .objects
            .sweep(async |_| Ok::<_, ObjectError>(true), Timestamp::MAX)
            .await
            .unwrap()
            .removed,
        0
    );
}

#[tokio::test]
async fn a_bad_upload_leaves_nothing() {
    let kit = Kit::new().await;
    let error = upload(&kit, None, &[("a.pdf", fx::pdf()), ("b.mp4", fx::exe())])
        .await
        .unwrap_err();
    assert_eq!(
        (error.code(), error.file.as_str()),
        ("import_mislabelled", "b.mp4")
    );
    let twice = upload(&kit, None, &[("a.pdf", fx::pdf()), ("x/a.pdf", fx::pdf())])
        .await
        .unwrap_err();
    assert_eq!(twice.code(), "import_path");
    assert!(kit.registered().await.is_empty());
    assert_eq!(kit.objects().await, 0);
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let kit = Kit::new().await;
    let parts = [
        Ok(bytes::Bytes::from(fx::mp4(50_000))),
        Err(std::io::Error::other("connection closed")),
    ];
    let error = kit
        .importer
        .objects
        .receive(stream::iter(parts), 1 << 30)
        .await
        .unwrap_err();
    assert!(matches!(error, ObjectError::Source(_)), "{error}");
    let endless = stream::iter((0..).map(|_| Ok::<_, std::io::Error>(bytes::Bytes::from_static(&[0; 1000]))));
    let error = kit.importer.objects.receive(endless, 10_500).await.unwrap_err();
    assert!(
        matches!(error, ObjectError::TooLarge { limit: 10_500 }),
        "{error}"
    );
    assert_eq!(kit.objects().await, 0);
}
