//! The board's own controller: what the timetable and the clock mean to it, and what its word is worth to us.

use std::{sync::Arc, time::Duration};

use agent_core::{
    Millis,
    board::{self, SchoolDay},
    timetable::{Source, Timetable},
};
use board_link::UnixSeconds;
use contract::{event::BootReason, time::ClockTrust};
use jiff::{Timestamp, civil::Date};

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
/// Days that are looked ahead: more than the board can hold windows.
const DAYS: i32 = 45;
/// So long the first event of a power-up waits for the controller's word.
const WAIT_FOR_WORD: Duration = Duration::from_secs(5);

/// What was told to the board.
pub(super) struct BoardDesk {
    link: BoardLink,
    look_at: Millis,
    /// The timetable and the day that its wake plan was made of.
    planned: Option<(Arc<Timetable>, Date)>,
    /// Whether it knows the time.
    told_time: bool,
    begun: Millis,
}

/// The door to the board controller, and everybody who can be told: a screen of its own line, the controller, the system.
pub(super) fn open(config: &Config, mixer: &Mixer) -> (BoardLink, Arc<dyn BoardControl>) {
    let system = SystemControl::new(config.control.clone(), mixer.clone(), config.probes_root.clone());
    let system: Arc<dyn BoardControl> = Arc::new(system);
    let board = &config.board;
    let link = BoardLink::start(LinkOptions {
        board: board.clone(),
        port: Port::of(board, config.link.at.as_ref(), config.link.baud),
        root: config.probes_root.clone(),
        system: Arc::clone(&system),
    });
    let screen = ScreenControl::of(&board.screen).map(|screen| Arc::new(screen) as Arc<dyn BoardControl>);
    let controller = LinkControl::new(link.clone(), board.pins.relay.is_some());
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
            told_time: false,
            begun: now,
        }
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
        let believed = matches!(reading.trust, ClockTrust::Console | ClockTrust::Peers);
        let Some(time) = reading.time.filter(|_| believed) else {
            return;
        };
        if !std::mem::replace(&mut self.board.told_time, true) {
            self.board.link.want(|wanted| {
                wanted.time = Some((UnixSeconds(time.as_second()), tokio::time::Instant::now()));
            });
        }
        self.plan_waking(time);
    }

    fn plan_waking(&mut self, time: Timestamp) {
        let table = self.classroom.table();
        let today = table.local(time).date();
        let known = self.board.planned.as_ref();
        if known.is_some_and(|(of, day)| Arc::ptr_eq(of, &table) && *day == today) {
            return;
        }
        if table.source() != Source::None {
            let lead = self.config.board.wake_lead_min;
            let plan = board::wake_plan(
                &school_days(&table, today),
                usual_week(&table),
                table.utc_offset_min(),
                lead,
                time,
            );
            tracing::debug!(windows = plan.windows.len(), "when the board must be awake");
            self.board.link.want(|wanted| wanted.plan = Some(plan));
        }
        self.board.planned = Some((table, today));
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
