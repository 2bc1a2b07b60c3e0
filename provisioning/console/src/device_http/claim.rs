//! `POST /device/v1/claim`: a board without a ticket says that it is there, again and again, until somebody picks its
//! classroom on a telephone. With a certificate it says, too, of whose disk its own is a copy.

use std::{sync::Arc, time::Instant};

use axum::{
    Extension, Json,
    extract::{Request, State},
};
use contract::claim::{ClaimReply, ClaimRequest};

use super::{PeerExtension, Shared, enrol::read, limits::Spent, renew::same_board};
use crate::{
    db::claims::{Caller, Heard},
    enrolment::check_claim,
    error::{ApiError, Code},
};

/// How often a waiting board asks.
const ASK_AGAIN_S: u32 = 5;

pub(super) async fn claim(
    State(shared): State<Arc<Shared>>,
    Extension(peer): PeerExtension,
    request: Request,
) -> Result<Json<ClaimReply>, ApiError> {
    let from = peer.address.ip();
    let too_many = |spent: Spent| {
        let seconds = u32::try_from(spent.wait.as_secs()).unwrap_or(u32::MAX).max(1);
        tracing::warn!(peer = %peer.address, "too many claims from one address");
        ApiError::new(Code::Busy).retry_after(seconds)
    };
    shared.claims.book(from, Instant::now()).map_err(too_many)?;
    let request: ClaimRequest = read(request).await?;
    let checked = check_claim(&request)?;
    let caller = Caller {
        request: &request,
        checked: &checked,
        address: &from.to_canonical().to_string(),
        shows: peer.device.as_ref(),
    };
    let now = shared.http.clock.now();
    let claims = shared.http.db.claims();
    let heard = match claims.hear(&caller, false, now).await? {
        Some(heard) => heard,
        None => {
            shared.new_claims.book(from, Instant::now()).map_err(too_many)?;
            let heard = claims.hear(&caller, true, now).await?.unwrap_or(Heard::Waiting);
            // A board that knows itself for a copy never comes to the broker's door, so this is where it is noted.
            if let Some(device) = &peer.device {
                match same_board(&shared, device, &request.hardware, from, now).await {
                    Err(error) if error.code != Code::DeviceQuarantined => return Err(error),
                    _ => {}
                }
            }
            heard
        }
    };
    Ok(Json(match heard {
        Heard::Waiting => ClaimReply::Waiting {
            ask_again_s: ASK_AGAIN_S,
        },
        Heard::Refused => ClaimReply::Refused,
        Heard::Approved(enrolled) => ClaimReply::Enrolled {
            reply: Box::new(
                shared
                    .http
                    .enroller()
                    .reply(enrolled, shared.http.clock.sign()?)
                    .await?,
            ),
        },
    }))
}
