//! A catalogue of 20,000 lessons as a county has them, always the same: chapters of schoolbooks (`topics.tsv`), each as the lesson
//! itself and as what is made around it, from several editions.

use agent_core::search::{Builder, Doc, Index, Standing};

const TOPICS: &str = include_str!("topics.tsv");
const QUERIES: &str = include_str!("queries.tsv");
const EDITIONS: [&str; 6] = ["人教版", "统编版", "北师大版", "苏教版", "教科版", "沪教版"];
const ITEMS: [&str; 10] = [
    "微课",
    "课件",
    "同步练习",
    "课堂实录",
    "导学单",
    "朗读音频",
    "拓展阅读",
    "实验演示",
    "单元检测",
    "听力",
];

/// A lesson of the catalogue.
pub(crate) struct Lesson {
    pub(crate) title: String,
    pub(crate) stage: &'static str,
    pub(crate) subject: &'static str,
    pub(crate) grade: &'static str,
    pub(crate) volume: &'static str,
    pub(crate) chapter: &'static str,
    pub(crate) period: String,
    pub(crate) edition: &'static str,
    pub(crate) items: Vec<String>,
    pub(crate) ready: bool,
}

/// What is typed, titles of which one is meant, and of which kind the question is.
pub(crate) struct Query {
    pub(crate) typed: &'static str,
    pub(crate) titles: Vec<&'static str>,
    pub(crate) kind: &'static str,
}

pub(crate) fn queries() -> Vec<Query> {
    let lines = QUERIES.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let mut parts = line.split('\t');
            Some(Query {
                typed: parts.next()?,
                titles: parts.next()?.split('|').collect(),
                kind: parts.next()?,
            })
        })
        .collect()
}

/// The first `count` lessons.
pub(crate) fn lessons(count: usize) -> Vec<Lesson> {
    let topics: Vec<(Vec<&'static str>, &'static str)> = TOPICS
        .lines()
        .flat_map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            let titles: Vec<&str> = fields
                .get(5)
                .map_or(Vec::new(), |titles| titles.split('|').collect());
            titles.into_iter().map(move |title| (fields[..5].to_vec(), title))
        })
        .collect();
    let mut lessons: Vec<Lesson> = (0..count)
        .map(|n| {
            let (round, (place, topic)) = (n / topics.len(), &topics[n % topics.len()]);
            lesson(n, round, place, topic)
        })
        .collect();
    // In no order, as lessons come.
    let mut dice = 0x2545_f491_4f6c_dd1du64;
    for at in (1..lessons.len()).rev() {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        lessons.swap(at, usize::try_from(dice % (at as u64 + 1)).unwrap_or(0));
    }
    lessons
}

fn lesson(n: usize, round: usize, place: &[&'static str], topic: &'static str) -> Lesson {
    let title = match round {
        0 => topic.to_owned(),
        1..=3 => format!("{topic}（第{}课时）", round + 1),
        4 => format!("《{topic}》课堂实录"),
        5 => format!("{topic} 练习课"),
        6 => format!("{topic} 复习"),
        7 => format!("{topic}（朗读）"),
        8 => format!("{topic} 导学案"),
        9 => format!("{topic}微课"),
        10 => format!("第{}课 {topic}", n % 30 + 1),
        11 => format!("{topic}（一）"),
        12 => format!("{topic}（二）"),
        13 => format!("{topic} 说课"),
        14 => format!("名师课堂：{topic}"),
        15 => format!("{topic} 单元整理"),
        _ => format!("{topic} 拓展{}", round - 15),
    };
    let items = (0..1 + n % 4)
        .map(|at| match at {
            0 => ITEMS[n % ITEMS.len()].to_owned(),
            1 => format!("{topic} {}", ITEMS[(n + 3) % ITEMS.len()]),
            _ => ITEMS[(n + at * 5) % ITEMS.len()].to_owned(),
        })
        .collect();
    Lesson {
        title,
        stage: place[1],
        subject: place[0],
        grade: place[2],
        volume: place[3],
        chapter: place[4],
        period: format!("第{}课时", round % 3 + 1),
        edition: EDITIONS[(n + round) % EDITIONS.len()],
        items,
        ready: n % 20 != 7,
    }
}

pub(crate) fn index(lessons: &[Lesson]) -> Index {
    let mut builder = Builder::new();
    for lesson in lessons {
        let doc = Doc {
            title: &lesson.title,
            stage: lesson.stage,
            subject: lesson.subject,
            edition: lesson.edition,
            grade: lesson.grade,
            volume: lesson.volume,
            chapter: lesson.chapter,
            period: &lesson.period,
            resource_type: "",
        };
        builder.push(doc, lesson.items.iter().map(String::as_str));
    }
    builder.build()
}

/// How a lesson stands: some are still on their way; the class is of no grade, which is the harder case.
pub(crate) fn standing(lessons: &[Lesson], doc: u32) -> Standing {
    Standing {
        ready: lessons.get(doc as usize).is_some_and(|lesson| lesson.ready),
        own_grade: false,
    }
}
