//! Other programs, kept short: no keyboard, no network address they could be talked into, bounded time, memory and words.

use std::{
    ffi::OsString,
    io::Read,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Condvar, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};

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
        let _place = place();
        let mut command = limited(found, limit);
        let child = command
            .process_group(0)
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

/// So many conversions at a time, whoever uploads.
const AT_ONCE: usize = 2;
static PLACES: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

struct Place;

fn place() -> Place {
    let mut taken = PLACES.0.lock().unwrap_or_else(PoisonError::into_inner);
    while *taken >= AT_ONCE {
        taken = PLACES.1.wait(taken).unwrap_or_else(PoisonError::into_inner);
    }
    *taken += 1;
    Place
}

impl Drop for Place {
    fn drop(&mut self) {
        *PLACES.0.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        PLACES.1.notify_one();
    }
}

/// A network of its own with nothing in it, where the system lets us make one; asked once.
fn without_network() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    *CAN.get_or_init(|| {
        let tried = Command::new(UNSHARE[0])
            .args(&UNSHARE[1..])
            .arg("true")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let can = tried.is_ok_and(|status| status.success());
        if !can {
            tracing::warn!("converters cannot be given a network of their own here (unshare); what points outside is refused by its text alone");
        }
        can
    })
}

const UNSHARE: [&str; 3] = ["/usr/bin/unshare", "--map-root-user", "--net"];

/// Without a network and under limits, where util-linux has the programs for it: 6 GiB of addresses, bounded processor time,
/// no core file, lowest share of the processor.
fn limited(program: &Path, limit: Duration) -> Command {
    let mut words: Vec<OsString> = Vec::new();
    if without_network() {
        words.extend(UNSHARE.map(OsString::from));
    }
    if Path::new("/usr/bin/prlimit").is_file() {
        let cpu = format!("--cpu={}", limit.as_secs().saturating_mul(4).max(60));
        let limits = [
            "/usr/bin/prlimit",
            "--as=6442450944",
            "--core=0",
            "--nproc=4096",
            &cpu,
            "nice",
            "-n",
            "10",
        ];
        words.extend(limits.map(OsString::from));
    }
    words.push(program.as_os_str().to_owned());
    let mut words = words.into_iter();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
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
            // The whole group: what it started would go on without it.
            if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                let _ = kill_process_group(group, Signal::KILL);
            }
            let _ = child.kill();
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(LOOK);
    }
}
