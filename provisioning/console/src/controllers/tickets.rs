//! Enrolment tickets.

use axum::{Json, extract::State, http::StatusCode};
use contract::enrol::{BrokerAddress, EnrolmentTicket};
use jiff::{SignedDuration, Timestamp};
use rand::Rng;

use super::{Body, Path, text, within};
use crate::{
    api::{
        schema,
        tickets::{IssuedTicket, NewTicket, TicketList},
    },
    app::{AppState, Noun},
    config::Config,
    db::{Db, tickets::NewTicketRow},
    error::ApiError,
};

const DEFAULT_TTL_HOURS: u32 = 72;
/// Crockford's base 32: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CODE_CHARS: usize = 8;

/// Issues a ticket; its code is in this answer and nowhere else.
#[utoipa::path(post, path = "/tickets", tag = "tickets", request_body = NewTicket, responses(
    (status = 201, body = IssuedTicket),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn add(
    State(app): State<AppState>,
    Body(new): Body<NewTicket>,
) -> Result<(StatusCode, Json<IssuedTicket>), ApiError> {
    let ticket = issue(&app.db, &app.config, app.pki.ca_pem(), &new, Timestamp::now()).await?;
    app.changed(Noun::Ticket, ticket.id.to_string());
    Ok((StatusCode::CREATED, Json(ticket)))
}

/// Tickets, newest first, at most 500. Codes are not shown.
#[utoipa::path(get, path = "/tickets", tag = "tickets", responses((status = 200, body = TicketList)))]
pub async fn list(State(app): State<AppState>) -> Result<Json<TicketList>, ApiError> {
    Ok(Json(TicketList {
        items: app.db.tickets().list(Timestamp::now()).await?,
    }))
}

/// Takes an unused ticket back.
#[utoipa::path(delete, path = "/tickets/{id}", tag = "tickets", params(("id" = i64, Path)), responses(
    (status = 204),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn revoke(State(app): State<AppState>, Path(id): Path<i64>) -> Result<StatusCode, ApiError> {
    app.db.tickets().revoke(id, Timestamp::now()).await?;
    app.changed(Noun::Ticket, id.to_string());
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a ticket; what the wish leaves out comes from the configuration.
pub(crate) async fn issue(
    db: &Db,
    config: &Config,
    ca_pem: &str,
    new: &NewTicket,
    now: Timestamp,
) -> Result<IssuedTicket, ApiError> {
    let hours = within("ttl_hours", new.ttl_hours.unwrap_or(DEFAULT_TTL_HOURS), 1, 720)?;
    let console_url = match &new.console_url {
        None => config.devices_url(),
        Some(url) => {
            let url = text("console_url", url, 9, 300)?;
            let fits = url.parse::<axum::http::Uri>().is_ok_and(|u| {
                u.scheme_str() == Some("https")
                    && u.host().is_some()
                    && u.path() == "/"
                    && u.query().is_none()
            });
            if !fits {
                return Err(ApiError::invalid(
                    "console_url",
                    "expected https://HOST:PORT without a path",
                ));
            }
            url.trim_end_matches('/').to_owned()
        }
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
    let expires_at = now
        .checked_add(SignedDuration::from_hours(i64::from(hours)))
        .map_err(ApiError::internal)?;
    let code = new_code();
    let row = NewTicketRow {
        code: &code,
        classroom_id: new.classroom_id,
        console_url: &console_url,
        broker,
        expires_at,
    };
    let id = db.tickets().add(&row, now).await?;
    Ok(IssuedTicket {
        id,
        ticket: EnrolmentTicket {
            console_url,
            code,
            ca_pem: ca_pem.to_owned(),
            expires_at,
        },
    })
}

fn new_code() -> String {
    // The thread's generator is a CSPRNG seeded by the operating system.
    let mut rng = rand::rng();
    (0..CODE_CHARS)
        .map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())]))
        .collect()
}
