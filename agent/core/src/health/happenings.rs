//! What probes see, turned into events: comings and goings, steps of the clock, why the board had been off.
//!
//! A plug with a bad contact or a program that restarts itself must not fill the outbox: of each kind there are so many an
//! hour, and what is more is only counted.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    mem::Discriminant,
    time::Duration,
};

use contract::{
    event::{AppAction, BootReason, EventKind, MAX_EVENT_TEXT, ReasonSource, UsbAction},
    health::SamplingPlan,
    id::BootId,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::time::Millis;

/// Events of one kind in an hour.
const MOST_AN_HOUR: usize = 60;
const HOUR: Duration = Duration::from_secs(3600);
/// A smaller step of the clock is none.
const SMALLEST_STEP_MS: i64 = 2000;
/// USB-IF base class of hubs: every board has some inside.
const HUB: u8 = 9;
/// So many things of a kind are looked at.
const MOST_THINGS: usize = 256;

/// A USB device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsbDevice {
    /// Vendor and product, `0781:5581`.
    pub ids: String,
    /// Its interface classes.
    pub classes: Vec<u8>,
}

/// What there is at a moment; `None` is what cannot be seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sight {
    /// USB devices by their place on the bus.
    pub usb: Option<BTreeMap<String, UsbDevice>>,
    /// Executables that show or play something.
    pub apps: Option<BTreeSet<String>>,
    /// Carrier on any port.
    pub link: Option<bool>,
    /// The file system of the lessons takes no writes.
    pub read_only: Option<bool>,
}

/// The clock at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// What the machine's says, in ms.
    pub system_ms: i64,
    /// Who sets the machine's, as far as anybody knows.
    pub set_by: &'static str,
    /// What the agent takes for the time and on whose word, if that is the console or other boards.
    pub told: Option<(i64, &'static str)>,
}

/// Remembers the last sight.
#[derive(Debug, Default)]
pub struct Happenings {
    last: Sight,
    looked: bool,
    system_offset: Option<i64>,
    told_offset: Option<i64>,
    recent: BTreeMap<u64, VecDeque<Millis>>,
    errors: BTreeMap<(String, String), u32>,
}

impl Happenings {
    /// What changed since the last sight. The first one only tells what should not be there at all.
    pub fn see(
        &mut self,
        sight: Sight,
        plan: Option<&SamplingPlan>,
        console_s: Option<u64>,
    ) -> Vec<EventKind> {
        let mut events = Vec::new();
        let first = !std::mem::replace(&mut self.looked, true);
        let classes = plan.map(|plan| plan.usb_classes.as_slice()).unwrap_or_default();
        let apps = plan.map(|plan| plan.apps.as_slice()).unwrap_or_default();
        if let Some(usb) = &sight.usb {
            let before = self.last.usb.take().unwrap_or_default();
            let told = |action, device: &UsbDevice| EventKind::Usb {
                action,
                ids: short(&device.ids),
                classes: device.classes.clone(),
                unlisted: !classes.is_empty() && device.classes.iter().any(|class| !classes.contains(class)),
            };
            let shown = |device: &&UsbDevice| device.classes.iter().any(|class| *class != HUB);
            let gone = before
                .iter()
                .filter(|(place, device)| usb.get(*place) != Some(device));
            events.extend(
                gone.map(|(_, d)| d)
                    .filter(shown)
                    .map(|d| told(UsbAction::Detached, d)),
            );
            let come = usb
                .iter()
                .filter(|(place, device)| before.get(*place) != Some(device));
            let come = come
                .map(|(_, d)| d)
                .filter(shown)
                .map(|d| told(UsbAction::Attached, d));
            events.extend(
                come.filter(|event| !first || is_unlisted(event))
                    .take(MOST_THINGS),
            );
        }
        if let Some(now) = &sight.apps {
            let before = self.last.apps.take().unwrap_or_default();
            let told = |action, app: &String| EventKind::App {
                action,
                app: short(app),
                unlisted: !apps.is_empty() && !apps.contains(app),
            };
            events.extend(before.difference(now).map(|app| told(AppAction::Ended, app)));
            let come = now.difference(&before).map(|app| told(AppAction::Started, app));
            events.extend(
                come.filter(|event| !first || is_unlisted(event))
                    .take(MOST_THINGS),
            );
        }
        if let Some(up) = sight.link
            && self.last.link.map_or(!up, |before| before != up)
        {
            events.push(EventKind::Link { up, console_s });
        }
        if sight.read_only == Some(true) && self.last.read_only != Some(true) {
            events.push(EventKind::Storage {
                what: contract::event::StorageFault::ReadOnly,
                detail: "the file system of the lessons takes no writes".to_owned(),
            });
        }
        // What cannot be seen for a moment is as it was.
        self.last = Sight {
            usb: sight.usb.or(self.last.usb.take()),
            apps: sight.apps.or(self.last.apps.take()),
            link: sight.link.or(self.last.link),
            read_only: sight.read_only.or(self.last.read_only),
        };
        events
    }

    /// Whether the clock was set since the last look.
    pub fn clock(&mut self, clocks: Clocks, now: Millis) -> Option<EventKind> {
        let up = i64::try_from(now.0).unwrap_or(i64::MAX);
        let step = |before: &mut Option<i64>, time_ms: i64| {
            let offset = time_ms.saturating_sub(up);
            let before = before.replace(offset)?;
            let step_ms = offset.saturating_sub(before);
            (step_ms.saturating_abs() > SMALLEST_STEP_MS).then_some(step_ms)
        };
        let system = step(&mut self.system_offset, clocks.system_ms);
        let told = clocks
            .told
            .and_then(|(ms, by)| Some((step(&mut self.told_offset, ms)?, by)));
        let (step_ms, by) = told.or(system.map(|step_ms| (step_ms, clocks.set_by)))?;
        Some(EventKind::ClockStep {
            step_ms,
            by: by.to_owned(),
        })
    }

    /// The player could not show something; says how often so far.
    pub fn player_error(&mut self, lesson: Option<&str>, code: &str) -> u32 {
        let key = (lesson.unwrap_or_default().to_owned(), short(code));
        if self.errors.len() >= MOST_THINGS && !self.errors.contains_key(&key) {
            self.errors.clear();
        }
        let count = self.errors.entry(key).or_default();
        *count = count.saturating_add(1);
        *count
    }

    /// Whether one more of this kind may be told now.
    pub fn may_tell(&mut self, what: &EventKind, now: Millis) -> bool {
        let recent = self.recent.entry(kind_of(what)).or_default();
        while recent.front().is_some_and(|at| now.since(*at) >= HOUR) {
            recent.pop_front();
        }
        let may = recent.len() < MOST_AN_HOUR;
        if may {
            recent.push_back(now);
        }
        may
    }
}

fn is_unlisted(event: &EventKind) -> bool {
    matches!(
        event,
        EventKind::Usb { unlisted: true, .. } | EventKind::App { unlisted: true, .. }
    )
}

fn kind_of(what: &EventKind) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    let kind: Discriminant<EventKind> = std::mem::discriminant(what);
    kind.hash(&mut hasher);
    hasher.finish()
}

/// Cut to what an event may carry, control characters left out.
pub fn short(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(MAX_EVENT_TEXT)
        .collect()
}

/// What the agent noted down of the power-up before, or of this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AliveNote {
    /// Which power-up.
    pub boot_id: BootId,
    /// How it ended, as far as the agent knew.
    pub ended: Ended,
    /// The last trusted time in it.
    pub wall_time: Option<Timestamp>,
    /// Bytes left of the line's budget; less than nothing is owed.
    #[serde(default)]
    pub budget: Option<i64>,
}

/// How a power-up ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// It goes on, or it ended without a word.
    #[default]
    Not,
    /// The system was being shut down.
    Shutdown,
    /// The system was being restarted.
    Restart,
    /// The agent was told to end, nobody said why.
    Agent,
}

/// What is known of why the board had been off.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BootFacts {
    /// The board controller's word.
    pub controller: Option<BootReason>,
    /// The kernel kept the record of a crash.
    pub crash_record: bool,
    /// The watchdog's boot status (`WDIOF_…` flags of linux/watchdog.h).
    pub watchdog: Option<u32>,
    /// The note of the power-up before.
    pub note: Option<AliveNote>,
}

const OVERHEAT: u32 = 0x01;
const POWER_UNDER: u32 = 0x10;
const CARD_RESET: u32 = 0x20;

/// Why the board had been off, and who says so. The nearest witness counts.
pub fn boot_reason(facts: &BootFacts) -> (BootReason, ReasonSource) {
    if let Some(reason) = facts.controller.filter(|reason| *reason != BootReason::Unknown) {
        return (reason, ReasonSource::BoardController);
    }
    if facts.crash_record {
        return (BootReason::Crash, ReasonSource::Kernel);
    }
    let flags = facts.watchdog.unwrap_or(0);
    for (flag, reason) in [
        (OVERHEAT, BootReason::Thermal),
        (CARD_RESET, BootReason::Watchdog),
        (POWER_UNDER, BootReason::PowerLoss),
    ] {
        if flags & flag != 0 {
            return (reason, ReasonSource::Kernel);
        }
    }
    let reason = match facts.note.as_ref().map(|note| note.ended) {
        Some(Ended::Not) => BootReason::PowerLoss,
        Some(Ended::Shutdown) => BootReason::Shutdown,
        Some(Ended::Restart) => BootReason::Restart,
        Some(Ended::Agent) | None => BootReason::Unknown,
    };
    (reason, ReasonSource::Agent)
}

/// Seconds that the board was off: from the last trusted time before to this power-up's beginning.
pub fn off_s(note: Option<&AliveNote>, wall_time: Option<Timestamp>, uptime: Millis) -> Option<u64> {
    let before = note?.wall_time?.as_millisecond();
    let began = wall_time?
        .as_millisecond()
        .checked_sub(i64::try_from(uptime.0).ok()?)?;
    u64::try_from(began.checked_sub(before)? / 1000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usb(place: &str, ids: &str, classes: &[u8]) -> (String, UsbDevice) {
        let device = UsbDevice {
            ids: ids.to_owned(),
            classes: classes.to_vec(),
        };
        (place.to_owned(), device)
    }

    fn sight(devices: Vec<(String, UsbDevice)>, apps: &[&str], link: bool) -> Sight {
        Sight {
            usb: Some(devices.into_iter().collect()),
            apps: Some(apps.iter().map(|app| (*app).to_owned()).collect()),
            link: Some(link),
            read_only: Some(false),
        }
    }

    #[test]
    fn comings_and_goings_are_told_once_and_hubs_never() {
        let mut seen = Happenings::default();
        let hub = usb("1-0", "1d6b:0002", &[9]);
        let stick = usb("1-1", "0781:5581", &[8]);
        assert_eq!(
            seen.see(sight(vec![hub.clone()], &["kiosk"], true), None, None),
            []
        );
        let events = seen.see(
            sight(vec![hub.clone(), stick.clone()], &["kiosk", "game"], true),
            None,
            None,
        );
        assert_eq!(events.len(), 2, "{events:?}");
        assert!(matches!(
            &events[0],
            EventKind::Usb {
                action: UsbAction::Attached,
                unlisted: false,
                ..
            }
        ));
        assert!(
            matches!(&events[1], EventKind::App { action: AppAction::Started, app, .. } if app == "game")
        );
        // The stick is pulled and another one plugged into the same place.
        let other = usb("1-1", "dead:beef", &[3, 8]);
        let events = seen.see(
            sight(vec![hub.clone(), other], &["kiosk", "game"], true),
            None,
            None,
        );
        assert_eq!(events.len(), 2, "{events:?}");
        assert_eq!(
            seen.see(Sight::default(), None, None),
            [],
            "what is not seen has not gone"
        );
        let events = seen.see(sight(vec![hub], &["kiosk"], false), None, Some(7));
        assert_eq!(events.len(), 3, "{events:?}");
        assert_eq!(
            events[2],
            EventKind::Link {
                up: false,
                console_s: Some(7)
            }
        );
    }

    #[test]
    fn what_should_not_be_there_is_told_though_it_was_there_first() {
        let plan = SamplingPlan {
            apps: vec!["kiosk".to_owned()],
            usb_classes: vec![8],
            ..SamplingPlan::default()
        };
        let mut seen = Happenings::default();
        let devices = vec![usb("1-1", "a:b", &[8]), usb("1-2", "c:d", &[3])];
        let events = seen.see(sight(devices, &["kiosk", "game"], true), Some(&plan), None);
        assert_eq!(events.len(), 2, "{events:?}");
        assert!(events.iter().all(is_unlisted));
    }

    #[test]
    fn a_step_of_the_clock_is_told_with_who_set_it() {
        let mut seen = Happenings::default();
        let clocks = |system_ms, told| Clocks {
            system_ms,
            set_by: "ntp",
            told,
        };
        assert_eq!(seen.clock(clocks(0, None), Millis(1000)), None);
        assert_eq!(
            seen.clock(clocks(61_500, None), Millis(61_000)),
            None,
            "it drifts"
        );
        let step = seen.clock(clocks(1_700_000_000_000, None), Millis(121_000));
        assert!(
            matches!(step, Some(EventKind::ClockStep { step_ms, by }) if by == "ntp" && step_ms > 1_000_000)
        );
        assert_eq!(
            seen.clock(
                clocks(1_700_000_001_000, Some((5000, "console"))),
                Millis(122_000)
            ),
            None
        );
        let step = seen.clock(
            clocks(1_700_000_002_000, Some((16_000, "console"))),
            Millis(123_000),
        );
        let expected = EventKind::ClockStep {
            step_ms: 10_000,
            by: "console".to_owned(),
        };
        assert_eq!(step, Some(expected));
    }

    #[test]
    fn a_flood_is_cut_by_kind() {
        let mut seen = Happenings::default();
        let up = EventKind::Link {
            up: true,
            console_s: None,
        };
        let told = (0..1000).filter(|s| seen.may_tell(&up, Millis(s * 1000))).count();
        assert_eq!(told, MOST_AN_HOUR);
        assert!(seen.may_tell(&EventKind::Other, Millis(999_000)));
        assert!(seen.may_tell(&up, Millis(3_600_000)));
        assert_eq!(
            (1..=3)
                .map(|_| seen.player_error(Some("l"), "E"))
                .collect::<Vec<_>>(),
            [1, 2, 3]
        );
    }

    #[test]
    fn the_nearest_witness_says_why_it_was_off() {
        let note = |ended| AliveNote {
            boot_id: BootId::new("b").unwrap(),
            ended,
            wall_time: "2026-11-23T08:00:00Z".parse().ok(),
            budget: None,
        };
        let facts = |ended| BootFacts {
            note: Some(note(ended)),
            ..BootFacts::default()
        };
        for (ended, reason) in [
            (Ended::Not, BootReason::PowerLoss),
            (Ended::Shutdown, BootReason::Shutdown),
            (Ended::Restart, BootReason::Restart),
            (Ended::Agent, BootReason::Unknown),
        ] {
            assert_eq!(boot_reason(&facts(ended)), (reason, ReasonSource::Agent));
        }
        assert_eq!(boot_reason(&BootFacts::default()).0, BootReason::Unknown);
        let bitten = BootFacts {
            watchdog: Some(CARD_RESET),
            ..facts(Ended::Not)
        };
        assert_eq!(boot_reason(&bitten), (BootReason::Watchdog, ReasonSource::Kernel));
        let crashed = BootFacts {
            crash_record: true,
            ..bitten
        };
        assert_eq!(boot_reason(&crashed), (BootReason::Crash, ReasonSource::Kernel));
        let told = BootFacts {
            controller: Some(BootReason::Thermal),
            ..crashed
        };
        assert_eq!(
            boot_reason(&told),
            (BootReason::Thermal, ReasonSource::BoardController)
        );

        let wall = "2026-11-23T08:10:00Z".parse().ok();
        assert_eq!(off_s(Some(&note(Ended::Not)), wall, Millis(60_000)), Some(540));
        assert_eq!(off_s(Some(&note(Ended::Not)), None, Millis(0)), None);
        assert_eq!(
            off_s(Some(&note(Ended::Not)), wall, Millis(3_600_000)),
            None,
            "they contradict each other"
        );
    }
}
