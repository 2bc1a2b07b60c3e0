//! Asks the console for its word on this device.

use contract::{
    api::STANDING,
    signed::{Signed, TrustedKey},
    standing::StandingOrder,
};
use reqwest::Method;

use super::console::{self, Answer};

/// The console's word, as it was signed and as it reads.
///
/// # Errors
/// No answer, or none that can be believed; nothing follows from that.
pub async fn console_standing(
    console_url: &str,
    tls: rustls::ClientConfig,
    keys: &[TrustedKey],
) -> anyhow::Result<(Signed<StandingOrder>, StandingOrder)> {
    match console::ask(tls, Method::GET, &format!("{console_url}{STANDING}"), None).await {
        Answer::Good(body) => {
            let signed: Signed<StandingOrder> = serde_json::from_slice(&body)?;
            let order = signed.verify(keys)?;
            Ok((signed, order))
        }
        other => anyhow::bail!("{}", other.reason()),
    }
}
