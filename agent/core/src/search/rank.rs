//! Which of the lessons that match is meant: the beginning of a title before its initials, those before something inside; what
//! plays before what is on its way, the class's own grade before others.

use super::{
    Field, Row, Standing,
    query::{Manner, Stretch},
    text::{Kind, Texts},
};

/// How well a word fits a text, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// By initials, inside.
    InitialsInside,
    /// In full, inside.
    Inside,
    /// The first words' initials.
    InitialsFirst,
    /// All words' initials.
    InitialsWhole,
    /// The first words.
    First,
    /// All of it.
    Whole,
}

/// How a word stands in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Score {
    fit: Fit,
    /// Its last syllable is not typed to its end.
    typing: bool,
    /// Hundredths of the text that were typed.
    share: u8,
}

impl Score {
    pub(super) fn of(texts: &Texts, text: u32, found: Stretch) -> Self {
        let units = texts.units(text);
        let lead = texts.lead(text);
        let first = found.from == 0 || found.from == lead;
        let rest = units.get(found.to..).unwrap_or(&[]);
        let whole = first && rest.iter().all(|unit| texts.glyph(*unit).kind == Kind::Gap);
        let full = matches!(found.manner, Manner::Full | Manner::Typing);
        let fit = match (full, first, whole) {
            (true, _, true) => Fit::Whole,
            (true, true, false) => Fit::First,
            (true, false, false) => Fit::Inside,
            (false, _, true) => Fit::InitialsWhole,
            (false, true, false) => Fit::InitialsFirst,
            (false, false, false) => Fit::InitialsInside,
        };
        let len = units.len().saturating_sub(if found.from == 0 { 0 } else { lead });
        let share = (found.to - found.from) * 100 / len.max(1);
        Self {
            fit,
            typing: found.manner == Manner::Typing,
            share: u8::try_from(share.min(100)).unwrap_or(100),
        }
    }

    /// What it is worth in a title.
    const fn in_title(self) -> u32 {
        let worth = match self.fit {
            Fit::Whole => 100,
            Fit::First => 80,
            Fit::InitialsWhole => 64,
            Fit::InitialsFirst => 36,
            Fit::Inside => 30,
            Fit::InitialsInside => 12,
        };
        if self.typing { worth - 5 } else { worth }
    }

    /// In the title of an item.
    const fn in_item(self) -> u32 {
        match self.fit {
            Fit::Whole => 40,
            Fit::First => 28,
            Fit::InitialsWhole => 20,
            Fit::Inside => 14,
            Fit::InitialsFirst => 10,
            Fit::InitialsInside => 4,
        }
    }

    const fn in_chapter(self) -> u32 {
        match self.fit {
            Fit::Whole => 12,
            Fit::First => 10,
            Fit::Inside => 8,
            Fit::InitialsWhole => 6,
            Fit::InitialsFirst => 3,
            Fit::InitialsInside => 2,
        }
    }

    /// In the subject, the grade and so on: these are typed to narrow down.
    const fn in_place(self) -> u32 {
        match self.fit {
            Fit::Whole => 9,
            Fit::First => 7,
            Fit::InitialsWhole => 7,
            Fit::InitialsFirst | Fit::Inside => 3,
            Fit::InitialsInside => 1,
        }
    }
}

/// A lesson in which words were found.
#[derive(Debug, Clone)]
pub(super) struct Weighed {
    pub(super) doc: u32,
    pub(super) field: Field,
    pub(super) item: Option<usize>,
    worth: u32,
    share: u32,
    /// What the best word was worth: it decides what is shown.
    best: u32,
    fuzzy: bool,
}

impl Weighed {
    pub(super) const fn new(doc: u32) -> Self {
        Self {
            doc,
            field: Field::Place,
            item: None,
            worth: 0,
            share: 0,
            best: 0,
            fuzzy: false,
        }
    }

    /// The same, found by ear only.
    pub(super) const fn by_ear(mut self) -> Self {
        self.fuzzy = true;
        self
    }

    /// Adds a word where it stands best; false if it stands nowhere. A word that is only a number is a grade's or a
    /// lesson's, whatever begins with it.
    pub(super) fn add(&mut self, row: &Row, items: &[u32], scores: &[Option<Score>], numeric: bool) -> bool {
        let score = |text: u32| scores.get(text as usize).copied().flatten();
        let mut best: Option<(u32, u8, Field, Option<usize>)> = None;
        let mut offer = |worth: u32, share: u8, field: Field, item: Option<usize>| {
            if best.is_none_or(|(known, ..)| worth > known) {
                best = Some((worth, share, field, item));
            }
        };
        if let Some(found) = score(row.title) {
            let worth = if numeric { 4 } else { found.in_title() };
            offer(worth, found.share, Field::Title, None);
        }
        for (at, item) in items.iter().enumerate() {
            if let Some(found) = score(*item) {
                let worth = if numeric { 2 } else { found.in_item() };
                offer(worth, found.share / 2, Field::Item, Some(at));
            }
        }
        if let Some(found) = score(row.chapter) {
            offer(
                if numeric { 3 } else { found.in_chapter() },
                0,
                Field::Chapter,
                None,
            );
        }
        for (at, place) in row.places.iter().enumerate() {
            if let Some(found) = score(*place) {
                // Of numbers, the grade's is what is typed most.
                let worth = match (numeric, at) {
                    (true, 1) => 60,
                    (true, _) => 3,
                    (false, _) => found.in_place(),
                };
                offer(worth, 0, Field::Place, None);
            }
        }
        let Some((worth, share, field, item)) = best else {
            return false;
        };
        self.worth += worth;
        self.share += u32::from(share);
        if worth > self.best {
            (self.best, self.field, self.item) = (worth, field, item);
        }
        true
    }
}

/// Keeps the `limit` best, best first.
pub(super) fn best(found: &mut Vec<Weighed>, limit: usize, standing: impl Fn(u32) -> Standing) {
    let key = |weighed: &Weighed| {
        let at = standing(weighed.doc);
        std::cmp::Reverse((
            !weighed.fuzzy,
            weighed.worth,
            at,
            weighed.share,
            std::cmp::Reverse(weighed.doc),
        ))
    };
    let mut keyed: Vec<_> = found.drain(..).map(|weighed| (key(&weighed), weighed)).collect();
    if keyed.len() > limit && limit > 0 {
        keyed.select_nth_unstable_by_key(limit - 1, |keyed| keyed.0);
        keyed.truncate(limit);
    }
    keyed.truncate(limit);
    keyed.sort_unstable_by_key(|keyed| keyed.0);
    found.extend(keyed.into_iter().map(|(_, weighed)| weighed));
}
