//! PINs that boards check on their own: made here, told once, and kept as a digest only.

use std::num::NonZeroU32;

use contract::school::PinDigest;
use rand::Rng;
use ring::pbkdf2;

/// Rounds of PBKDF2-HMAC-SHA256: about a quarter of a second on a board.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(100_000).unwrap();
/// Digits of a PIN that is made here.
const DIGITS: u32 = 6;
/// Shortest and longest PIN that is taken.
pub const LENGTHS: std::ops::RangeInclusive<usize> = 6..=12;

/// A PIN of six digits.
pub fn generate(random: &mut impl Rng) -> String {
    format!(
        "{:0width$}",
        random.random_range(0..10_u32.pow(DIGITS)),
        width = DIGITS as usize
    )
}

/// Whether a text can be a PIN: 6–12 digits, not all of them the same.
pub fn is_pin(text: &str) -> bool {
    LENGTHS.contains(&text.len())
        && text.bytes().all(|c| c.is_ascii_digit())
        && text.bytes().any(|c| Some(c) != text.bytes().next())
}

/// What proves a PIN without holding it, with a salt of its own.
pub fn digest(pin: &str, random: &mut impl Rng) -> PinDigest {
    let salt: [u8; 16] = random.random();
    let mut out = [0; 32];
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        ITERATIONS,
        &salt,
        pin.as_bytes(),
        &mut out,
    );
    PinDigest {
        iterations: ITERATIONS.get(),
        salt: hex::encode(salt),
        digest: hex::encode(out),
    }
}

/// Whether `pin` is the one that `digest` was made of.
pub fn fits(pin: &str, digest: &PinDigest) -> bool {
    let (Some(rounds), Ok(salt), Ok(expected)) = (
        NonZeroU32::new(digest.iterations),
        hex::decode(&digest.salt),
        hex::decode(&digest.digest),
    ) else {
        return false;
    };
    pbkdf2::verify(
        pbkdf2::PBKDF2_HMAC_SHA256,
        rounds,
        &salt,
        pin.as_bytes(),
        &expected,
    )
    .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_fits_its_digest_and_no_other() {
        let pin = generate(&mut rand::rng());
        assert_eq!(pin.len(), 6);
        let (a, b) = (digest(&pin, &mut rand::rng()), digest(&pin, &mut rand::rng()));
        assert_ne!(a, b, "each has a salt of its own");
        assert!(fits(&pin, &a) && fits(&pin, &b));
        assert!(!fits("000000x", &a) && !fits("", &a));
        assert!(!serde_json::to_string(&a).unwrap().contains(&pin) || pin == "100000");
    }

    #[test]
    fn the_digest_is_the_one_that_other_programs_make() {
        // Python: hashlib.pbkdf2_hmac('sha256', b'246810', bytes(range(16)), 1000).hex()
        let told = PinDigest {
            iterations: 1_000,
            salt: hex::encode((0..16).collect::<Vec<u8>>()),
            digest: "5f24ead33ae7a13106e8b40eee798dbef1c6ee6e35904e51c3b8dfd32a7d3f24".into(),
        };
        assert!(fits("246810", &told));
    }

    #[test]
    fn digits_only_and_not_all_the_same() {
        for good in ["123456", "000001", "123456789012"] {
            assert!(is_pin(good), "{good}");
        }
        for bad in ["12345", "1234567890123", "12345a", "１２３４５６", "111111", ""] {
            assert!(!is_pin(bad), "{bad}");
        }
    }
}
