//! Other programs, kept short: no keyboard, no network address they could be talked into, bounded time, memory and words.

use std::{
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// How often a running program is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// What is kept of a program's complaint.
const MOST_WORDS: u64 = 4096;

/// Why a conversion gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// The program is not on this machine.
    #[error("{program} is not installed (Debian package {package})")]
    Missing {
        /// Its name.
        program: &'static str,
        /// Where it comes from.
        package: &'static str,
    },
    /// It did not end in time.
    #[error("{program} was ended after {seconds} s")]
    TooLong {
        /// Its name.
        program: &'static str,
        /// Seconds given.
        seconds: u64,
    },
    /// It did not like the file.
    #[error("{program} failed: {words}")]
    Failed {
        /// Its name.
        program: &'static str,
        /// The last of what it said.
        words: String,
    },
    /// It could not be started, or its result not be read.
    #[error("failed to run {program}: {source}")]
    Io {
        /// Its name.
        program: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// A program that converts.
#[derive(Debug, Clone)]
pub(super) struct Tool {
    pub(super) program: &'static str,
    pub(super) package: &'static str,
    found: Option<PathBuf>,
}

impl Tool {
    /// Looks along `PATH`.
    pub(super) fn find(program: &'static str, package: &'static str) -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path)
            .map(|folder| folder.join(program))
            .find(|file| file.is_file());
        Self {
            program,
            package,
            found,
        }
    }

    pub(super) fn is_here(&self) -> bool {
        self.found.is_some()
    }

    /// Runs it in `folder`, which is also its home, for at most `limit`.
    pub(super) fn run<S: AsRef<std::ffi::OsStr>>(
        &self,
        folder: &Path,
        args: &[S],
        limit: Duration,
    ) -> Result<(), ConvertError> {
        let io = |source| ConvertError::Io {
            program: self.program,
            source,
        };
        let Some(found) = &self.found else {
            return Err(ConvertError::Missing {
                program: self.program,
                package: self.package,
            });
        };
        let words = folder.join("words");
        let mut command = limited(found);
        let child = command
            .args(args)
            .current_dir(folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", folder)
            .env("TMPDIR", folder)
            .env("LANG", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&words).map_err(io)?)
            .spawn()
            .map_err(io)?;
        let ended = wait(child, limit).map_err(io)?;
        let mut said = String::new();
        if let Ok(file) = std::fs::File::open(&words) {
            let length = file.metadata().map_or(0, |m| m.len());
            let mut file = file;
            let _ = std::io::Seek::seek(
                &mut file,
                std::io::SeekFrom::Start(length.saturating_sub(MOST_WORDS)),
            );
            let mut bytes = Vec::new();
            let _ = file.take(MOST_WORDS).read_to_end(&mut bytes);
            said = String::from_utf8_lossy(&bytes).trim().to_owned();
        }
        match ended {
            Some(true) => Ok(()),
            Some(false) => Err(ConvertError::Failed {
                program: self.program,
                words: said,
            }),
            None => Err(ConvertError::TooLong {
                program: self.program,
                seconds: limit.as_secs(),
            }),
        }
    }
}

/// Under limits where util-linux has the program for it: 4 GiB of addresses, no core file, lowest share of the processor.
fn limited(program: &Path) -> Command {
    let prlimit = Path::new("/usr/bin/prlimit");
    if !prlimit.is_file() {
        return Command::new(program);
    }
    let mut command = Command::new(prlimit);
    command
        .args(["--as=6442450944", "--core=0", "--nproc=4096", "nice", "-n", "10"])
        .arg(program);
    command
}

/// Whether it ended well; `None` if it had to be ended.
fn wait(mut child: Child, limit: Duration) -> std::io::Result<Option<bool>> {
    let until = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status.success()));
        }
        if Instant::now() >= until {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(LOOK);
    }
}
