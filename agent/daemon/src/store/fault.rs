//! Places at which a test may cut the power, fill the disk or break it. Outside tests there is nothing here.

use std::io;

/// A durable step that is about to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(not(test), allow(dead_code, reason = "read by tests only"))]
pub(crate) enum Step {
    /// Bytes of a chunk go into the part.
    PartWrite,
    /// The part is synced.
    PartSync,
    /// The whole part is hashed.
    PartVerify,
    /// The part becomes a file.
    Rename,
    /// The folders of part and file are synced.
    DirSync,
    /// The manifest is written.
    ManifestWrite,
    /// The index hands its buffers to the system.
    IndexFlush,
    /// The index is synced.
    IndexSync,
    /// An evicted file is removed.
    Unlink,
    /// All is done; the caller hears of it next.
    Done,
}

#[cfg(test)]
pub(crate) type Hook = dyn Fn(Step) -> io::Result<()> + Send + Sync;

/// The hook of a test, or nothing.
#[derive(Clone, Default)]
pub(crate) struct Faults {
    #[cfg(test)]
    hook: Option<std::sync::Arc<Hook>>,
}

impl Faults {
    /// Called right before `step`; an error stands for the step failing.
    #[cfg_attr(
        not(test),
        allow(
            clippy::unused_self,
            clippy::unnecessary_wraps,
            reason = "the hook is for tests"
        )
    )]
    pub(crate) fn before(&self, step: Step) -> io::Result<()> {
        #[cfg(test)]
        if let Some(hook) = &self.hook {
            return hook(step);
        }
        let _ = step;
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn hooked(hook: impl Fn(Step) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self {
            hook: Some(std::sync::Arc::new(hook)),
        }
    }
}
