//! A new version with small edits: the bytes that have to move, ours beside casync, zchunk and zstd on the same files.
//!
//! Ours is what a board that holds the old version asks for after the console imported both: the chunks of the new manifest
//! that the old one has not, and the manifest itself, packed as it is sent. casync's is what its store grows by, and its
//! index, packed as well.

mod make;
mod peers;

use std::{
    collections::HashSet,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use contract::lesson::LessonManifest;
use fastcdc::v2020::StreamCDC;
use serde_json::Value;
use system_tests::stand::{Bins, ConsoleStand};

use crate::{bench::school::race::clear, setup};

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Size of each file in MB (10^6 bytes), nearly.
    #[arg(long, default_value_t = 200)]
    mb: u32,
    /// Average chunks of FastCDC in KiB to try besides what the console has, each with a quarter and four times as bounds.
    #[arg(long, value_delimiter = ',', default_value = "32,48,64,96,128,256")]
    averages: Vec<usize>,
    /// Other files, edited at other places: the cutting must not be fitted to those it is judged on.
    #[arg(long, default_value_t = 0)]
    seed: u32,
}

/// Two versions of one file.
struct Pair {
    /// What was edited.
    edit: &'static str,
    /// Name in the lesson's folder.
    name: &'static str,
    before: PathBuf,
    after: PathBuf,
}

/// What has to move.
#[derive(Debug, Clone, Copy)]
struct Moved {
    /// Content.
    data: u64,
    /// Lists of chunks, headers.
    index: u64,
}

impl Moved {
    fn all(self) -> u64 {
        self.data + self.index
    }
}

pub(crate) fn run(bins: &Bins, folder: &Path, options: &Options) -> Result<()> {
    setup::for_peers()?;
    let folder = folder.join("delta");
    fs::create_dir_all(&folder)?;
    let pairs = make::pairs(
        &folder.join(format!("files-{}-{}", options.mb, options.seed)),
        options.mb,
        options.seed,
    )?;
    let scratch = folder.join("scratch");
    clear(&scratch);
    fs::create_dir_all(&scratch)?;
    let ours = ours(bins, &scratch, &pairs)?;
    let mut worst = 0.0_f64;
    for (pair, ours) in pairs.iter().zip(ours) {
        let size = fs::metadata(&pair.after)?.len();
        println!("\n{} ({:.0} MB): {}", pair.name, size as f64 / 1e6, pair.edit);
        let casync = peers::casync(&scratch, pair)?;
        let row = |who: &str, moved: Moved| {
            println!(
                "  {who:28} {:>11} B {:>8.3} %   lists {:>9} B   {:>6.3} × casync  (content alone {:.3})",
                moved.all(),
                moved.all() as f64 * 100.0 / size as f64,
                moved.index,
                moved.all() as f64 / casync.all() as f64,
                moved.data as f64 / casync.data as f64,
            );
        };
        row("ours, as imported", ours);
        row("casync 64 KiB", casync);
        row("zchunk", peers::zchunk(&scratch, pair)?);
        row("zstd --patch-from --long=31", peers::zstd(&scratch, pair)?);
        for average in &options.averages {
            row(
                &format!("FastCDC {average} KiB on the file"),
                fastcdc(pair, average * 1024)?,
            );
        }
        worst = worst
            .max(ours.data as f64 / casync.data as f64)
            .max(ours.all() as f64 / casync.all() as f64);
    }
    println!(
        "\nours ÷ casync: {worst:.3} at worst, content alone or with lists (budget 1.1). zstd needs the old file at the sender, once for every old version."
    );
    clear(&scratch);
    Ok(())
}

/// Imports both versions into a console of its own and compares the manifests.
fn ours(bins: &Bins, scratch: &Path, pairs: &[Pair]) -> Result<Vec<Moved>> {
    let stand = ConsoleStand::prepare(bins, &scratch.join("console"), None, "bench bench 1234")?;
    let lessons = scratch.join("lessons");
    let lesson = |n: usize| format!("delta-{n}");
    for version in 0..2 {
        for (n, pair) in pairs.iter().enumerate() {
            let folder = lessons.join(lesson(n));
            clear(&folder);
            fs::create_dir_all(&folder)?;
            let from = if version == 0 { &pair.before } else { &pair.after };
            fs::copy(from, folder.join(pair.name))?;
            fs::write(
                folder.join("lesson.toml"),
                format!(
                    "id = \"{}\"\n[meta]\ntitle = \"{}\"\nstage = \"小学\"\nsubject = \"数学\"\nedition = \"人教版\"\n\
                     grade = \"四年级\"\nvolume = \"下册\"\nchapter = \"第一单元\"\nperiod = \"第1课时\"\n",
                    lesson(n),
                    pair.name
                ),
            )?;
        }
        super::import(&stand, &lessons)?;
    }
    let mut manifests = Vec::new();
    for entry in walk(&stand.data.join("objects/manifests"))? {
        let bytes = fs::read(&entry)?;
        let document: Value = serde_json::from_slice(&bytes)?;
        let body = document["signed"]
            .as_str()
            .context("a manifest that is not signed")?;
        let manifest: LessonManifest = serde_json::from_str(body)?;
        manifests.push((manifest, packed(&bytes)?));
    }
    let of = |id: &str, version: u32| {
        manifests
            .iter()
            .find(|(m, _)| m.id.as_str() == id && m.version == version)
            .with_context(|| format!("the console has no version {version} of {id}"))
    };
    (0..pairs.len())
        .map(|n| {
            let ((before, _), (after, index)) = (of(&lesson(n), 1)?, of(&lesson(n), 2)?);
            let mut known: HashSet<_> = before
                .files
                .iter()
                .flat_map(|f| f.chunks.iter().map(|c| c.hash))
                .collect();
            let mut data = 0;
            for chunk in after.files.iter().flat_map(|f| &f.chunks) {
                if known.insert(chunk.hash) {
                    data += u64::from(chunk.size);
                }
            }
            Ok(Moved { data, index: *index })
        })
        .collect()
}

/// What bytes come to as they are sent: gzip at the level the console has.
fn packed(bytes: &[u8]) -> Result<u64> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(bytes)?;
    Ok(packer.finish()?.len() as u64)
}

fn walk(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(folder) = todo.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("Failed to list {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                todo.push(path);
            } else {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// The same cutting with another average, on the file as it lies in the folder.
fn fastcdc(pair: &Pair, average: usize) -> Result<Moved> {
    let chunks = |file: &Path| -> Result<Vec<(contract::hash::Hash, u64)>> {
        StreamCDC::new(File::open(file)?, average / 4, average, average * 4)
            .map(|chunk| {
                let data = chunk?.data;
                Ok((contract::hash::Hash::of(&data), data.len() as u64))
            })
            .collect()
    };
    let mut known: HashSet<_> = chunks(&pair.before)?.into_iter().map(|(hash, _)| hash).collect();
    let after = chunks(&pair.after)?;
    let data = after
        .iter()
        .filter(|(hash, _)| known.insert(*hash))
        .map(|(_, size)| size)
        .sum();
    // What a chunk takes in a manifest.
    let index = after
        .iter()
        .map(|(_, size)| format!("{{\"hash\":\"\",\"size\":{size}}},").len() as u64 + 64)
        .sum();
    Ok(Moved { data, index })
}
