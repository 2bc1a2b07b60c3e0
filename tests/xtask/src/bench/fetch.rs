//! One board that fetches at 100 Mbit/s while eight others take the lesson from it: memory and processor of that one.
//!
//! The others are cut off from the console's files, so all their bytes come from the one.

use std::{fs, process::Command};

use anyhow::{Result, ensure};
use system_tests::{
    netns::{CONSOLE, Line, School},
    stand::Bins,
};

use super::{
    process::{forget_peak, processor_s, status_kib},
    school::{
        in_school, keep_logs, make_content,
        ours::{Lan, Ours, knows_lan},
        race::{self, Course, Fleet, Ready},
    },
};

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Size of the lesson in MB (10^6 bytes).
    #[arg(long, default_value_t = 200)]
    mb: u32,
    /// The line in kbit/s.
    #[arg(long, default_value_t = 100_000)]
    line_kbps: u32,
    /// Boards that take from the one.
    #[arg(long, default_value_t = 8)]
    others: usize,
}

pub(crate) fn run(bins: &Bins, options: &Options) -> Result<()> {
    let line = Line {
        rate_kbps: options.line_kbps,
        burst_bytes: 64_000,
        queue_ms: 50,
    };
    let swarm = knows_lan(bins)?;
    if !swarm {
        println!("this bbt-agent knows no [lan]: the one fetches alone");
    }
    let boards = if swarm { options.others + 1 } else { 1 };
    in_school(boards, line, async |school, folder| {
        school.congestion("cubic")?;
        let content = folder.join("content.mp4");
        make_content(&content, u64::from(options.mb) * 1_000_000, 5)?;
        let lan = if swarm { Lan::Swarm } else { Lan::Off };
        let inner = Ours::prepare(school, bins, folder, &content, lan).await?;
        inner.line(options.line_kbps, false).await?;
        for board in school.boards.iter().skip(1) {
            cut_off(board.name())?;
        }
        let course = Course {
            content_bytes: fs::metadata(&content)?.len(),
            rate_kbps: options.line_kbps,
            idle_s: 10,
            cycle_percent: 0,
            seed: 0,
        };
        let mut one = One {
            inner,
            processor_s: 0.0,
        };
        let done = race::run(school, &mut one, course, folder).await;
        keep_logs(folder, done.is_err());
        let done = done?;
        report(&mut one, school, options, &done)
    })
}

fn report(one: &mut One, school: &School, options: &Options, done: &race::Result1) -> Result<()> {
    let pid = one.pid()?;
    let used = processor_s(pid)? - one.processor_s;
    println!(
        "\n{} MB at {} Mbit/s, {} boards take it from the one that fetches:",
        options.mb,
        options.line_kbps / 1000,
        school.boards.len() - 1
    );
    println!(
        "  whole race           {:6.1} s = {:.3} × ideal, all boards; {:.3} × content on the line",
        done.seconds,
        done.seconds * f64::from(options.line_kbps) / (f64::from(options.mb) * 8000.0),
        done.down_bytes as f64 / (f64::from(options.mb) * 1e6)
    );
    println!(
        "  resident memory      {:6.1} MiB at most (VmHWM; budget 40)",
        status_kib(pid, "VmHWM:")? / 1024.0
    );
    println!(
        "  processor            {used:6.2} s = {:.0} % of one core (budget 50 %)",
        used * 100.0 / done.seconds
    );
    ensure!(done.wrong == 0, "{} boards have wrong bytes", done.wrong);
    Ok(())
}

/// No way to the console's files; MQTT stays.
fn cut_off(netns: &str) -> Result<()> {
    let done = Command::new("ip")
        .args(["-n", netns, "rule", "add", "to", &CONSOLE.to_string()])
        .args(["ipproto", "tcp", "dport", "8443", "type", "blackhole"])
        .output()?;
    ensure!(
        done.status.success(),
        "ip rule: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(())
}

/// The boards, of which the first is measured.
struct One {
    inner: Ours,
    processor_s: f64,
}

impl One {
    fn pid(&mut self) -> Result<u32> {
        Ok(self.inner.boards[0].process()?.pid())
    }
}

impl Fleet for One {
    fn who(&self) -> &'static str {
        self.inner.who()
    }

    async fn go(&mut self) -> Result<()> {
        let pid = self.pid()?;
        forget_peak(pid)?;
        self.processor_s = processor_s(pid)?;
        self.inner.go().await
    }

    fn start(&mut self, board: usize) -> Result<()> {
        self.inner.start(board)
    }

    fn kill(&mut self, board: usize) {
        self.inner.kill(board);
    }

    fn check_alive(&mut self) -> Result<()> {
        self.inner.check_alive()
    }

    fn pids(&mut self) -> Vec<u32> {
        self.inner.pids()
    }

    fn ready(&self, board: usize) -> Ready {
        self.inner.ready(board)
    }

    fn wrong(&self, board: usize) -> Result<bool> {
        self.inner.wrong(board)
    }
}
