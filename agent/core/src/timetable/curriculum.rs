//! The order in which a textbook is taught, and what comes next in it.

use std::cmp::Ordering;

/// Where a lesson stands in the curriculum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place<'a> {
    /// 学科.
    pub subject: &'a str,
    /// 年级.
    pub grade: &'a str,
    /// 册次.
    pub volume: &'a str,
    /// 章节.
    pub chapter: &'a str,
    /// 课时.
    pub period: &'a str,
    /// Whether it plays.
    pub ready: bool,
}

/// Teaching order within one subject: grade, volume, chapter, period; equal where the words do not tell.
pub fn compare(a: &Place<'_>, b: &Place<'_>) -> Ordering {
    let key = |place: &Place<'_>| {
        (
            grade_rank(place.grade),
            volume_rank(place.volume),
            first_number(place.chapter),
            first_number(place.period),
        )
    };
    key(a).cmp(&key(b))
}

/// Whether a timetable's word for a subject means a lesson's: 语文课 is 语文, 道法 is 道德与法治.
pub fn subject_fits(timetable: &str, lesson: &str) -> bool {
    let (timetable, lesson) = (plain(timetable), plain(lesson));
    if timetable.is_empty() || lesson.is_empty() {
        return false;
    }
    timetable == lesson || timetable.contains(lesson) || lesson.contains(timetable)
}

fn plain(subject: &str) -> &str {
    let subject = subject.trim();
    let bare = subject
        .strip_suffix('课')
        .filter(|bare| !bare.is_empty())
        .unwrap_or(subject);
    match bare {
        "语" => "语文",
        "数" => "数学",
        "英" | "外语" => "英语",
        "道法" | "品德" | "品社" | "思品" => "道德与法治",
        "思政" | "政治" => "思想政治",
        "信息" | "信息技术" | "微机" | "电脑" => "信息科技",
        "体" => "体育",
        "音" => "音乐",
        "美" => "美术",
        "生物学" => "生物",
        other => other,
    }
}

/// What a class is to open in a period for which nothing is planned: in the subject and grade, the lesson that plays and
/// comes after `last`, the one opened last in the subject; before anything was opened, the first. `None` at the book's end
/// and where nothing fits. `lessons` are in the order in which they were assigned, which counts where the curriculum does
/// not tell.
pub fn suggest(
    lessons: &[Place<'_>],
    subject: &str,
    grade: Option<&str>,
    last: Option<usize>,
) -> Option<usize> {
    let fits = |at: &usize| {
        let lesson = &lessons[*at];
        subject_fits(subject, lesson.subject) && grade.is_none_or(|grade| lesson.grade == grade)
    };
    let mut order: Vec<usize> = (0..lessons.len()).filter(fits).collect();
    order.sort_by(|a, b| compare(&lessons[*a], &lessons[*b]));
    let after = match last.and_then(|last| order.iter().position(|at| *at == last)) {
        Some(at) => at + 1,
        None => 0,
    };
    order[after..].iter().copied().find(|at| lessons[*at].ready)
}

fn grade_rank(grade: &str) -> u8 {
    let known = [
        "一年级",
        "二年级",
        "三年级",
        "四年级",
        "五年级",
        "六年级",
        "七年级",
        "八年级",
        "九年级",
        "高一",
        "高二",
        "高三",
    ];
    known
        .iter()
        .position(|known| *known == grade)
        .and_then(|at| u8::try_from(at).ok())
        .unwrap_or(u8::MAX)
}

fn volume_rank(volume: &str) -> u8 {
    match volume {
        v if v.contains('上') => 0,
        v if v.contains('下') => 2,
        _ => 1,
    }
}

/// The first number in a text, Arabic or Chinese: 第十二单元 is 12, Unit 3 is 3; a text without one comes last.
fn first_number(text: &str) -> u32 {
    let chars: Vec<char> = text.chars().take(64).collect();
    (0..chars.len())
        .find_map(|at| crate::numerals::number_at(&chars[at..]))
        .map_or(u32::MAX, |(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place<'a>(volume: &'a str, chapter: &'a str, period: &'a str) -> Place<'a> {
        Place {
            subject: "数学",
            grade: "三年级",
            volume,
            chapter,
            period,
            ready: true,
        }
    }

    #[test]
    fn a_textbook_has_an_order() {
        let order = [
            place("上册", "第二单元 万以内的加法", "第1课时"),
            place("上册", "第二单元 万以内的加法", "第2课时"),
            place("上册", "第十单元 总复习", "第1课时"),
            place("上册", "第12单元", "第1课时"),
            place("上册", "附录", "第1课时"),
            place("下册", "第一单元 位置与方向", "第1课时"),
        ];
        for pair in order.windows(2) {
            assert_eq!(compare(&pair[0], &pair[1]), Ordering::Less, "{pair:?}");
        }
    }

    #[test]
    fn the_lesson_after_the_last_one_is_suggested() {
        let mut lessons = [
            place("上册", "第三单元", "第2课时"),
            place("上册", "第一单元", "第1课时"),
            place("上册", "第三单元", "第1课时"),
            place("上册", "第二单元", "第1课时"),
        ];
        let next = |lessons: &[Place<'_>], last| suggest(lessons, "数学课", Some("三年级"), last);
        assert_eq!(next(&lessons, None), Some(1));
        assert_eq!(next(&lessons, Some(1)), Some(3));
        assert_eq!(next(&lessons, Some(2)), Some(0));
        assert_eq!(next(&lessons, Some(0)), None, "the end of the book");
        lessons[3].ready = false;
        assert_eq!(
            next(&lessons, Some(1)),
            Some(2),
            "what does not play is passed over"
        );
        assert_eq!(suggest(&lessons, "语文", Some("三年级"), None), None);
        assert_eq!(suggest(&lessons, "数学", Some("四年级"), None), None);
        assert_eq!(
            suggest(&lessons, "数学", None, Some(99)),
            Some(1),
            "a lesson that is gone"
        );
    }

    #[test]
    fn subjects_are_called_by_several_names() {
        for (timetable, lesson) in [
            ("语文课", "语文"),
            ("道法", "道德与法治"),
            ("小学数学", "数学"),
            ("信息", "信息科技"),
        ] {
            assert!(subject_fits(timetable, lesson), "{timetable}");
        }
        for (timetable, lesson) in [("语文", "英语"), ("", "语文"), ("课", ""), ("班会", "语文")] {
            assert!(!subject_fits(timetable, lesson), "{timetable}");
        }
    }
}
