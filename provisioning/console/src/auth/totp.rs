//! The second factor: six digits of an authenticator (RFC 6238, SHA-1, 30 s), a step either way, each step once.

use rand::{TryRngCore, rngs::OsRng};
use totp_rs::{Algorithm, Builder, Totp};
use zeroize::Zeroizing;

use crate::{
    api::account::TotpSetup,
    db::users::User,
    error::{ApiError, Code},
    pki::Sealer,
};

const SECRET_BYTES: usize = 20;
const STEP_S: u64 = 30;
const ISSUER: &str = "班班通";

fn purpose(user: i64) -> String {
    format!("totp/{user}")
}

fn totp(secret: &[u8], account: &str) -> Result<Totp, ApiError> {
    Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(6)
        .with_skew(1)
        .with_step_duration(STEP_S)
        .with_secret(secret.to_vec())
        // A colon would end the account's name in the address.
        .with_account_name(account.replace(':', "."))
        .with_issuer(Some(ISSUER))
        .build()
        .map_err(ApiError::internal)
}

/// A new secret for an account: what is shown once, and what is kept.
pub fn propose(seal: &Sealer, user: &User) -> Result<(TotpSetup, Vec<u8>), ApiError> {
    let mut secret = Zeroizing::new([0; SECRET_BYTES]);
    OsRng
        .try_fill_bytes(secret.as_mut_slice())
        .map_err(ApiError::internal)?;
    let sealed = seal
        .seal(&purpose(user.id), secret.as_slice())
        .map_err(ApiError::internal)?;
    let totp = totp(secret.as_slice(), &user.username)?;
    let uri = totp.to_url().map_err(ApiError::internal)?;
    let qr_svg = qrcode::QrCode::new(uri.as_bytes())
        .map_err(ApiError::internal)?
        .render::<qrcode::render::svg::Color<'_>>()
        .min_dimensions(200, 200)
        .build();
    let setup = TotpSetup {
        secret: totp.secret().to_base32(),
        uri,
        qr_svg,
    };
    Ok((setup, sealed))
}

/// The step that `code` belongs to; `None`: it does not fit. The caller has to use the step up, since it opens once.
pub fn step(seal: &Sealer, user: &User, code: &str, now_s: u64) -> Result<Option<u64>, ApiError> {
    let Some(sealed) = &user.totp_sealed else {
        return Ok(None);
    };
    let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    if code.len() != 6 || !code.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    let secret = seal.open(&purpose(user.id), sealed).map_err(|error| {
        tracing::error!(user.name = user.username, error = %error, "the second factor cannot be opened");
        ApiError::new(Code::Internal).detail(error)
    })?;
    Ok(totp(&secret, &user.username)?.check(&code, now_s))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_those_of_the_standard() {
        // RFC 6238, appendix B, cut to six digits.
        let totp = totp(b"12345678901234567890", "a:b").unwrap();
        for (at, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(totp.check(code, at), Some(at / STEP_S), "{at}");
            assert_eq!(totp.check(code, at + STEP_S), Some(at / STEP_S), "one step late");
            assert_eq!(totp.check(code, at + 2 * STEP_S), None, "two steps late");
        }
        let url = totp.to_url().unwrap();
        assert!(url.starts_with("otpauth://totp/"), "{url}");
    }
}
