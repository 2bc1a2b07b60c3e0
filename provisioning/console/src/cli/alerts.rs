//! Alert rules, incidents, maintenance windows, ways to people and escalation on the command line.

use std::{io::BufRead as _, path::PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;

use super::{
    admin::{BY, all, plain},
    args::Format,
    show::{list, or_dash, word},
};
use crate::{
    api::{
        MAX_PAGE_SIZE,
        alerts::{
            Alert, AlertQuery, AlertRule, MaintenanceQuery, MaintenanceWindow, NewMaintenance, NewRule,
            RuleBody, Severity,
        },
        incidents::{Incident, IncidentQuery},
        notify::{
            Channel, ChannelKind, ChannelTest, Escalation, NewChannel, NewRecipient, Notification,
            NotificationQuery, Recipient, SmtpSecurity,
        },
    },
    config::{Config, Language},
    controllers::{alerts as checks, incidents, notify as ways, receipts::local, text, within},
    db::{
        Db,
        incidents::Act,
        notify::ESCALATION,
        scope::{Node, Scope},
    },
    domain::alerts,
};

/// A place: a region with what is below it, or a school; neither: the whole install.
#[derive(Debug, Clone, Copy, Args)]
#[group(multiple = false)]
pub struct Where {
    /// Id of a region: there and below.
    #[arg(long)]
    region: Option<i64>,
    /// Id of a school.
    #[arg(long)]
    school: Option<i64>,
}

impl Where {
    const fn node(self) -> Node {
        Node::of_columns(self.region, self.school)
    }
}

/// A word of the API.
fn of_word<T: DeserializeOwned>(word: &str) -> Result<T, String> {
    serde_json::from_value(word.into()).map_err(|error| error.to_string())
}

/// `alert`.
#[derive(Debug, Subcommand)]
pub enum AlertCommand {
    /// List alerts, open ones first.
    List {
        /// Only those that are not over.
        #[arg(long)]
        open: bool,
        /// Only of this rule.
        #[arg(long)]
        rule: Option<String>,
        /// Only of this severity and worse: notice, warning, critical.
        #[arg(long, value_parser = of_word::<Severity>)]
        severity: Option<Severity>,
        /// Only there.
        #[command(flatten)]
        at: Where,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// List the rules that hold at a place.
    Rules {
        /// Where.
        #[command(flatten)]
        at: Where,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// List readings and events that a rule can look at.
    Metrics(Format),
    /// Set a version of a rule for a place and below, from a JSON file (as in `alert rules --json`, field `rule`).
    Set {
        /// The rule's key; a new one adds a rule.
        key: String,
        /// The file; - reads standard input.
        file: PathBuf,
        /// Where.
        #[command(flatten)]
        at: Where,
    },
    /// Take a version of a rule away; what holds above holds again.
    Reset {
        /// Row id of the version, as in `alert rules`.
        id: i64,
    },
    /// Say how often a rule would have been raised in the last seven days; changes nothing.
    Test {
        /// A rule that holds there, by its key; with --file: any name.
        key: String,
        /// Try the rule of this JSON file instead; - reads standard input.
        #[arg(long)]
        file: Option<PathBuf>,
        /// Where.
        #[command(flatten)]
        at: Where,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
}

/// `incident`.
#[derive(Debug, Subcommand)]
pub enum IncidentCommand {
    /// List incidents, open ones first.
    List {
        /// Only those that are not resolved.
        #[arg(long)]
        open: bool,
        /// Also the parts of storms.
        #[arg(long)]
        parts: bool,
        /// Only of this severity and worse: notice, warning, critical.
        #[arg(long, value_parser = of_word::<Severity>)]
        severity: Option<Severity>,
        /// Only there.
        #[command(flatten)]
        at: Where,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Show one with its parts, boards, history, orders and who was told, as JSON.
    Show {
        /// Which incident.
        id: i64,
        /// JSON is what is printed anyway.
        #[command(flatten)]
        format: Format,
    },
    /// Take it: nobody further up is told any more.
    Ack {
        /// Which incident.
        id: i64,
        /// What is to be said of it.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Give it back after all: the next tier is told in time.
    Unack {
        /// Which incident.
        id: i64,
    },
    /// Tell nobody for some hours; 0 ends that.
    Snooze {
        /// Which incident.
        id: i64,
        /// For so long, at most 720.
        #[arg(long)]
        hours: u32,
        /// What is to be said of it.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Nobody needs to look at it any more.
    Resolve {
        /// Which incident.
        id: i64,
        /// What is to be said of it.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Say something about it.
    Note {
        /// Which incident.
        id: i64,
        /// What is to be said of it.
        note: String,
    },
}

/// `window`.
#[derive(Debug, Subcommand)]
pub enum WindowCommand {
    /// List maintenance windows, newest first.
    List {
        /// Only those that hold now or will.
        #[arg(long)]
        open: bool,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Set one; prints its id.
    Add {
        /// Where.
        #[command(flatten)]
        at: Where,
        /// Why.
        #[arg(long)]
        reason: String,
        /// From then on, e.g. 2026-11-23T18:00:00+08:00; now where it is left out.
        #[arg(long)]
        from: Option<Timestamp>,
        /// For so many hours.
        #[arg(long)]
        hours: u32,
    },
    /// Take one back.
    End {
        /// Which window.
        id: i64,
    },
}

/// `channel`.
#[derive(Debug, Subcommand)]
pub enum ChannelCommand {
    /// List channels, by name; never their secrets.
    List(Format),
    /// Add a channel; prints its id. Secrets come on standard input, one a line: the address of a webhook or robot, then with
    /// --sign its signing secret; of a mail server the account's password.
    Add {
        /// webhook, smtp, wecom, dingtalk.
        #[arg(value_parser = of_word::<ChannelKind>)]
        kind: ChannelKind,
        /// What people call it.
        #[arg(long)]
        name: String,
        /// Where it belongs.
        #[command(flatten)]
        at: Where,
        /// The channel as such is told what is at least so bad: notice, warning, critical; else only persons.
        #[arg(long, value_parser = of_word::<Severity>)]
        tells: Option<Severity>,
        /// A signing secret follows the address.
        #[arg(long)]
        sign: bool,
        /// Mail server.
        #[arg(long)]
        smtp_host: Option<String>,
        /// Its port.
        #[arg(long)]
        smtp_port: Option<u16>,
        /// tls, starttls, none.
        #[arg(long, value_parser = of_word::<SmtpSecurity>)]
        smtp_security: Option<SmtpSecurity>,
        /// Account at the mail server; its password is on standard input.
        #[arg(long)]
        smtp_user: Option<String>,
        /// Sender's address.
        #[arg(long)]
        smtp_from: Option<String>,
    },
    /// Send a test at once. Exits with an error if it does not come through.
    Test {
        /// Which channel.
        id: i64,
        /// E-mail: to this address.
        #[arg(long)]
        address: Option<String>,
    },
    /// Take a channel away; what waits for it is given up.
    Remove {
        /// Which channel.
        id: i64,
    },
    /// List how persons are reached.
    People(Format),
    /// Set how a person is reached through a channel; prints the id.
    Reach {
        /// The account.
        username: String,
        /// The channel.
        channel: i64,
        /// E-mail address, or the number that a robot calls.
        #[arg(long, default_value = "")]
        address: String,
        /// What is at least so bad: notice, warning, critical.
        #[arg(long, value_parser = of_word::<Severity>)]
        severity: Option<Severity>,
        /// Messages in an hour.
        #[arg(long)]
        cap: Option<u32>,
        /// Quiet from this minute of the day on …
        #[arg(long)]
        quiet_from: Option<u32>,
        /// … up to this one.
        #[arg(long)]
        quiet_to: Option<u32>,
        /// Also told when it is over.
        #[arg(long)]
        tell_cleared: bool,
    },
    /// A person is no longer reached that way.
    Forget {
        /// The id, as in `channel people`.
        id: i64,
    },
    /// List messages and what became of them, newest first.
    Messages {
        /// Only these: waiting, sent, failed, held, digested.
        #[arg(long)]
        state: Option<String>,
        /// Only through this channel.
        #[arg(long)]
        channel: Option<i64>,
        /// Only about this incident.
        #[arg(long)]
        incident: Option<i64>,
        /// Only about this work order.
        #[arg(long)]
        order: Option<i64>,
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: u32,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
}

/// `escalation`.
#[derive(Debug, Subcommand)]
pub enum EscalationCommand {
    /// List when the next tier is told of what nobody took.
    List(Format),
    /// Set it for a region and below; without one for the whole install.
    Set {
        /// Id of the region.
        #[arg(long)]
        region: Option<i64>,
        /// Minutes for what is critical; 0: never.
        #[arg(long)]
        critical: u32,
        /// Minutes for a warning; 0: never.
        #[arg(long)]
        warning: u32,
    },
    /// Take away what was set for a region, or for the whole install; what is set above holds there again.
    Remove {
        /// Id of the region.
        #[arg(long)]
        region: Option<i64>,
    },
}

/// A rule from a JSON file, or standard input.
fn read_rule(file: &std::path::Path) -> anyhow::Result<RuleBody> {
    let text = if file == std::path::Path::new("-") {
        std::io::read_to_string(std::io::stdin()).context("Failed to read standard input")?
    } else {
        std::fs::read_to_string(file).with_context(|| format!("Failed to read {}", file.display()))?
    };
    serde_json::from_str(&text).with_context(|| format!("{} holds no rule", file.display()))
}

fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

fn later(now: Timestamp, hours: u32) -> Timestamp {
    now.checked_add(SignedDuration::from_hours(i64::from(hours)))
        .unwrap_or(Timestamp::MAX)
}

async fn rules_at(db: &Db, at: Where) -> anyhow::Result<Vec<AlertRule>> {
    let rows = db.alerts().rules_at(&Scope::everything(), at.node()).await?;
    Ok(rows
        .into_iter()
        .map(|row| checks::shown(row, Language::En))
        .collect())
}

pub(super) async fn alert(command: AlertCommand, db: &Db) -> anyhow::Result<()> {
    let (everything, now) = (Scope::everything(), Timestamp::now());
    match command {
        AlertCommand::List {
            open,
            rule,
            severity,
            at,
            format,
        } => {
            let found = all(async |page| {
                let query = AlertQuery {
                    open: open.then_some(true),
                    rule: rule.clone(),
                    severity,
                    region_id: at.region,
                    school_id: at.school,
                    page: Some(page),
                    page_size: Some(MAX_PAGE_SIZE),
                    ..AlertQuery::default()
                };
                db.alerts().list(&everything, &query).await
            })
            .await?;
            let head = [
                "ID", "RULE", "SEVERITY", "SCHOOL", "DEVICE", "SINCE", "OVER", "INCIDENT",
            ];
            list(format, &found, &head, || {
                let row = |alert: &Alert| {
                    vec![
                        alert.id.to_string(),
                        alert.rule.clone(),
                        word(&alert.severity),
                        alert.school.clone(),
                        or_dash(alert.device_id.as_ref()),
                        local(alert.began_at),
                        or_dash(alert.cleared_at.map(local)),
                        or_dash(alert.incident_id),
                    ]
                };
                found.iter().map(row).collect()
            })
        }
        AlertCommand::Rules { at, format } => {
            let rules = rules_at(db, at).await?;
            let head = ["KEY", "NAME", "SEVERITY", "ON", "FROM", "ID"];
            list(format, &rules, &head, || {
                let row = |rule: &AlertRule| {
                    vec![
                        rule.key.clone(),
                        rule.title.clone(),
                        word(&rule.rule.severity),
                        if rule.rule.enabled { "yes" } else { "no" }.to_owned(),
                        word(&rule.source),
                        or_dash(rule.id),
                    ]
                };
                rules.iter().map(row).collect()
            })
        }
        AlertCommand::Metrics(format) => {
            let metrics = checks::all_metrics();
            list(format, &metrics, &["NAME", "KIND"], || {
                let metric = |one: &crate::api::alerts::AlertMetric| {
                    let kind = if one.derived { "figure" } else { "reading" };
                    vec![one.name.clone(), kind.to_owned()]
                };
                let event = |name: &String| vec![name.clone(), "event".to_owned()];
                metrics
                    .metrics
                    .iter()
                    .map(metric)
                    .chain(metrics.events.iter().map(event))
                    .collect()
            })
        }
        AlertCommand::Set { key, file, at } => {
            let rule = checks::checked(&key, read_rule(&file)?).map_err(plain)?;
            let id = db
                .alerts()
                .set_rule(&everything, at.node(), &key, &rule, BY, now)
                .await?;
            println!("{id}");
            Ok(())
        }
        AlertCommand::Reset { id } => Ok(db.alerts().remove_rule(&everything, id).await?),
        AlertCommand::Test {
            key,
            file,
            at,
            format,
        } => {
            let rule = match file {
                Some(file) => read_rule(&file)?,
                None => {
                    let held = rules_at(db, at).await?.into_iter().find(|rule| rule.key == key);
                    held.map(|rule| rule.rule).with_context(|| {
                        format!("there is no rule {key:?} there; bbt-console alert rules lists them")
                    })?
                }
            };
            alerts::check("test", &rule)?;
            let new = NewRule {
                region_id: at.region,
                school_id: at.school,
                rule,
            };
            let found = db
                .alerts()
                .try_rule(&everything, at.node(), &new.rule, now)
                .await?;
            list(
                format,
                &found,
                &["RAISED", "SUBJECTS", "LOOKED AT", "DEVICES"],
                || {
                    vec![vec![
                        found.raised.to_string(),
                        found.subjects.to_string(),
                        found.devices_looked_at.to_string(),
                        found.devices.to_string(),
                    ]]
                },
            )
        }
    }
}

pub(super) async fn incident(command: IncidentCommand, db: &Db) -> anyhow::Result<()> {
    let (everything, now) = (Scope::everything(), Timestamp::now());
    let (id, act, note) = match command {
        IncidentCommand::List {
            open,
            parts,
            severity,
            at,
            format,
        } => {
            let found = all(async |page| {
                let query = IncidentQuery {
                    open: open.then_some(true),
                    parts: Some(parts),
                    severity,
                    region_id: at.region,
                    school_id: at.school,
                    page: Some(page),
                    page_size: Some(MAX_PAGE_SIZE),
                    ..IncidentQuery::default()
                };
                db.incidents().list(&everything, &query).await
            })
            .await?;
            let found: Vec<Incident> = found
                .into_iter()
                .map(|one| incidents::titled(one, Language::En))
                .collect();
            let head = [
                "ID", "SEVERITY", "WHAT", "CAUSE", "SINCE", "AWAY", "TAKEN BY", "OVER", "RESOLVED",
            ];
            return list(format, &found, &head, || {
                let row = |one: &Incident| {
                    vec![
                        one.id.to_string(),
                        word(&one.severity),
                        one.title.clone(),
                        word(&one.cause),
                        local(one.began_at),
                        format!("{}/{}", one.devices_open, one.devices),
                        or_dash(one.acknowledged_by.as_ref()),
                        or_dash(one.cleared_at.map(local)),
                        or_dash(one.resolved_at.map(local)),
                    ]
                };
                found.iter().map(row).collect()
            });
        }
        IncidentCommand::Show { id, format: _ } => {
            let mut found = db.incidents().get(&everything, id).await?;
            found.incident = incidents::titled(found.incident, Language::En);
            found.orders = db.orders().of_incident(&everything, id, now).await?;
            let query = crate::api::incidents::IncidentDeviceQuery {
                page_size: Some(MAX_PAGE_SIZE),
                ..crate::api::incidents::IncidentDeviceQuery::default()
            };
            let (devices, total) = db.incidents().devices(&everything, id, &query).await?;
            let mut whole = serde_json::to_value(&found)?;
            whole["devices"] = serde_json::to_value(devices)?;
            whole["devices_total"] = total.into();
            return print_json(&whole);
        }
        IncidentCommand::Ack { id, note } => (id, Act::Acknowledge, note),
        IncidentCommand::Unack { id } => (id, Act::GiveBack, String::new()),
        IncidentCommand::Snooze { id, hours, note } => {
            let most = u32::try_from(24 * incidents::DAYS)?;
            let hours = within("hours", hours, 0, most).map_err(plain)?;
            (id, Act::Snooze(later(now, hours)), note)
        }
        IncidentCommand::Resolve { id, note } => (id, Act::Resolve, note),
        IncidentCommand::Note { id, note } => {
            anyhow::ensure!(!note.trim().is_empty(), "say something in the note");
            (id, Act::Note, note)
        }
    };
    let note = text("note", &note, 0, incidents::NOTE_CHARS).map_err(plain)?;
    Ok(db.incidents().act(&everything, id, act, &note, BY, now).await?)
}

pub(super) async fn window(command: WindowCommand, db: &Db) -> anyhow::Result<()> {
    let (everything, now) = (Scope::everything(), Timestamp::now());
    match command {
        WindowCommand::List { open, format } => {
            let found = all(async |page| {
                let query = MaintenanceQuery {
                    open: open.then_some(true),
                    page: Some(page),
                    page_size: Some(MAX_PAGE_SIZE),
                };
                db.alerts().windows(&everything, &query, now).await
            })
            .await?;
            let head = ["ID", "PLACE", "FROM", "TO", "HOLDS", "REASON", "BY", "TAKEN BACK"];
            list(format, &found, &head, || {
                let row = |one: &MaintenanceWindow| {
                    vec![
                        one.id.to_string(),
                        one.place.clone(),
                        local(one.from),
                        local(one.to),
                        if one.active { "yes" } else { "no" }.to_owned(),
                        one.reason.clone(),
                        one.created_by.clone(),
                        or_dash(one.cancelled_at.map(local)),
                    ]
                };
                found.iter().map(row).collect()
            })
        }
        WindowCommand::Add {
            at,
            reason,
            from,
            hours,
        } => {
            anyhow::ensure!(at.node() != Node::Root, "say where: --region or --school");
            let from = from.unwrap_or(now);
            let new = NewMaintenance {
                region_id: at.region,
                school_id: at.school,
                from,
                to: later(from, hours),
                reason,
            };
            let reason = checks::window_reason(&new, now).map_err(plain)?;
            let times = (new.from, new.to);
            let id = db
                .alerts()
                .add_window(&everything, at.node(), times, &reason, BY, now)
                .await?;
            println!("{id}");
            Ok(())
        }
        WindowCommand::End { id } => Ok(db.alerts().cancel_window(&everything, id, BY, now).await?),
    }
}

/// The next secret on standard input.
fn secret(lines: &mut impl Iterator<Item = std::io::Result<String>>, what: &str) -> anyhow::Result<String> {
    let line = lines
        .next()
        .with_context(|| format!("give {what} on standard input; it must not stand in the shell's history"))?
        .context("Failed to read standard input")?;
    Ok(line.trim().to_owned())
}

#[allow(clippy::too_many_lines, reason = "one arm for each verb")]
pub(super) async fn channel(command: ChannelCommand, config: &Config, db: &Db) -> anyhow::Result<()> {
    let (everything, now) = (Scope::everything(), Timestamp::now());
    let notify = db.notify();
    match command {
        ChannelCommand::List(format) => {
            let found = notify.channels(&everything).await?;
            let head = [
                "ID",
                "NAME",
                "KIND",
                "PLACE",
                "TARGET",
                "ON",
                "WAITING",
                "LAST SENT",
                "LAST ERROR",
            ];
            list(format, &found, &head, || {
                let row = |one: &Channel| {
                    vec![
                        one.id.to_string(),
                        one.name.clone(),
                        word(&one.kind),
                        one.place.clone(),
                        one.target.clone(),
                        if one.enabled { "yes" } else { "no" }.to_owned(),
                        one.waiting.to_string(),
                        or_dash(one.last_sent_at.map(local)),
                        or_dash(one.last_error.as_ref()),
                    ]
                };
                found.iter().map(row).collect()
            })
        }
        ChannelCommand::Add {
            kind,
            name,
            at,
            tells,
            sign,
            smtp_host,
            smtp_port,
            smtp_security,
            smtp_user,
            smtp_from,
        } => {
            let mut lines = std::io::stdin().lock().lines();
            let (mut url, mut sign_secret, mut smtp_password) = (None, None, None);
            if kind == ChannelKind::Smtp {
                if smtp_user.is_some() {
                    smtp_password = Some(secret(&mut lines, "the account's password")?);
                }
            } else {
                url = Some(secret(&mut lines, "the address")?);
                if sign {
                    sign_secret = Some(secret(&mut lines, "the signing secret")?);
                }
            }
            drop(lines);
            let new = NewChannel {
                region_id: at.region,
                school_id: at.school,
                kind,
                name,
                url,
                sign_secret,
                smtp_host,
                smtp_port,
                smtp_security,
                smtp_user,
                smtp_password,
                smtp_from,
                tells,
                enabled: true,
            };
            let seal = crate::pki::open(config)?.seal;
            let row = ways::checked(db, config, &seal, new, None).await.map_err(plain)?;
            println!("{}", notify.set_channel(&everything, None, &row, BY, now).await?);
            Ok(())
        }
        ChannelCommand::Test { id, address } => {
            let seal = crate::pki::open(config)?.seal;
            let new = ChannelTest { address };
            let tested = ways::tested(db, config, &seal, &everything, id, &new, config.language)
                .await
                .map_err(plain)?;
            if let Some(error) = tested.error {
                anyhow::bail!("channel {id} does not work: {error}");
            }
            println!("delivered in {} ms", tested.took_ms);
            Ok(())
        }
        ChannelCommand::Remove { id } => Ok(notify.remove_channel(&everything, id, now).await?),
        ChannelCommand::People(format) => {
            let found = notify.recipients(&everything).await?;
            let head = [
                "ID", "ACCOUNT", "CHANNEL", "ADDRESS", "SEVERITY", "AN HOUR", "QUIET",
            ];
            list(format, &found, &head, || {
                let row = |one: &Recipient| {
                    let quiet = (one.quiet_from != one.quiet_to).then(|| {
                        let clock = |minute: u32| format!("{:02}:{:02}", minute / 60, minute % 60);
                        format!("{}-{}", clock(one.quiet_from), clock(one.quiet_to))
                    });
                    vec![
                        one.id.to_string(),
                        one.username.clone(),
                        one.channel.clone(),
                        one.address.clone(),
                        word(&one.severity),
                        one.cap_per_hour.to_string(),
                        or_dash(quiet),
                    ]
                };
                found.iter().map(row).collect()
            })
        }
        ChannelCommand::Reach {
            username,
            channel,
            address,
            severity,
            cap,
            quiet_from,
            quiet_to,
            tell_cleared,
        } => {
            let new = NewRecipient {
                username,
                channel_id: channel,
                address,
                severity,
                cap_per_hour: cap,
                quiet_from,
                quiet_to,
                tell_cleared: Some(tell_cleared),
            };
            let kind = notify.channel(&everything, channel).await?.kind;
            let address = text("address", &new.address, 0, 200).map_err(plain)?;
            let row = ways::recipient_row(&new, &address, kind).map_err(plain)?;
            println!("{}", notify.set_recipient(&everything, &row, BY, now).await?);
            Ok(())
        }
        ChannelCommand::Forget { id } => Ok(notify.remove_recipient(&everything, id).await?),
        ChannelCommand::Messages {
            state,
            channel,
            incident,
            order,
            limit,
            format,
        } => {
            let query = NotificationQuery {
                state,
                channel_id: channel,
                incident_id: incident,
                order_id: order,
                page: None,
                page_size: Some(limit.clamp(1, MAX_PAGE_SIZE)),
            };
            let (found, _) = notify.messages(&everything, &query).await?;
            let head = [
                "ID", "CHANNEL", "TO", "WHY", "TITLE", "MADE", "STATE", "TRIES", "ERROR",
            ];
            list(format, &found, &head, || {
                let row = |one: &Notification| {
                    vec![
                        one.id.to_string(),
                        one.channel.clone(),
                        or_dash(one.user.as_ref()),
                        one.reason.clone(),
                        one.title.clone(),
                        local(one.created_at),
                        one.state.clone(),
                        one.tries.to_string(),
                        or_dash(one.error.as_ref()),
                    ]
                };
                found.iter().map(row).collect()
            })
        }
    }
}

pub(super) async fn escalation(command: EscalationCommand, db: &Db) -> anyhow::Result<()> {
    let (everything, now) = (Scope::everything(), Timestamp::now());
    match command {
        EscalationCommand::List(format) => {
            let mut found = db.notify().escalations(&everything).await?;
            if !found.iter().any(|one| one.region_id.is_none()) {
                let (critical_minutes, warning_minutes) = ESCALATION;
                found.insert(
                    0,
                    Escalation {
                        region_id: None,
                        critical_minutes,
                        warning_minutes,
                    },
                );
            }
            list(format, &found, &["REGION", "CRITICAL MIN", "WARNING MIN"], || {
                let row = |one: &Escalation| {
                    vec![
                        or_dash(one.region_id),
                        one.critical_minutes.to_string(),
                        one.warning_minutes.to_string(),
                    ]
                };
                found.iter().map(row).collect()
            })
        }
        EscalationCommand::Set {
            region,
            critical,
            warning,
        } => {
            let new = Escalation {
                region_id: region,
                critical_minutes: within("critical", critical, 0, 10_080).map_err(plain)?,
                warning_minutes: within("warning", warning, 0, 10_080).map_err(plain)?,
            };
            Ok(db.notify().set_escalation(&everything, &new, BY, now).await?)
        }
        EscalationCommand::Remove { region } => {
            Ok(db.notify().remove_escalation(&everything, region).await?)
        }
    }
}
