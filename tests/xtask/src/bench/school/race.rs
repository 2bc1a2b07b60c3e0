//! One race: the content is at the console's place, the word is given, the clock stops when the last board has it.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use system_tests::netns::School;
use tokio::sync::mpsc;

use super::ping::{Echo, Ping, wall};
use crate::bench::process;

/// Says whether a board has the content; asked every [`ASK_EVERY`] on a thread in the board's namespace.
pub(crate) type Ready = Box<dyn FnMut() -> bool + Send>;

const ASK_EVERY: Duration = Duration::from_millis(20);
/// So often the line's counter is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// From the last board's being online until anything is counted.
const SETTLE: Duration = Duration::from_secs(5);
/// A board that was cut off comes back within this.
const OFF_MS: std::ops::Range<u64> = 500..3000;

/// Whoever fetches: our boards, or a peer's programs.
pub(crate) trait Fleet {
    fn who(&self) -> &'static str;
    /// Gives the word.
    async fn go(&mut self) -> Result<()>;
    /// Starts a board that was killed.
    fn start(&mut self, board: usize) -> Result<()>;
    /// As a power cut does.
    fn kill(&mut self, board: usize);
    /// Fails when a program ended by itself.
    fn check_alive(&mut self) -> Result<()>;
    /// The boards' programs that run now.
    fn pids(&mut self) -> Vec<u32>;
    fn ready(&self, board: usize) -> Ready;
    /// Whether a board's bytes are not the content's.
    fn wrong(&self, board: usize) -> Result<bool>;
}

/// What a race is run with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Course {
    pub(crate) content_bytes: u64,
    pub(crate) rate_kbps: u32,
    /// Seconds without a push before the word is given: in one half idle traffic is counted, in the other ping is taken.
    pub(crate) idle_s: u64,
    /// Boards in a hundred that lose power once.
    pub(crate) cycle_percent: u8,
    pub(crate) seed: u64,
}

impl Course {
    /// Content ÷ line rate, in seconds.
    pub(crate) fn ideal_s(&self) -> f64 {
        self.content_bytes as f64 * 8.0 / (f64::from(self.rate_kbps) * 1000.0)
    }
}

/// What came of it.
#[derive(Debug, Clone)]
pub(crate) struct Result1 {
    pub(crate) who: &'static str,
    /// From the word to the last board.
    pub(crate) seconds: f64,
    /// The first board.
    pub(crate) first_s: f64,
    /// When the line had carried one and 99 % of what it carried.
    pub(crate) filled_s: (f64, f64),
    /// Bytes on the line in that time.
    pub(crate) down_bytes: u64,
    pub(crate) up_bytes: u64,
    /// Bytes a second on the line, both ways, before the word.
    pub(crate) idle_bytes_s: f64,
    /// Bytes that the boards received, all together, from the line and from each other.
    pub(crate) received_bytes: u64,
    pub(crate) before: Echo,
    pub(crate) during: Echo,
    /// Largest resident set of a board's program.
    pub(crate) rss_mib: f64,
    /// Boards whose bytes were wrong at the end.
    pub(crate) wrong: usize,
}

pub(crate) async fn run(
    school: &School,
    fleet: &mut impl Fleet,
    course: Course,
    folder: &Path,
) -> Result<Result1> {
    // What follows an enrolment is no idling.
    tokio::time::sleep(SETTLE).await;
    let half = Duration::from_secs(course.idle_s) / 2;
    let before = school.line_bytes()?;
    tokio::time::sleep(half).await;
    let after = school.line_bytes()?;
    let idle = (after.sent + after.received) - (before.sent + before.received);
    let ping = Ping::start(&school.laptop, folder)?;
    let ping_from = wall();
    tokio::time::sleep(half).await;
    let wall_from = wall();
    let received = |school: &School| -> Result<u64> {
        school
            .boards
            .iter()
            .map(|ns| Ok(ns.bytes("eth0")?.received))
            .sum()
    };
    let received_before = received(school)?;

    let boards = school.boards.len();
    let watch = Watch::begin(school, fleet);
    let mut cuts = cuts(boards, course);
    for cut in &cuts {
        println!(
            "   {} board {} at {:.1} s",
            if cut.off { "off" } else { "on " },
            cut.board,
            cut.at.as_secs_f64()
        );
    }
    let start = Instant::now();
    let begun = school.line_bytes()?;
    fleet.go().await?;
    let mut ready: Vec<Option<Duration>> = vec![None; boards];
    let mut watch = watch;
    let mut look = tokio::time::interval(LOOK_EVERY);
    let mut carried = Vec::new();
    let limit = Duration::from_secs_f64(course.ideal_s() * boards as f64 * 1.6 + 60.0);
    while ready.iter().any(Option::is_none) {
        let next = cuts.first().map_or(limit, |cut| cut.at);
        tokio::select! {
            told = watch.told.recv() => match told {
                Some((board, at)) => ready[board] = Some(at - start),
                None => bail!("nobody watches the boards any more"),
            },
            () = tokio::time::sleep_until((start + next).into()), if !cuts.is_empty() => {
                let cut = cuts.remove(0);
                if cut.off { fleet.kill(cut.board) } else { fleet.start(cut.board)? }
            }
            _ = look.tick() => {
                fleet.check_alive()?;
                carried.push((start.elapsed().as_secs_f64(), school.line_bytes()?.sent - begun.sent));
                if start.elapsed() > limit {
                    let late: Vec<_> = (0..boards).filter(|b| ready[*b].is_none()).collect();
                    bail!("{}: not ready after {} s: boards {late:?}", fleet.who(), limit.as_secs());
                }
            }
        }
    }
    let end = school.line_bytes()?;
    let wall_to = wall();
    let received_bytes = received(school)? - received_before;
    let pids = fleet.pids();
    let rss_mib = pids
        .iter()
        .filter_map(|pid| process::status_kib(*pid, "VmHWM:").ok())
        .fold(0.0, f64::max)
        / 1024.0;
    let mut wrong = 0;
    for board in 0..boards {
        wrong += usize::from(fleet.wrong(board)?);
    }
    let all = end.sent - begun.sent;
    let reached = |percent: u64| {
        let at = carried.iter().find(|(_, sent)| *sent * 100 >= all * percent);
        at.map_or(f64::NAN, |(s, _)| *s)
    };
    let times = || ready.iter().flatten().map(Duration::as_secs_f64);
    Ok(Result1 {
        who: fleet.who(),
        seconds: times().fold(0.0, f64::max),
        first_s: times().fold(f64::INFINITY, f64::min),
        filled_s: (reached(1), reached(99)),
        down_bytes: all,
        up_bytes: end.received - begun.received,
        idle_bytes_s: idle as f64 / half.as_secs_f64(),
        received_bytes,
        before: ping.between(ping_from, wall_from)?,
        during: ping.between(wall_from, wall_to)?,
        rss_mib,
        wrong,
    })
}

/// The threads that look at the boards; they end with it.
struct Watch {
    told: mpsc::UnboundedReceiver<(usize, Instant)>,
    ended: Arc<AtomicBool>,
}

impl Watch {
    fn begin(school: &School, fleet: &impl Fleet) -> Self {
        let (tell, told) = mpsc::unbounded_channel();
        let ended = Arc::new(AtomicBool::new(false));
        for (board, netns) in school.boards.iter().enumerate() {
            let (mut ready, netns) = (fleet.ready(board), netns.clone());
            let (tell, ended) = (tell.clone(), Arc::clone(&ended));
            std::thread::spawn(move || {
                if netns.enter().is_err() {
                    return;
                }
                while !ended.load(Ordering::Relaxed) {
                    if ready() {
                        let _ = tell.send((board, Instant::now()));
                        return;
                    }
                    std::thread::sleep(ASK_EVERY);
                }
            });
        }
        Self { told, ended }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

#[derive(Debug, Clone, Copy)]
struct Cut {
    at: Duration,
    board: usize,
    off: bool,
}

/// Who loses power when, and when it comes back; in order.
fn cuts(boards: usize, course: Course) -> Vec<Cut> {
    let many = (boards * usize::from(course.cycle_percent)).div_ceil(100);
    let mut random = Random(course.seed);
    let mut order: Vec<usize> = (0..boards).collect();
    for n in (1..boards).rev() {
        order.swap(n, random.below(n as u64 + 1) as usize);
    }
    let mut cuts = Vec::new();
    let ideal_ms = (course.ideal_s() * 1000.0) as u64;
    for board in order.into_iter().take(many) {
        // Not in the first and the last tenth, where there is nothing to lose yet or any more.
        let off = ideal_ms / 10 + random.below(ideal_ms * 8 / 10 + 1);
        let on = off + OFF_MS.start + random.below(OFF_MS.end - OFF_MS.start);
        cuts.push(Cut {
            at: Duration::from_millis(off),
            board,
            off: true,
        });
        cuts.push(Cut {
            at: Duration::from_millis(on),
            board,
            off: false,
        });
    }
    cuts.sort_by_key(|cut| cut.at);
    cuts
}

/// SplitMix64: the same order for the same seed, everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }
}

/// Removes a folder and does not mind if it is not there.
pub(crate) fn clear(folder: &Path) {
    let _ = fs::remove_dir_all(folder);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_boards_as_said_lose_power_once_and_get_it_back() {
        let course = Course {
            content_bytes: 40_000_000,
            rate_kbps: 20_000,
            idle_s: 0,
            cycle_percent: 30,
            seed: 7,
        };
        let cuts = cuts(8, course);
        assert_eq!(cuts.len(), 6);
        assert!(cuts.windows(2).all(|two| two[0].at <= two[1].at));
        for board in 0..8 {
            let own: Vec<bool> = cuts.iter().filter(|c| c.board == board).map(|c| c.off).collect();
            assert!(own.is_empty() || own == [true, false], "{board}: {own:?}");
        }
        assert!((course.ideal_s() - 16.0).abs() < 1e-9);
    }
}
