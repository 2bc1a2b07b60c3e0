//! Finds a lesson by what a teacher types in seconds: characters, Pinyin in full, initials, or all of it in one line, as in
//! `sx 3 xiaoshu` for 数学, 三年级, 小数的初步认识.
//!
//! The index holds every distinct text once and looks at all of them for each question; with 20,000 lessons that is less work
//! than a tree of all spellings would be to keep. A question is words; each must be found somewhere in a lesson. Where nothing
//! is found a word is taken apart (`shuxuexiaoshu`), then spelling by ear counts (z and zh, n and l, in and ing).

mod query;
mod rank;
mod spell;
mod text;

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use query::Word;
use rank::{Score, Weighed};
use text::{Maker, Texts};

/// Words of a question; what is typed beyond is not looked at.
const MAX_WORDS: usize = 8;
/// Characters of a question.
const MAX_CHARS: usize = 100;
/// With fewer found than this, spelling by ear counts as well.
const FEW: usize = 5;
/// How many ways of taking a word apart are tried.
const MAX_SPLITS: usize = 4;
/// Subjects, grades, … that are typed in one row before the rest.
const MAX_PLACES: usize = 4;

/// What is known of a lesson's place and name; what is empty is not searched.
#[derive(Debug, Clone, Copy, Default)]
pub struct Doc<'a> {
    /// 课题.
    pub title: &'a str,
    /// 学段.
    pub stage: &'a str,
    /// 学科.
    pub subject: &'a str,
    /// 版本.
    pub edition: &'a str,
    /// 年级.
    pub grade: &'a str,
    /// 册次.
    pub volume: &'a str,
    /// 章节.
    pub chapter: &'a str,
    /// 课时.
    pub period: &'a str,
    /// 资源类型.
    pub resource_type: &'a str,
}

/// How a lesson stands at this moment; decides between lessons that match equally well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Standing {
    /// It plays.
    pub ready: bool,
    /// It is of this class's grade.
    pub own_grade: bool,
}

/// In what a word was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// The lesson's title.
    Title,
    /// The title of one of its items.
    Item,
    /// Its chapter.
    Chapter,
    /// Subject, grade and so on.
    Place,
}

/// A lesson that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Its number: how many were pushed before it.
    pub doc: u32,
    /// The item whose title was found, where the lesson's own was not.
    pub item: Option<usize>,
    /// Where most of it was found.
    pub field: Field,
    /// What of the title ([`Field::Title`]) or of the item's title ([`Field::Item`]) was found: from which character, how many.
    pub matched: Vec<(usize, usize)>,
}

/// What a question found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// How many lessons.
    pub total: usize,
    /// The best of them, best first.
    pub hits: Vec<Hit>,
}

/// Every lesson, ready to be searched.
#[derive(Debug, Default)]
pub struct Index {
    texts: Texts,
    rows: Vec<Row>,
    items: Vec<u32>,
    /// Texts that are a subject, grade, … of some lesson: few.
    places: Vec<u32>,
}

/// A lesson, as numbers of texts.
#[derive(Debug, Clone, Copy)]
struct Row {
    title: u32,
    chapter: u32,
    /// Subject, grade, volume, period, stage, edition, type.
    places: [u32; 7],
    items_from: u32,
    items: u16,
}

/// Takes lessons in, one after the other.
#[derive(Debug)]
pub struct Builder {
    maker: Maker,
    rows: Vec<Row>,
    items: Vec<u32>,
    places: Vec<u32>,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// Without lessons.
    pub fn new() -> Self {
        Self {
            maker: Maker::new(),
            rows: Vec::new(),
            items: Vec::new(),
            places: Vec::new(),
        }
    }

    /// One more lesson, with the titles of its items in their order.
    pub fn push<'a>(&mut self, doc: Doc<'_>, items: impl IntoIterator<Item = &'a str>) {
        let items_from = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        let before = self.items.len();
        for item in items {
            let text = self.maker.text(item);
            self.items.push(text);
        }
        let places = [
            doc.subject,
            doc.grade,
            doc.volume,
            doc.period,
            doc.stage,
            doc.edition,
            doc.resource_type,
        ]
        .map(|place| self.maker.text(place));
        for place in places {
            if place != 0 && !self.places.contains(&place) {
                self.places.push(place);
            }
        }
        self.rows.push(Row {
            title: self.maker.text(doc.title),
            chapter: self.maker.text(doc.chapter),
            places,
            items_from,
            items: u16::try_from(self.items.len() - before).unwrap_or(u16::MAX),
        });
    }

    /// Ready.
    pub fn build(self) -> Index {
        let (mut rows, mut items, mut places) = (self.rows, self.items, self.places);
        rows.shrink_to_fit();
        items.shrink_to_fit();
        places.shrink_to_fit();
        Index {
            texts: self.maker.finish(),
            rows,
            items,
            places,
        }
    }
}

impl Index {
    /// How many lessons it holds.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes of memory it takes.
    pub fn bytes(&self) -> usize {
        self.texts.bytes()
            + self.rows.capacity() * size_of::<Row>()
            + self.items.capacity() * size_of::<u32>()
            + self.places.capacity() * size_of::<u32>()
    }

    /// The lessons that a question means, at most `limit` of them, best first. `standing` says how a lesson stands now.
    pub fn search(&self, question: &str, limit: usize, standing: impl Fn(u32) -> Standing) -> Found {
        let words = words(question);
        if words.is_empty() {
            return Found::default();
        }
        let (mut exact, mut by_ear) = (Asked::new(self, false), Asked::new(self, true));
        let (mut found, mut used) = (exact.weigh(&words), words.clone());
        if found.is_empty() {
            (found, used) = exact.taken_apart(&words);
        }
        if found.len() < FEW {
            let mut more = by_ear.weigh(&words);
            if more.is_empty() && found.is_empty() {
                (more, used) = by_ear.taken_apart(&words);
            }
            let known: HashSet<u32> = found.iter().map(|weighed| weighed.doc).collect();
            let more = more.into_iter().filter(|weighed| !known.contains(&weighed.doc));
            found.extend(more.map(Weighed::by_ear));
        }
        let total = found.len();
        rank::best(&mut found, limit, standing);
        used.sort_unstable();
        used.dedup();
        let compiled = |fuzzy| -> Vec<Word> {
            used.iter()
                .map(|word| Word::new(word, &self.texts, fuzzy))
                .collect()
        };
        let marks = [compiled(false), compiled(true)];
        let hits = found.into_iter().map(|weighed| self.hit(&weighed, &marks));
        Found {
            total,
            hits: hits.collect(),
        }
    }

    fn items_of(&self, row: &Row) -> &[u32] {
        let from = row.items_from as usize;
        self.items.get(from..from + usize::from(row.items)).unwrap_or(&[])
    }

    /// What is shown of a lesson that was found.
    fn hit(&self, weighed: &Weighed, words: &[Vec<Word>; 2]) -> Hit {
        let Some(row) = self.rows.get(weighed.doc as usize) else {
            return Hit {
                doc: weighed.doc,
                item: None,
                field: Field::Place,
                matched: Vec::new(),
            };
        };
        let text = match (weighed.field, weighed.item) {
            (Field::Title, _) => Some(row.title),
            (Field::Item, Some(item)) => self.items_of(row).get(item).copied(),
            _ => None,
        };
        let matched = text.map(|text| self.matched(words, text)).unwrap_or_default();
        Hit {
            doc: weighed.doc,
            item: weighed.item,
            field: weighed.field,
            matched,
        }
    }

    /// Where the words stand in a text, in order and apart: as they are spelt, else by ear.
    fn matched(&self, words: &[Vec<Word>; 2], text: u32) -> Vec<(usize, usize)> {
        let once = |words: &[Word]| -> Vec<(usize, usize)> {
            let found = words.iter().filter_map(|word| word.find(&self.texts, text));
            found.map(|found| (found.from, found.to)).collect()
        };
        let mut found = once(&words[0]);
        if found.is_empty() {
            found = once(&words[1]);
        }
        found.sort_unstable();
        let mut apart: Vec<(usize, usize)> = Vec::new();
        for (from, to) in found {
            match apart.last_mut() {
                Some(last) if last.1 >= from => last.1 = last.1.max(to),
                _ => apart.push((from, to)),
            }
        }
        apart.into_iter().map(|(from, to)| (from, to - from)).collect()
    }
}

/// A question while it is answered: each of its words is looked for once.
struct Asked<'a> {
    index: &'a Index,
    fuzzy: bool,
    scores: HashMap<Vec<char>, Rc<Scores>>,
}

/// How a word stands in each text, by the text's number; empty if it stands in none.
type Scores = Vec<Option<Score>>;

impl<'a> Asked<'a> {
    fn new(index: &'a Index, fuzzy: bool) -> Self {
        Self {
            index,
            fuzzy,
            scores: HashMap::new(),
        }
    }

    /// Every lesson in which each of the words is found.
    fn weigh(&mut self, words: &[Vec<char>]) -> Vec<Weighed> {
        let mut scores: Vec<(Rc<Scores>, bool)> = Vec::with_capacity(words.len());
        for (at, word) in words.iter().enumerate() {
            if words[..at].contains(word) {
                continue;
            }
            let found = self.scores(word);
            if found.is_empty() {
                return Vec::new();
            }
            scores.push((found, word.iter().all(char::is_ascii_digit)));
        }
        let mut all = Vec::new();
        for (doc, row) in self.index.rows.iter().enumerate() {
            let items = self.index.items_of(row);
            let mut weighed = Weighed::new(u32::try_from(doc).unwrap_or(u32::MAX));
            let every = scores
                .iter()
                .all(|(scores, numeric)| weighed.add(row, items, scores, *numeric));
            if every {
                all.push(weighed);
            }
        }
        all
    }

    fn scores(&mut self, word: &[char]) -> Rc<Scores> {
        if let Some(known) = self.scores.get(word) {
            return Rc::clone(known);
        }
        let texts = &self.index.texts;
        let asked = Word::new(word, texts, self.fuzzy);
        let count = u32::try_from(texts.len()).unwrap_or(0);
        let mut scores: Scores = (0..count)
            .map(|text| Some(Score::of(texts, text, asked.find(texts, text)?)))
            .collect();
        if scores.iter().all(Option::is_none) {
            scores.clear();
        }
        let scores = Rc::new(scores);
        self.scores.insert(word.to_vec(), Rc::clone(&scores));
        scores
    }

    /// Words in which several were typed without a space: `sx3xiaoshu`, 三年级数学小数. Their beginning or their end has to be a
    /// subject, a grade, … in whole, or a number. What is found, and the words it was found by.
    fn taken_apart(&mut self, words: &[Vec<char>]) -> (Vec<Weighed>, Vec<Vec<char>>) {
        let mut best = (Vec::new(), words.to_vec());
        for parts in self.splits(words) {
            let found = self.weigh(&parts);
            if found.len() > best.0.len() {
                best = (found, parts);
            }
        }
        best
    }

    fn splits(&self, words: &[Vec<char>]) -> Vec<Vec<Vec<char>>> {
        let mut all = vec![Vec::new()];
        for word in words {
            let ways = self.ways(word);
            all = all
                .iter()
                .flat_map(|before: &Vec<Vec<char>>| ways.iter().map(|way| [&before[..], way].concat()))
                .take(MAX_SPLITS)
                .collect();
        }
        all.retain(|parts| parts.len() > words.len() && parts.len() <= MAX_WORDS);
        all
    }

    /// A word taken apart where a place or a number ends, the longest first; and whole.
    fn ways(&self, word: &[char]) -> Vec<Vec<Vec<char>>> {
        let asked = Word::new(word, &self.index.texts, self.fuzzy);
        let mut ways: Vec<Vec<Vec<char>>> = Vec::new();
        self.fronts(&asked, word, 0, &mut Vec::new(), &mut ways);
        let backs = (1..asked.len()).filter(|at| self.ends(&asked, *at) & (1 << asked.len()) != 0);
        ways.extend(backs.map(|at| vec![word[..at].to_vec(), word[at..].to_vec()]));
        ways.truncate(MAX_SPLITS);
        ways.push(vec![word.to_vec()]);
        ways
    }

    /// Takes places off the front, as many and as long ones as there are.
    fn fronts(
        &self,
        asked: &Word,
        word: &[char],
        at: usize,
        taken: &mut Vec<Vec<char>>,
        ways: &mut Vec<Vec<Vec<char>>>,
    ) {
        let ends = self.ends(asked, at);
        for end in (at + 1..asked.len()).rev().filter(|end| ends & (1 << end) != 0) {
            if ways.len() >= MAX_SPLITS || taken.len() >= MAX_PLACES {
                return;
            }
            taken.push(word[at..end].to_vec());
            self.fronts(asked, word, end, taken, ways);
            ways.push([&taken[..], &[word[end..asked.len()].to_vec()]].concat());
            taken.pop();
        }
    }

    /// Where a place that begins at `at` of a word may end, and a number.
    fn ends(&self, asked: &Word, at: usize) -> u64 {
        let texts = &self.index.texts;
        let places = self.index.places.iter();
        let ends = places.fold(0, |ends, place| ends | asked.reach(texts, *place, at));
        ends | asked.number_from(at).map_or(0, |end| 1 << end)
    }
}

/// The words of a question, folded.
fn words(question: &str) -> Vec<Vec<char>> {
    let folded: Vec<char> = question.chars().take(MAX_CHARS).map(text::fold).collect();
    folded
        // Xi'an is one word.
        .split(|c| text::is_gap(*c) && *c != '\'' && *c != '’')
        .map(|word| {
            word.iter()
                .copied()
                .filter(|c| !text::is_gap(*c))
                .collect::<Vec<char>>()
        })
        .filter(|word| !word.is_empty())
        .take(MAX_WORDS)
        .collect()
}

#[cfg(test)]
mod tests;
