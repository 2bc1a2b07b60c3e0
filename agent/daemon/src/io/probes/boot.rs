//! Why the board had been off, and whether it is about to be.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant, UNIX_EPOCH},
};

use agent_core::health::happenings::{AliveNote, BootFacts, Ended};

use super::Root;

/// What the kernel kept and what we noted down; the board controller's word is for whoever speaks with it.
pub fn boot_facts(root: &Root, note: Option<AliveNote>) -> BootFacts {
    let watchdogs = root.names("sys/class/watchdog").into_iter();
    let status = watchdogs
        .filter_map(|name| root.number::<u32>(&format!("sys/class/watchdog/{name}/bootstatus")))
        .reduce(|all, one| all | one);
    BootFacts {
        controller: None,
        crash_record: crash_record(root, note.as_ref()),
        watchdog: status,
        note,
    }
}

/// `/sys/fs/pstore/dmesg-…` is what a panic leaves. One that is older than the last time that we ran was told before.
fn crash_record(root: &Root, note: Option<&AliveNote>) -> bool {
    let known = note.and_then(|note| note.wall_time).map(|time| time.as_second());
    root.names("sys/fs/pstore").iter().any(|name| {
        let path = root.path("sys/fs/pstore").join(name);
        let made = std::fs::metadata(path)
            .and_then(|metadata| metadata.modified())
            .ok();
        let made = made.and_then(|made| made.duration_since(UNIX_EPOCH).ok());
        let made = made.and_then(|made| i64::try_from(made.as_secs()).ok());
        let fresh = known.zip(made).is_none_or(|(known, made)| made >= known);
        name.starts_with("dmesg") && fresh
    })
}

/// We are told to end: is the whole machine? Asks systemd, for two seconds at most.
pub fn ending() -> Ended {
    const PATIENCE: Duration = Duration::from_secs(2);
    let jobs = Command::new("systemctl")
        .args(["list-jobs", "--no-legend", "--plain"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut jobs) = jobs else { return Ended::Agent };
    let begun = Instant::now();
    while matches!(jobs.try_wait(), Ok(None)) {
        if begun.elapsed() > PATIENCE {
            let _ = jobs.kill();
            let _ = jobs.wait();
            return Ended::Agent;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let said = jobs
        .wait_with_output()
        .map(|output| output.stdout)
        .unwrap_or_default();
    ending_by(&String::from_utf8_lossy(&said))
}

pub(super) fn ending_by(jobs: &str) -> Ended {
    let begins = |target: &str| {
        jobs.lines()
            .any(|line| line.contains(target) && line.split_whitespace().nth(2) == Some("start"))
    };
    if begins("reboot.target") || begins("kexec.target") {
        Ended::Restart
    } else if begins("poweroff.target") || begins("halt.target") {
        Ended::Shutdown
    } else {
        Ended::Agent
    }
}
