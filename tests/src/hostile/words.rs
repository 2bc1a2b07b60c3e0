//! What people and boards write: names, or attacks in the place of names.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Stands in every hostile text that is long enough, as an attribute that no page of ours has.
pub const SIGN: &str = "data-bbt";

/// Each begins like a formula (behind a mark of direction in one), opens an element and would run a script.
const ATTACKS: [&str; 9] = [
    "=1+1<img data-bbt src=x onerror=bbtHit=1>",
    "@SUM(1)\"><svg data-bbt onload=bbtHit=2>",
    "+1'><script data-bbt>bbtHit=3</script>",
    "-1</textarea></title></style><b data-bbt>",
    "\u{202e}=2{{bbtHit=4}}<i data-bbt>",
    "＝1<a data-bbt href=javascript:bbtHit=5>",
    "=cmd|'/C calc'!A0<u data-bbt>",
    "@1${bbtHit=6}`;--<iframe data-bbt srcdoc=x>",
    "👩‍🏫\u{feff}=3<s data-bbt>%00%n",
];
/// For fields that take less.
const SHORT: [&str; 3] = ["=1<b data-bbt>", "@1<i data-bbt>", "-1<u data-bbt>"];
/// For fields that take hardly anything.
const TINY: [&str; 3] = ["=1<b>", "@<i>", "-<u>"];

/// Texts, each another one.
#[derive(Debug)]
pub struct Words {
    mark: String,
    hostile: bool,
    count: AtomicUsize,
}

impl Words {
    /// Names; `mark` stands in each of them.
    pub fn plain(mark: &str) -> Self {
        Self::new(mark, false)
    }

    /// Attacks; `mark` is only in those names that may be no attack.
    pub fn hostile(mark: &str) -> Self {
        Self::new(mark, true)
    }

    fn new(mark: &str, hostile: bool) -> Self {
        Self {
            mark: mark.to_owned(),
            hostile,
            count: AtomicUsize::new(1),
        }
    }

    /// Names of the same mark, for where an attack is refused.
    #[must_use]
    pub fn harmless(&self) -> Self {
        let words = Self::new(&self.mark, false);
        words.count.store(self.next() * 100, Ordering::Relaxed);
        words
    }

    /// Whether they are attacks.
    pub const fn attack(&self) -> bool {
        self.hostile
    }

    fn next(&self) -> usize {
        self.count.fetch_add(1, Ordering::Relaxed)
    }

    /// A word of ASCII letters, digits and `-`, for codes and names of accounts.
    pub fn code(&self, what: &str) -> String {
        format!("{what}-{}-{}", self.mark, self.next())
    }

    /// A text of at most `most` characters.
    pub fn text(&self, what: &str, most: usize) -> String {
        let n = self.next();
        if !self.hostile {
            return format!("{what}{}{n}", self.mark).chars().take(most).collect();
        }
        let tail = n.to_string();
        let fits = |text: &&&str| text.chars().count() + tail.len() <= most;
        let pick = |list: &[&str]| {
            let mut from = list.iter().cycle().skip(n % list.len()).take(list.len());
            from.find(fits).map(|text| format!("{text}{tail}"))
        };
        pick(&ATTACKS)
            .or_else(|| pick(&SHORT))
            .or_else(|| pick(&TINY))
            .unwrap_or_else(|| "=1".chars().take(most).collect())
    }

    /// What only a board can send: the same, and behind characters that no form lets through.
    pub fn raw(&self, what: &str, most: usize) -> String {
        let lead = ["", "\t", "\r\n", "\u{0}", "\u{1b}[31m"];
        let text = self.text(what, most.saturating_sub(5));
        if self.hostile {
            format!("{}{text}", lead[self.next() % lead.len()])
        } else {
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_fits_and_nearly_every_one_would_do_harm() {
        let words = Words::hostile("m");
        for most in [2, 5, 20, 80, 200] {
            for _ in 0..40 {
                let text = words.text("x", most);
                assert!(text.chars().count() <= most, "{text}");
                assert!(most < 20 || text.contains(SIGN), "{text}");
            }
        }
        assert!(Words::plain("m").text("名", 80).starts_with("名m"));
    }
}
