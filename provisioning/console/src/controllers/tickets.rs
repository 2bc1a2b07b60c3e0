//! Enrolment tickets.

use axum::{Json, extract::State, http::StatusCode};
use contract::{
    code::TicketCode,
    enrol::{BrokerAddress, EnrolmentTicket},
    id::DeviceId,
};
use jiff::{SignedDuration, Timestamp};

use super::{Body, Path, text, within};
use crate::{
    access::Access,
    api::{
        schema,
        tickets::{IssuedTicket, NewReplacement, NewTicket, TicketList},
    },
    app::{AppState, Noun},
    audit,
    config::Config,
    db::{
        Db,
        scope::Scope,
        tickets::{Bound, NewTicketRow},
    },
    enrolment::new_code,
    error::ApiError,
};

const DEFAULT_TTL_HOURS: u32 = 72;
/// Longest life of a ticket: a quarter, so that a sheet printed for the holidays still opens after them.
pub(crate) const MAX_TTL_HOURS: u32 = 2_160;

/// Issues a ticket; its code is in this answer and nowhere else.
#[utoipa::path(post, path = "/tickets", tag = "tickets", request_body = NewTicket, responses(
    (status = 201, body = IssuedTicket),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn add(
    State(app): State<AppState>,
    access: Access,
    Body(new): Body<NewTicket>,
) -> Result<(StatusCode, Json<IssuedTicket>), ApiError> {
    let now = app.clock.sign()?;
    let ticket = issue(
        &app.db,
        &app.config,
        app.pki.ca_pem(),
        &access.scope,
        &new,
        None,
        now,
    )
    .await?;
    app.changed(Noun::Ticket, ticket.id.to_string());
    Ok((StatusCode::CREATED, Json(ticket)))
}

/// Tickets, newest first, at most 500. Codes are not shown.
#[utoipa::path(get, path = "/tickets", tag = "tickets", responses((status = 200, body = TicketList)))]
pub async fn list(State(app): State<AppState>, access: Access) -> Result<Json<TicketList>, ApiError> {
    Ok(Json(TicketList {
        items: app.db.tickets().list(&access.scope, app.clock.now()).await?,
    }))
}

/// Takes an unused ticket back; a used one stays, its device can be revoked.
#[utoipa::path(delete, path = "/tickets/{id}", tag = "tickets", params(("id" = i64, Path)), responses(
    (status = 204),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn revoke(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiError> {
    app.db
        .tickets()
        .revoke(&access.scope, id, app.clock.now())
        .await?;
    app.changed(Noun::Ticket, id.to_string());
    Ok(StatusCode::NO_CONTENT)
}

/// Issues a ticket for the board that takes a device's place: classroom, pushes and history go over to it when it enrols.
#[utoipa::path(post, path = "/devices/{id}/replace", tag = "tickets", params(("id" = String, Path)),
    request_body = NewReplacement, responses(
    (status = 201, body = IssuedTicket),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn replace(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<String>,
    Body(new): Body<NewReplacement>,
) -> Result<(StatusCode, Json<IssuedTicket>), ApiError> {
    let device = DeviceId::new(&id).map_err(|_| ApiError::not_found("device", &id))?;
    let (device_no, classroom) = app.db.devices().to_replace(&access.scope, &device).await?;
    let wish = NewTicket {
        classroom_id: Some(classroom),
        ttl_hours: new.ttl_hours,
        ..NewTicket::default()
    };
    audit::note("replaces", device.as_str());
    let (pki, now) = (app.pki.ca_pem(), app.clock.sign()?);
    let ticket = issue(
        &app.db,
        &app.config,
        pki,
        &access.scope,
        &wish,
        Some(device_no),
        now,
    )
    .await?;
    app.changed(Noun::Ticket, ticket.id.to_string());
    Ok((StatusCode::CREATED, Json(ticket)))
}

/// Makes a ticket; what the wish leaves out comes from the configuration.
pub(crate) async fn issue(
    db: &Db,
    config: &Config,
    ca_pem: &str,
    scope: &Scope,
    new: &NewTicket,
    replaces: Option<i64>,
    now: Timestamp,
) -> Result<IssuedTicket, ApiError> {
    let bound = match (new.classroom_id, new.school_id) {
        (Some(classroom), None) => {
            db.need_classroom(scope, classroom).await?;
            Bound::Classroom(classroom)
        }
        (None, Some(school)) => {
            scope.need_school(school)?;
            Bound::School(school)
        }
        _ => {
            return Err(ApiError::invalid(
                "classroom_id",
                "give either classroom_id or school_id",
            ));
        }
    };
    let serial = match &new.serial {
        None => None,
        Some(serial) => Some(text("serial", serial, 1, 128)?),
    };
    let expires_at = expiry(new.ttl_hours, DEFAULT_TTL_HOURS, now)?;
    let console_url = match &new.console_url {
        None => config.devices_url(),
        Some(url) => checked_url(url)?,
    };
    let broker = BrokerAddress {
        host: match &new.broker_host {
            None => config.public_host.clone(),
            Some(host) => text("broker_host", host, 1, 253)?,
        },
        port: match new.broker_port {
            None => config.public_mqtt_port,
            Some(0) => return Err(ApiError::invalid("broker_port", "allowed is 1 to 65535")),
            Some(port) => port,
        },
    };
    let code = new_code();
    let row = NewTicketRow {
        code: &code,
        code_sealed: None,
        batch: None,
        bound,
        serial: serial.as_deref(),
        replaces,
        console_url: &console_url,
        broker,
        expires_at,
    };
    let id = db.tickets().add(&row, now).await?;
    Ok(IssuedTicket {
        id,
        typed_code: code.typed(),
        label_url: label_url(config, &code),
        ticket: EnrolmentTicket {
            console_url,
            code: code.secret(),
            ca_pem: ca_pem.to_owned(),
            expires_at,
        },
    })
}

/// When a ticket with this life runs out.
pub(crate) fn expiry(hours: Option<u32>, default: u32, now: Timestamp) -> Result<Timestamp, ApiError> {
    let hours = within("ttl_hours", hours.unwrap_or(default), 1, MAX_TTL_HOURS)?;
    now.checked_add(SignedDuration::from_hours(i64::from(hours)))
        .map_err(ApiError::internal)
}

/// What a label's QR code says. The code stands behind `#`, which a browser keeps to itself: it is in no log on the way.
pub(crate) fn label_url(config: &Config, code: &TicketCode) -> Option<String> {
    let typed: String = code.typed().chars().filter(|c| *c != '-').collect();
    (!config.web_url.is_empty()).then(|| format!("{}/claim#code={typed}", config.web_url))
}

fn checked_url(url: &str) -> Result<String, ApiError> {
    let url = text("console_url", url, 9, 300)?;
    let fits = url.parse::<axum::http::Uri>().is_ok_and(|u| {
        u.scheme_str() == Some("https") && u.host().is_some() && u.path() == "/" && u.query().is_none()
    });
    if !fits {
        return Err(ApiError::invalid(
            "console_url",
            "expected https://HOST:PORT without a path",
        ));
    }
    Ok(url.trim_end_matches('/').to_owned())
}
