//! The house clock: what time it is for whatever is signed or issued, and whether the machine's clock can be believed.
//!
//! A console that wakes up in 1970 or 2099 would sign times that devices take for a floor, and issue certificates that are dead
//! or immortal. So the wall clock is held against the one that counts since the boot while running, and against the last noted time at the
//! start. A doubtful clock stops signing; devices are served on, by the time that went on from the last believable moment.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};

use crate::error::{ApiError, Code};

/// A jump of the wall clock against the monotonic one that is not believed.
const JUMP: SignedDuration = SignedDuration::from_hours(24);
/// At the start the clock may be this much behind the last noted time…
const BEHIND: SignedDuration = SignedDuration::from_hours(1);
/// …and this much ahead of it: a console may be off for a year.
const AHEAD: SignedDuration = SignedDuration::from_hours(400 * 24);
/// 2026-01-01T00:00:00Z; this program is younger.
const BUILT_AFTER: Timestamp = Timestamp::constant(1_767_225_600, 0);

type Wall = dyn Fn() -> Timestamp + Send + Sync;
type Steady = dyn Fn() -> Duration + Send + Sync;

/// The clock; cheap to clone, all clones are one.
#[derive(Clone)]
pub struct HouseClock(Arc<Inner>);

struct Inner {
    wall: Box<Wall>,
    steady: Box<Steady>,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    /// A believed moment…
    at: Timestamp,
    /// …and the monotonic clock then.
    steady: Duration,
    /// Not believed since the start: `at` is only the last that is known, so the rule of the start goes on.
    starting: bool,
}

/// Why the clock is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the console's clock says {wall}, but it should be about {believed}; set the machine's clock (NTP), or confirm it with: bbt-console clock accept"
)]
pub struct Doubt {
    /// What the machine says.
    pub wall: Timestamp,
    /// What it should say: the last believable time, gone on since.
    pub believed: Timestamp,
}

impl From<Doubt> for ApiError {
    fn from(doubt: Doubt) -> Self {
        Self::new(Code::ClockDoubtful).detail(doubt)
    }
}

impl fmt::Debug for HouseClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HouseClock")
            .field("doubt", &self.doubt())
            .finish()
    }
}

impl HouseClock {
    /// The machine's clock; `last` is the last time that was noted in the data folder.
    pub fn system(last: Option<Timestamp>) -> Self {
        Self::handed(Timestamp::now, since_boot, last)
    }

    /// A clock that is handed in.
    pub fn handed(
        wall: impl Fn() -> Timestamp + Send + Sync + 'static,
        steady: impl Fn() -> Duration + Send + Sync + 'static,
        last: Option<Timestamp>,
    ) -> Self {
        let (now, elapsed) = (wall(), steady());
        let doubt = judge_start(now, last);
        let state = State {
            at: doubt.map_or(now, |doubt| doubt.believed),
            steady: elapsed,
            starting: doubt.is_some(),
        };
        Self(Arc::new(Inner {
            wall: Box::new(wall),
            steady: Box::new(steady),
            state: Mutex::new(state),
        }))
    }

    /// The best that is known: the wall clock, or while that is doubtful, the last believable moment gone on. Good for looking
    /// whether something ran out; never for signing.
    pub fn now(&self) -> Timestamp {
        match self.look() {
            (wall, None) => wall,
            (_, Some(doubt)) => doubt.believed,
        }
    }

    /// The time for something signed or issued.
    ///
    /// # Errors
    /// The clock is doubtful.
    pub fn sign(&self) -> Result<Timestamp, Doubt> {
        match self.look() {
            (wall, None) => Ok(wall),
            (_, Some(doubt)) => Err(doubt),
        }
    }

    /// Why the clock is not believed, if it is not.
    pub fn doubt(&self) -> Option<Doubt> {
        self.look().1
    }

    /// An operator says that the machine's clock is right.
    pub fn accept(&self) {
        let mut state = self.state();
        *state = State {
            at: (self.0.wall)(),
            steady: (self.0.steady)(),
            starting: false,
        };
    }

    /// Takes the wall clock for the moment to go on from, if it is believed: so small corrections (NTP) do not add up to a jump
    /// over the years. Answers it.
    pub fn note(&self) -> Option<Timestamp> {
        let (wall, None) = self.look() else { return None };
        let mut state = self.state();
        state.at = wall;
        state.steady = (self.0.steady)();
        Some(wall)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self) -> (Timestamp, Option<Doubt>) {
        let mut state = self.state();
        let (wall, steady) = ((self.0.wall)(), (self.0.steady)());
        let gone =
            SignedDuration::try_from(steady.saturating_sub(state.steady)).unwrap_or(SignedDuration::MAX);
        let believed = state.at.checked_add(gone).unwrap_or(Timestamp::MAX);
        let doubt = Doubt { wall, believed };
        if state.starting {
            // The machine's clock was set after the start, as it is where NTP comes late.
            if judge_start(wall, Some(believed)).is_none() {
                *state = State {
                    at: wall,
                    steady,
                    starting: false,
                };
                return (wall, None);
            }
            return (wall, Some(doubt));
        }
        let jumped = wall.duration_since(believed).abs() >= JUMP;
        (wall, jumped.then_some(doubt))
    }
}

/// Time since the machine's start, suspended or not: what was slept through is no jump of the wall clock. (`Instant` stands
/// still in suspend.)
fn since_boot() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default()
}

/// What is wrong with a clock that says `now`, when `last` was noted by an earlier run.
fn judge_start(now: Timestamp, last: Option<Timestamp>) -> Option<Doubt> {
    let doubt = |believed| Some(Doubt { wall: now, believed });
    match last {
        None if now < BUILT_AFTER => doubt(BUILT_AFTER),
        None => None,
        Some(last) => {
            let off = now.duration_since(last);
            if off < -BEHIND || off > AHEAD {
                doubt(last)
            } else {
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

    const DAY: i64 = 86_400;

    /// Wall and monotonic seconds, set by hand.
    #[derive(Clone, Default)]
    struct Hands(Arc<(AtomicI64, AtomicU64)>);

    impl Hands {
        fn clock(&self, last: Option<i64>) -> HouseClock {
            let (wall, steady) = (self.clone(), self.clone());
            HouseClock::handed(
                move || at(wall.0.0.load(Ordering::SeqCst)),
                move || Duration::from_secs(steady.0.1.load(Ordering::SeqCst)),
                last.map(at),
            )
        }

        fn wall(&self, seconds: i64) {
            self.0.0.store(seconds, Ordering::SeqCst);
        }

        fn pass(&self, seconds: i64) {
            self.0.0.fetch_add(seconds, Ordering::SeqCst);
            self.0.1.fetch_add(seconds.unsigned_abs(), Ordering::SeqCst);
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    const NOW: i64 = 1_795_000_000;

    #[test]
    fn a_start_is_held_against_the_last_noted_time() {
        let starts = |wall: i64, last: Option<i64>| {
            let hands = Hands::default();
            hands.wall(wall);
            hands.clock(last).sign().is_ok()
        };
        assert!(starts(NOW, None), "a first start");
        assert!(!starts(0, None), "1970");
        assert!(!starts(1_357_000_000, None), "2013");
        assert!(starts(NOW, Some(NOW - 399 * DAY)));
        assert!(!starts(NOW, Some(NOW - 401 * DAY)));
        assert!(starts(NOW, Some(NOW + 3599)));
        assert!(!starts(NOW, Some(NOW + 3601)));
    }

    #[test]
    fn a_jump_stops_signing_and_time_goes_on_and_coming_back_heals() {
        let hands = Hands::default();
        hands.wall(NOW);
        let clock = hands.clock(None);
        hands.pass(100 * DAY);
        assert_eq!(
            clock.sign().unwrap(),
            at(NOW + 100 * DAY),
            "time that passed is no jump"
        );
        hands.wall(4_070_908_800);
        assert!(clock.sign().is_err() && clock.note().is_none());
        hands.pass(DAY);
        assert_eq!(clock.now(), at(NOW + 101 * DAY));
        assert_eq!(clock.doubt().unwrap().believed, at(NOW + 101 * DAY));
        hands.wall(NOW + 101 * DAY + 60);
        assert_eq!(clock.sign().unwrap(), at(NOW + 101 * DAY + 60));
        hands.wall(NOW);
        assert!(clock.sign().is_err(), "back is a jump, too");
    }

    #[test]
    fn what_was_slept_through_is_no_jump() {
        // The kernel's own word for the clock that goes on in suspend.
        let uptime = || -> f64 {
            let text = std::fs::read_to_string("/proc/uptime").unwrap();
            text.split(' ').next().unwrap().parse().unwrap()
        };
        let (before, now, after) = (uptime(), since_boot().as_secs_f64(), uptime());
        assert!(
            before - 0.1 <= now && now <= after + 0.1,
            "{before} {now} {after}"
        );
        let hands = Hands::default();
        hands.wall(NOW);
        let clock = hands.clock(None);
        // Two nights in a cupboard: the wall clock and the boot's went on together.
        hands.pass(2 * DAY);
        assert_eq!(clock.sign().unwrap(), at(NOW + 2 * DAY));
        // A clock that stood still in suspend would have taken this for a jump, and rightly does here.
        hands.wall(NOW + 4 * DAY);
        assert!(clock.sign().is_err());
    }

    #[test]
    fn an_operators_word_heals() {
        let hands = Hands::default();
        hands.wall(0);
        let clock = hands.clock(None);
        assert!(clock.sign().is_err());
        hands.wall(NOW + 300 * DAY);
        assert!(clock.clone().sign().is_err());
        clock.accept();
        assert_eq!(clock.clone().sign().unwrap(), at(NOW + 300 * DAY));
    }

    #[test]
    fn a_clock_that_is_set_after_the_start_is_believed_by_itself() {
        let hands = Hands::default();
        let clock = hands.clock(Some(NOW));
        assert_eq!(clock.doubt().map(|d| d.believed), Some(at(NOW)));
        hands.pass(60);
        hands.wall(NOW + 3 * DAY);
        assert_eq!(clock.sign().unwrap(), at(NOW + 3 * DAY));
    }

    #[test]
    fn small_corrections_do_not_add_up() {
        let hands = Hands::default();
        hands.wall(NOW);
        let clock = hands.clock(None);
        for _ in 0..20 {
            hands.wall(hands.0.0.load(Ordering::SeqCst) + DAY / 4);
            assert!(clock.note().is_some());
        }
    }
}
