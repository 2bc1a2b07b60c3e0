use std::{fs::File, io::Write};

use super::*;
use crate::domain::import::fixtures::noise;

fn open(reserve: u64) -> (tempfile::TempDir, Objects) {
    let dir = tempfile::tempdir().unwrap();
    let objects = Objects::open(&dir.path().join("objects"), reserve).unwrap();
    (dir, objects)
}

fn files(objects: &Objects) -> usize {
    fn count(dir: &Path) -> usize {
        std::fs::read_dir(dir)
            .unwrap()
            .map(|e| e.unwrap())
            .map(|e| if e.path().is_dir() { count(&e.path()) } else { 1 })
            .sum()
    }
    count(objects.folder())
}

async fn put(objects: &Objects, bytes: &[u8]) -> Hash {
    let sealed = objects
        .seal_from(&mut &bytes[..], bytes.len() as u64, u64::MAX, &mut |_| ())
        .unwrap();
    objects.put(sealed).await.unwrap().hash
}

async fn collect(mut stream: ByteStream) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(part) = stream.next().await {
        out.extend(part.unwrap());
    }
    out
}

#[tokio::test]
async fn what_is_put_is_read_back_in_any_range() {
    let (_dir, objects) = open(0);
    let bytes = noise(300_000);
    let hash = put(&objects, &bytes).await;
    assert_eq!(hash, Hash::of(&bytes));
    let hex = hash.to_hex();
    assert_eq!(
        std::fs::read(objects.folder().join(&hex[..2]).join(&hex)).unwrap(),
        bytes
    );
    assert_eq!(objects.size(hash).await.unwrap(), 300_000);
    for range in [0..300_000, 0..0, 0..1, 299_999..300_000, 65_535..65_537] {
        let part = collect(objects.read(hash, range.clone()).await.unwrap()).await;
        assert_eq!(part, &bytes[range.start as usize..range.end as usize]);
    }
    assert!(matches!(
        objects.read(Hash::of(b"other"), 0..1).await,
        Err(ObjectError::Missing(_))
    ));
    assert!(matches!(
        objects.read(Hash::of(b"other"), 0..0).await,
        Err(ObjectError::Missing(_))
    ));
}

#[tokio::test]
async fn a_refused_or_unput_file_leaves_nothing() {
    let (_dir, objects) = open(0);
    let error = objects
        .seal_from(&mut &[0; 100][..], 100, 99, &mut |_| ())
        .unwrap_err();
    assert!(matches!(error, ObjectError::TooLarge { limit: 99 }));
    drop(
        objects
            .seal_from(&mut &[0; 100][..], 100, 100, &mut |_| ())
            .unwrap(),
    );
    assert_eq!(files(&objects), 0);
}

#[tokio::test]
async fn a_full_disk_names_folder_needed_and_free() {
    let (_dir, objects) = open(u64::MAX / 2);
    let error = objects
        .seal_from(&mut &[0; 100][..], 100, 100, &mut |_| ())
        .unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&objects.folder().display().to_string()), "{text}");
    assert!(
        matches!(error, ObjectError::DiskFull { needed, free, .. } if needed == u64::MAX / 2 + 100 && free > 0)
    );
    assert!(matches!(
        objects.put_manifest(vec![1]).await,
        Err(ObjectError::DiskFull { .. })
    ));
    assert_eq!(files(&objects), 0);
    // A disk that says so only while it is written to.
    let source = File::options()
        .write(true)
        .open("/dev/full")
        .unwrap()
        .write_all(&[0; 8])
        .unwrap_err();
    assert!(matches!(
        objects.write_failed("write", 7, source),
        ObjectError::DiskFull { needed: 7, .. }
    ));
}

#[tokio::test]
async fn a_sweep_removes_only_what_is_old_and_unnamed() {
    let (_dir, objects) = open(0);
    let (a, b) = (put(&objects, b"a").await, put(&objects, b"b").await);
    let m = objects.put_manifest(b"m".to_vec()).await.unwrap();
    let _part = objects.stage().unwrap();
    assert_eq!(objects.usage().await.unwrap().kept, 4);
    let later = Timestamp::now() + Duration::from_secs(60);
    let swept = objects
        .sweep(async |hash| Ok::<_, ObjectError>(hash == a || hash == m), later)
        .await
        .unwrap();
    assert_eq!((swept.removed, swept.kept), (2, 2));
    assert!(objects.size(a).await.is_ok());
    assert!(matches!(objects.size(b).await, Err(ObjectError::Missing(_))));
    assert_eq!(objects.manifest(m).await.unwrap(), "m");
}
