//! What the names of folders say about a lesson: 小学/数学/人教版/四年级下册/第五单元 三角形/第1课时/三角形的内角和. Pure.

use contract::lesson::LessonMeta;

use crate::domain::vocab::{self, Field, folded};

/// Fields that a folder's name may say.
const FIELDS: [Field; 6] = [
    Field::Stage,
    Field::Subject,
    Field::Edition,
    Field::Grade,
    Field::Volume,
    Field::ResourceType,
];

/// What a folder's name is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Words of the vocabularies and nothing else, e.g. 四年级下册.
    Words(Vec<(Field, String)>),
    /// 第…单元, 第…章.
    Chapter,
    /// 第…课时.
    Period,
    /// Anything else: the name of a lesson, or of a package.
    Free,
}

/// Reads one folder's name.
pub fn part(name: &str) -> Part {
    if let Some(words) = words(&folded(name)) {
        return Part::Words(words);
    }
    match counted(name) {
        Some("课时") => Part::Period,
        Some(_) => Part::Chapter,
        None => Part::Free,
    }
}

/// 第 + a number + 单元, 章, 节, 课时 and the like.
fn counted(name: &str) -> Option<&'static str> {
    let rest = name.trim().strip_prefix('第')?;
    let number = |c: char| c.is_ascii_digit() || "零一二三四五六七八九十百".contains(c);
    let unit = rest.trim_start_matches(|c| number(c) || c == ' ');
    if unit.len() == rest.len() {
        return None;
    }
    ["课时", "单元", "章", "节", "组", "部分"]
        .into_iter()
        .find(|u| unit.starts_with(u))
}

/// The name cut into words of the vocabularies, each field once; `None` if anything is left over.
fn words(name: &str) -> Option<Vec<(Field, String)>> {
    let name = name.trim_start_matches(|c: char| "-_·.()[]【】《》、".contains(c));
    if name.is_empty() {
        return Some(Vec::new()).filter(|_| false);
    }
    // The longest spelling first: 选择性必修第一册 is no 必修第一册.
    let mut fits: Vec<(Field, &str, String)> = Vec::new();
    for field in FIELDS {
        for word in vocab::of(field).map_or(&[][..], |v| &v.words) {
            for spelling in std::iter::once(&word.word).chain(&word.also) {
                let spelling = folded(spelling);
                if name.starts_with(&spelling) {
                    fits.push((field, &word.word, spelling));
                }
            }
        }
    }
    fits.sort_by_key(|(_, _, spelling)| std::cmp::Reverse(spelling.len()));
    for (field, word, spelling) in fits {
        let rest = name.get(spelling.len()..).unwrap_or_default();
        let rest = rest.trim_start_matches(|c: char| "-_·.()[]【】《》、".contains(c));
        if rest.is_empty() {
            return Some(vec![(field, word.to_owned())]);
        }
        if let Some(mut more) = words(rest)
            && more.iter().all(|(other, _)| *other != field)
        {
            more.insert(0, (field, word.to_owned()));
            return Some(more);
        }
    }
    None
}

/// Fills `meta` from the folders above a lesson, the outermost first; a field keeps the first word that it got. What stands
/// before the first word is the package's name and says nothing.
pub fn above(folders: &[&str], meta: &mut LessonMeta) {
    let mut inside = false;
    for name in folders {
        match part(name) {
            Part::Words(words) => {
                inside = true;
                for (field, word) in words {
                    let place = match field {
                        Field::Stage => &mut meta.stage,
                        Field::Subject => &mut meta.subject,
                        Field::Edition => &mut meta.edition,
                        Field::Grade => &mut meta.grade,
                        Field::Volume => &mut meta.volume,
                        _ => &mut meta.resource_type,
                    };
                    if place.is_empty() {
                        *place = word;
                    }
                }
            }
            Part::Period => meta.period = name.trim().to_owned(),
            Part::Chapter | Part::Free if inside => {
                if !meta.chapter.is_empty() {
                    meta.chapter.push(' ');
                }
                meta.chapter.push_str(name.trim());
            }
            Part::Chapter | Part::Free => {}
        }
    }
    usual_stage(meta);
}

/// Puts in the 学段 that a grade usually belongs to, where none is said.
pub fn usual_stage(meta: &mut LessonMeta) {
    if meta.stage.is_empty()
        && let Some(usual) = vocab::of(Field::Grade)
            .and_then(|v| v.find(&meta.grade))
            .and_then(|w| w.usual.as_ref())
    {
        meta.stage.clone_from(usual);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_into_words() {
        let cut = |name: &str| match part(name) {
            Part::Words(words) => words.into_iter().map(|(_, w)| w).collect::<Vec<_>>().join("|"),
            other => format!("{other:?}"),
        };
        for (name, expected) in [
            ("小学", "小学"),
            ("四年级下册", "四年级|下册"),
            ("4年级上", "四年级|上册"),
            ("人教版三年级数学上册", "人教版|三年级|数学|上册"),
            ("数学（部编版）", "数学|统编版"),
            ("小学数学", "小学|数学"),
            ("选择性必修第一册", "选择性必修第一册"),
            ("第五单元 三角形", "Chapter"),
            ("第 2 课时", "Period"),
            ("第3课 观潮", "Free"),
            ("数学广角", "Free"),
            ("三角形的内角和", "Free"),
            ("课程包2026", "Free"),
            ("", "Free"),
        ] {
            assert_eq!(cut(name), expected, "{name}");
        }
    }

    #[test]
    fn folders_above_a_lesson_say_where_it_belongs() {
        let mut meta = LessonMeta::default();
        above(
            &[
                "课程包2026",
                "数学",
                "人教版",
                "四年级下册",
                "第五单元 三角形",
                "第1课时",
            ],
            &mut meta,
        );
        assert_eq!(
            [
                &meta.stage,
                &meta.subject,
                &meta.edition,
                &meta.grade,
                &meta.volume,
                &meta.chapter,
                &meta.period
            ],
            [
                "小学",
                "数学",
                "人教版",
                "四年级",
                "下册",
                "第五单元 三角形",
                "第1课时"
            ]
        );
        let mut sixth = LessonMeta::default();
        above(&["语文", "六年级"], &mut sixth);
        assert_eq!(sixth.stage, "", "六年级 may be either");
    }
}
