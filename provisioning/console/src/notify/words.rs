//! What a message about an incident or a work order says, in the reader's language.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    api::{
        alerts::Severity,
        incidents::{Cause, Incident},
    },
    config::Language,
    db::notify::{news::News, plan::Part},
    domain::line::UTC_OFFSET_MIN,
    messages,
};

/// Schools named in one message.
const NAMED: usize = 12;

/// Title and text.
pub type Told = (String, String);

fn say(language: Language, code: &str, args: &[(&'static str, String)]) -> String {
    messages::text(language, code, &args.iter().cloned().collect::<BTreeMap<_, _>>())
}

/// A moment by the schools' clock.
fn local(at: Timestamp) -> String {
    let offset =
        jiff::tz::Offset::from_seconds(i32::from(UTC_OFFSET_MIN) * 60).unwrap_or(jiff::tz::Offset::UTC);
    offset.to_datetime(at).strftime("%m-%d %H:%M").to_string()
}

/// How bad, in a word.
pub(super) fn severity(language: Language, severity: Severity) -> String {
    say(language, &format!("severity_{}", severity.as_str()), &[])
}

/// A line for each school that concerns the reader.
pub fn sentences(language: Language, parts: &[&Part]) -> String {
    let mut lines: Vec<String> = parts
        .iter()
        .take(NAMED)
        .map(|part| {
            let cause = Cause::of_column(&part.cause);
            let args = [
                ("place", part.name.clone()),
                ("devices", part.devices.to_string()),
                ("open", part.away.to_string()),
                (
                    "cause",
                    say(language, &format!("incident_cause_{}", cause.as_str()), &[]),
                ),
            ];
            say(language, "incident_line", &args)
        })
        .collect();
    if parts.len() > NAMED {
        lines.push(say(
            language,
            "incident_more",
            &[("count", (parts.len() - NAMED).to_string())],
        ));
    }
    lines.join("\n")
}

/// What somebody is told of an incident. `parts` are the schools that concern the reader; `waited`: minutes in which nobody took
/// it.
pub fn opened(
    language: Language,
    code: &str,
    incident: &Incident,
    parts: &[&Part],
    waited: Option<u32>,
    web_url: &str,
) -> Told {
    let mut seen = incident.clone();
    seen.schools = u32::try_from(parts.len()).unwrap_or(u32::MAX);
    seen.devices = u32::try_from(parts.iter().map(|part| part.devices).sum::<i64>()).unwrap_or(0);
    let about = crate::controllers::incidents::sentence(&seen, language);
    let title = say(
        language,
        code,
        &[
            ("severity", severity(language, incident.severity)),
            ("title", about),
        ],
    );
    let mut lines = vec![say(
        language,
        "incident_since",
        &[("at", local(incident.began_at))],
    )];
    if let Some(minutes) = waited {
        lines.push(say(
            language,
            "notify_not_acknowledged",
            &[("minutes", minutes.to_string())],
        ));
    }
    lines.push(sentences(language, parts));
    if !web_url.is_empty() {
        let url = format!("{}/incidents/{}", web_url.trim_end_matches('/'), incident.id);
        lines.push(say(language, "notify_open_page", &[("url", url)]));
    }
    (title, lines.join("\n"))
}

/// What somebody is told of a work order, by the code of its title: `notify_order_given`, `…_offered`, `…_reopened`, `…_climbed`.
pub fn order(language: Language, code: &str, news: &News, web_url: &str) -> Told {
    let place = news.classroom.as_ref().map_or_else(
        || news.school.clone(),
        |classroom| format!("{} {classroom}", news.school),
    );
    let what = match (news.title.as_str(), news.fault_class.as_str()) {
        ("", "" | "other") => String::new(),
        ("", class) => say(language, &format!("wall.class.{class}"), &[]),
        (title, _) => title.to_owned(),
    };
    let name = [
        ("id", news.id.to_string()),
        ("place", place),
        ("what", what),
        ("tier", news.tier.to_string()),
    ];
    let mut lines = vec![say(
        language,
        "notify_order_since",
        &[("at", local(crate::db::instant(news.opened_at)))],
    )];
    if news.urgent {
        lines.push(say(language, "notify_order_urgent", &[]));
    }
    let due = |code, at| say(language, code, &[("at", local(crate::db::instant(at)))]);
    if let (None, Some(at)) = (news.accepted_at, news.respond_due) {
        lines.push(due("notify_order_respond_by", at));
    }
    if let Some(at) = news.repair_due {
        lines.push(due("notify_order_repair_by", at));
    }
    if let ("notify_order_climbed", Some(who)) = (code, &news.assigned) {
        lines.push(say(language, "notify_order_with", &[("who", who.clone())]));
    }
    if !web_url.is_empty() {
        let url = format!("{}/orders/{}", web_url.trim_end_matches('/'), news.id);
        lines.push(say(language, "notify_open_page", &[("url", url)]));
    }
    (say(language, code, &name).trim_end().to_owned(), lines.join("\n"))
}
