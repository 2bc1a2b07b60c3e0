//! What the store does, as if nobody had written its fsyncs: to see that the power cuts would tell.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// From here on fsync and its like say that all is well and do nothing, in this thread and whatever it starts.
///
/// # Errors
/// The kernel has no seccomp.
pub(crate) fn for_this_thread() -> Result<()> {
    let calls = [
        libc::SYS_fsync,
        libc::SYS_fdatasync,
        libc::SYS_sync_file_range,
        libc::SYS_msync,
        libc::SYS_sync,
        libc::SYS_syncfs,
    ];
    let rules: BTreeMap<_, _> = calls.into_iter().map(|call| (call, vec![])).collect();
    let arch = std::env::consts::ARCH
        .try_into()
        .context("Failed to name this processor")?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(0), arch)
        .context("Failed to make a filter")?;
    let filter: BpfProgram = filter.try_into().context("Failed to make a filter")?;
    seccompiler::apply_filter(&filter).context("Failed to take fsync away")
}
