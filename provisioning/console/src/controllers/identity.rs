//! A device's identity: how it stands, and the three words that change it.

use axum::{Json, extract::State};
use contract::{id::DeviceId, signed::Signed, standing::UnlockOrder};
use jiff::Timestamp;

use super::{Body, Path, text, tickets};
use crate::{
    access::Access,
    api::{
        identity::{DeviceIdentity, Revocation, Theft, Unlocked},
        schema,
        tickets::NewTicket,
    },
    app::{AppState, Noun},
    clock::HouseClock,
    config::Config,
    db::{Db, scope::Scope},
    error::ApiError,
    jobs::standing,
    pki::{Pki, keys::SigningKeys},
};

/// Hours that the ticket of an unlock order is good for: the disk has to travel.
const UNLOCK_TTL_HOURS: u32 = 14 * 24;

/// How a device stands, with its certificates and copies.
#[utoipa::path(get, path = "/devices/{id}/identity", tag = "devices", params(("id" = String, Path)), responses(
    (status = 200, body = DeviceIdentity),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn identity(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<String>,
) -> Result<Json<DeviceIdentity>, ApiError> {
    Ok(Json(look(&app.db, &access.scope, &device(&id)?).await?))
}

/// Revokes a device: within seconds it is out of both doors and stays out until it is enrolled again.
#[utoipa::path(post, path = "/devices/{id}/revoke", tag = "devices", params(("id" = String, Path)),
    request_body = Revocation, responses(
    (status = 200, body = DeviceIdentity),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn revoke(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<String>,
    Body(body): Body<Revocation>,
) -> Result<Json<DeviceIdentity>, ApiError> {
    let device = device(&id)?;
    let reason = text("reason", &body.reason, 1, 200)?;
    let now = app.clock.now();
    let standings = app.db.standings();
    standings.revoke(&access.scope, &device, &reason, now).await?;
    changed(&app, &device).await;
    Ok(Json(look(&app.db, &access.scope, &device).await?))
}

/// Reports a device stolen: as revoked, and it wipes its secrets and locks itself when it next calls.
#[utoipa::path(post, path = "/devices/{id}/stolen", tag = "devices", params(("id" = String, Path)),
    request_body = Theft, responses(
    (status = 200, body = DeviceIdentity),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn stolen(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<String>,
    Body(body): Body<Theft>,
) -> Result<Json<DeviceIdentity>, ApiError> {
    let device = device(&id)?;
    let reason = text("reason", &body.reason, 1, 200)?;
    let contact = text("contact", &body.contact, 0, 120)?;
    let now = app.clock.now();
    let standings = app.db.standings();
    standings
        .stolen(&access.scope, &device, &reason, &contact, now)
        .await?;
    changed(&app, &device).await;
    Ok(Json(look(&app.db, &access.scope, &device).await?))
}

/// Takes a report of theft back: a signed order for a USB disk, with a ticket to enrol again. Until then the device is revoked.
#[utoipa::path(post, path = "/devices/{id}/unlock", tag = "devices", params(("id" = String, Path)), responses(
    (status = 200, body = Unlocked),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    (status = 503, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn unlock(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<String>,
) -> Result<Json<Unlocked>, ApiError> {
    let device = device(&id)?;
    let office = Office {
        db: &app.db,
        config: &app.config,
        pki: &app.pki,
        keys: &app.keys,
        clock: &app.clock,
    };
    let unlock = office.unlock(&access.scope, &device).await?;
    app.changed(Noun::Ticket, None);
    changed(&app, &device).await;
    Ok(Json(Unlocked { unlock }))
}

/// What an unlock order is made with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Office<'a> {
    pub(crate) db: &'a Db,
    pub(crate) config: &'a Config,
    pub(crate) pki: &'a Pki,
    pub(crate) keys: &'a SigningKeys,
    pub(crate) clock: &'a HouseClock,
}

impl Office<'_> {
    /// Takes a report of theft back, with a ticket for the device's own classroom.
    pub(crate) async fn unlock(
        &self,
        scope: &Scope,
        device: &DeviceId,
    ) -> Result<Signed<UnlockOrder>, ApiError> {
        let now: Timestamp = self.clock.sign()?;
        let unlocks = self.db.standings().stolen_word(scope, device).await?;
        let (classroom, device_no) = self.db.standings().place(device).await?;
        let wish = NewTicket {
            classroom_id: Some(classroom),
            ttl_hours: Some(UNLOCK_TTL_HOURS),
            ..NewTicket::default()
        };
        let ca_pem = self.pki.ca_pem();
        let issued = tickets::issue(self.db, self.config, ca_pem, scope, &wish, device_no, now).await?;
        let order = UnlockOrder {
            device_id: device.clone(),
            unlocks: unlocks.clone(),
            issued_at: now,
            ticket: issued.ticket,
        };
        let signed = self.keys.sign_command(&order).map_err(ApiError::internal)?;
        self.db.standings().unlock(scope, device, now).await?;
        Ok(signed)
    }
}

/// The whole identity with its copies.
pub(crate) async fn look(db: &Db, scope: &Scope, device: &DeviceId) -> Result<DeviceIdentity, ApiError> {
    let mut identity = db.standings().identity(scope, device).await?;
    identity.clones = db.clones().list(scope, None).await?;
    identity.clones.retain(|copy| copy.device_id == device.as_str());
    Ok(identity)
}

async fn changed(app: &AppState, device: &DeviceId) {
    // Both doors look at this list; the bell tells them, and the pages, that it is new.
    standing::look(app).await;
    app.changed(Noun::Standing, device.to_string());
    app.device_changed(device);
}

fn device(id: &str) -> Result<DeviceId, ApiError> {
    DeviceId::new(id).map_err(|_| ApiError::not_found("device", id))
}
