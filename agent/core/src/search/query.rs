//! One word of a question against a text: characters, full Pinyin, initials and any mixture of them, numbers in either script.
//!
//! A word is a row of at most [`MAX_CHARS`] characters. What of it a text has consumed so far is a set of places in that row,
//! one bit each; each character of the text moves the set on. A text matches as soon as the place behind the last one is in it.

use super::{
    spell::long_initial,
    text::{Kind, Number, Texts},
};
use crate::numerals;

/// Most characters of a word; one bit each, and one for its end.
pub(super) const MAX_CHARS: usize = 60;
/// A number within a text that is passed over at once is at most so long.
const MAX_NUMBER: usize = 10;

/// How much of a syllable has to be typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Manner {
    /// Some in full, some by their initials.
    Mixed,
    /// All by their initials.
    Initials,
    /// All in full but the last, which is still being typed.
    Typing,
    /// All in full; characters and letters as they stand.
    Full,
}

/// A stretch of a text that a word matches, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) manner: Manner,
    pub(super) from: usize,
    pub(super) to: usize,
}

/// A word, ready to be matched.
#[derive(Debug)]
pub(super) struct Word {
    chars: Vec<char>,
    /// Bit of the place behind the last character.
    end: u64,
    /// For each place and syllable, where the word may go on after it: typed in full, and by its initial.
    full: Vec<u64>,
    initial: Vec<u64>,
    /// For each place and syllable, whether the word ends within it.
    typing: Vec<bool>,
    syllables: usize,
    /// For each character of the index, whether a match may begin with it.
    begins: Vec<bool>,
    /// Numbers of the word: where, what, and the place behind.
    numbers: Vec<(usize, u32, usize)>,
}

impl Word {
    /// `text` is folded already; what is too long is cut.
    pub(super) fn new(text: &[char], texts: &Texts, fuzzy: bool) -> Self {
        let chars: Vec<char> = text.iter().copied().take(MAX_CHARS).collect();
        let cells = chars.len() * texts.syllables;
        let mut word = Self {
            end: 1 << chars.len(),
            full: vec![0; cells],
            initial: vec![0; cells],
            typing: vec![false; cells],
            syllables: texts.syllables,
            begins: Vec::new(),
            numbers: numbers(&chars),
            chars,
        };
        for at in 0..word.chars.len() {
            if word.chars[at].is_ascii_lowercase() {
                word.spell(at, texts, fuzzy);
            }
        }
        word.begins = texts
            .glyphs
            .iter()
            .map(|glyph| {
                glyph.kind != Kind::Gap
                    && (word.step(1, *glyph, texts, Manner::Mixed) != 0
                        || (!word.numbers.is_empty() && numerals::number_at(&[glyph.char]).is_some()))
            })
            .collect();
        word
    }

    /// Notes what each syllable does at a place.
    fn spell(&mut self, at: usize, texts: &Texts, fuzzy: bool) {
        let rest = &self.chars[at..];
        for spelling in texts.spellings(rest[0]).iter().filter(|s| fuzzy || !s.fuzzy) {
            let letters = spelling.letters.chars();
            let same = rest.iter().zip(letters).take_while(|(a, b)| **a == *b).count();
            let cell = at * self.syllables + usize::from(spelling.syllable);
            if same == spelling.letters.len() {
                self.full[cell] |= 1 << (at + same);
            } else {
                self.typing[cell] |= same == rest.len();
            }
            self.initial[cell] |= 1 << (at + 1);
            if same >= 2 && long_initial(&spelling.letters) {
                self.initial[cell] |= 1 << (at + 2);
            }
        }
    }

    /// Where the word may be after a character of the text, from any of `places`.
    fn step(&self, places: u64, glyph: super::text::Glyph, texts: &Texts, manner: Manner) -> u64 {
        let readings = texts.readings(glyph);
        let mut next = 0;
        let mut left = places & (self.end - 1);
        while left != 0 {
            let at = left.trailing_zeros() as usize;
            left &= left - 1;
            let same = self.chars[at] == glyph.char;
            if same && (manner != Manner::Initials || glyph.kind == Kind::Latin) {
                next |= 1 << (at + 1);
            }
            for reading in readings {
                let cell = at * self.syllables + usize::from(*reading);
                if manner != Manner::Initials {
                    next |= self.full[cell];
                }
                if matches!(manner, Manner::Initials | Manner::Mixed) {
                    next |= self.initial[cell];
                }
                if self.typing[cell] && matches!(manner, Manner::Typing | Manner::Mixed) {
                    next |= self.end;
                }
            }
        }
        next
    }

    /// The best match in a text: in full, else by initials, else in a mixture; of equals the first.
    pub(super) fn find(&self, texts: &Texts, text: u32) -> Option<Stretch> {
        if self.chars.is_empty() {
            return None;
        }
        let units = texts.units(text);
        let numbers = if self.numbers.is_empty() {
            &[]
        } else {
            texts.numbers(text)
        };
        self.search(texts, units, numbers, Manner::Mixed)?;
        [Manner::Full, Manner::Typing, Manner::Initials, Manner::Mixed]
            .into_iter()
            .find_map(|manner| self.search(texts, units, numbers, manner))
    }

    fn search(&self, texts: &Texts, units: &[u16], numbers: &[Number], manner: Manner) -> Option<Stretch> {
        let starts = (0..units.len()).filter(|at| self.begins.get(usize::from(units[*at])) == Some(&true));
        starts
            .filter_map(|from| {
                let to = self.run(texts, units, numbers, from, manner)?;
                Some(Stretch { manner, from, to })
            })
            .next()
    }

    /// Where a match that begins at `from` ends.
    fn run(
        &self,
        texts: &Texts,
        units: &[u16],
        numbers: &[Number],
        from: usize,
        manner: Manner,
    ) -> Option<usize> {
        let mut places = 1u64;
        // Within a word of letters of which only the first ones were typed.
        let mut passing = 0u64;
        // Places that wait until a number of the text is over.
        let mut jumps = [0u64; MAX_NUMBER];
        for (at, unit) in units.iter().enumerate().skip(from) {
            let glyph = texts.glyph(*unit);
            let letter = glyph.kind == Kind::Latin && glyph.char.is_ascii_lowercase();
            let begins_word = letter && !is_letter(texts, units, at.checked_sub(1));
            if begins_word || !letter {
                places |= std::mem::take(&mut passing);
            }
            let mut next = self.step(places, glyph, texts, manner);
            if glyph.kind == Kind::Gap {
                next |= places;
            }
            if (begins_word && manner == Manner::Initials) || (letter && manner == Manner::Mixed) {
                passing |= self.step(places, glyph, texts, Manner::Full);
            }
            if let Some(number) = numbers.iter().find(|number| usize::from(number.at) == at) {
                for (start, value, end) in &self.numbers {
                    let len = usize::from(number.len);
                    if places & (1 << start) != 0 && *value == number.value && len <= MAX_NUMBER {
                        jumps[len - 1] |= 1 << end;
                    }
                }
            }
            next |= jumps[0];
            jumps.rotate_left(1);
            jumps[MAX_NUMBER - 1] = 0;
            places = next;
            if (places | passing) & self.end != 0 {
                return Some(at + 1);
            }
            if places == 0 && passing == 0 && jumps.iter().all(|jump| *jump == 0) {
                return None;
            }
        }
        None
    }
}

impl Word {
    /// How many characters it has.
    pub(super) fn len(&self) -> usize {
        self.chars.len()
    }

    /// Where the word may stand after the whole of a text, if it stands at `at` before: a set of places. Only in full and by
    /// initials, not in a mixture, which fits nearly everything.
    pub(super) fn reach(&self, texts: &Texts, text: u32, at: usize) -> u64 {
        let units = texts.units(text);
        let by = |manner| {
            let walk = |places, unit: &u16| self.step(places, texts.glyph(*unit), texts, manner);
            units.iter().fold(1u64 << at, walk)
        };
        by(Manner::Full) | by(Manner::Initials)
    }

    /// Where a number that begins at `at` ends.
    pub(super) fn number_from(&self, at: usize) -> Option<usize> {
        let number = self.numbers.iter().find(|(from, ..)| *from == at)?;
        Some(number.2)
    }
}

fn is_letter(texts: &Texts, units: &[u16], at: Option<usize>) -> bool {
    let Some(unit) = at.and_then(|at| units.get(at)) else {
        return false;
    };
    texts.glyph(*unit).char.is_ascii_lowercase()
}

/// The numbers of a word: in it, a number is as long as it can be.
fn numbers(chars: &[char]) -> Vec<(usize, u32, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        match numerals::number_at(&chars[at..]) {
            Some((value, len)) => {
                found.push((at, value, at + len));
                at += len;
            }
            None => at += 1,
        }
    }
    found
}
