//! Figures of the content store and the player, printed; nothing is asserted.
//!
//! `cargo run --release -p bbt-agent --example store_bench -- FOLDER [LESSONS [FILE_MB]]`
//!
//! FOLDER is made and filled, unless it is there already: one on the disk that is to be measured. Prints how fast a large file is verified,
//! written and committed, how long a store with LESSONS lessons (default 500) takes to open with its index, without it, and
//! to verify again. With `--serve PORT` it then serves the large file with the player at `/files/large/file.bin`, for a
//! comparison with another server, until it is killed.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for a developer")]

use std::{fs, path::Path, time::Instant};

use bbt_agent::{
    config::{Language, PlayerConfig},
    player::Player,
    shelf::shelf,
    store::{Begin, ContentStore, StoreOptions, VerifiedChunk},
};
use bytes::Bytes;
use contract::{
    assignment::AssignedLesson,
    hash::{Hash, Sha256},
    id::{KeyId, LessonId},
    lesson::{ChunkEntry, FileEntry, ItemKind, LessonItem, LessonManifest, LessonMeta},
    signed::{KeyRole, Signed, TrustedKey},
};
use ed25519_dalek::SigningKey;

const CHUNK: usize = 128 * 1024;

fn main() {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let serve = args.iter().position(|a| a == "--serve").map(|at| {
        let port = args[at + 1].parse::<u16>().unwrap();
        args.drain(at..at + 2);
        port
    });
    let root = Path::new(args.first().map(String::as_str).unwrap_or("store-bench"));
    let lessons: usize = args.get(1).map_or(500, |n| n.parse().unwrap());
    let megabytes: usize = args.get(2).map_or(200, |n| n.parse().unwrap());

    if !root.join("content").exists() {
        fill(root, lessons, megabytes);
    }
    println!(
        "{:<44} {:>10} kB",
        "index on the disk",
        size(&root.join("index")) / 1000
    );
    let (store, report) = timed("open with the index", || open(root));
    println!("{:<44} {:>10}", "  lessons", report.lessons);
    timed("  inventory", || store.inventory().unwrap().lessons.len());
    println!("{:<44} {:>10} kB", "  resident memory", resident_kb());
    if let Some(port) = serve {
        let path = store
            .resolve(&key("large"), "file.bin")
            .unwrap()
            .unwrap()
            .hash
            .to_hex();
        println!(
            "file: {}",
            root.join("content/files").join(&path[..2]).join(&path).display()
        );
        return serve_until_killed(store, port);
    }
    drop(store);
    fs::remove_dir_all(root.join("index")).unwrap();
    let (store, report) = timed("open without the index (rebuilt)", || open(root));
    println!("{:<44} {:>10}", "  files to verify", report.adopted_files);
    timed("  verify all of them", || {
        while store.verify_next().unwrap().is_some() {}
    });
    timed("  inventory", || store.inventory().unwrap().lessons.len());
}

fn fill(root: &Path, lessons: usize, megabytes: usize) {
    let (store, _report) = timed("open an empty folder", || open(root));
    let before = written();
    let large = noise(u64::MAX, megabytes * 1_000_000);
    let started = Instant::now();
    keep(&store, "large", &[("file.bin", &large)]);
    drop(large);
    let rate = megabytes as f64 / started.elapsed().as_secs_f64();
    println!("{:<44} {rate:>10.0} MB/s", "verify, write, hash again, commit");
    tell_amplification(&store, before, "  bytes written ÷ stored, one large file");
    let (before, stored) = (written(), store.traffic().stored_bytes);
    let started = Instant::now();
    for n in 0..lessons {
        let name = format!("lesson-{n}");
        let files: Vec<_> = (0..3).map(|f| noise((n * 3 + f) as u64, 40_000)).collect();
        keep(
            &store,
            &name,
            &[("a.mp4", &files[0]), ("b.pdf", &files[1]), ("c.vtt", &files[2])],
        );
    }
    let each = started.elapsed().as_secs_f64() * 1000.0 / lessons as f64;
    println!("{:<44} {each:>10.1} ms", "store a lesson of three small files");
    let ratio = (written() - before) as f64 / (store.traffic().stored_bytes - stored) as f64;
    println!("{:<44} {ratio:>10.2}", "  bytes written ÷ stored, 40 kB files");
}

fn tell_amplification(store: &ContentStore, before: u64, what: &str) {
    let ratio = (written() - before) as f64 / store.traffic().stored_bytes as f64;
    println!("{what:<44} {ratio:>10.2}");
}

/// Bytes that this process caused to be written to disks, as the kernel counts them; 0 on a file system in memory.
fn written() -> u64 {
    let io = fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes:"));
    line.and_then(|bytes| bytes.trim().parse().ok()).unwrap_or(0)
}

fn serve_until_killed(store: ContentStore, port: u16) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(async {
            let (writer, state) = shelf();
            writer.set_store(store);
            let config = PlayerConfig {
                listen: ([127, 0, 0, 1], port).into(),
                lan_listen: vec![],
                courseware_port: port + 1,
                language: Language::En,
            };
            let player = Player::start(&config, state).await.unwrap();
            println!("serving http://{}/files/large/file.bin", player.addresses()[0]);
            std::future::pending::<()>().await;
        });
}

fn open(root: &Path) -> (ContentStore, bbt_agent::store::OpenReport) {
    let trusted = vec![TrustedKey::of(
        KeyId::new("k").unwrap(),
        KeyRole::Content,
        &signing(),
    )];
    ContentStore::open(StoreOptions {
        root: root.to_owned(),
        trusted,
        reserve_bytes: 0,
        max_bytes: None,
    })
    .unwrap()
}

fn keep(store: &ContentStore, id: &str, files: &[(&str, &Vec<u8>)]) {
    let entry = |(path, bytes): &(&str, &Vec<u8>)| FileEntry {
        path: path.parse().unwrap(),
        media_type: "application/octet-stream".into(),
        size: bytes.len() as u64,
        hash: Hash::of(bytes),
        sha256: Sha256([0; 32]),
        chunks: bytes
            .chunks(CHUNK)
            .map(|c| ChunkEntry {
                hash: Hash::of(c),
                size: c.len() as u32,
            })
            .collect(),
    };
    let files_entries: Vec<_> = files.iter().map(entry).collect();
    let manifest = LessonManifest {
        id: LessonId::new(id).unwrap(),
        version: 1,
        meta: LessonMeta {
            title: "三角形的内角和".into(),
            stage: "小学".into(),
            subject: "数学".into(),
            edition: "人教版".into(),
            grade: "三年级".into(),
            volume: "上册".into(),
            chapter: "第五单元".into(),
            period: "第1课时".into(),
            ..LessonMeta::default()
        },
        items: vec![LessonItem {
            kind: ItemKind::Video,
            title: "微课".into(),
            entry: files_entries[0].path.clone(),
            subtitles: vec![],
            duration_ms: None,
            thumbnail: None,
            converted: None,
            pages: Vec::new(),
        }],
        files: files_entries,
        created_at: "2026-09-01T00:00:00Z".parse().unwrap(),
    };
    let document = Signed::sign(&manifest, KeyId::new("k").unwrap(), &signing()).unwrap();
    let document = serde_json::to_vec(&document).unwrap();
    let assigned = AssignedLesson {
        lesson: manifest.id.clone(),
        version: 1,
        manifest: Hash::of(&document),
        size_bytes: 0,
        pinned: false,
        needed_by: None,
    };
    store.put_manifest(&document, &assigned).unwrap();
    let mut parts = Vec::new();
    for (entry, (_, bytes)) in manifest.files.iter().zip(files) {
        let Begin::Part(mut part) = store.begin(entry).unwrap() else {
            continue;
        };
        let mut unrecorded = 0;
        for (index, (chunk, bytes)) in entry.chunks.iter().zip(bytes.chunks(CHUNK)).enumerate() {
            let chunk = VerifiedChunk::check(*chunk, Bytes::copy_from_slice(bytes)).unwrap();
            part.write(index, &chunk).unwrap();
            unrecorded += bytes.len();
            if unrecorded > 8 << 20 {
                part.checkpoint().unwrap();
                unrecorded = 0;
            }
        }
        parts.push(part);
    }
    for answer in store.commit(parts) {
        answer.unwrap();
    }
}

fn key(id: &str) -> bbt_agent::store::LessonKey {
    bbt_agent::store::LessonKey {
        lesson: LessonId::new(id).unwrap(),
        version: 1,
    }
}

fn signing() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new()
        .update(&seed.to_le_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let answer = work();
    println!("{what:<44} {:>10.1} ms", started.elapsed().as_secs_f64() * 1000.0);
    answer
}

fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().filter_map(|e| e.ok());
    entries
        .map(|e| {
            if e.path().is_dir() {
                size(&e.path())
            } else {
                e.metadata().unwrap().len()
            }
        })
        .sum()
}

fn resident_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
