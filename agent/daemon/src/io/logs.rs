//! The agent's own log and state, for a technician: packed without secrets, bounded, and handed to the console part by part, no
//! faster than the line has room for it.
//!
//! What goes in: the journal of the agent's unit (or what `[logs] command` tells), the newest lines of this process, the report
//! and the commands' answers as the console knows them, and what the kernel says of memory, load and disks. Nothing of a
//! lesson's content, of a teacher's disk, or of a person is read for it.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use agent_core::scrub::Scrubber;
use contract::{
    api::logs_path,
    controls::{LOGS_PART_BYTES, LogsReply, MAX_LOGS_BYTES},
    hash::Hash,
    id::CommandId,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
    time::{Instant, sleep},
};

use super::console::{Answer, hand_over};
use crate::config::{HOURS, Told};

/// The newest bytes of the log that are packed; its text shrinks to a tenth.
const MOST_TEXT: usize = 8 * 1024 * 1024;
/// A program that tells the log longer than this is stopped; what it told counts.
const TELLS: Duration = Duration::from_secs(60);
/// Speed before size: boards are slow, and have little memory.
const LEVEL: i32 = 3;
/// Trouble with the line is waited out; so often in a row, and so long.
const TRIES: u32 = 8;
const AGAIN: Duration = Duration::from_secs(15);
/// While the line is not to be used at all, it is looked at this often.
const STANDSTILL: Duration = Duration::from_secs(2);

/// One log to collect.
#[derive(Debug)]
pub struct Job {
    /// Who asked for it.
    pub command: CommandId,
    /// Of so many hours.
    pub hours: u32,
    /// Where the journal is read.
    pub from: Told,
    /// Where `proc/` is.
    pub root: PathBuf,
    /// Of which the file system's room is told.
    pub data_dir: PathBuf,
    /// Files that are known already, by name.
    pub notes: Vec<(&'static str, Vec<u8>)>,
    /// Of the devices' door, without a slash at its end.
    pub console_url: String,
    /// How to get in.
    pub tls: rustls::ClientConfig,
    /// What may be taken of the line, in kbit/s; 0 is nothing for now.
    pub pace: Arc<AtomicU32>,
}

/// Packs the log and hands it over. Ends when the console has all of it.
///
/// # Errors
/// What went wrong, in a sentence for the technician.
pub async fn collect(job: Job) -> Result<(), String> {
    let journal = journal(&job).await;
    let (root, data_dir, notes, hours) = (
        job.root.clone(),
        job.data_dir.clone(),
        job.notes.clone(),
        job.hours,
    );
    let packed = tokio::task::spawn_blocking(move || {
        let mut files = notes;
        files.push(("system.txt", system(&root, &data_dir).into_bytes()));
        pack(&journal, &files, hours)
    });
    let packed = packed
        .await
        .map_err(|error| format!("the log could not be packed: {error}"))?
        .map_err(|error| format!("the log could not be packed: {error}"))?;
    tracing::info!(command.id = %job.command, bytes = packed.len(), "the log is packed; handing it over");
    hand(&job, &packed).await
}

/// The newest part of the journal; where there is none, why.
async fn journal(job: &Job) -> String {
    let usual = [
        "journalctl",
        "--unit=bbt-agent",
        "--output=short-iso",
        "--no-pager",
        "--quiet",
        "--since=-{hours}h",
    ];
    let command: Vec<String> = match &job.from {
        Told::Usual => usual.map(str::to_owned).to_vec(),
        Told::By(command) => command.clone(),
        Told::Never => return "[logs] command says that no journal is to be read\n".to_owned(),
    };
    let command: Vec<String> = command
        .iter()
        .map(|word| word.replace(HOURS, &job.hours.to_string()))
        .collect();
    let Some((program, arguments)) = command.split_first() else {
        return String::new();
    };
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return format!("{program} could not be started: {error}\n"),
    };
    let Some(told) = child.stdout.take() else {
        return String::new();
    };
    let mut tail = Vec::new();
    if tokio::time::timeout(TELLS, newest(told, &mut tail))
        .await
        .is_err()
    {
        tracing::warn!(%program, "the log is told too slowly; what was told so far is packed");
    }
    let _ = child.start_kill();
    String::from_utf8_lossy(&tail).into_owned()
}

/// Reads to the end and keeps the last [`MOST_TEXT`] bytes, whole lines of them.
async fn newest(mut from: impl AsyncRead + Unpin, tail: &mut Vec<u8>) {
    let mut part = vec![0; 64 * 1024];
    while let Ok(read) = from.read(&mut part).await {
        if read == 0 {
            return;
        }
        tail.extend_from_slice(part.get(..read).unwrap_or_default());
        if tail.len() > 2 * MOST_TEXT {
            shorten(tail);
        }
    }
}

fn shorten(tail: &mut Vec<u8>) {
    let Some(excess) = tail.len().checked_sub(MOST_TEXT) else {
        return;
    };
    let line = tail.iter().skip(excess).position(|byte| *byte == b'\n');
    tail.drain(..excess + line.map_or(0, |at| at + 1));
}

/// What the kernel says of the machine.
fn system(root: &Path, data_dir: &Path) -> String {
    let mut said = String::new();
    for file in [
        "version",
        "uptime",
        "loadavg",
        "meminfo",
        "pressure/memory",
        "pressure/io",
        "mounts",
    ] {
        let text = std::fs::read_to_string(root.join("proc").join(file)).unwrap_or_default();
        let text: String = text.chars().take(64 * 1024).collect();
        said.push_str(&format!("== /proc/{file}\n{}\n", text.trim_end()));
    }
    let disk = super::probes::disk(data_dir);
    said.push_str(&format!(
        "== {}\ntotal {} bytes, free {} bytes\n",
        data_dir.display(),
        disk.total_bytes,
        disk.free_bytes
    ));
    said
}

/// A tar of the scrubbed files, compressed; of a log that is still too long, the newest half, and half of that.
fn pack(journal: &str, files: &[(&'static str, Vec<u8>)], hours: u32) -> std::io::Result<Vec<u8>> {
    let mut tail = journal.as_bytes().to_vec();
    shorten(&mut tail);
    loop {
        let mut tar = tar::Builder::new(zstd::Encoder::new(Vec::new(), LEVEL)?);
        let about = format!(
            "bbt-agent {}\nlog of the last {hours} h, its newest {} bytes at most; secrets are replaced by ***\n",
            env!("CARGO_PKG_VERSION"),
            tail.len()
        );
        add(&mut tar, "README.txt", about.as_bytes())?;
        let text = Scrubber::text(&String::from_utf8_lossy(&tail));
        add(&mut tar, "agent.log", text.as_bytes())?;
        for (name, bytes) in files {
            let text = Scrubber::text(&String::from_utf8_lossy(bytes));
            add(&mut tar, name, text.as_bytes())?;
        }
        let packed = tar.into_inner()?.finish()?;
        if packed.len() as u64 <= MAX_LOGS_BYTES {
            return Ok(packed);
        }
        if tail.is_empty() {
            return Err(std::io::Error::other(
                "it has more than 8 MiB without any journal",
            ));
        }
        let half = tail.len() / 2;
        tail.drain(..tail.len() - half);
    }
}

fn add<W: std::io::Write>(tar: &mut tar::Builder<W>, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o600);
    header.set_cksum();
    tar.append_data(&mut header, format!("bbt-logs/{name}"), bytes)
}

/// Part by part, from where the console says that it goes on.
async fn hand(job: &Job, packed: &[u8]) -> Result<(), String> {
    let (total, hash) = (packed.len() as u64, Hash::of(packed));
    let path = logs_path(&job.command);
    let (mut have, mut tries) = (0u64, 0);
    loop {
        let begun = Instant::now();
        wait_for_room(job).await;
        let end = (have + LOGS_PART_BYTES).min(total);
        let part = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let bytes = packed.get(part(have)..part(end)).unwrap_or_default().to_vec();
        let sent = bytes.len() as u64;
        let url = format!(
            "{}{path}?offset={have}&total={total}&hash={}",
            job.console_url,
            hash.to_hex()
        );
        match hand_over(job.tls.clone(), &url, bytes).await {
            Answer::Good(body) => {
                let reply: LogsReply = serde_json::from_slice(&body)
                    .map_err(|error| format!("the console's answer cannot be understood: {error}"))?;
                if reply.have_bytes >= total {
                    return Ok(());
                }
                // A console that takes nothing would be asked for ever.
                tries = if reply.have_bytes > have { 0 } else { tries + 1 };
                have = reply.have_bytes;
                if tries > TRIES {
                    return Err(format!(
                        "the console goes no further than {have} of {total} bytes"
                    ));
                }
                rest(job, sent, begun).await;
            }
            Answer::Problem { status, code, .. } if status < 500 && status != 429 => {
                return Err(format!("the console does not take it: HTTP {status} {code}"));
            }
            trouble => {
                tries += 1;
                if tries > TRIES {
                    return Err(format!("the console cannot be reached: {}", trouble.reason()));
                }
                sleep(AGAIN).await;
            }
        }
    }
}

async fn wait_for_room(job: &Job) {
    while job.pace.load(Ordering::Relaxed) == 0 {
        sleep(STANDSTILL).await;
    }
}

/// As long as the part should have taken.
async fn rest(job: &Job, bytes: u64, begun: Instant) {
    let kbps = u64::from(job.pace.load(Ordering::Relaxed).max(1));
    let should = Duration::from_millis(bytes.saturating_mul(8) / kbps);
    sleep(should.saturating_sub(begun.elapsed())).await;
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, io::Read};

    use super::*;

    fn unpacked(packed: &[u8]) -> BTreeMap<String, String> {
        let mut archive = tar::Archive::new(zstd::Decoder::new(packed).unwrap());
        let mut files = BTreeMap::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            files.insert(name, text);
        }
        files
    }

    #[test]
    fn what_is_packed_is_without_secrets_and_bounded() {
        let journal = "2026-11-23T08:00:00 agent: lesson is ready\n2026-11-23T08:00:01 x: token=abcdef\n";
        let notes = [(
            "report.json",
            b"{\"device_id\":\"d-1\",\"pin\":\"2468\"}".to_vec(),
        )];
        let files = unpacked(&pack(journal, &notes, 24).unwrap());
        assert!(files["bbt-logs/README.txt"].contains("24 h"));
        assert!(files["bbt-logs/agent.log"].contains("lesson is ready"));
        for secret in ["abcdef", "2468"] {
            assert!(!files.values().any(|text| text.contains(secret)), "{secret}");
        }
        assert!(files["bbt-logs/report.json"].contains("d-1"));

        // Noise does not shrink: the newest part of it is packed.
        let noise: String = (0..140_000)
            .map(|n| {
                format!(
                    "{n} {:016x}{:016x}{:016x}\n",
                    rand::random::<u64>(),
                    rand::random::<u64>(),
                    rand::random::<u64>()
                )
            })
            .collect();
        assert!(noise.len() > 7 << 20);
        let packed = pack(&noise, &[], 1).unwrap();
        assert!(packed.len() as u64 <= MAX_LOGS_BYTES);
        assert!(unpacked(&packed)["bbt-logs/agent.log"].contains("\n139999 "));
    }

    #[tokio::test]
    async fn the_newest_lines_of_an_endless_log_are_kept() {
        let text: String = (0..400_000)
            .map(|n| format!("line {n} of a long log that goes on\n"))
            .collect();
        let mut tail = Vec::new();
        newest(text.as_bytes(), &mut tail).await;
        shorten(&mut tail);
        assert!(tail.len() <= MOST_TEXT);
        let text = String::from_utf8(tail).unwrap();
        assert!(text.starts_with("line ") && text.ends_with("line 399999 of a long log that goes on\n"));
    }
}
