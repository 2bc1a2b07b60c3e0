//! Where a lesson's exercises live: on the board each lesson has an origin of its own.
//!
//! `http://<label>.bbt.localhost:<courseware port>`, framed by the player at `http://bbt.localhost:<port>`: a browser takes every
//! name under `.localhost` for the machine itself and asks nobody. So a lesson cannot read what another one stored, not even its
//! files. Player and exercises are one site, or browsers that refuse storage to third parties would refuse it to exercises;
//! `Origin-Agent-Cluster` gives each a process all the same, so that a busy loop in an exercise does not hold the player.
//! Where the player was opened as 127.0.0.1 the name is `<label>.localhost`. On a laptop of the school's LAN there is no such
//! name; there all exercises share the origin of the board's address. Decision 27.

use axum::http::{HeaderMap, header};
use contract::{hash::Hash, id::LessonId};

/// The player's own name on the board.
pub(super) const PLAYER: &str = "bbt.localhost";
/// What every name of an exercise ends with.
const ENDING: &str = ".localhost";
/// Hexadecimal digits of a label.
const DIGITS: usize = 20;

/// How exercises are named to whoever asks.
#[derive(Debug, Clone)]
pub(super) struct Courseware {
    under: Under,
    port: u16,
}

#[derive(Debug, Clone)]
enum Under {
    /// The player was opened by its own name.
    Player,
    /// It was opened by an address of the board, on the board.
    Board,
    /// It is open elsewhere: the board's own address.
    Shared(String),
}

impl Courseware {
    /// For a page that reached the board by `host`.
    pub(super) fn new(host: &str, port: u16, on_board: bool) -> Self {
        let under = match on_board {
            true if host == PLAYER => Under::Player,
            true => Under::Board,
            false => Under::Shared(format!("http://{host}:{port}")),
        };
        Self { under, port }
    }

    /// The origin of a lesson's exercises, e.g. `http://l0123456789abcdef0123.bbt.localhost:8009`.
    pub(super) fn origin(&self, lesson: &LessonId) -> String {
        let label = label(lesson);
        match &self.under {
            Under::Player => format!("http://{label}.{PLAYER}:{}", self.port),
            Under::Board => format!("http://{label}{ENDING}:{}", self.port),
            Under::Shared(shared) => shared.clone(),
        }
    }
}

/// All versions of a lesson share it, no other lesson does.
fn label(lesson: &LessonId) -> String {
    let hash = Hash::of(lesson.to_string().as_bytes()).to_hex();
    format!("l{}", hash.get(..DIGITS).unwrap_or_default())
}

/// Whether a lesson's exercises are at home under that host.
pub(super) fn is_home(host: &str, lesson: &LessonId) -> bool {
    host.strip_suffix(PLAYER)
        .and_then(|rest| rest.strip_suffix('.'))
        .or_else(|| host.strip_suffix(ENDING))
        .is_some_and(|found| found == label(lesson))
}

/// Whether a host has the form of such a name.
pub(super) fn is_label(host: &str) -> bool {
    let under_player = host.strip_suffix(PLAYER).and_then(|rest| rest.strip_suffix('.'));
    under_player
        .or_else(|| host.strip_suffix(ENDING))
        .and_then(|label| label.strip_prefix('l'))
        .is_some_and(|digits| {
            digits.len() == DIGITS && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        })
}

/// Whether the one who opens the page should open it by the player's own name: a Chromium that says it wants a page to show.
/// It is known to find the name; from others nothing is risked, and they give exercises their storage as it is.
pub(super) fn should_move(host: &str, on_board: bool, asked: &HeaderMap) -> bool {
    let text = |name: &str| {
        asked
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("")
    };
    on_board
        && matches!(host, "127.0.0.1" | "localhost")
        && text("sec-fetch-dest") == "document"
        && text(header::USER_AGENT.as_str()).contains("Chrome/")
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
        let named = Courseware::new(PLAYER, 8009, true).origin(&lesson("math-3"));
        assert!(named.ends_with(".bbt.localhost:8009"), "{named}");
        for origin in [&one, &named] {
            let host = origin.split([':', '/']).nth(3).unwrap();
            assert!(is_label(host) && is_home(host, &lesson("math-3")), "{host}");
            assert!(!is_home(host, &lesson("math-4")), "{host}");
        }
        let laptop = Courseware::new("192.168.1.20", 8009, false);
        assert_eq!(laptop.origin(&lesson("math-3")), "http://192.168.1.20:8009");
        for other in [
            "localhost",
            "evil.localhost",
            "bbt.localhost",
            ".bbt.localhost",
            "l0123456789abcdef012.localhost",
            "l0123456789ABCDEF0123.localhost",
            "l0123456789abcdef0123.localhost.evil.example",
            "x.l0123456789abcdef0123.localhost",
        ] {
            assert!(!is_label(other), "{other}");
        }
    }
}
