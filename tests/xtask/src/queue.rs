//! Test programs as a queue: so many at once, those that need quiet alone, each heard only when it fails.

use std::{
    collections::VecDeque,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    process::Command,
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};

/// Lines of a failed program that are shown; all of them are in its file.
const SHOWN: usize = 120;

/// A test program and how it is run.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    /// Shown, and the name of the file of what it says.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// The folder of its package, as `cargo test` would have it.
    pub folder: PathBuf,
    /// Variables besides our own.
    pub env: Vec<(String, PathBuf)>,
    /// Nothing else runs beside it.
    pub alone: bool,
    /// A journey without a test is a mistake; a program of a crate may well have none.
    pub must_test: bool,
    /// It is ended when it takes longer.
    pub limit: Duration,
}

struct Done {
    name: String,
    took: Duration,
    /// Tests that passed, or why it failed.
    result: Result<u32>,
    /// What it could not show on this machine, in its own words.
    notes: Vec<String>,
    log: PathBuf,
}

/// What ran and passed.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// Tests.
    pub tests: u32,
    /// What could not be shown on this machine, in the tests' own words.
    pub notes: Vec<String>,
}

impl Passed {
    /// Takes another's in.
    pub(crate) fn add(&mut self, other: Self) {
        self.tests += other.tests;
        self.notes.extend(other.notes);
    }

    /// As a test program of Rust says it, for whoever counts by that line.
    pub(crate) fn line(&self) -> String {
        format!("test result: ok. {} passed; 0 failed; 0 ignored", self.tests)
    }
}

/// How a test says that it left something out, at the beginning of a line.
const NOT_SHOWN: &str = "NOT SHOWN: ";

/// Runs them all, in their order, `at_once` at a time, then one by one those that need quiet. What they say goes to files in
/// `logs`. All run even if one fails; then this fails.
pub(crate) fn run(jobs: Vec<Job>, at_once: usize, logs: &Path) -> Result<Passed> {
    ensure!(at_once > 0, "at least one at once");
    fs::create_dir_all(logs).with_context(|| format!("Failed to make {}", logs.display()))?;
    tokio::runtime::Runtime::new()?.block_on(all(jobs, at_once, logs))
}

async fn all(jobs: Vec<Job>, at_once: usize, logs: &Path) -> Result<Passed> {
    let start = Instant::now();
    let count = jobs.len();
    let (alone, together): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.alone);
    let mut done = Vec::new();
    for (jobs, at_once) in [(together, at_once), (alone, 1)] {
        rows(jobs.into(), at_once, logs, &mut done).await?;
    }
    ensure!(
        done.len() == count,
        "{count} programs were to run, {} did",
        done.len()
    );
    let work: Duration = done.iter().map(|done| done.took).sum();
    println!(
        "   {count} programs, {at_once} at once: {} s ({} s of work)",
        start.elapsed().as_secs(),
        work.as_secs()
    );
    let failed: Vec<_> = done.iter().filter(|done| done.result.is_err()).collect();
    let tests = done.iter().filter_map(|done| done.result.as_ref().ok()).sum();
    if failed.is_empty() {
        let passed = Passed {
            tests,
            notes: done.into_iter().flat_map(|done| done.notes).collect(),
        };
        println!("   {}", passed.line());
        return Ok(passed);
    }
    println!(
        "   test result: FAILED. {tests} passed; {} programs failed",
        failed.len()
    );
    let list: Vec<_> = failed
        .iter()
        .map(|done| format!("{} ({})", done.name, done.log.display()))
        .collect();
    bail!("{} of {count} failed: {}", failed.len(), list.join(", "))
}

async fn rows(mut waiting: VecDeque<Job>, at_once: usize, logs: &Path, done: &mut Vec<Done>) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    // Dropped with what runs in it, whose groups then are killed.
    let mut running = JoinSet::new();
    loop {
        while running.len() < at_once {
            let Some(job) = waiting.pop_front() else { break };
            let log = logs.join(format!("{}.log", job.name.replace(['/', ' '], "-")));
            running.spawn(one(job, log));
        }
        let ended = tokio::select! {
            ended = running.join_next() => ended,
            _ = interrupt.recv() => return Err(Ended.into()),
            _ = terminate.recv() => return Err(Ended.into()),
        };
        let Some(ended) = ended else { return Ok(()) };
        let ended = ended.context("Failed to wait for a test program")?;
        tell(&ended);
        done.push(ended);
    }
}

fn tell(done: &Done) {
    let seconds = done.took.as_secs_f64();
    match &done.result {
        Ok(tests) => {
            println!("   ok     {seconds:6.1} s  {} ({tests})", done.name);
            for note in &done.notes {
                println!("          {note}");
            }
        }
        Err(error) => {
            println!("   FAILED {seconds:6.1} s  {}: {error:#}", done.name);
            let said = String::from_utf8_lossy(&fs::read(&done.log).unwrap_or_default()).into_owned();
            let lines: Vec<_> = said.lines().collect();
            for line in &lines[lines.len().saturating_sub(SHOWN)..] {
                println!("   | {line}");
            }
        }
    }
}

async fn one(job: Job, log: PathBuf) -> Done {
    let start = Instant::now();
    let result = attempt(&job, &log).await;
    let said = fs::read(&log).unwrap_or_default();
    let notes = String::from_utf8_lossy(&said)
        .lines()
        // With `--nocapture` the test's name may stand before it on the same line.
        .filter_map(|line| Some(line[line.find(NOT_SHOWN)?..].to_owned()))
        .collect();
    Done {
        notes,
        name: job.name,
        took: start.elapsed(),
        result,
        log,
    }
}

/// Somebody ended the run.
#[derive(Debug)]
pub(crate) struct Ended;

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the run was ended")
    }
}

impl std::error::Error for Ended {}

/// The program and all that it started, unless they left its group: none of them outlives it.
struct Group(Pid);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = kill_process_group(self.0, Signal::KILL);
    }
}

async fn attempt(job: &Job, log: &Path) -> Result<u32> {
    let out = fs::File::create(log).with_context(|| format!("Failed to write {}", log.display()))?;
    let mut child = Command::new(&job.program)
        .args(&job.args)
        .current_dir(&job.folder)
        .env("CARGO_MANIFEST_DIR", &job.folder)
        .envs(job.env.iter().cloned())
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("Failed to start {}", job.program.display()))?;
    let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let _group = Group(pid.context("it ended before it began")?);
    let Ok(status) = tokio::time::timeout(job.limit, child.wait()).await else {
        bail!("not done within {} s", job.limit.as_secs());
    };
    let status = status?;
    let said = String::from_utf8_lossy(&fs::read(log)?).into_owned();
    let counts = Counts::of(&said);
    ensure!(status.success(), "{status}");
    ensure!(
        counts.ignored == 0,
        "{} tests were ignored: none may be",
        counts.ignored
    );
    ensure!(counts.ran || !job.must_test, "it ran no test");
    ensure!(counts.passed > 0 || !job.must_test, "it has no test");
    Ok(counts.passed)
}

/// What the test programs' last lines say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    ran: bool,
    pub passed: u32,
    ignored: u32,
}

impl Counts {
    pub(crate) fn of(said: &str) -> Self {
        let mut counts = Self::default();
        // With `--nocapture` the words of a test may stand before it on the same line.
        for (_, line) in said.lines().filter_map(|line| line.split_once("test result: ")) {
            counts.ran = true;
            let number = |of: &str| {
                let before = line.split_once(of)?.0;
                before
                    .rsplit([' ', ';'])
                    .find(|word| !word.is_empty())?
                    .parse()
                    .ok()
            };
            counts.passed += number(" passed").unwrap_or(0);
            counts.ignored += number(" ignored").unwrap_or(0);
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(name: &str, script: &str) -> Job {
        Job {
            name: name.to_owned(),
            program: "/bin/sh".into(),
            args: vec!["-c".to_owned(), script.to_owned()],
            folder: std::env::temp_dir(),
            env: Vec::new(),
            alone: false,
            must_test: true,
            limit: Duration::from_secs(60),
        }
    }

    const GOOD: &str = "echo 'test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out'";

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("bbt-queue-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    #[test]
    fn last_lines_are_counted() {
        let said = "ok\ntest result: ok. 3 passed; 0 failed; 1 ignored; 0 measured\nxtest result: ok. 2 passed; 0 failed; 0 ignored;\n";
        let counts = Counts {
            ran: true,
            passed: 5,
            ignored: 1,
        };
        assert_eq!(Counts::of(said), counts);
        assert!(!Counts::of("nothing").ran);
    }

    #[test]
    fn what_was_not_shown_is_told() {
        let logs = folder("notes");
        let script = format!("echo 'test x ... NOT SHOWN: a disc; no drive'; {GOOD}");
        let passed = run(vec![job("some", &script), job("other", GOOD)], 2, &logs).unwrap();
        assert_eq!(passed.notes, ["NOT SHOWN: a disc; no drive"]);
        assert_eq!(passed.line(), "test result: ok. 4 passed; 0 failed; 0 ignored");
        fs::remove_dir_all(logs).unwrap();
    }

    #[test]
    fn all_run_though_one_fails_and_the_failure_is_named() {
        let logs = folder("fail");
        let mark = logs.join("mark");
        let jobs = vec![
            job("good", GOOD),
            job("bad", &format!("{GOOD}; exit 3")),
            job("last", &format!("{GOOD}; touch '{}'", mark.display())),
        ];
        let error = run(jobs, 1, &logs).unwrap_err().to_string();
        assert!(error.starts_with("1 of 3 failed: bad ("), "{error}");
        assert!(mark.exists());
        fs::remove_dir_all(logs).unwrap();
    }

    #[test]
    fn nothing_is_left_out_in_silence() {
        let logs = folder("silence");
        let ignored = "echo 'test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out'";
        let none = "echo 'test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out'";
        for (name, script) in [("ignored", ignored), ("none", none), ("mute", "true")] {
            assert!(run(vec![job(name, script)], 1, &logs).is_err(), "{name}");
        }
        let mut of_a_crate = job("none", none);
        of_a_crate.must_test = false;
        run(vec![of_a_crate], 1, &logs).unwrap();
        fs::remove_dir_all(logs).unwrap();
    }

    #[test]
    fn who_needs_quiet_has_it() {
        let logs = folder("quiet");
        let busy = logs.join("busy");
        // Each says that it is there for a while; the one that is alone fails if anybody is.
        let stay = |n: u32| {
            let here = format!("{}-{n}", busy.display());
            job(
                &format!("stay-{n}"),
                &format!("touch '{here}'; sleep 0.3; rm '{here}'; {GOOD}"),
            )
        };
        let mut quiet = job("quiet", &format!("ls '{}'-* && exit 1; {GOOD}", busy.display()));
        quiet.alone = true;
        run(vec![quiet, stay(1), stay(2), stay(3)], 2, &logs).unwrap();
        fs::remove_dir_all(logs).unwrap();
    }

    #[test]
    fn what_takes_too_long_is_ended_with_all_it_started() {
        let logs = folder("long");
        fs::create_dir_all(&logs).unwrap();
        let alive = logs.join("alive");
        let mut long = job(
            "long",
            &format!(
                "(while true; do date +%N > '{}'; sleep 0.05; done) & wait",
                alive.display()
            ),
        );
        long.limit = Duration::from_millis(500);
        let error = run(vec![long], 1, &logs).unwrap_err().to_string();
        assert!(error.contains("long"), "{error}");
        let now = fs::read(&alive).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(now, fs::read(&alive).unwrap(), "what it started still runs");
        fs::remove_dir_all(logs).unwrap();
    }
}
