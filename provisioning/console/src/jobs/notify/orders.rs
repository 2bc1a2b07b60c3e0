//! Tells people of work orders: whoever one is given to, whoever may take one that nobody has, and whoever one climbs to.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use jiff::Timestamp;

use super::{TOP, held};
use crate::{
    api::{alerts::Severity, orders::OrderSource},
    app::{AppState, Noun},
    config::Language,
    db::{
        DbResult,
        notify::{news::News, plan::NewMessage},
    },
    domain::orders as rules,
    notify,
};

/// Queues what is to be told of orders. One that cannot be told is logged, and the next one's turn.
///
/// # Errors
/// The database's, of which there are.
pub(super) async fn plan(app: &AppState, now: Timestamp) -> DbResult<()> {
    for news in app.db.notify().order_news().await? {
        if let Err(error) = tell(app, &news, now).await {
            tracing::error!(error = %error, order = news.id, "people could not be told of a work order");
        }
    }
    Ok(())
}

async fn tell(app: &AppState, news: &News, now: Timestamp) -> DbResult<()> {
    let messages = due(app, news, now).await?;
    app.db.notify().queue_news(news, &messages, now).await?;
    if !messages.is_empty() {
        app.changes.tell(Noun::Order, Some(news.id.to_string()));
    }
    Ok(())
}

/// The messages that are due of an order as it stands now: what is over or mended by now is told to nobody.
async fn due(app: &AppState, news: &News, now: Timestamp) -> DbResult<Vec<NewMessage>> {
    if !rules::state_of(&news.state).is_some_and(rules::unmended) {
        return Ok(Vec::new());
    }
    let orders = app.db.orders();
    let mut messages = Vec::new();
    let (opened, reopened) = (news.has("opened"), news.has("reopened"));
    if opened || reopened || news.has("assigned") {
        let own = news.assigned.as_deref() == Some(news.by.as_str());
        let (code, people) = match (news.assigned_to, &news.assigned) {
            (Some(_), Some(_)) if own => ("", Vec::new()),
            (Some(user), Some(_)) if reopened => ("notify_order_reopened", vec![user]),
            (Some(user), Some(_)) => ("notify_order_given", vec![user]),
            // Whoever is responsible has heard of the incident already.
            _ if rules::source_of(&news.source) == Some(OrderSource::Incident) && !reopened => {
                ("", Vec::new())
            }
            _ if reopened => ("notify_order_reopened", orders.responsible(news.school_id).await?),
            // Who opened it knows.
            _ => {
                let mut people = orders.responsible(news.school_id).await?;
                people.retain(|person| Some(*person) != news.by_id);
                ("notify_order_offered", people)
            }
        };
        messages = compose(app, news, code, people, now).await?;
    }
    if news.has("climbed") && news.tier > 0 {
        // A tier with nobody who can be reached is passed over.
        for tier in news.tier..=TOP {
            let people = orders.responsible_at(news.school_id, tier).await?;
            let climbed = compose(app, news, "notify_order_climbed", people, now).await?;
            if !climbed.is_empty() {
                messages.extend(climbed);
                break;
            }
        }
    }
    Ok(messages)
}

/// One message for each person and channel whose place holds the school.
async fn compose(
    app: &AppState,
    news: &News,
    code: &str,
    people: Vec<i64>,
    now: Timestamp,
) -> DbResult<Vec<NewMessage>> {
    let people: BTreeSet<i64> = people.into_iter().collect();
    if people.is_empty() {
        return Ok(Vec::new());
    }
    let severity = if news.urgent {
        Severity::Critical
    } else {
        Severity::Warning
    };
    let schools = BTreeSet::from([news.school_id]);
    let mut by_language: BTreeMap<String, notify::Told> = BTreeMap::new();
    let mut messages = Vec::new();
    for one in app.db.notify().reached(&people, &schools, now).await? {
        if severity < Severity::of_column(&one.severity) {
            continue;
        }
        let language = Language::from_str(&one.language).unwrap_or(app.config.language);
        let (title, text) = by_language
            .entry(one.language.clone())
            .or_insert_with(|| notify::order(language, code, news, &app.config.web_url))
            .clone();
        messages.push(NewMessage {
            channel: one.channel_id,
            user: Some(one.user_id),
            address: one.address.clone(),
            incident: None,
            order: Some(news.id),
            reason: "order",
            severity,
            title,
            text,
            held_until: held(&one, severity, now),
        });
    }
    Ok(messages)
}
