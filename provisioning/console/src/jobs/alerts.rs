//! Looks at boards against the rules, puts what is raised together, and follows what becomes of it. What is decided is in
//! [`crate::domain::alerts`]; here are only the rounds.

mod follow;

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{
    api::{
        alerts::{Condition, RuleBody, Schedule},
        incidents::IncidentKind,
        lines::Hours,
    },
    app::{AppState, Noun},
    db::{
        DbResult,
        alerts::{
            Book,
            facts::{BoardRow, Happened, OpenAlert, Readings},
        },
        incidents::work::{Found, Lost, NewAlert},
    },
    domain::{
        alerts::{
            CONNECTIVITY, Rules,
            engine::{self, Change, Presence, STALE, Seen, TOGETHER, Track},
            group::{self, Place, Raised},
            metrics, topic,
        },
        line::UTC_OFFSET_MIN,
    },
};

const EVERY: Duration = Duration::from_secs(15);
/// People are told of boards that are not there when it has shown how far it reaches.
const SETTLE: SignedDuration = SignedDuration::from_mins(2);
/// The same for all else: two rules that go together should be one message.
const SETTLE_OTHERS: SignedDuration = SignedDuration::from_secs(30);
/// Samples and events are looked at again this long after they came in: a transaction may be on its way.
const OVERLAP: SignedDuration = SignedDuration::from_mins(3);
/// A board whose messages were not taken, or whose readings could not be true, this lately counts as such.
const LATELY: SignedDuration = SignedDuration::from_mins(15);
/// What is over and left nothing to see is resolved after so long.
const RESOLVE: SignedDuration = SignedDuration::from_mins(30);
/// Class hours are read anew this often.
const HOURS_KEPT: SignedDuration = SignedDuration::from_mins(5);

/// What is remembered between rounds: only what can be read again.
#[derive(Debug, Default)]
pub struct Memory {
    readings: HashMap<i64, Readings>,
    read_until: Option<Timestamp>,
    happened: HashMap<i64, Vec<Happened>>,
    seen: HashSet<(i64, (i64, i64))>,
    /// Which kinds, how far back, and until when they were read.
    happened_of: Option<(Vec<String>, u32, Timestamp)>,
    hours: Option<(Timestamp, HashMap<i64, Vec<Hours>>)>,
}

/// Runs until told to stop.
pub async fn run(app: AppState, stopping: CancellationToken) {
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut memory = Memory::default();
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = clock.tick() => {}
        }
        if let Err(error) = round(&app, &mut memory, Timestamp::now()).await {
            tracing::error!(error = %error, "boards could not be held against the rules");
        }
    }
}

/// One round.
///
/// # Errors
/// The database's; the next round begins where this one did.
pub async fn round(app: &AppState, memory: &mut Memory, now: Timestamp) -> DbResult<()> {
    let alerts = app.db.alerts();
    let places = alerts.places().await?;
    let book = alerts.book(&places).await?;
    let boards = alerts.boards().await?;
    refresh(app, memory, &book, &boards, now).await?;
    let (open, tracks) = alerts.standing().await?;
    let mut look = Look::new(&boards, memory, &open, now);
    for track in tracks {
        look.pending.insert(
            (track.school_id, track.device_no, track.rule),
            crate::db::instant(track.since),
        );
    }
    look.all(&book);
    let changed = write(app, look, &places, &boards, now).await?;
    let followed = follow::round(app, &boards, now).await?;
    let settled = app
        .db
        .incidents()
        .settle(now.checked_sub(RESOLVE).unwrap_or(now), now)
        .await?;
    // After what is over was ended: that is not told any more.
    let maintained = alerts.maintained(now).await?;
    let unquiet = app.db.incidents().end_quiet(&maintained, now).await?;
    if changed || followed || settled || unquiet {
        app.changes.tell(Noun::Incident, None);
    }
    Ok(())
}

fn all_rules<'a>(book: &'a Book, boards: &'a [BoardRow]) -> impl Iterator<Item = &'a Rules> {
    let schools: HashSet<i64> = boards.iter().map(|board| board.school).collect();
    schools.into_iter().map(|school| &**book.of(school))
}

async fn refresh(
    app: &AppState,
    memory: &mut Memory,
    book: &Book,
    boards: &[BoardRow],
    now: Timestamp,
) -> DbResult<()> {
    let alerts = app.db.alerts();
    let back = |from: Timestamp, by: SignedDuration| from.checked_sub(by).unwrap_or(from);
    let since = memory
        .read_until
        .map_or_else(|| back(now, STALE), |until| back(until, OVERLAP));
    alerts.readings(&mut memory.readings, since).await?;
    memory.read_until = Some(now);

    let (mut kinds, mut longest, mut hours) = (HashSet::new(), 0, false);
    for rule in all_rules(book, boards).flat_map(|rules| rules.values()) {
        if let Condition::Event { event, within_s, .. } = &rule.condition {
            kinds.insert(event.as_str());
            longest = longest.max(*within_s);
        }
        hours |= rule.schedule != Schedule::Always;
    }
    let mut sorted: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
    sorted.sort_unstable();
    let oldest = back(now, SignedDuration::from_secs(i64::from(longest)));
    let since = match &memory.happened_of {
        Some((known, reach, until)) if *known == sorted && *reach >= longest => back(*until, OVERLAP),
        _ => {
            memory.happened.clear();
            memory.seen.clear();
            oldest
        }
    };
    for event in alerts.happened(&kinds, since).await? {
        if memory.seen.insert((event.device_no, event.place)) {
            memory.happened.entry(event.device_no).or_default().push(event);
        }
    }
    let (happened, seen) = (&mut memory.happened, &mut memory.seen);
    happened.retain(|_, of| {
        of.retain(|event| {
            let keep = event.received >= oldest;
            if !keep {
                seen.remove(&(event.device_no, event.place));
            }
            keep
        });
        !of.is_empty()
    });
    memory.happened_of = Some((sorted, longest, now));

    let old = memory
        .hours
        .as_ref()
        .is_none_or(|(at, _)| now.duration_since(*at).abs() > HOURS_KEPT);
    if hours && old {
        memory.hours = Some((now, alerts.class_hours(now).await?));
    }
    Ok(())
}

/// Whether a moment lies within hours of the week, by the schools' clocks.
pub(crate) fn within(hours: &[Hours], now: Timestamp) -> bool {
    let offset =
        jiff::tz::Offset::from_seconds(i32::from(UTC_OFFSET_MIN) * 60).unwrap_or(jiff::tz::Offset::UTC);
    let local = offset.to_datetime(now);
    let day = local.weekday().to_monday_one_offset().unsigned_abs();
    let minute = u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
    hours
        .iter()
        .any(|h| h.days.contains(&day) && (h.from_min..h.to_min).contains(&minute))
}

/// One look at all boards.
struct Look<'a> {
    by_school: BTreeMap<i64, Vec<&'a BoardRow>>,
    memory: &'a Memory,
    now: Timestamp,
    open: HashMap<(i64, i64, String), i64>,
    pending: HashMap<(i64, i64, String), Timestamp>,
    raised: Vec<(NewAlert, bool)>,
    cleared: Vec<i64>,
    tracks: Vec<(String, i64, i64, Option<Timestamp>)>,
    visited: HashSet<i64>,
}

impl<'a> Look<'a> {
    fn new(boards: &'a [BoardRow], memory: &'a Memory, open: &[OpenAlert], now: Timestamp) -> Self {
        let mut by_school: BTreeMap<i64, Vec<&BoardRow>> = BTreeMap::new();
        for board in boards {
            by_school.entry(board.school).or_default().push(board);
        }
        let open = open
            .iter()
            .map(|one| {
                (
                    (one.school_id, one.device_no.unwrap_or(0), one.rule.clone()),
                    one.id,
                )
            })
            .collect();
        Self {
            by_school,
            memory,
            now,
            open,
            pending: HashMap::new(),
            raised: Vec::new(),
            cleared: Vec::new(),
            tracks: Vec::new(),
            visited: HashSet::new(),
        }
    }

    fn all(&mut self, book: &Book) {
        let schools = std::mem::take(&mut self.by_school);
        for (school, boards) in &schools {
            let rules = book.of(*school);
            let class = self
                .memory
                .hours
                .as_ref()
                .and_then(|(_, hours)| hours.get(school));
            let class = class.is_some_and(|hours| within(hours, self.now));
            // Schools first: what depends on them is part of them.
            for (key, rule) in rules
                .iter()
                .filter(|(_, rule)| engine::is_of_school(&rule.condition))
            {
                if let Condition::SchoolLost {
                    percent,
                    boards: least,
                } = &rule.condition
                {
                    let presences: Vec<Presence> = boards.iter().map(|board| board.presence).collect();
                    let seen = engine::school_lost(*percent, *least, &presences);
                    self.one(key, rule, (*school, 0), gate(rule, class, seen));
                }
            }
            for (key, rule) in rules
                .iter()
                .filter(|(_, rule)| !engine::is_of_school(&rule.condition))
            {
                for board in boards {
                    let seen = self.seen(rule, board);
                    self.one(key, rule, (*school, board.device_no), gate(rule, class, seen));
                }
            }
        }
        self.by_school = schools;
        // A rule that no longer holds, or a board that is no longer there.
        let gone: Vec<i64> = self
            .open
            .values()
            .copied()
            .filter(|id| !self.visited.contains(id))
            .collect();
        self.cleared.extend(gone);
    }

    fn seen(&self, rule: &RuleBody, board: &BoardRow) -> Seen {
        match &rule.condition {
            Condition::Offline => engine::offline(board.presence),
            Condition::Metric {
                metric,
                side,
                raise,
                clear,
            } => {
                let lately = |at: Option<Timestamp>| {
                    let lately = at.is_some_and(|at| self.now.duration_since(at) < LATELY);
                    Some(f64::from(u8::from(lately)))
                };
                let readings = self.memory.readings.get(&board.device_no);
                let get = |name: &str| {
                    let (value, at) = readings?.get(name)?;
                    (self.now.duration_since(*at) <= STALE).then_some(*value)
                };
                let value = match metric.as_str() {
                    "reports_limited" => lately(board.limited),
                    "readings_implausible" => lately(board.implausible),
                    _ if board.presence != Presence::There => None,
                    other => metrics::figure(other, get),
                };
                engine::level(*side, *raise, *clear, value)
            }
            Condition::Event {
                event,
                field,
                count,
                within_s,
            } => {
                let Some(happened) = self.memory.happened.get(&board.device_no) else {
                    return Seen::Good;
                };
                let times: VecDeque<Timestamp> = happened
                    .iter()
                    .filter(|one| one.kind == *event)
                    .filter(|one| {
                        field
                            .as_ref()
                            .is_none_or(|field| match one.body.get(&field.name) {
                                Some(serde_json::Value::String(text)) => *text == field.value,
                                Some(other) => format!("{other}") == field.value,
                                None => false,
                            })
                    })
                    .map(|one| one.received)
                    .collect();
                engine::events(*count, *within_s, &times, self.now)
            }
            Condition::SchoolLost { .. } => Seen::Nothing,
        }
    }

    fn one(&mut self, key: &str, rule: &RuleBody, (school, device): (i64, i64), seen: Seen) {
        let place = (school, device, key.to_owned());
        let open = self.open.get(&place).copied();
        self.visited.extend(open);
        let since = self.pending.get(&place).copied();
        let track = match (open, since) {
            (None, None) => Track::Quiet,
            (None, Some(since)) => Track::Pending { since },
            (Some(_), None) => Track::Raised,
            (Some(_), Some(since)) => Track::Easing { since },
        };
        if track == Track::Quiet && !matches!(seen, Seen::Bad { .. }) {
            return;
        }
        let (next, change) = engine::step(track, seen, rule.for_s, self.now);
        let pending = match next {
            Track::Pending { since } | Track::Easing { since } => Some(since),
            Track::Quiet | Track::Raised => None,
        };
        if pending != since {
            self.tracks.push((key.to_owned(), school, device, pending));
        }
        match change {
            Some(Change::Raised { began, value }) => {
                let parent = rule.depends_on.as_ref().filter(|parent| {
                    self.open.contains_key(&(school, 0, (*parent).clone()))
                        || self.raised.iter().any(|(one, _)| {
                            one.school == school && one.device.is_none() && one.rule == **parent
                        })
                });
                let alert = NewAlert {
                    rule: key.to_owned(),
                    body: rule.clone(),
                    school,
                    device: (device != 0).then_some(device),
                    began,
                    value,
                    suppressed_by: parent.cloned(),
                    incident: 0,
                };
                self.raised.push((alert, device == 0));
            }
            Some(Change::Cleared) => self.cleared.extend(open),
            None => {}
        }
    }
}

fn gate(rule: &RuleBody, class_hours: bool, seen: Seen) -> Seen {
    if engine::looks(rule.schedule, class_hours) {
        seen
    } else {
        Seen::Nothing
    }
}

async fn write(
    app: &AppState,
    look: Look<'_>,
    places: &BTreeMap<i64, Place>,
    boards: &[BoardRow],
    now: Timestamp,
) -> DbResult<bool> {
    let mut found = Found {
        cleared: look.cleared,
        tracks: look.tracks,
        ..Found::default()
    };
    if !look.raised.is_empty() {
        let raised: Vec<Raised> = (0..)
            .zip(&look.raised)
            .map(|(alert, (one, of_school))| Raised {
                alert,
                // What depends on the school being lost is part of that.
                topic: if one.suppressed_by.is_some() {
                    CONNECTIVITY
                } else {
                    topic(&one.rule, &one.body.condition)
                }
                .to_owned(),
                school: one.school,
                of_school: *of_school,
                severity: one.body.severity,
                began: one.began,
            })
            .collect();
        let mut open = app.db.incidents().open().await?;
        let grouped = group::group(&mut open, &raised, places);
        let members: HashMap<i64, i64> = grouped.members.into_iter().collect();
        for (alert, (mut one, of_school)) in (0..).zip(look.raised) {
            let Some(incident) = members.get(&alert) else {
                continue;
            };
            one.incident = *incident;
            lost(&mut found.lost, &one, of_school, boards);
            found.raised.push(one);
        }
        found.incidents = open
            .into_iter()
            .filter(|one| grouped.touched.contains(&one.id))
            .collect();
        let maintained = app.db.alerts().maintained(now).await?;
        for one in &found.incidents {
            let quiet = match one.school {
                Some(school) => maintained.contains(&school),
                None => found
                    .incidents
                    .iter()
                    .filter(|part| part.parent == Some(one.id))
                    .all(|part| part.school.is_some_and(|school| maintained.contains(&school))),
            };
            if quiet {
                found.quiet.push(one.id);
            }
            let settle = if one.topic == CONNECTIVITY || one.kind == IncidentKind::Area {
                SETTLE
            } else {
                SETTLE_OTHERS
            };
            found
                .tell_at
                .insert(one.id, now.checked_add(settle).unwrap_or(now));
        }
    }
    if found.is_empty() {
        return Ok(false);
    }
    app.db.incidents().write(&found, now).await?;
    Ok(true)
}

/// The boards that an alert is about: its own, or those that went with the school.
fn lost(all: &mut Vec<Lost>, alert: &NewAlert, of_school: bool, boards: &[BoardRow]) {
    let mut add = |board: &BoardRow, at| {
        all.push(Lost {
            incident: alert.incident,
            device: board.device_no,
            at,
            boot: board.boot.clone(),
        });
    };
    if of_school {
        let first = alert.began.checked_sub(TOGETHER).unwrap_or(alert.began);
        for board in boards.iter().filter(|board| board.school == alert.school) {
            if let Presence::Gone { since } = board.presence
                && since >= first
            {
                add(board, since);
            }
        }
    } else if let Some(board) = boards.iter().find(|board| Some(board.device_no) == alert.device) {
        add(board, alert.began);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_those_of_the_schools_clock() {
        let hours = [Hours {
            days: vec![1, 2, 3, 4, 5],
            from_min: 480,
            to_min: 720,
        }];
        // A Monday, 08:00 and 12:00 in Beijing.
        assert!(within(&hours, "2026-11-23T00:00:00Z".parse().unwrap()));
        assert!(!within(&hours, "2026-11-23T04:00:00Z".parse().unwrap()));
        assert!(
            !within(&hours, "2026-11-21T01:00:00Z".parse().unwrap()),
            "a Saturday"
        );
    }
}
