//! What a class needs of the board beside lessons: a loudspeaker that is heard, and the live app that the county allows.
//!
//! Owns the one app that runs, as a child process of its own group. Which programs there are stands in the configuration; a page
//! only names one by its id. When an exam begins, or another app is opened, the one that runs is ended.

use std::{
    process::Stdio,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    net::{TcpStream, lookup_host},
    process::{Child, Command},
    sync::{Semaphore, oneshot, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{LiveApp, LiveConfig},
    io::{link::BoardLink, sound::Mixer},
    shelf::{Beside, ExamState},
};

/// An app that ends badly within this was not opened.
const SETTLES: Duration = Duration::from_millis(1500);
/// So long it may take to end of itself.
const ENDS: Duration = Duration::from_secs(3);
/// A try of the line, and the looking up of a name.
const TRY: Duration = Duration::from_millis(1500);
const NAME: Duration = Duration::from_secs(3);
const BETWEEN: Duration = Duration::from_millis(100);

/// Loudspeaker and live apps; cheap to clone.
#[derive(Debug, Clone)]
pub struct ClassDoor(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    opened: OnceLock<(LiveConfig, Mixer)>,
    board: OnceLock<BoardLink>,
    running: Mutex<Option<Running>>,
    /// One check at a time: they are told apart from the line's other use.
    checking: Arc<Semaphore>,
}

#[derive(Debug)]
struct Running {
    app: String,
    stop: CancellationToken,
}

/// How the opening of an app went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// It runs, or handed itself over and ended well.
    Yes,
    /// It ran already.
    Already,
    /// It cannot be started, or ended badly at once; the log says why.
    No,
    /// An exam began.
    Exam,
}

impl Default for ClassDoor {
    fn default() -> Self {
        Self(Arc::new(Inner {
            opened: OnceLock::new(),
            board: OnceLock::new(),
            running: Mutex::default(),
            checking: Arc::new(Semaphore::new(1)),
        }))
    }
}

impl ClassDoor {
    /// With what the configuration says; a second call changes nothing.
    pub fn open(&self, live: LiveConfig, mixer: Mixer) {
        let _ = self.0.opened.set((live, mixer));
    }

    /// What may be opened.
    pub fn apps(&self) -> &[LiveApp] {
        self.0.opened.get().map_or(&[], |(live, _)| &live.apps)
    }

    /// The loudspeaker.
    pub fn mixer(&self) -> Option<&Mixer> {
        self.0.opened.get().map(|(_, mixer)| mixer)
    }

    /// The board's own controller, whose amplifier may be mute; a second call changes nothing.
    pub fn ask(&self, board: BoardLink) {
        let _ = self.0.board.set(board);
    }

    /// The board's own amplifier is known to be mute: nothing is heard, whatever the mixer says.
    pub fn amplifier_is_mute(&self) -> bool {
        let board = self.0.board.get();
        board.and_then(BoardLink::amplifier_muted) == Some(true)
    }

    /// The id of the app that runs.
    pub fn running(&self) -> Option<String> {
        let running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.as_ref().map(|running| running.app.clone())
    }

    /// A place for a check; only one is made at a time.
    pub fn turn(&self) -> Option<tokio::sync::OwnedSemaphorePermit> {
        Arc::clone(&self.0.checking).try_acquire_owned().ok()
    }

    /// Ends the app that runs; says whether one did.
    pub fn end(&self) -> bool {
        let running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.as_ref().is_some_and(|running| {
            running.stop.cancel();
            true
        })
    }

    /// Opens an app, unless an exam is on; `beside` tells when one begins.
    pub async fn launch(&self, app: &LiveApp, beside: watch::Receiver<Arc<Beside>>) -> Opened {
        if is_silent(&beside.borrow()) {
            return Opened::Exam;
        }
        if self.running().is_some_and(|running| running == app.id) {
            return Opened::Already;
        }
        self.end();
        let Some((program, arguments)) = app.command.split_first() else {
            return Opened::No;
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        let child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                tracing::error!(app = %app.id, %program, %error, "the live app cannot be started");
                return Opened::No;
            }
        };
        tracing::info!(app = %app.id, "opened the live app");
        let stop = CancellationToken::new();
        *self.0.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(Running {
            app: app.id.clone(),
            stop: stop.clone(),
        });
        let (tell, ended) = oneshot::channel();
        let door = self.clone();
        let kept = app.clone();
        tokio::spawn(async move {
            let well = watch_over(child, &kept, beside, &stop).await;
            door.forget(&stop);
            let _ = tell.send(well);
        });
        match timeout(SETTLES, ended).await {
            Ok(Ok(Some(true))) | Err(_) => Opened::Yes,
            Ok(Ok(None)) => Opened::Exam,
            Ok(Ok(Some(false)) | Err(_)) => Opened::No,
        }
    }

    fn forget(&self, stop: &CancellationToken) {
        // Cancelled here so that the entry of whoever came after it is not mistaken for this one.
        stop.cancel();
        let mut running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running
            .as_ref()
            .is_some_and(|running| running.stop.is_cancelled())
        {
            *running = None;
        }
    }
}

const fn is_silent(beside: &Beside) -> bool {
    matches!(beside.exam.state, ExamState::Silent | ExamState::Listening)
}

/// Until the app ends, is to end, or an exam begins. Whether it ended well by itself; `None` if it was ended.
async fn watch_over(
    mut child: Child,
    app: &LiveApp,
    mut beside: watch::Receiver<Arc<Beside>>,
    stop: &CancellationToken,
) -> Option<bool> {
    tokio::select! {
        done = child.wait() => {
            let well = done.is_ok_and(|status| status.success());
            if !well {
                tracing::warn!(app = %app.id, "the live app ended badly");
            }
            return Some(well);
        }
        () = stop.cancelled() => {}
        _ = beside.wait_for(|beside| is_silent(beside)) => {
            tracing::info!(app = %app.id, "an exam began: the live app is ended");
        }
    }
    end(&mut child, app).await;
    None
}

/// Asks the app to end, then sees to it.
async fn end(child: &mut Child, app: &LiveApp) {
    if let Some((program, arguments)) = app.end.as_ref().and_then(|end| end.split_first()) {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        match timeout(ENDS, command.output()).await {
            Ok(Ok(done)) if done.status.success() => {}
            _ => tracing::warn!(app = %app.id, %program, "the live app's own end failed"),
        }
    }
    let group = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw);
    for signal in [Signal::TERM, Signal::KILL] {
        if let Some(group) = group {
            let _ = kill_process_group(group, signal);
        }
        if timeout(ENDS, child.wait()).await.is_ok() && signal == Signal::KILL {
            return;
        }
    }
}

/// Connects `count` times to `host:port`, one after the other; how long each took in milliseconds, or that nobody answered.
pub async fn tries(address: &str, count: usize) -> Vec<Option<u32>> {
    let found = match timeout(NAME, lookup_host(address)).await {
        Ok(Ok(mut found)) => found.next(),
        _ => None,
    };
    let Some(found) = found else {
        return vec![None; count];
    };
    let mut took = Vec::with_capacity(count);
    for nth in 0..count {
        if nth > 0 {
            sleep(BETWEEN).await;
        }
        let began = Instant::now();
        let answered = matches!(timeout(TRY, TcpStream::connect(found)).await, Ok(Ok(_)));
        let ms = u32::try_from(began.elapsed().as_millis()).unwrap_or(u32::MAX);
        took.push(answered.then_some(ms));
    }
    took
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use agent_core::precheck::Needs;

    use super::*;

    fn app(id: &str, script: &str) -> LiveApp {
        LiveApp {
            id: id.to_owned(),
            name: id.to_owned(),
            command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            end: None,
            check: None,
            needs: Needs::default(),
        }
    }

    async fn until(what: &str, is: impl Fn() -> bool) {
        for _ in 0..200 {
            if is() {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("{what}");
    }

    fn lives(file: &Path) -> bool {
        let pid = std::fs::read_to_string(file).unwrap_or_default();
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        // One that nobody waits for is dead, too.
        !stat.is_empty() && !stat.contains(") Z ")
    }

    #[tokio::test]
    async fn an_app_runs_once_ends_when_told_and_with_it_what_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let (door, beside) = (ClassDoor::default(), watch::channel(Arc::<Beside>::default()));
        let child = dir.path().join("child");
        let meet = app(
            "meet",
            &format!("sleep 600 & echo $! > {}; wait", child.display()),
        );
        assert_eq!(door.launch(&meet, beside.1.clone()).await, Opened::Yes);
        assert_eq!(door.launch(&meet, beside.1.clone()).await, Opened::Already);
        assert_eq!(door.running().as_deref(), Some("meet"));
        until("it runs", || lives(&child)).await;
        // Another takes its place.
        assert_eq!(
            door.launch(&app("other", "sleep 600"), beside.1.clone()).await,
            Opened::Yes
        );
        until("the first is over", || !lives(&child)).await;
        assert_eq!(door.running().as_deref(), Some("other"));
        assert!(door.end());
        until("the second is over", || door.running().is_none()).await;
        assert!(!door.end());
    }

    #[tokio::test]
    async fn an_exam_ends_an_app_even_one_that_will_not_and_opens_none() {
        let dir = tempfile::tempdir().unwrap();
        let (door, (exam, beside)) = (ClassDoor::default(), watch::channel(Arc::<Beside>::default()));
        let pid = dir.path().join("pid");
        let stubborn = app(
            "x",
            &format!(
                "trap '' TERM; echo $$ > {}; while :; do sleep 1; done",
                pid.display()
            ),
        );
        assert_eq!(door.launch(&stubborn, beside.clone()).await, Opened::Yes);
        until("it runs", || lives(&pid)).await;
        let mut silent = Beside::default();
        silent.exam.state = ExamState::Silent;
        exam.send_replace(Arc::new(silent));
        until("it is over", || door.running().is_none() && !lives(&pid)).await;
        assert_eq!(door.launch(&stubborn, beside).await, Opened::Exam);
    }

    #[tokio::test]
    async fn what_cannot_be_started_or_ends_badly_was_not_opened() {
        let (door, beside) = (ClassDoor::default(), watch::channel(Arc::<Beside>::default()));
        let mut gone = app("gone", "");
        gone.command = vec!["/nowhere/app".to_owned()];
        assert_eq!(door.launch(&gone, beside.1.clone()).await, Opened::No);
        assert_eq!(
            door.launch(&app("bad", "exit 3"), beside.1.clone()).await,
            Opened::No
        );
        assert_eq!(
            door.launch(&app("handed-over", "exit 0"), beside.1.clone()).await,
            Opened::Yes
        );
        assert_eq!(door.running(), None);
    }

    #[tokio::test]
    async fn a_line_is_tried_and_one_without_anybody_is_told_so() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        assert!(tries(&address, 3).await.iter().all(Option::is_some));
        drop(listener);
        assert_eq!(tries(&address, 2).await, [None, None]);
        assert_eq!(tries("nobody.invalid:1", 2).await, [None, None]);
    }
}
