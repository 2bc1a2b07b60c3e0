//! Channels, recipients, escalation, and what became of messages.

use axum::{Json, extract::State, http::StatusCode};
use jiff::Timestamp;

use super::{Body, Path, Query, alerts::node_of, text, within};
use crate::{
    access::Access,
    api::{
        alerts::Severity,
        notify::{
            Channel, ChannelKind, ChannelTest, ChannelTested, Channels, Escalation, Escalations, NewChannel,
            NewRecipient, NotificationPage, NotificationQuery, Recipient, Recipients, SmtpSecurity,
        },
        schema,
    },
    app::{AppState, Noun},
    config::{Config, Language},
    db::{
        Db,
        notify::{ChannelRow, ESCALATION, NewRow, Secrets, Settings},
        scope::Scope,
    },
    error::ApiError,
    notify::{self, Message},
    pki::Sealer,
};

/// Channels, by name; never their secrets.
#[utoipa::path(get, path = "/notification-channels", tag = "alerts", responses((status = 200, body = Channels)))]
pub async fn channels(State(app): State<AppState>, access: Access) -> Result<Json<Channels>, ApiError> {
    Ok(Json(Channels {
        items: app.db.notify().channels(&access.scope).await?,
    }))
}

/// Adds a channel.
#[utoipa::path(post, path = "/notification-channels", tag = "alerts", request_body = NewChannel, responses(
    (status = 201, body = Channel),
    (status = 403, body = schema::Problem, content_type = "application/problem+json"),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn add_channel(
    State(app): State<AppState>,
    access: Access,
    Body(new): Body<NewChannel>,
) -> Result<(StatusCode, Json<Channel>), ApiError> {
    let row = checked(&app.db, &app.config, &app.seal, new, None).await?;
    let db = app.db.notify();
    let id = db
        .set_channel(&access.scope, None, &row, &access.user.username, Timestamp::now())
        .await?;
    app.changes.tell(Noun::Incident, None);
    Ok((StatusCode::CREATED, Json(db.channel(&access.scope, id).await?)))
}

/// Changes a channel; secrets that are left out stay.
#[utoipa::path(put, path = "/notification-channels/{id}", tag = "alerts", params(("id" = i64, Path)), request_body = NewChannel, responses(
    (status = 200, body = Channel),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn change_channel(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Body(new): Body<NewChannel>,
) -> Result<Json<Channel>, ApiError> {
    let db = app.db.notify();
    db.channel(&access.scope, id).await?;
    let row = checked(&app.db, &app.config, &app.seal, new, Some(id)).await?;
    db.set_channel(
        &access.scope,
        Some(id),
        &row,
        &access.user.username,
        Timestamp::now(),
    )
    .await?;
    app.changes.tell(Noun::Incident, None);
    Ok(Json(db.channel(&access.scope, id).await?))
}

/// Takes a channel away; what waits for it is given up.
#[utoipa::path(delete, path = "/notification-channels/{id}", tag = "alerts", params(("id" = i64, Path)), responses(
    (status = 204),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn remove_channel(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiError> {
    app.db
        .notify()
        .remove_channel(&access.scope, id, Timestamp::now())
        .await?;
    app.changes.tell(Noun::Incident, None);
    Ok(StatusCode::NO_CONTENT)
}

/// Sends a test at once, and says how that went.
#[utoipa::path(post, path = "/notification-channels/{id}/test", tag = "alerts", params(("id" = i64, Path)), request_body = ChannelTest, responses(
    (status = 200, body = ChannelTested),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn test_channel(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Body(new): Body<ChannelTest>,
) -> Result<Json<ChannelTested>, ApiError> {
    let language = access.user.language();
    Ok(Json(
        tested(&app.db, &app.config, &app.seal, &access.scope, id, &new, language).await?,
    ))
}

/// Sends a test through a channel at once, and notes how that went.
///
/// # Errors
/// The channel is out of reach, or needs another address.
pub(crate) async fn tested(
    db: &Db,
    config: &Config,
    seal: &Sealer,
    scope: &Scope,
    id: i64,
    new: &ChannelTest,
    language: Language,
) -> Result<ChannelTested, ApiError> {
    let channel = db.notify().channel(scope, id).await?;
    let address = text("address", new.address.as_deref().unwrap_or_default(), 0, 200)?;
    if channel.kind == ChannelKind::Smtp && !address.contains('@') {
        return Err(ApiError::invalid(
            "address",
            "an e-mail needs an address to go to",
        ));
    }
    let way = db.notify().way(id).await?;
    let message = Message::test(&way, address, language, Timestamp::now());
    let started = std::time::Instant::now();
    let outcome = notify::send(config, seal, &way, &message).await;
    let took_ms = u32::try_from(started.elapsed().as_millis()).unwrap_or(u32::MAX);
    let error = outcome.err().map(|error| error.to_string());
    db.notify()
        .tested(scope, id, &message, error.as_deref(), took_ms, Timestamp::now())
        .await?;
    Ok(ChannelTested {
        delivered: error.is_none(),
        error,
        took_ms,
    })
}

/// A channel as it can be written: where to is allowed, and secrets are sealed. What is left out of one that is there stays.
///
/// # Errors
/// What is wrong with it.
pub(crate) async fn checked(
    db: &Db,
    config: &Config,
    seal: &Sealer,
    new: NewChannel,
    id: Option<i64>,
) -> Result<ChannelRow, ApiError> {
    let known = match id {
        Some(id) => {
            let way = db.notify().way(id).await?;
            let secrets = notify::open(seal, &way).map_err(ApiError::internal)?;
            Some((way.settings, secrets))
        }
        None => None,
    };
    let (old, mut secrets) = known.unwrap_or_default();
    let node = node_of(new.region_id, new.school_id)?;
    let name = text("name", &new.name, 1, 60)?;
    let mut settings = Settings::default();
    if let Some(sign) = new.sign_secret {
        secrets.sign = Some(text("sign_secret", &sign, 0, 200)?).filter(|sign| !sign.is_empty());
    }
    match new.kind {
        ChannelKind::Smtp => {
            settings.smtp_host = match new.smtp_host {
                Some(host) => text("smtp_host", &host, 1, 253)?,
                None => old.smtp_host,
            };
            settings.smtp_security = new.smtp_security.unwrap_or(old.smtp_security);
            settings.smtp_port = new
                .smtp_port
                .or((old.smtp_port != 0).then_some(old.smtp_port))
                .unwrap_or(match settings.smtp_security {
                    SmtpSecurity::Tls => 465,
                    SmtpSecurity::Starttls => 587,
                    SmtpSecurity::None => 25,
                });
            settings.smtp_user = match new.smtp_user {
                Some(user) => Some(text("smtp_user", &user, 0, 200)?).filter(|user| !user.is_empty()),
                None => old.smtp_user,
            };
            settings.smtp_from = match new.smtp_from {
                Some(from) => text("smtp_from", &from, 3, 200)?,
                None => old.smtp_from,
            };
            if !notify::smtp::is_address(&settings.smtp_from) {
                return Err(ApiError::invalid("smtp_from", "is no e-mail address"));
            }
            if let Some(password) = new.smtp_password {
                secrets.password = Some(password).filter(|password| !password.is_empty());
            }
            settings.target = format!("{}:{}", settings.smtp_host, settings.smtp_port);
            config
                .notify
                .check_smtp(&settings.smtp_host, settings.smtp_security)
                .map_err(|error| ApiError::invalid("smtp_host", error))?;
        }
        ChannelKind::Webhook | ChannelKind::Wecom | ChannelKind::Dingtalk => {
            if let Some(url) = new.url {
                secrets.url = Some(text("url", &url, 1, 2_000)?);
            }
            let url = secrets
                .url
                .as_deref()
                .ok_or_else(|| ApiError::invalid("url", "is missing"))?;
            let url = config
                .notify
                .check_url(url)
                .map_err(|error| ApiError::invalid("url", error))?;
            settings.target = notify::guard::shown(&url);
        }
    }
    let sealed = notify::seal(seal, &secrets).map_err(ApiError::internal)?;
    Ok(ChannelRow {
        node,
        kind: new.kind,
        name,
        settings,
        secret: (secrets != Secrets::default()).then_some(sealed),
        tells: new.tells,
        enabled: new.enabled,
    })
}

/// How persons are reached.
#[utoipa::path(get, path = "/notification-recipients", tag = "alerts", responses((status = 200, body = Recipients)))]
pub async fn recipients(State(app): State<AppState>, access: Access) -> Result<Json<Recipients>, ApiError> {
    Ok(Json(Recipients {
        items: app.db.notify().recipients(&access.scope).await?,
    }))
}

/// How a person is reached, as it can be written.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn recipient_row<'a>(
    new: &'a NewRecipient,
    address: &'a str,
    kind: ChannelKind,
) -> Result<NewRow<'a>, ApiError> {
    if kind == ChannelKind::Smtp && !notify::smtp::is_address(address) {
        return Err(ApiError::invalid("address", "is no e-mail address"));
    }
    Ok(NewRow {
        username: &new.username,
        channel: new.channel_id,
        address,
        severity: new.severity.unwrap_or(Severity::Warning),
        cap: within("cap_per_hour", new.cap_per_hour.unwrap_or(6), 1, 60)?,
        quiet: (
            within("quiet_from", new.quiet_from.unwrap_or(0), 0, 1_439)?,
            within("quiet_to", new.quiet_to.unwrap_or(0), 0, 1_439)?,
        ),
        tell_cleared: new.tell_cleared.unwrap_or(false),
    })
}

/// Sets how a person is reached through a channel. Whom that concerns at which school follows from areas and roles.
#[utoipa::path(put, path = "/notification-recipients", tag = "alerts", request_body = NewRecipient, responses(
    (status = 200, body = Recipient),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn set_recipient(
    State(app): State<AppState>,
    access: Access,
    Body(new): Body<NewRecipient>,
) -> Result<Json<Recipient>, ApiError> {
    let db = app.db.notify();
    let channel = db.channel(&access.scope, new.channel_id).await?;
    let address = text("address", &new.address, 0, 200)?;
    let row = recipient_row(&new, &address, channel.kind)?;
    let id = db
        .set_recipient(&access.scope, &row, &access.user.username, Timestamp::now())
        .await?;
    app.changes.tell(Noun::Incident, None);
    let found = db
        .recipients(&access.scope)
        .await?
        .into_iter()
        .find(|one| one.id == id);
    Ok(Json(found.ok_or_else(|| {
        ApiError::not_found("notification_recipient", id)
    })?))
}

/// A person is no longer reached that way.
#[utoipa::path(delete, path = "/notification-recipients/{id}", tag = "alerts", params(("id" = i64, Path)), responses(
    (status = 204),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn remove_recipient(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiError> {
    app.db.notify().remove_recipient(&access.scope, id).await?;
    app.changes.tell(Noun::Incident, None);
    Ok(StatusCode::NO_CONTENT)
}

async fn all_escalations(app: &AppState, access: &Access) -> Result<Json<Escalations>, ApiError> {
    let (critical_minutes, warning_minutes) = ESCALATION;
    Ok(Json(Escalations {
        items: app.db.notify().escalations(&access.scope).await?,
        default: Escalation {
            region_id: None,
            critical_minutes,
            warning_minutes,
        },
    }))
}

/// When the next tier is told of what nobody acknowledged.
#[utoipa::path(get, path = "/escalations", tag = "alerts", responses((status = 200, body = Escalations)))]
pub async fn escalations(State(app): State<AppState>, access: Access) -> Result<Json<Escalations>, ApiError> {
    all_escalations(&app, &access).await
}

/// Sets that for a region and below.
#[utoipa::path(put, path = "/escalations", tag = "alerts", request_body = Escalation, responses(
    (status = 200, body = Escalations),
    (status = 403, body = schema::Problem, content_type = "application/problem+json"),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn set_escalation(
    State(app): State<AppState>,
    access: Access,
    Body(new): Body<Escalation>,
) -> Result<Json<Escalations>, ApiError> {
    within("critical_minutes", new.critical_minutes, 0, 10_080)?;
    within("warning_minutes", new.warning_minutes, 0, 10_080)?;
    app.db
        .notify()
        .set_escalation(&access.scope, &new, &access.user.username, Timestamp::now())
        .await?;
    app.changes.tell(Noun::Incident, None);
    all_escalations(&app, &access).await
}

/// Takes away what was set for a region, or with 0 for the whole install: what is set above holds there again.
#[utoipa::path(delete, path = "/escalations/{region}", tag = "alerts", params(("region" = i64, Path)), responses(
    (status = 200, body = Escalations),
    (status = 403, body = schema::Problem, content_type = "application/problem+json"),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn remove_escalation(
    State(app): State<AppState>,
    access: Access,
    Path(region): Path<i64>,
) -> Result<Json<Escalations>, ApiError> {
    let region = Some(region).filter(|region| *region != 0);
    app.db.notify().remove_escalation(&access.scope, region).await?;
    app.changes.tell(Noun::Incident, None);
    all_escalations(&app, &access).await
}

/// Messages and what became of them, newest first.
#[utoipa::path(get, path = "/notifications", tag = "alerts", params(NotificationQuery), responses((status = 200, body = NotificationPage)))]
pub async fn messages(
    State(app): State<AppState>,
    access: Access,
    Query(query): Query<NotificationQuery>,
) -> Result<Json<NotificationPage>, ApiError> {
    let found = app.db.notify().messages(&access.scope, &query).await?;
    Ok(Json(NotificationPage::new(found, query.page())))
}
