//! Tells people: first who is responsible for a school, then, unless somebody takes it, the next tier. Each channel has its own
//! way out, so one that hangs holds up no other. What is told of work orders is in [`orders`].

mod orders;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{
    api::alerts::Severity,
    app::{AppState, Noun},
    config::Language,
    db::{
        DbError, DbResult, json,
        notify::plan::{Due, NewMessage, Part, Reached, Waiting},
    },
    domain::line::UTC_OFFSET_MIN,
    messages,
    notify::{self, Message},
};

const EVERY: Duration = Duration::from_secs(5);
/// Channels that send at once.
const CHANNELS: usize = 16;
/// Waits before the next try.
const AGAIN: [SignedDuration; 4] = [
    SignedDuration::from_mins(1),
    SignedDuration::from_mins(5),
    SignedDuration::from_mins(15),
    SignedDuration::from_mins(60),
];
/// The highest tier.
const TOP: u8 = crate::db::incidents::TOP_TIER;
/// Whoever wants to know that it is over is told when it has been for so long.
const OVER: SignedDuration = SignedDuration::from_mins(5);

/// Channels through which something is being sent.
#[derive(Debug, Clone)]
pub struct Busy(Arc<Mutex<HashSet<i64>>>, Arc<Semaphore>);

impl Default for Busy {
    fn default() -> Self {
        Self(Arc::default(), Arc::new(Semaphore::new(CHANNELS)))
    }
}

impl Busy {
    fn now(&self) -> HashSet<i64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, channel: i64, busy: bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if busy {
            all.insert(channel);
        } else {
            all.remove(&channel);
        }
    }
}

/// Runs until told to stop.
pub async fn run(app: AppState, stopping: CancellationToken) {
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let busy = Busy::default();
    let mut sending = JoinSet::new();
    loop {
        tokio::select! {
            () = stopping.cancelled() => break,
            _ = clock.tick() => {}
        }
        while sending.try_join_next().is_some() {}
        let now = Timestamp::now();
        // What cannot be planned holds up nothing that waits already.
        if let Err(error) = plan(&app, now).await {
            tracing::error!(error = %error, "people could not be told of incidents");
        }
        if let Err(error) = dispatch(&app, &busy, &mut sending, now).await {
            tracing::error!(error = %error, "messages that wait could not be read");
        }
    }
    sending.shutdown().await;
}

/// Works out who is to be told what by now, and queues it. An incident that cannot be told is logged, and the next one's turn.
///
/// # Errors
/// The database's, of which incidents there are and of digests.
pub async fn plan(app: &AppState, now: Timestamp) -> DbResult<()> {
    let due = app.db.notify().due(now).await;
    for due in due.as_deref().unwrap_or_default() {
        if let Err(error) = incident(app, due, now).await {
            tracing::error!(error = %error, incident = due.id, "people could not be told of an incident");
        }
    }
    if let Err(error) = orders::plan(app, now).await {
        tracing::error!(error = %error, "people could not be told of work orders");
    }
    digests(app, now).await?;
    due.map(|_| ())
}

async fn incident(app: &AppState, due: &Due, now: Timestamp) -> DbResult<()> {
    let db = app.db.notify();
    let tier = u8::try_from(due.tier).ok();
    let is_due = due.next_tier_at.is_some_and(|at| at <= crate::db::ms(now));
    if due.cleared_at.is_some() && is_due {
        // Over before anybody was told, or before the next tier was.
        return db.queue(&[], Some((due.id, due.tier, None, "told")), now).await;
    }
    if let Some(cleared) = due.cleared_at {
        return over(app, due, crate::db::instant(cleared), now).await;
    }
    match tier {
        Some(_) if is_due && due.acknowledged_at.is_some() => {
            db.queue(&[], Some((due.id, due.tier, None, "told")), now).await
        }
        Some(tier) if is_due => tell(app, due, tier + 1, now).await,
        // It may have reached schools of which nobody has been told.
        Some(tier) => grown(app, due, tier, now).await,
        None => tell(app, due, 0, now).await,
    }
}

struct Scene {
    incident: crate::api::incidents::Incident,
    parts: Vec<Part>,
    severity: Severity,
}

async fn scene(app: &AppState, due: &Due) -> DbResult<Scene> {
    let db = app.db.notify();
    Ok(Scene {
        incident: db.subject(due.id).await?,
        parts: db.parts(due.id).await?,
        severity: Severity::of_column(&due.severity),
    })
}

/// Who of a tier is responsible for which of the schools.
async fn people(app: &AppState, parts: &[Part], tier: u8) -> DbResult<BTreeMap<i64, BTreeSet<i64>>> {
    let mut people: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
    for part in parts {
        for user in app.db.orders().responsible_at(part.school_id, tier).await? {
            people.entry(user).or_default().insert(part.school_id);
        }
    }
    Ok(people)
}

async fn tell(app: &AppState, due: &Due, from_tier: u8, now: Timestamp) -> DbResult<()> {
    let db = app.db.notify();
    let scene = scene(app, due).await?;
    let told = db.told(due.id).await?;
    let waited = (from_tier > 0).then(|| minutes(crate::db::instant(due.began_at), now));
    let reason = if from_tier == 0 { "opened" } else { "escalated" };
    let mut tier = from_tier;
    let mut messages = Vec::new();
    // A tier with nobody who can be reached is passed over.
    while tier <= TOP {
        let people = people(app, &scene.parts, tier).await?;
        let fresh = people
            .into_iter()
            .filter(|(user, _)| !told.users.contains(user))
            .collect();
        messages = compose(app, &scene, fresh, (reason, due.id, waited), now).await?;
        if !messages.is_empty() || tier == TOP {
            break;
        }
        tier += 1;
    }
    if from_tier == 0 {
        let schools: BTreeSet<i64> = scene.parts.iter().map(|part| part.school_id).collect();
        for (channel, of) in db.groups(&schools, scene.severity).await? {
            if told.channels.contains(&channel) {
                continue;
            }
            let parts: Vec<&Part> = scene
                .parts
                .iter()
                .filter(|part| of.contains(&part.school_id))
                .collect();
            let language = app.config.language;
            let (title, text) = notify::opened(
                language,
                "notify_opened",
                &scene.incident,
                &parts,
                None,
                &app.config.web_url,
            );
            messages.push(message(
                channel,
                None,
                String::new(),
                due.id,
                "opened",
                scene.severity,
                (title, text),
            ));
        }
    }
    let next = match scene.parts.first() {
        Some(part) if tier < TOP => db.escalation(part.school_id, scene.severity).await?,
        _ => None,
    };
    let next = next.and_then(|minutes| {
        now.checked_add(SignedDuration::from_mins(i64::from(minutes)))
            .ok()
    });
    db.queue(&messages, Some((due.id, i64::from(tier), next, "told")), now)
        .await?;
    app.changes.tell(Noun::Incident, Some(due.id.to_string()));
    Ok(())
}

/// Whoever is responsible for a school that joined later hears of it once; whoever knows already does not hear again.
async fn grown(app: &AppState, due: &Due, tier: u8, now: Timestamp) -> DbResult<()> {
    let db = app.db.notify();
    let scene = scene(app, due).await?;
    let told = db.told(due.id).await?;
    let people = people(app, &scene.parts, 0).await?;
    let fresh: BTreeMap<_, _> = people
        .into_iter()
        .filter(|(user, _)| !told.users.contains(user))
        .collect();
    if fresh.is_empty() {
        return Ok(());
    }
    let messages = compose(app, &scene, fresh, ("grown", due.id, None), now).await?;
    if messages.is_empty() {
        return Ok(());
    }
    let next = due.next_tier_at.map(crate::db::instant);
    db.queue(&messages, Some((due.id, i64::from(tier), next, "told")), now)
        .await
}

async fn over(app: &AppState, due: &Due, cleared: Timestamp, now: Timestamp) -> DbResult<()> {
    let db = app.db.notify();
    let users: BTreeSet<i64> = db.told(due.id).await?.unended.into_iter().collect();
    if users.is_empty() || now.duration_since(cleared) < OVER {
        return Ok(());
    }
    let scene = scene(app, due).await?;
    let schools: BTreeSet<i64> = scene.parts.iter().map(|part| part.school_id).collect();
    let wants: HashSet<i64> = db
        .reached(&users, &schools, now)
        .await?
        .into_iter()
        .filter(|one| one.tell_cleared)
        .map(|one| one.user_id)
        .collect();
    let people = wants.into_iter().map(|user| (user, schools.clone())).collect();
    let mut messages = compose(app, &scene, people, ("cleared", due.id, None), now).await?;
    messages.retain(|message| message.reason == "cleared");
    if messages.is_empty() {
        return Ok(());
    }
    db.queue(&messages, Some((due.id, due.tier, None, "told")), now)
        .await
}

/// One message for each person and channel, with the schools that concern the person.
async fn compose(
    app: &AppState,
    scene: &Scene,
    people: BTreeMap<i64, BTreeSet<i64>>,
    (reason, incident, waited): (&'static str, i64, Option<u32>),
    now: Timestamp,
) -> DbResult<Vec<NewMessage>> {
    let users: BTreeSet<i64> = people.keys().copied().collect();
    let mut messages = Vec::new();
    let all: BTreeSet<i64> = people.values().flatten().copied().collect();
    for one in app.db.notify().reached(&users, &all, now).await? {
        let (Some(schools), true) = (
            people.get(&one.user_id),
            scene.severity >= Severity::of_column(&one.severity),
        ) else {
            continue;
        };
        if reason == "cleared" && !one.tell_cleared {
            continue;
        }
        // What a channel of one place may carry: schools of that place only.
        let placed: BTreeSet<i64> = json(&one.schools)?;
        let parts: Vec<&Part> = scene
            .parts
            .iter()
            .filter(|part| schools.contains(&part.school_id) && placed.contains(&part.school_id))
            .collect();
        if parts.is_empty() {
            continue;
        }
        let language = Language::from_str(&one.language).unwrap_or(app.config.language);
        let code = match reason {
            "escalated" => "notify_escalated",
            "cleared" => "notify_cleared",
            _ => "notify_opened",
        };
        let told = notify::opened(
            language,
            code,
            &scene.incident,
            &parts,
            waited,
            &app.config.web_url,
        );
        let mut new = message(
            one.channel_id,
            Some(one.user_id),
            one.address.clone(),
            incident,
            reason,
            scene.severity,
            told,
        );
        new.held_until = held(&one, scene.severity, now);
        messages.push(new);
    }
    Ok(messages)
}

fn message(
    channel: i64,
    user: Option<i64>,
    address: String,
    incident: i64,
    reason: &'static str,
    severity: Severity,
    (title, text): notify::Told,
) -> NewMessage {
    NewMessage {
        channel,
        user,
        address,
        incident: Some(incident),
        order: None,
        reason,
        severity,
        title,
        text,
        held_until: None,
    }
}

fn minutes(from: Timestamp, to: Timestamp) -> u32 {
    u32::try_from(to.duration_since(from).as_mins()).unwrap_or(0)
}

/// Until when a message is held back: beyond the person's cap, or in quiet hours unless it is critical.
fn held(one: &Reached, severity: Severity, now: Timestamp) -> Option<Timestamp> {
    let offset =
        jiff::tz::Offset::from_seconds(i32::from(UTC_OFFSET_MIN) * 60).unwrap_or(jiff::tz::Offset::UTC);
    let local = offset.to_datetime(now);
    let minute = u32::from(local.hour().unsigned_abs()) * 60 + u32::from(local.minute().unsigned_abs());
    let quiet_for = quiet_for(one.quiet_from, one.quiet_to, minute);
    if let Some(minutes) = quiet_for.filter(|_| severity < Severity::Critical) {
        return now
            .checked_add(SignedDuration::from_mins(i64::from(minutes)))
            .ok();
    }
    let beyond = one.lately >= i64::from(one.cap_per_hour);
    beyond
        .then(|| now.checked_add(SignedDuration::from_hours(1)).ok())
        .flatten()
}

/// Minutes until quiet hours end; none outside of them.
fn quiet_for(from: u32, to: u32, minute: u32) -> Option<u32> {
    let length = (to + 1_440 - from) % 1_440;
    let gone = (minute + 1_440 - from) % 1_440;
    (gone < length).then(|| length - gone)
}

/// What was held back goes out as one message.
async fn digests(app: &AppState, now: Timestamp) -> DbResult<()> {
    let db = app.db.notify();
    for held in db.held(now).await? {
        let language = Language::from_str(&held.language).unwrap_or(app.config.language);
        let args = BTreeMap::from([("count", held.count.to_string())]);
        let digest = NewMessage {
            channel: held.channel_id,
            user: Some(held.user_id),
            address: held.address.clone(),
            incident: None,
            order: None,
            reason: "digest",
            severity: match held.worst {
                2 => Severity::Critical,
                1 => Severity::Warning,
                _ => Severity::Notice,
            },
            title: messages::text(language, "notify_digest", &args),
            text: held.titles.clone(),
            held_until: None,
        };
        db.digest(&held, &digest, now).await?;
    }
    Ok(())
}

/// Begins to send what is due, channel by channel, and waits for none of it.
///
/// # Errors
/// The database's.
pub async fn dispatch(
    app: &AppState,
    busy: &Busy,
    sending: &mut JoinSet<()>,
    now: Timestamp,
) -> DbResult<()> {
    let mut by_channel: HashMap<i64, Vec<Waiting>> = HashMap::new();
    for one in app.db.notify().waiting(&busy.now(), now).await? {
        by_channel.entry(one.channel_id).or_default().push(one);
    }
    for (channel, messages) in by_channel {
        busy.set(channel, true);
        let (app, busy) = (app.clone(), busy.clone());
        sending.spawn(async move {
            let permit = busy.1.clone().acquire_owned().await;
            if let Err(error) = through(&app, channel, messages).await {
                tracing::error!(error = %error, channel, "a message's fate could not be noted");
            }
            drop(permit);
            busy.set(channel, false);
            app.changes.tell(Noun::Incident, None);
        });
    }
    Ok(())
}

/// Sends messages through one channel, one after the other; what hangs or is not there ends the round of that channel.
async fn through(app: &AppState, channel: i64, messages: Vec<Waiting>) -> DbResult<()> {
    let db = app.db.notify();
    let way = match db.way(channel).await {
        Ok(way) => way,
        Err(DbError::NotFound { .. }) => {
            for one in messages {
                db.tried(
                    one.id,
                    Err("the channel was taken away"),
                    0,
                    None,
                    Timestamp::now(),
                )
                .await?;
            }
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    for one in messages {
        let started = std::time::Instant::now();
        let outcome = notify::send(&app.config, &app.seal, &way, &Message::from(&one)).await;
        let took = u32::try_from(started.elapsed().as_millis()).unwrap_or(u32::MAX);
        let now = Timestamp::now();
        match outcome {
            Ok(()) => db.tried(one.id, Ok(()), took, None, now).await?,
            Err(error) => {
                let wait = AGAIN.get(one.tries as usize).filter(|_| error.may_pass());
                let again = wait.and_then(|wait| now.checked_add(*wait).ok());
                tracing::warn!(error = %error, channel, message = one.id, tries = one.tries + 1, given_up = again.is_none(), "not sent");
                db.tried(one.id, Err(&error.to_string()), took, again, now)
                    .await?;
                if matches!(
                    error,
                    notify::SendError::Timeout { .. } | notify::SendError::Unreachable { .. }
                ) {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_hours_may_cross_midnight() {
        assert_eq!(quiet_for(22 * 60, 7 * 60, 23 * 60), Some(8 * 60));
        assert_eq!(quiet_for(22 * 60, 7 * 60, 6 * 60), Some(60));
        assert_eq!(quiet_for(22 * 60, 7 * 60, 7 * 60), None);
        assert_eq!(quiet_for(12 * 60, 14 * 60, 13 * 60), Some(60));
        assert_eq!(quiet_for(0, 0, 0), None, "none are set");
    }
}
