//! The board's own controller: what the timetable and the clock mean to it, and what its word is worth to us.

use std::{sync::Arc, time::Duration};

use agent_core::{
    Millis,
    board::{self, SchoolDay},
    clock::Reading,
    timetable::{Source, Timetable},
};
use contract::{event::BootReason, time::ClockTrust};
use jiff::{SignedDuration, Timestamp, civil::Date};
use tokio::time::Instant;

use super::agent::Agent;
use crate::{
    clock,
    config::Config,
    io::{
        board::{BoardControl, Row, system::SystemControl},
        link::{BoardLink, LinkControl, LinkOptions, Port, ScreenControl},
        sound::Mixer,
    },
};

/// How often to look whether the board should know something else.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// A board's clock that is off by more is set again.
const MOST_OFF: SignedDuration = SignedDuration::from_secs(2);
/// Days that are looked ahead: more than the board can hold windows.
const DAYS: i32 = 45;
/// So long the first event of a power-up waits for the controller's word.
const WAIT_FOR_WORD: Duration = Duration::from_secs(5);

/// What was told to the board.
pub(super) struct BoardDesk {
    link: BoardLink,
    look_at: Millis,
    /// The timetable and the day that its wake plan was made of, and how far that day was believed.
    planned: Option<(Arc<Timetable>, Date, ClockTrust)>,
    /// The time that it was told, when, and how far that was believed.
    told: Option<(Timestamp, Instant, ClockTrust)>,
    begun: Millis,
}

/// The door to the board controller, and everybody who can be told: a screen of its own line, the controller, the system.
/// `dark` where the screen was made so in this power-up.
pub(super) fn open(config: &Config, mixer: &Mixer, dark: bool) -> (BoardLink, Arc<dyn BoardControl>) {
    let system = SystemControl::new(config.control.clone(), mixer.clone(), config.probes_root.clone());
    let system: Arc<dyn BoardControl> = Arc::new(system);
    let board = &config.board;
    let link = BoardLink::start(LinkOptions {
        board: board.clone(),
        port: Port::of(board, config.link.at.as_ref(), config.link.baud),
        root: config.probes_root.clone(),
        system: Arc::clone(&system),
        dark,
    });
    let screen = ScreenControl::of(&board.screen).map(|screen| Arc::new(screen) as Arc<dyn BoardControl>);
    let controller = LinkControl::new(link.clone(), board.pins.relay.is_some(), &config.control);
    let controls = screen
        .into_iter()
        .chain([Arc::new(controller) as Arc<dyn BoardControl>, system]);
    (link, Arc::new(Row::new(controls.collect())))
}

impl BoardDesk {
    pub(super) const fn new(link: BoardLink, now: Millis) -> Self {
        Self {
            link,
            look_at: now,
            planned: None,
            told: None,
            begun: now,
        }
    }
    /// What time it is, if others say so too, and when it must be awake, by whatever time is known: a board whose own clock is
    /// all that it has is awake in the morning all the same.
    fn tell(&mut self, reading: &Reading, table: &Arc<Timetable>, lead_min: u8) {
        let Some(time) = reading.time else { return };
        if matches!(reading.trust, ClockTrust::Console | ClockTrust::Peers)
            && self.clock_is_off(time, reading.trust)
        {
            let at = Instant::now();
            self.told = Some((time, at, reading.trust));
            self.link.want(|wanted| wanted.time = Some((time, at)));
        }
        self.plan_waking(time, reading.trust, table, lead_min);
    }

    /// Whether the board must hear the time again: it was told another one, or by somebody less trusted, or its clock went wrong.
    fn clock_is_off(&self, time: Timestamp, trust: ClockTrust) -> bool {
        let off = |shown: Timestamp| time.duration_since(shown).abs() > MOST_OFF;
        let told = self.told.and_then(|(told, at, of)| {
            let passed = SignedDuration::try_from(at.elapsed()).ok()?;
            Some((told.checked_add(passed).ok()?, of))
        });
        let right = told.is_some_and(|(told, of)| of >= trust && !off(told));
        !right || self.link.clock().is_some_and(off)
    }

    fn plan_waking(&mut self, time: Timestamp, trust: ClockTrust, table: &Arc<Timetable>, lead_min: u8) {
        let today = table.local(time).date();
        let known = self.planned.as_ref();
        if known.is_some_and(|(of, day, by)| Arc::ptr_eq(of, table) && (*day, *by) == (today, trust)) {
            return;
        }
        if table.source() != Source::None {
            let plan = board::wake_plan(
                &school_days(table, today),
                usual_week(table),
                table.utc_offset_min(),
                lead_min,
                time,
            );
            tracing::debug!(windows = plan.windows.len(), "when the board must be awake");
            self.link.want(|wanted| wanted.plan = Some(plan));
        }
        self.planned = Some((Arc::clone(table), today, trust));
    }
}

impl Agent {
    /// The board hears that the loop lives, what time it is, and when it must be awake.
    pub(super) fn settle_board(&mut self, now: Millis) {
        self.board.link.alive();
        if now < self.board.look_at {
            return;
        }
        self.board.look_at = now + LOOK_EVERY;
        let reading = self.time.clock.read(clock::system(), now);
        let (table, lead_min) = (self.classroom.table(), self.config.board.wake_lead_min);
        self.board.tell(&reading, &table, lead_min);
    }

    /// The board's own sensor, °C.
    pub(super) fn board_temperature(&self) -> Option<f32> {
        self.board.link.temperature()
    }

    /// Whether the controller's word on this power-up may still come.
    pub(super) fn board_may_tell(&self, now: Millis) -> bool {
        let waits = now.since(self.board.begun) < WAIT_FOR_WORD;
        waits && !self.board.link.is_inside() && self.board.link.view().report.is_none()
    }

    /// The controller's word on why the board had been off.
    pub(super) fn boot_word(
        &self,
        ended: Option<agent_core::health::happenings::Ended>,
        now: Millis,
    ) -> Option<BootReason> {
        if self.board.link.is_inside() {
            return None;
        }
        board::boot_reason(&self.board.link.view().report?, now, ended)
    }
}

fn school_days(table: &Timetable, today: Date) -> Vec<SchoolDay> {
    let dates = (0..DAYS).filter_map(|days| today.checked_add(jiff::Span::new().days(days)).ok());
    dates
        .filter_map(|date| {
            let periods = table.day(date).periods;
            Some(SchoolDay {
                date,
                from_min: periods.iter().map(|period| period.from_min).min()?,
                to_min: periods.iter().map(|period| period.to_min).max()?,
            })
        })
        .collect()
}

/// First and last minute of each day of the week, in whichever weeks.
fn usual_week(table: &Timetable) -> [Option<(u16, u16)>; 7] {
    let mut week = [None; 7];
    for period in table.week() {
        let Some(day) = week.get_mut(usize::from(period.day).wrapping_sub(1)) else {
            continue;
        };
        let (from, to) = day.unwrap_or((period.from_min, period.to_min));
        *day = Some((from.min(period.from_min), to.max(period.to_min)));
    }
    week
}

#[cfg(test)]
mod tests {
    use agent_core::timetable::LocalTimetable;
    use board_link::{
        BoardDetails, ClockReport, ClockTrust as Believed, Energy, ImageSlot, LedMode, LightMode, ResetCause,
    };
    use contract::classroom::{Period, Weeks};

    use super::*;
    use crate::io::link::BoardView;

    const MONDAY: Timestamp = Timestamp::constant(1_795_392_000, 0);

    fn reading(trust: ClockTrust, time: Timestamp) -> Reading {
        Reading {
            trust,
            time: (trust != ClockTrust::None).then_some(time),
            floor: time,
        }
    }

    fn table() -> Arc<Timetable> {
        let periods = (1..=5).map(|day| Period {
            day,
            weeks: Weeks::All,
            number: 1,
            from_min: 480,
            to_min: 520,
            subject: "语文".into(),
        });
        let local = LocalTimetable {
            periods: periods.collect(),
            first_monday: None,
        };
        Arc::new(Timetable::new(None, Some(&local)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_board_that_knows_only_its_own_clock_is_awake_in_the_morning_and_sets_no_clock_by_it() {
        let (link, _view, wants) = BoardLink::held();
        let mut desk = BoardDesk::new(link, Millis(0));
        let table = table();
        desk.tell(&reading(ClockTrust::None, MONDAY), &table, 15);
        assert_eq!(wants.borrow().plan, None, "no time, no morning");
        desk.tell(&reading(ClockTrust::Rtc, MONDAY), &table, 15);
        let plan = wants.borrow().plan.clone().unwrap();
        assert!(!plan.windows.is_empty() && plan.weekly.is_some());
        assert_eq!(wants.borrow().time, None);
        desk.tell(&reading(ClockTrust::Peers, MONDAY), &table, 15);
        assert!(wants.borrow().time.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_was_wrong_by_hours_of_the_same_day_costs_no_morning() {
        let (link, _view, wants) = BoardLink::held();
        let mut desk = BoardDesk::new(link, Millis(0));
        let (table, evening) = (table(), MONDAY + SignedDuration::from_hours(12));
        let mut first = |trust, time| {
            desk.tell(&reading(trust, time), &table, 15);
            let wanted = wants.borrow();
            wanted.plan.as_ref().unwrap().windows.first().unwrap().from
        };
        let tuesday = first(ClockTrust::Rtc, evening);
        let monday = first(ClockTrust::Console, MONDAY);
        assert!(monday < tuesday, "{monday:?}, {tuesday:?}");
    }

    /// What a board shows whose clock is there.
    fn shows(time: Timestamp) -> BoardView {
        BoardView {
            details: Some(BoardDetails {
                starts: 1,
                reset_cause: ResetCause::PowerOn,
                rails_up: 0,
                rails_good: 0,
                ambient_lux: None,
                light: LightMode::Fixed,
                eye_care: None,
                meter: None,
                energy: Energy::default(),
                clock: ClockReport {
                    time: Some(board_link::UnixSeconds(time.as_second())),
                    trust: Believed::Set,
                },
                next_wake: None,
                button_presses: 0,
                led: LedMode::Auto,
                relays_closed: 0,
                newest_fault: 0,
                slot: ImageSlot::A,
                trial: false,
            }),
            details_at: Some(Instant::now()),
            ..BoardView::with_amplifier(false)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_boards_clock_is_set_again_when_it_is_off_or_the_time_is_known_better() {
        let (link, view, mut wants) = BoardLink::held();
        let mut desk = BoardDesk::new(link, Millis(0));
        let table = table();
        let after = |seconds: i64| MONDAY + SignedDuration::from_secs(seconds);
        let mut told = |trust, time: Timestamp| {
            desk.tell(&reading(trust, time), &table, 15);
            let news = wants.has_changed().unwrap();
            wants.mark_unchanged();
            news.then(|| wants.borrow().time.unwrap().0)
        };
        assert_eq!(told(ClockTrust::Peers, MONDAY), Some(MONDAY));
        assert_eq!(told(ClockTrust::Peers, after(1)), None, "peers differ a little");
        assert_eq!(
            told(ClockTrust::Console, after(1)),
            Some(after(1)),
            "better known"
        );
        assert_eq!(told(ClockTrust::Console, after(1)), None);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(told(ClockTrust::Console, after(61)), None, "it goes on by itself");
        assert_eq!(
            told(ClockTrust::Console, after(70)),
            Some(after(70)),
            "we were wrong"
        );
        assert_eq!(told(ClockTrust::Rtc, after(900)), None, "nobody else says so");

        tokio::time::advance(Duration::from_secs(60)).await;
        view.send_replace(shows(after(129)));
        assert_eq!(
            told(ClockTrust::Console, after(130)),
            None,
            "within what seconds can tell"
        );
        view.send_replace(shows(after(120)));
        assert_eq!(
            told(ClockTrust::Console, after(130)),
            Some(after(130)),
            "it lost ten seconds"
        );
        tokio::time::advance(Duration::from_secs(60)).await;
        view.send_replace(shows(after(200)));
        assert_eq!(
            told(ClockTrust::Console, after(190)),
            Some(after(190)),
            "it gained some"
        );
    }
}
