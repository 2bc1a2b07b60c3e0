//! Follows boards of incidents: when they are back, in which power-up, and what that says of why they went.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};

use crate::{
    api::incidents::{Cause, Evidence, IncidentKind},
    app::AppState,
    db::{
        DbResult,
        alerts::facts::BoardRow,
        incidents::work::{Followed, Story},
        instant, ms,
    },
    domain::alerts::{
        cause::{self, Return},
        engine::Presence,
    },
};

/// A board that is back says within so long in which power-up it is; until then nothing is concluded from silence.
const SAYS: SignedDuration = SignedDuration::from_secs(60);
/// What it says of its power-up is waited for so long.
const WAITED: SignedDuration = SignedDuration::from_mins(30);

/// One round; answers whether anything changed.
pub(super) async fn round(app: &AppState, boards: &[BoardRow], now: Timestamp) -> DbResult<bool> {
    let incidents = app.db.incidents();
    let (stories, followed) = incidents.followed().await?;
    if stories.is_empty() {
        return Ok(false);
    }
    let by_device: HashMap<i64, &BoardRow> = boards.iter().map(|board| (board.device_no, board)).collect();
    let fresh = |one: &Followed| {
        one.back_at
            .is_none_or(|back| now.duration_since(instant(back)) < WAITED)
    };
    let devices: Vec<i64> = followed
        .iter()
        .filter(|one| fresh(one))
        .map(|one| one.device_no)
        .collect();
    let power_ups = incidents.power_ups(&devices).await?;

    let mut before: HashMap<(i64, i64), Followed> = HashMap::new();
    let mut of_incident: BTreeMap<i64, Vec<Followed>> = BTreeMap::new();
    for mut one in followed {
        before.insert((one.incident_id, one.device_no), one.clone());
        let there = by_device
            .get(&one.device_no)
            .is_some_and(|board| board.presence == Presence::There);
        if one.back_at.is_none() && there {
            one.back_at = Some(ms(now));
        }
        if one.back_at.is_some()
            && fresh(&one)
            && let Some((boot, reason)) = power_ups.get(&one.device_no)
        {
            one.boot_after = Some(boot.clone());
            one.boot_reason = reason
                .clone()
                .filter(|_| one.boot_before.as_deref() != Some(boot));
        }
        of_incident.entry(one.incident_id).or_default().push(one);
    }

    let mut judged = Judged::default();
    let parts: Vec<&Story> = stories
        .iter()
        .filter(|one| one.kind != IncidentKind::Area.as_str())
        .collect();
    // Twice: a school that says nothing of itself hears what its neighbours say.
    for _ in 0..2 {
        for story in &parts {
            let own = of_incident.get(&story.id).map_or(&[][..], Vec::as_slice);
            judged.part(story, own, boards, &stories, now);
        }
    }
    for story in stories
        .iter()
        .filter(|one| one.kind == IncidentKind::Area.as_str())
    {
        judged.area(story, &stories);
    }

    let mut changed_boards = Vec::new();
    for one in of_incident.into_values().flatten() {
        let cause = judged
            .boards
            .get(&(one.incident_id, one.device_no))
            .copied()
            .unwrap_or(Cause::Unknown);
        let was = before.get(&(one.incident_id, one.device_no));
        let same = was.is_some_and(|was| {
            (was.back_at, &was.boot_after, &was.boot_reason, was.cause.as_str())
                == (one.back_at, &one.boot_after, &one.boot_reason, cause.as_str())
        });
        if !same {
            changed_boards.push((one, cause));
        }
    }
    let changed: Vec<(i64, Cause, Evidence)> = stories
        .iter()
        .filter_map(|story| {
            let (cause, evidence) = judged.stories.get(&story.id)?;
            let same = story.cause == cause.as_str() && evidence_of(story) == *evidence;
            (!same).then_some((story.id, *cause, *evidence))
        })
        .collect();
    let any = !changed_boards.is_empty() || !changed.is_empty();
    incidents.follow(&changed_boards, &changed, now).await?;
    Ok(any)
}

fn evidence_of(story: &Story) -> Evidence {
    serde_json::from_str(&story.evidence).unwrap_or_default()
}

/// What a board showed since it was lost.
fn shown(one: &Followed, now: Timestamp) -> Return {
    let Some(back) = one.back_at.map(instant) else {
        return Return::Away;
    };
    match (&one.boot_before, &one.boot_after) {
        (Some(before), Some(after)) if before != after => Return::Rebooted {
            reason: one.boot_reason.clone(),
        },
        (Some(_), Some(_)) if now.duration_since(back) >= SAYS => Return::SameBoot,
        (None, Some(_)) if one.boot_reason.is_some() => Return::Rebooted {
            reason: one.boot_reason.clone(),
        },
        _ => Return::Away,
    }
}

#[derive(Default)]
struct Judged {
    stories: HashMap<i64, (Cause, Evidence)>,
    boards: HashMap<(i64, i64), Cause>,
}

impl Judged {
    fn part(
        &mut self,
        story: &Story,
        own: &[Followed],
        boards: &[BoardRow],
        stories: &[Story],
        now: Timestamp,
    ) {
        let returns: Vec<Return> = own.iter().map(|one| shown(one, now)).collect();
        let still_there = boards
            .iter()
            .filter(|board| Some(board.school) == story.school_id && board.presence == Presence::There)
            .filter(|board| !own.iter().any(|one| one.device_no == board.device_no))
            .count();
        let were = own.len() + still_there;
        let were = u32::try_from(were)
            .unwrap_or(u32::MAX)
            .max(evidence_of(story).were_online);
        let evidence = cause::evidence(&returns, were);
        let whole = story.kind == IncidentKind::School.as_str() || cause::is_of_school(&evidence);
        let school = whole.then(|| {
            let neighbours = stories
                .iter()
                .filter(|other| {
                    other.parent_id.is_some() && other.parent_id == story.parent_id && other.id != story.id
                })
                .filter_map(|other| self.stories.get(&other.id).map(|(cause, _)| *cause));
            cause::of_school(&evidence, cause::most(neighbours))
        });
        let causes: Vec<Cause> = returns
            .iter()
            .map(|shown| cause::of_board(shown, school))
            .collect();
        let all = school
            .or_else(|| cause::most(causes.iter().copied()))
            .unwrap_or(Cause::Unknown);
        for (one, cause) in own.iter().zip(causes) {
            self.boards.insert((one.incident_id, one.device_no), cause);
        }
        self.stories.insert(story.id, (all, evidence));
    }

    fn area(&mut self, story: &Story, stories: &[Story]) {
        let parts: Vec<(Cause, Evidence)> = stories
            .iter()
            .filter(|part| part.parent_id == Some(story.id))
            .filter_map(|part| self.stories.get(&part.id).copied())
            .collect();
        let mut sum = Evidence::default();
        for (_, part) in &parts {
            sum.lost += part.lost;
            sum.were_online += part.were_online;
            sum.rebooted += part.rebooted;
            sum.power_loss += part.power_loss;
            sum.same_boot += part.same_boot;
            sum.failed += part.failed;
            sum.away += part.away;
        }
        let most = cause::most(parts.iter().map(|(cause, _)| *cause));
        let cause = most.unwrap_or(if parts.is_empty() {
            Cause::Unknown
        } else {
            Cause::PowerOrLine
        });
        self.stories.insert(story.id, (cause, sum));
    }
}
