//! Boards that wait: somebody looks at the screen before them, picks the classroom, and the board is in.
//!
//! A board that was never let in belongs to no county: whoever may decide sees it and may take it, but only who was granted
//! the root refuses it, for that hides it from all.

use axum::{Json, extract::State, http::StatusCode};
use contract::{code::DIGITS, enrol::BrokerAddress, id::DeviceId};
use jiff::Timestamp;

use super::{Body, Path};
use crate::{
    access::Access,
    api::{
        claims::{Claim, ClaimApproval, ClaimApproved, ClaimList},
        schema,
    },
    app::{AppState, Noun},
    config::Config,
    db::{DbError, claims::Approval, scope::Scope},
    enrolment::{Enroller, new_code},
    error::{ApiError, Code},
    pki::check_csr,
};

/// Boards that wait, heard within 24 hours, newest first.
#[utoipa::path(get, path = "/claims", tag = "claims", responses((status = 200, body = ClaimList)))]
pub async fn list(State(app): State<AppState>, access: Access) -> Result<Json<ClaimList>, ApiError> {
    Ok(Json(ClaimList {
        items: app.db.claims().list(&access.scope, app.clock.now()).await?,
    }))
}

/// The board that shows this fingerprint (hyphen and case do not matter), decided or not.
#[utoipa::path(get, path = "/claims/by-fingerprint/{fingerprint}", tag = "claims",
    params(("fingerprint" = String, Path)), responses(
    (status = 200, body = Claim),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn by_fingerprint(
    State(app): State<AppState>,
    access: Access,
    Path(fingerprint): Path<String>,
) -> Result<Json<Claim>, ApiError> {
    let spelled = spelled(&fingerprint).ok_or_else(|| {
        let shown: String = fingerprint.chars().take(40).collect();
        ApiError::not_found("claim", shown)
    })?;
    Ok(Json(
        app.db.claims().by_fingerprint(&access.scope, &spelled).await?,
    ))
}

/// Makes a waiting board the device of a classroom. Asked again for the same classroom, answers the same device.
#[utoipa::path(post, path = "/claims/{id}/approve", tag = "claims", params(("id" = i64, Path)),
    request_body = ClaimApproval, responses(
    (status = 200, body = ClaimApproved),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn approve(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Body(wish): Body<ClaimApproval>,
) -> Result<Json<ClaimApproved>, ApiError> {
    let enroller = app.enroller();
    let who = Decider {
        scope: &access.scope,
        name: &access.user.username,
    };
    let device = decide(&enroller, &app.config, &who, id, &wish, app.clock.sign()?).await?;
    app.device_changed(&device);
    app.changed(Noun::Claim, id.to_string());
    if wish.replaces.is_some() {
        app.changed(Noun::Standing, None);
    }
    Ok(Json(ClaimApproved {
        device_id: device.to_string(),
    }))
}

/// Says no to a waiting board; it stops asking until it is started again, and can still be approved.
#[utoipa::path(post, path = "/claims/{id}/refuse", tag = "claims", params(("id" = i64, Path)), responses(
    (status = 204),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn refuse(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiError> {
    app.db
        .claims()
        .refuse(&access.scope, id, &access.user.username, app.clock.now())
        .await?;
    app.changed(Noun::Claim, id.to_string());
    Ok(StatusCode::NO_CONTENT)
}

/// Who decides on a claim, and how far they reach.
#[derive(Debug, Clone, Copy)]
pub struct Decider<'a> {
    /// What they reach.
    pub scope: &'a Scope,
    /// Their name.
    pub name: &'a str,
}

/// Makes a waiting board a device; the same wish again gives the same device.
///
/// # Errors
/// What is not there or out of reach; [`Code::Conflict`] where the board stands elsewhere already.
pub async fn decide(
    enroller: &Enroller,
    config: &Config,
    who: &Decider<'_>,
    claim: i64,
    wish: &ClaimApproval,
    now: Timestamp,
) -> Result<DeviceId, ApiError> {
    let db = &enroller.db;
    let deciding = db.claims().deciding(who.scope, claim).await?;
    let decided = |device: &(DeviceId, i64)| {
        if device.1 == wish.classroom_id {
            return Ok(device.0.clone());
        }
        let (device, classroom) = device;
        Err(ApiError::new(Code::Conflict).detail(format!(
            "the board is device {device} in classroom {classroom} already; move that device instead"
        )))
    };
    if let Some(device) = &deciding.device {
        return decided(device);
    }
    db.need_classroom(who.scope, wish.classroom_id).await?;
    let replaces = match &wish.replaces {
        None => None,
        Some(id) => {
            let device = DeviceId::new(id).map_err(|_| ApiError::not_found("device", id))?;
            let (device_no, classroom) = db.devices().to_replace(who.scope, &device).await?;
            if classroom != wish.classroom_id {
                return Err(ApiError::invalid(
                    "classroom_id",
                    format!(
                        "device {device} stands in classroom {classroom}; what takes its place stands there, too"
                    ),
                ));
            }
            Some(device_no)
        }
    };
    let csr = check_csr(&deciding.csr_pem).map_err(ApiError::internal)?;
    let key = csr.key_hash;
    let (device, issued) = enroller.issue(csr, now)?;
    let console_url = config.devices_url();
    let approval = Approval {
        claim,
        classroom_id: wish.classroom_id,
        replaces,
        code: &new_code(),
        console_url: &console_url,
        broker: BrokerAddress {
            host: config.public_host.clone(),
            port: config.public_mqtt_port,
        },
        device: device.clone(),
        key,
        certificate_pem: &issued.pem,
        certificate_serial: &issued.serial,
        certificate_not_after: issued.not_after,
        by: who.name,
    };
    match db.claims().approve(&approval, now).await {
        Ok(_) => Ok(device),
        // Two taps on the button: the second one finds what the first has made.
        Err(DbError::Conflict(why)) => match db.claims().deciding(who.scope, claim).await?.device {
            Some(device) => decided(&device),
            None => Err(DbError::Conflict(why).into()),
        },
        Err(error) => Err(error.into()),
    }
}

/// A fingerprint as it is stored, of what a person typed or a QR code said.
fn spelled(text: &str) -> Option<String> {
    let mut digits = String::with_capacity(9);
    for c in text.chars().filter(|c| !c.is_whitespace() && *c != '-') {
        let c = match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        };
        u8::try_from(c).ok().filter(|b| DIGITS.contains(b))?;
        if digits.len() == 4 {
            digits.push('-');
        }
        digits.push(c);
        if digits.len() > 9 {
            return None;
        }
    }
    (digits.len() == 9).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_may_be_typed_as_people_type() {
        for typed in ["7K3M-9QX0", "7k3m9qxo", " 7k3m 9qx0 "] {
            assert_eq!(spelled(typed).as_deref(), Some("7K3M-9QX0"), "{typed}");
        }
        for wrong in ["", "7K3M-9QX", "7K3M-9QX00", "7K3M-9QXU", "'; DROP"] {
            assert_eq!(spelled(wrong), None, "{wrong}");
        }
    }
}
