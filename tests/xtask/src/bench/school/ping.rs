//! A ping from the classroom's laptop through the school's line, ten a second.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Result;
use system_tests::{
    netns::{CONSOLE, Netns},
    stand::Process,
};

/// A ping that is under way.
pub(super) struct Ping {
    log: PathBuf,
    _process: Process,
}

/// What came back in a stretch of time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Echo {
    /// Middle and 95th of a hundred, in milliseconds.
    pub(super) median_ms: f64,
    pub(super) p95_ms: f64,
    /// Asked and not answered, in percent.
    pub(super) lost_percent: f64,
}

impl Ping {
    pub(super) fn start(laptop: &Netns, folder: &Path) -> Result<Self> {
        let log = folder.join("ping.log");
        // Line by line: it is killed, and what it kept back would be lost.
        let mut command = laptop.command(Path::new("stdbuf"));
        command.args(["-oL", "ping", "-n", "-D", "-i", "0.1"]);
        let process = Process::start("ping", command.arg(CONSOLE.to_string()), &log)?;
        Ok(Self {
            log,
            _process: process,
        })
    }

    /// What was answered between two moments of the wall clock.
    pub(super) fn between(&self, from: f64, to: f64) -> Result<Echo> {
        let text = fs::read_to_string(&self.log)?;
        Ok(read(&text, from, to))
    }
}

/// Seconds of the wall clock, as ping prints them.
pub(super) fn wall() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |d| d.as_secs_f64())
}

fn read(text: &str, from: f64, to: f64) -> Echo {
    let mut answers: Vec<(u64, f64)> = text
        .lines()
        .filter_map(|line| {
            let at: f64 = line.strip_prefix('[')?.split_once(']')?.0.parse().ok()?;
            let number = field(line, "icmp_seq=")? as u64;
            ((from..to).contains(&at)).then_some((number, field(line, "time=")?))
        })
        .collect();
    answers.sort_by_key(|(number, _)| *number);
    let asked = match (answers.first(), answers.last()) {
        (Some((first, _)), Some((last, _))) => (last - first + 1) as f64,
        _ => f64::NAN,
    };
    let lost_percent = 100.0 * (1.0 - answers.len() as f64 / asked);
    let mut times: Vec<f64> = answers.into_iter().map(|(_, ms)| ms).collect();
    times.sort_by(f64::total_cmp);
    let at = |percent: usize| {
        let place = (times.len() * percent / 100).min(times.len().saturating_sub(1));
        times.get(place).copied().unwrap_or(f64::NAN)
    };
    Echo {
        median_ms: at(50),
        p95_ms: at(95),
        lost_percent,
    }
}

fn field(line: &str, name: &str) -> Option<f64> {
    line.split_once(name)?.1.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_read() {
        let text = "PING 198.18.0.1 (198.18.0.1) 56(84) bytes of data.\n\
                    [10.0] 64 bytes from 198.18.0.1: icmp_seq=1 ttl=63 time=0.5 ms\n\
                    [10.1] 64 bytes from 198.18.0.1: icmp_seq=2 ttl=63 time=2.5 ms\n\
                    [10.3] 64 bytes from 198.18.0.1: icmp_seq=4 ttl=63 time=1.5 ms\n\
                    [20.0] 64 bytes from 198.18.0.1: icmp_seq=99 ttl=63 time=99 ms\n";
        let echo = read(text, 10.0, 11.0);
        assert!((echo.median_ms - 1.5).abs() < 1e-9);
        assert!((echo.p95_ms - 2.5).abs() < 1e-9);
        assert!((echo.lost_percent - 25.0).abs() < 1e-9);
    }
}
