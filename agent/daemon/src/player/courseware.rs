//! Where a lesson's exercises live: on the board each lesson has an origin, and so a site, of its own.
//!
//! `http://<label>.localhost:<courseware port>`: a browser takes every name under `.localhost` for the machine itself and asks
//! nobody. So a lesson cannot read what another one stored, not even its files, and a browser that keeps sites apart runs it
//! in a process of its own: a busy loop in an exercise does not hold the player. On a laptop of the school's LAN there is no
//! such name; there all exercises share the origin of the board's address. Decision 27.

use contract::{hash::Hash, id::LessonId};

/// What every such name ends with.
const ENDING: &str = ".localhost";
/// Hexadecimal digits of a label.
const DIGITS: usize = 20;

/// How exercises are named to whoever asks.
#[derive(Debug, Clone)]
pub(super) struct Courseware {
    /// The board's own address, for a page that is open elsewhere.
    shared: Option<String>,
    port: u16,
}

impl Courseware {
    /// For a page that reached the board by `host`.
    pub(super) fn new(host: &str, port: u16, on_board: bool) -> Self {
        Self {
            shared: (!on_board).then(|| format!("http://{host}:{port}")),
            port,
        }
    }

    /// The origin of a lesson's exercises, e.g. `http://l0123456789abcdef0123.localhost:8009`.
    pub(super) fn origin(&self, lesson: &LessonId) -> String {
        match &self.shared {
            Some(shared) => shared.clone(),
            None => format!("http://{}:{}", host(lesson), self.port),
        }
    }
}

/// The host of a lesson's own origin: all versions of a lesson share it, no other lesson does.
pub(super) fn host(lesson: &LessonId) -> String {
    let hash = Hash::of(lesson.to_string().as_bytes()).to_hex();
    format!("l{}{ENDING}", hash.get(..DIGITS).unwrap_or_default())
}

/// Whether a host has the form of such a name.
pub(super) fn is_label(host: &str) -> bool {
    host.strip_suffix(ENDING)
        .and_then(|label| label.strip_prefix('l'))
        .is_some_and(|digits| {
            digits.len() == DIGITS
                && digits
                    .bytes()
                    .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lesson_has_an_origin_of_its_own_on_the_board_only() {
        let lesson = |id: &str| LessonId::new(id.to_owned()).unwrap();
        let board = Courseware::new("127.0.0.1", 8009, true);
        let (one, other) = (board.origin(&lesson("math-3")), board.origin(&lesson("math-4")));
        assert_ne!(one, other);
        assert!(
            one.starts_with("http://l") && one.ends_with(".localhost:8009"),
            "{one}"
        );
        let laptop = Courseware::new("192.168.1.20", 8009, false);
        assert_eq!(laptop.origin(&lesson("math-3")), "http://192.168.1.20:8009");
        assert!(is_label(&host(&lesson("math-3"))));
        for other in [
            "localhost",
            "evil.localhost",
            "l0123456789abcdef012.localhost",
            "l0123456789ABCDEF0123.localhost",
            "l0123456789abcdef0123.localhost.evil.example",
            "x.l0123456789abcdef0123.localhost",
        ] {
            assert!(!is_label(other), "{other}");
        }
    }
}
