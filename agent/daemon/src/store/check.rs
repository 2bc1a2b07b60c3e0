//! Asks whether index and files agree, and mends nothing.
//!
//! What a cut may leave behind for the next start (more on the disk than the index says) is `pending`; an index that
//! promises what the files do not keep is a disagreement.

use std::{collections::HashSet, fs, path::Path};

use contract::{hash::Hash, signed::TrustedKey};

use super::{
    StoreError, StoreOptions,
    content::{ContentStore, failed},
    fault::Faults,
    index::{self, Index},
    layout::{self, Layout, Stamp},
    recover::{self, OpenReport},
    rows::FileState,
};

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct CheckReport {
    /// Whole files whose bytes have their hash.
    pub files: usize,
    /// Lessons the index knows.
    pub lessons: usize,
    /// Lessons that play.
    pub ready: usize,
    /// Files that are arriving.
    pub parts: usize,
    /// Left by a cut for the next start to tidy; nothing is wrong with it.
    pub pending: Vec<String>,
    /// Where the index promises what the files do not keep.
    pub disagreements: Vec<Disagreement>,
}

/// One broken promise of the index.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Disagreement {
    /// The file, manifest or lesson.
    pub what: String,
    /// What is wrong with it.
    pub problem: String,
}

/// Compares the index of a stopped agent with its files, every byte of them.
///
/// # Errors
/// The folder cannot be read, or an agent runs on it.
pub fn check(root: &Path) -> Result<CheckReport, StoreError> {
    let layout = Layout::new(root);
    let mut report = CheckReport::default();
    if !layout.index().join("db").exists() {
        report
            .pending
            .push("there is no index; the next start builds it from the files".to_owned());
        return Ok(report);
    }
    let index = match Index::open(&layout.index(), Faults::default()) {
        Ok(index) => index,
        Err(error @ index::IndexError::InUse { .. }) => return Err(error.into()),
        Err(error) => {
            report.disagree("index", error);
            return Ok(report);
        }
    };
    let mut sound = HashSet::new();
    check_files(&layout, &index, &mut sound, &mut report)?;
    check_lessons(&layout, &index, &sound, &mut report)?;
    check_parts(&layout, &index, &mut report)?;
    Ok(report)
}

/// Sets the index of a stopped agent aside and builds it anew from files and manifests, hashing every file.
///
/// # Errors
/// The folder cannot be used, or an agent runs on it.
pub fn rebuild(root: &Path, trusted: Vec<TrustedKey>) -> Result<OpenReport, StoreError> {
    let layout = Layout::new(root);
    if let Err(error @ index::IndexError::InUse { .. }) = Index::open(&layout.index(), Faults::default()) {
        return Err(error.into());
    }
    index::set_aside(&layout.index()).map_err(failed("set aside", &layout.index()))?;
    let options = StoreOptions {
        root: root.to_owned(),
        trusted,
        reserve_bytes: 0,
        max_bytes: None,
    };
    let (store, mut report) = ContentStore::open(options)?;
    report.rebuilt = Some("it was asked for".to_owned());
    while store.verify_next()?.is_some() {}
    Ok(report)
}

impl CheckReport {
    fn disagree(&mut self, what: impl ToString, problem: impl ToString) {
        self.disagreements.push(Disagreement {
            what: what.to_string(),
            problem: problem.to_string(),
        });
    }
}

fn check_files(
    layout: &Layout,
    index: &Index,
    sound: &mut HashSet<Hash>,
    report: &mut CheckReport,
) -> Result<(), StoreError> {
    let mut known = HashSet::new();
    for row in index.files() {
        let (hash, row) = row?;
        known.insert(hash);
        let path = layout.file(hash);
        if row.state == FileState::Evicting {
            report
                .pending
                .push(format!("file {hash}: its eviction goes on at the next start"));
            continue;
        }
        let Ok(file) = fs::File::open(&path) else {
            report.disagree(format!("file {hash}"), "is in the index and not on the disk");
            continue;
        };
        let stamp = Stamp::of(&file.metadata().map_err(failed("read", &path))?);
        if stamp.size != row.size {
            report.disagree(
                format!("file {hash}"),
                format!("has {} bytes, not {}", stamp.size, row.size),
            );
            continue;
        }
        let found = layout::hash_all(file).map_err(failed("read", &path))?;
        if found == hash {
            report.files += 1;
            if row.state == FileState::Unverified {
                report
                    .pending
                    .push(format!("file {hash}: is hashed before it is played"));
            } else {
                sound.insert(hash);
            }
        } else {
            report.disagree(format!("file {hash}"), format!("has the bytes of {found}"));
        }
    }
    for (shard, _, _) in recover::list(&layout.files())? {
        for (path, name, _) in recover::list(&shard)? {
            if layout::hash_of(&name).is_none_or(|hash| !known.contains(&hash)) {
                report
                    .pending
                    .push(format!("{}: is on the disk and not in the index", path.display()));
            }
        }
    }
    Ok(())
}

fn check_lessons(
    layout: &Layout,
    index: &Index,
    sound: &HashSet<Hash>,
    report: &mut CheckReport,
) -> Result<(), StoreError> {
    let mut known = HashSet::new();
    for row in index.lessons() {
        let (key, row) = row?;
        if row.evicting {
            report
                .pending
                .push(format!("lesson {key}: its eviction goes on at the next start"));
        } else {
            report.lessons += 1;
            let path = layout.manifest(&key);
            match fs::read(&path) {
                Ok(bytes) if Hash::of(&bytes) == row.manifest => {
                    let needs = index.needs(&key)?;
                    report.ready += usize::from(needs.iter().all(|(hash, _)| sound.contains(hash)));
                    check_needs(index, &key, &bytes, &needs, report)?;
                }
                Ok(bytes) => {
                    let found = Hash::of(&bytes);
                    report.disagree(format!("manifest of {key}"), format!("has the bytes of {found}"));
                }
                Err(error) => report.disagree(format!("manifest of {key}"), error),
            }
        }
        known.insert(key);
    }
    for (path, name, _) in recover::list(&layout.manifests())? {
        if layout::lesson_of(&name).is_none_or(|key| !known.contains(&key)) {
            report
                .pending
                .push(format!("{}: is on the disk and not in the index", path.display()));
        }
    }
    Ok(())
}

/// Whether the index asks for exactly the files that the manifest names.
fn check_needs(
    index: &Index,
    key: &super::LessonKey,
    bytes: &[u8],
    needs: &[(Hash, u64)],
    report: &mut CheckReport,
) -> Result<(), StoreError> {
    #[derive(serde::Deserialize)]
    struct Outer {
        signed: String,
    }
    let parsed = serde_json::from_slice::<Outer>(bytes).and_then(|outer| {
        if key.lesson.is_school_made() {
            serde_json::from_str::<contract::lesson::SchoolLesson>(&outer.signed)
                .map(|lesson| lesson.manifest)
        } else {
            serde_json::from_str::<contract::lesson::LessonManifest>(&outer.signed)
        }
    });
    let named: HashSet<_> = match &parsed {
        Ok(manifest) => manifest.files.iter().map(|f| (f.hash, f.size)).collect(),
        Err(error) => {
            report.disagree(format!("manifest of {key}"), error);
            return Ok(());
        }
    };
    if named != needs.iter().copied().collect() {
        report.disagree(
            format!("lesson {key}"),
            "the index asks for other files than its manifest names",
        );
    }
    for (hash, _) in needs {
        if !index.users(*hash)?.contains(key) {
            report.disagree(
                format!("file {hash}"),
                format!("the index forgot that lesson {key} needs it"),
            );
        }
    }
    Ok(())
}

fn check_parts(layout: &Layout, index: &Index, report: &mut CheckReport) -> Result<(), StoreError> {
    let on_disk: HashSet<_> = recover::list(&layout.parts())?
        .iter()
        .filter_map(|(_, name, _)| layout::hash_of(name))
        .collect();
    report.parts = on_disk.len();
    let known: HashSet<_> = index.parts().collect::<Result<_, _>>()?;
    for hash in known.difference(&on_disk) {
        if index.file(*hash)?.is_some() || layout.file(*hash).exists() {
            report
                .pending
                .push(format!("part {hash}: became a file just before the cut"));
        } else {
            report.disagree(format!("part {hash}"), "is in the index and not on the disk");
        }
    }
    Ok(())
}
