//! What a process costs, as proc(5) tells it.

use std::fs;

use anyhow::{Context, Result};

/// One field of `/proc/<pid>/status`, in KiB.
pub(super) fn status_kib(pid: u32, field: &str) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text
        .lines()
        .find(|line| line.starts_with(field))
        .with_context(|| format!("no {field}"))?;
    line.split_whitespace()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .with_context(|| format!("{field} is no number"))
}

/// User and system time of a process in seconds (`stat`, fields 14 and 15, in ticks of 1/100 s).
pub(super) fn processor_s(pid: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after_name = text.rsplit_once(')').context("stat has no name")?.1;
    let field = |n: usize| {
        after_name
            .split_whitespace()
            .nth(n)
            .and_then(|t| t.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    Ok((field(11) + field(12)) / 100.0)
}

/// Lets the peak of the resident set (`VmHWM`) begin anew.
pub(super) fn forget_peak(pid: u32) -> Result<()> {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").context("Failed to reset the peak of resident memory")
}
