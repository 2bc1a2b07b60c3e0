//! What belongs together: one incident for each school and topic, and one above them where schools are lost together
//! (一场雷雨一张单).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::CONNECTIVITY;
use crate::api::{alerts::Severity, incidents::IncidentKind};

/// An alert on connectivity joins its school's incident if the incident's newest one is no older.
pub const JOIN_CONNECTIVITY: SignedDuration = SignedDuration::from_mins(10);
/// The same for all other topics.
pub const JOIN: SignedDuration = SignedDuration::from_hours(24);
/// Schools lost within so long of each other were lost to one storm.
pub const STORM: SignedDuration = SignedDuration::from_mins(10);
/// So many schools make a storm.
pub const STORM_SCHOOLS: usize = 3;

/// An incident as far as grouping needs to know it. Ids below zero are new, and get their real ones when they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Its row, or a new one's place holder.
    pub id: i64,
    /// The storm it is part of.
    pub parent: Option<i64>,
    /// How large.
    pub kind: IncidentKind,
    /// What its alerts have in common.
    pub topic: String,
    /// Its school; none for a storm.
    pub school: Option<i64>,
    /// A storm's region.
    pub region: Option<i64>,
    /// How bad.
    pub severity: Severity,
    /// When its first alert began.
    pub began: Timestamp,
    /// When its newest one began.
    pub last: Timestamp,
    /// All of it is over since.
    pub cleared: Option<Timestamp>,
}

/// An alert that was just raised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raised {
    /// Which one, for the caller.
    pub alert: i64,
    /// What it is put together by.
    pub topic: String,
    /// Its school.
    pub school: i64,
    /// It is about the school as a whole.
    pub of_school: bool,
    /// How bad.
    pub severity: Severity,
    /// Since when.
    pub began: Timestamp,
}

/// Regions above a school, nearest first, and where its county is among them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// Row ids.
    pub regions: Vec<i64>,
    /// The county (without one: the topmost region), within which storms are put together.
    pub county: i64,
}

/// What was put together: incidents as they are now (those that changed or are new), and which alert belongs to which.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grouped {
    /// New or changed ones.
    pub touched: Vec<i64>,
    /// Alert and incident.
    pub members: Vec<(i64, i64)>,
}

/// Puts alerts into incidents. `open` holds all that are not resolved, and afterwards also the new ones.
pub fn group(open: &mut Vec<Open>, raised: &[Raised], places: &BTreeMap<i64, Place>) -> Grouped {
    let mut done = Grouped::default();
    let mut next = open.iter().map(|one| one.id).min().unwrap_or(0).min(0) - 1;
    let mut in_order: Vec<&Raised> = raised.iter().collect();
    in_order.sort_by_key(|raised| (!raised.of_school, raised.began, raised.alert));
    for raised in in_order {
        let mut parent = None;
        let found = open.iter_mut().find(|one| joins(one, raised));
        let id = match found {
            Some(one) => {
                one.last = one.last.max(raised.began);
                one.began = one.began.min(raised.began);
                one.severity = one.severity.max(raised.severity);
                one.cleared = None;
                parent = one.parent;
                if raised.of_school {
                    one.kind = IncidentKind::School;
                }
                one.id
            }
            None => {
                open.push(Open {
                    id: next,
                    parent: None,
                    kind: if raised.of_school {
                        IncidentKind::School
                    } else {
                        IncidentKind::Device
                    },
                    topic: raised.topic.clone(),
                    school: Some(raised.school),
                    region: None,
                    severity: raised.severity,
                    began: raised.began,
                    last: raised.began,
                    cleared: None,
                });
                next -= 1;
                next + 1
            }
        };
        touch(&mut done, id);
        // A storm of which a part goes on is not over.
        let storm = open
            .iter_mut()
            .find(|one| Some(one.id) == parent && one.cleared.is_some());
        if let Some(storm) = storm {
            storm.cleared = None;
            touch(&mut done, storm.id);
        }
        done.members.push((raised.alert, id));
    }
    storms(open, places, &mut next, &mut done);
    done
}

fn touch(done: &mut Grouped, id: i64) {
    if !done.touched.contains(&id) {
        done.touched.push(id);
    }
}

fn joins(one: &Open, raised: &Raised) -> bool {
    if one.school != Some(raised.school) || one.topic != raised.topic || one.kind == IncidentKind::Area {
        return false;
    }
    let within = if raised.topic == CONNECTIVITY {
        JOIN_CONNECTIVITY
    } else {
        JOIN
    };
    // Boards of a school that is lost belong to it for as long as it is.
    (one.kind == IncidentKind::School
        && one.cleared.is_none()
        && !raised.of_school
        && raised.began <= one.last + within)
        || near(one.last, raised.began, within)
}

fn near(a: Timestamp, b: Timestamp, within: SignedDuration) -> bool {
    a.duration_since(b).abs() <= within
}

/// Regions above a school that `of` and `other` share, nearest first: the lowest one that holds both.
fn lowest_common(of: &[i64], other: &[i64]) -> Option<i64> {
    of.iter().copied().find(|region| other.contains(region))
}

fn storms(open: &mut Vec<Open>, places: &BTreeMap<i64, Place>, next: &mut i64, done: &mut Grouped) {
    // By county: whole schools that are no part of a storm yet.
    let mut loose: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (at, one) in open.iter().enumerate() {
        let place = one.school.and_then(|school| places.get(&school));
        if let Some(place) = place
            && one.topic == CONNECTIVITY
            && one.parent.is_none()
            && one.cleared.is_none()
        {
            loose.entry(place.county).or_default().push(at);
        }
    }
    for (county, mut parts) in loose {
        parts.sort_by_key(|at| open.get(*at).map(|one| one.began));
        let storm = open.iter().position(|one| {
            one.kind == IncidentKind::Area
                && one.cleared.is_none()
                && parts
                    .iter()
                    .filter_map(|at| open.get(*at))
                    .any(|part| near(part.began, one.last, STORM))
                && one.region.is_some_and(|region| {
                    region == county
                        || places
                            .values()
                            .any(|p| p.county == county && p.regions.contains(&region))
                })
        });
        let mut storm = match storm {
            Some(at) => Some(at),
            None => begin(open, &parts, county, next, done),
        };
        if let Some(storm) = storm.take() {
            join_storm(open, storm, &parts, places, done);
        }
    }
}

/// A storm begins where enough schools were lost within [`STORM`] of each other.
fn begin(
    open: &mut Vec<Open>,
    parts: &[usize],
    county: i64,
    next: &mut i64,
    done: &mut Grouped,
) -> Option<usize> {
    let whole: Vec<&Open> = parts
        .iter()
        .filter_map(|at| open.get(*at))
        .filter(|one| one.kind == IncidentKind::School)
        .collect();
    let together = whole
        .windows(STORM_SCHOOLS)
        .find(|w| matches!((w.first(), w.last()), (Some(first), Some(last)) if near(first.began, last.began, STORM)))?;
    let began = together.first()?.began;
    let last = together.last()?.last;
    let severity = together.iter().map(|one| one.severity).max()?;
    open.push(Open {
        id: *next,
        parent: None,
        kind: IncidentKind::Area,
        topic: CONNECTIVITY.to_owned(),
        school: None,
        region: Some(county),
        severity,
        began,
        last,
        cleared: None,
    });
    touch(done, *next);
    *next -= 1;
    Some(open.len() - 1)
}

fn join_storm(
    open: &mut [Open],
    storm: usize,
    parts: &[usize],
    places: &BTreeMap<i64, Place>,
    done: &mut Grouped,
) {
    let Some(mut area) = open.get(storm).cloned() else {
        return;
    };
    for at in parts {
        let Some(part) = open.get_mut(*at) else { continue };
        let belongs = part.kind == IncidentKind::School
            && (near(part.began, area.last, STORM) || near(part.began, area.began, STORM));
        if belongs {
            part.parent = Some(area.id);
            area.last = area.last.max(part.last);
            area.began = area.began.min(part.began);
            area.severity = area.severity.max(part.severity);
            touch(done, part.id);
            touch(done, area.id);
        }
    }
    // Where it was: the lowest region that holds all of its schools.
    let schools: Vec<&Place> = open
        .iter()
        .filter(|one| one.parent == Some(area.id))
        .filter_map(|one| places.get(&one.school?))
        .collect();
    if let Some(first) = schools.first() {
        let shared = first
            .regions
            .iter()
            .copied()
            .find(|region| schools.iter().all(|place| place.regions.contains(region)));
        area.region = shared.or(area.region);
    }
    // Single boards that went with the storm, and within its region, are part of it, too.
    for at in parts {
        let Some(part) = open.get_mut(*at) else { continue };
        let inside = part
            .school
            .and_then(|school| places.get(&school))
            .is_some_and(|place| {
                area.region
                    .is_some_and(|region| lowest_common(&place.regions, &[region]).is_some())
            });
        if part.parent.is_none() && inside && part.began >= area.began && near(part.began, area.last, STORM) {
            part.parent = Some(area.id);
            touch(done, part.id);
            touch(done, area.id);
        }
    }
    if let Some(row) = open.get_mut(storm) {
        *row = area;
    }
}

#[cfg(test)]
mod tests;
