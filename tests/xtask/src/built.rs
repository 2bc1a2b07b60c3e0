//! Every program and every test program of the workspace, built in one go: one choice of features, nothing compiled twice.

use std::{
    fs,
    io::BufReader,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::{Message, Metadata, MetadataCommand, TargetKind};
use serde::Deserialize;

use crate::{
    queue::Job,
    sh::{cargo, root, target_dir},
};

/// The crate whose test programs are the journeys.
const JOURNEYS: &str = "system-tests";
/// What the journeys start.
const PROGRAMS: [&str; 2] = ["bbt-console", "bbt-agent"];
/// Longer than any on two busy cores.
const LIMIT: Duration = Duration::from_secs(900);

/// `[package.metadata.journeys]` in tests/Cargo.toml.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Marks {
    /// These measure time or traffic: nothing runs beside them.
    alone: Vec<String>,
    /// These take longest and begin first.
    long: Vec<String>,
}

struct TestProgram {
    package: String,
    target: String,
    kind: &'static str,
    program: PathBuf,
    folder: PathBuf,
}

/// What was built.
pub(crate) struct Built {
    tests: Vec<TestProgram>,
    /// `bin` has [`PROGRAMS`] and the board controller's, `tests` the test programs, `logs` what they say.
    kept: PathBuf,
    /// The board controller's program; `None` where it cannot be built.
    controller: Option<PathBuf>,
    metadata: Metadata,
}

impl Drop for Built {
    fn drop(&mut self) {
        for programs in ["bin", "tests"] {
            let _ = fs::remove_dir_all(self.kept.join(programs));
        }
    }
}

/// Builds all programs and test programs, and keeps them apart: a build beside the run changes nothing that runs.
pub(crate) fn everything() -> Result<Built> {
    let args = ["build", "--workspace", "--bins", "--tests"];
    println!("$ cargo {}", args.join(" "));
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .context("Failed to read the workspace")?;
    let kept = folder()?;
    let bins = kept.join("bin");
    let mut child = cargo()
        .args(args)
        .arg("--message-format=json-render-diagnostics")
        .stdout(Stdio::piped())
        .spawn()
        .context("Failed to start cargo")?;
    let out = child.stdout.take().context("no pipe")?;
    let mut tests = Vec::new();
    let mut artifacts = Vec::new();
    for message in Message::parse_stream(BufReader::new(out)) {
        if let Message::CompilerArtifact(artifact) = message.context("Failed to read what cargo says")? {
            artifacts.push(artifact);
        }
    }
    let status = child.wait()?;
    ensure!(status.success(), "`cargo {}` failed ({status})", args.join(" "));
    for artifact in artifacts {
        let Some(executable) = &artifact.executable else {
            continue;
        };
        let name = artifact.target.name.clone();
        if !artifact.profile.test {
            if PROGRAMS.contains(&name.as_str()) {
                keep(executable.as_std_path(), &bins.join(&name))?;
            }
            continue;
        }
        let package = metadata
            .packages
            .iter()
            .find(|package| package.id == artifact.package_id)
            .with_context(|| format!("cargo built {name}, which is in no package"))?;
        let kind = match artifact.target.kind.first() {
            Some(TargetKind::Test) => "",
            Some(TargetKind::Bin) => " (program)",
            _ => " (units)",
        };
        let file = executable.file_name().context("a test program without a name")?;
        let program = kept.join("tests").join(file);
        keep(executable.as_std_path(), &program)?;
        tests.push(TestProgram {
            package: package.name.to_string(),
            target: name,
            kind,
            program,
            folder: artifact
                .manifest_path
                .parent()
                .context("a package without a folder")?
                .into(),
        });
    }
    for name in PROGRAMS {
        ensure!(bins.join(name).is_file(), "cargo built no {name}");
    }
    Ok(Built {
        tests,
        kept,
        controller: None,
        metadata,
    })
}

/// A folder of this run beside the build. What runs that are over left there goes.
fn folder() -> Result<PathBuf> {
    let all = target_dir().join("journeys");
    for old in fs::read_dir(&all).into_iter().flatten().flatten() {
        if !Path::new("/proc").join(old.file_name()).exists() {
            let _ = fs::remove_dir_all(old.path());
        }
    }
    let folder = all.join(std::process::id().to_string());
    fs::create_dir_all(&folder).with_context(|| format!("Failed to make {}", folder.display()))?;
    Ok(folder)
}

/// A second name for the same file: cargo writes a new file when it builds again.
fn keep(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    if fs::hard_link(from, to).is_err() {
        fs::copy(from, to).with_context(|| format!("Failed to copy {}", from.display()))?;
    }
    Ok(())
}

impl Built {
    /// With the board controller's program; without it, a journey says that it could not be shown.
    pub(crate) fn with_controller(mut self, program: Option<&Path>) -> Result<Self> {
        if let Some(program) = program {
            let kept = self.kept.join("bin/board");
            keep(program, &kept)?;
            self.controller = Some(kept);
        }
        Ok(self)
    }

    /// Where what the test programs say is kept.
    pub(crate) fn logs(&self) -> PathBuf {
        self.kept.join("logs")
    }

    /// The crates' own tests. One after the other: each takes all cores.
    pub(crate) fn crates(&self) -> Vec<Job> {
        self.tests
            .iter()
            .filter(|test| test.package != JOURNEYS || !test.kind.is_empty())
            .map(|test| Job {
                name: format!("{}/{}{}", test.package, test.target, test.kind),
                args: Vec::new(),
                must_test: false,
                ..self.job(test)
            })
            .collect()
    }

    /// The journeys and the house's rules: all, or those that are named. Those that take longest come first.
    ///
    /// # Errors
    /// A journey that tests/Cargo.toml has was not built, or one is named that it does not have.
    pub(crate) fn journeys(&self, only: &[String]) -> Result<Vec<Job>> {
        let package = self
            .metadata
            .packages
            .iter()
            .find(|package| package.name == JOURNEYS)
            .context("no crate of journeys")?;
        let marks: Marks = serde_json::from_value(package.metadata["journeys"].clone())
            .context("[package.metadata.journeys] in tests/Cargo.toml is not as it should be")?;
        let wanted: Vec<&str> = package
            .targets
            .iter()
            .filter(|target| target.kind.contains(&TargetKind::Test))
            .map(|target| target.name.as_str())
            .collect();
        for name in marks.alone.iter().chain(&marks.long).chain(only) {
            if !wanted.contains(&name.as_str()) {
                bail!("{name} is no journey; tests/Cargo.toml has {}", wanted.join(", "));
            }
        }
        let mut jobs = Vec::new();
        for name in wanted {
            let test = self
                .tests
                .iter()
                .find(|test| test.package == JOURNEYS && test.target == name && test.kind.is_empty())
                .with_context(|| format!("the journey {name} was not built, and would not run"))?;
            if only.is_empty() || only.iter().any(|one| one == name) {
                jobs.push(Job {
                    name: name.to_owned(),
                    alone: marks.alone.iter().any(|one| one == name),
                    ..self.job(test)
                });
            }
        }
        let place = |job: &Job| marks.long.iter().position(|one| *one == job.name);
        jobs.sort_by_key(|job| place(job).unwrap_or(usize::MAX));
        Ok(jobs)
    }

    fn job(&self, test: &TestProgram) -> Job {
        Job {
            name: test.target.clone(),
            program: test.program.clone(),
            args: vec!["--test-threads=1".to_owned(), "--nocapture".to_owned()],
            folder: test.folder.clone(),
            env: vec![
                ("BBT_BIN_DIR".to_owned(), self.kept.join("bin")),
                (
                    "BBT_MCU_IMAGE".to_owned(),
                    self.controller.clone().unwrap_or_else(|| "none".into()),
                ),
            ],
            alone: false,
            must_test: true,
            limit: LIMIT,
        }
    }
}
