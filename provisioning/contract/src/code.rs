//! The code of an enrolment ticket: eight Crockford base-32 characters that a person may have to type, and a ninth that
//! catches a slip of the finger.
//!
//! The check character is a weighted sum over GF(32) with weights 2, 4, 8, …: any single wrong character and any two that
//! changed places are noticed, because no two weights are equal and none is zero.

use std::{fmt, str::FromStr};

/// Crockford's digits: no I, L, O, U.
pub const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters of the secret itself.
pub const SECRET_CHARS: usize = 8;

/// A ticket's code in its one spelling: upper case, no separators, no check character.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TicketCode([u8; SECRET_CHARS]);

/// Why what was typed is no code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Neither 8 characters nor 9.
    #[error("an enrolment code has 9 characters, this has {0}; read it again from the label")]
    Length(usize),
    /// A character that is none of ours.
    #[error("{0:?} does not occur in enrolment codes; read it again from the label")]
    Character(char),
    /// Some character is wrong or two changed places.
    #[error(
        "the enrolment code was mistyped: its check character does not fit; read it again from the label"
    )]
    Check,
}

impl TicketCode {
    /// From eight values 0–31, e.g. random ones; higher bits are ignored.
    pub fn from_values(values: [u8; SECRET_CHARS]) -> Self {
        Self(values.map(|v| DIGITS[usize::from(v & 31)]))
    }

    /// The secret: eight characters, as it stands in a ticket and in a request.
    pub fn secret(&self) -> String {
        self.0.iter().map(|b| char::from(*b)).collect()
    }

    /// For eyes and fingers: `7K3M-9QXZ-C`, the last being the check character.
    pub fn typed(&self) -> String {
        let text = self.secret();
        let (first, second) = text.split_at(4);
        format!("{first}-{second}-{}", char::from(self.check()))
    }

    fn check(&self) -> u8 {
        DIGITS[usize::from(checksum(&self.0))]
    }
}

impl FromStr for TicketCode {
    type Err = CodeError;

    /// Reads what a person typed: case, spaces and hyphens do not matter, O is 0, I and L are 1. Eight characters are taken
    /// as they are (a ticket file holds no check character); of nine the last is checked.
    fn from_str(text: &str) -> Result<Self, CodeError> {
        let mut found = Vec::with_capacity(SECRET_CHARS + 1);
        for c in text.chars().filter(|c| !c.is_whitespace() && *c != '-') {
            let folded = match c.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            let digit = u8::try_from(folded)
                .ok()
                .filter(|b| DIGITS.contains(b))
                .ok_or(CodeError::Character(c))?;
            found.push(digit);
        }
        let secret = found
            .get(..SECRET_CHARS)
            .and_then(|s| <[u8; SECRET_CHARS]>::try_from(s).ok())
            .ok_or(CodeError::Length(found.len()))?;
        let code = Self(secret);
        match found.get(SECRET_CHARS..) {
            Some([]) => Ok(code),
            Some([check]) if *check == code.check() => Ok(code),
            Some([_]) => Err(CodeError::Check),
            _ => Err(CodeError::Length(found.len())),
        }
    }
}

/// The code opens a classroom's door: it is not for logs.
impl fmt::Debug for TicketCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketCode(…)")
    }
}

fn checksum(digits: &[u8; SECRET_CHARS]) -> u8 {
    let mut sum = 0;
    let mut weight = 1;
    for digit in digits {
        weight = multiply(weight, 2);
        sum ^= multiply(weight, value(*digit));
    }
    sum
}

fn value(digit: u8) -> u8 {
    DIGITS
        .iter()
        .position(|d| *d == digit)
        .and_then(|at| u8::try_from(at).ok())
        .unwrap_or(0)
}

/// In GF(32) with the polynomial x⁵ + x² + 1.
const fn multiply(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    while b > 0 {
        if b & 1 == 1 {
            product ^= a;
        }
        a <<= 1;
        if a & 0x20 != 0 {
            a ^= 0x25;
        }
        b >>= 1;
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn code() -> impl Strategy<Value = TicketCode> {
        proptest::array::uniform8(0u8..32).prop_map(TicketCode::from_values)
    }

    #[test]
    fn people_type_as_they_like_and_a_slip_is_named() {
        let code: TicketCode = "7K3M9QX0".parse().unwrap();
        let typed = code.typed();
        assert_eq!(typed.len(), 11);
        for spelling in [
            typed.to_lowercase(),
            typed.replace('-', " "),
            typed.replace('0', "o"),
        ] {
            assert_eq!(spelling.parse(), Ok(code.clone()), "{spelling}");
        }
        assert_eq!("7K3M9QX".parse::<TicketCode>(), Err(CodeError::Length(7)));
        assert_eq!("7K3M9QX000".parse::<TicketCode>(), Err(CodeError::Length(10)));
        assert_eq!("7K3M9QXU".parse::<TicketCode>(), Err(CodeError::Character('U')));
        assert_eq!("".parse::<TicketCode>(), Err(CodeError::Length(0)));
        assert_eq!(format!("{code:?}"), "TicketCode(…)");
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(code in code()) {
            prop_assert_eq!(code.typed().parse::<TicketCode>(), Ok(code.clone()));
            prop_assert_eq!(code.secret().parse::<TicketCode>(), Ok(code));
        }

        #[test]
        fn one_wrong_character_is_noticed(code in code(), at in 0usize..9, by in 1u8..32) {
            let mut text: Vec<u8> = code.typed().bytes().filter(|b| *b != b'-').collect();
            text[at] = DIGITS[usize::from((value(text[at]) + by) % 32)];
            let text = String::from_utf8(text).unwrap();
            prop_assert_eq!(text.parse::<TicketCode>(), Err(CodeError::Check));
        }

        #[test]
        fn two_that_changed_places_are_noticed(code in code(), a in 0usize..9, b in 0usize..9) {
            let mut text: Vec<u8> = code.typed().bytes().filter(|b| *b != b'-').collect();
            prop_assume!(text[a] != text[b]);
            text.swap(a, b);
            let text = String::from_utf8(text).unwrap();
            prop_assert_eq!(text.parse::<TicketCode>(), Err(CodeError::Check));
        }
    }
}
