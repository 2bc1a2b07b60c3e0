//! Which grade a class is in, by its name: nobody types it a second time for each board.

/// 年级 as the vocabulary writes it, with what else says so.
const GRADES: [(&str, &[&str]); 12] = [
    ("高一", &["高一", "高中一", "十年级", "10年级"]),
    ("高二", &["高二", "高中二", "十一年级", "11年级"]),
    ("高三", &["高三", "高中三", "十二年级", "12年级"]),
    ("七年级", &["七年级", "7年级", "初一", "初中一"]),
    ("八年级", &["八年级", "8年级", "初二", "初中二"]),
    ("九年级", &["九年级", "9年级", "初三", "初中三"]),
    ("一年级", &["一年级", "1年级", "小一"]),
    ("二年级", &["二年级", "2年级", "小二"]),
    ("三年级", &["三年级", "3年级", "小三"]),
    ("四年级", &["四年级", "4年级", "小四"]),
    ("五年级", &["五年级", "5年级", "小五"]),
    ("六年级", &["六年级", "6年级", "小六"]),
];

/// The grade that a class's name tells: 三年级2班, 三（2）班, 3.2班, 七(1)班, 初二3班. `None` where it tells none, as a
/// music room's does.
pub fn grade_of(class: &str) -> Option<&'static str> {
    let name: String = class.chars().filter(|c| !c.is_whitespace()).collect();
    let named = GRADES
        .iter()
        .find(|(_, words)| words.iter().any(|word| name.contains(word)));
    named.map(|(grade, _)| *grade).or_else(|| short(&name))
}

/// 三（2）班, 3-2班, 七1班: the grade's number, then the class's.
fn short(name: &str) -> Option<&'static str> {
    let class = name.strip_suffix('班')?;
    let mut chars = class.chars();
    let first = chars.next()?;
    let rest = chars.as_str();
    let digit = "一二三四五六七八九".chars().position(|c| c == first);
    let number = digit.map(|at| at + 1).or_else(|| {
        let number = usize::try_from(first.to_digit(10)?).ok()?;
        // 12班 is the twelfth class of an unknown grade; 3(12)班 and 3.12班 are of the third.
        (!rest.starts_with(|c: char| c.is_ascii_digit())).then_some(number)
    })?;
    let inner = rest.trim_matches(|c| "（）()【】[]-—.·、".contains(c));
    let counted = !inner.is_empty()
        && inner
            .chars()
            .all(|c| c.is_ascii_digit() || "一二三四五六七八九十".contains(c));
    let grades = [
        "一年级",
        "二年级",
        "三年级",
        "四年级",
        "五年级",
        "六年级",
        "七年级",
        "八年级",
        "九年级",
    ];
    grades.get(number.checked_sub(1)?).copied().filter(|_| counted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_tells_its_grade() {
        for (name, grade) in [
            ("三年级2班", Some("三年级")),
            ("三年级(2)班", Some("三年级")),
            ("小学 三年级 一班", Some("三年级")),
            ("三（2）班", Some("三年级")),
            ("3(12)班", Some("三年级")),
            ("3-2班", Some("三年级")),
            ("七1班", Some("七年级")),
            ("七年级1班", Some("七年级")),
            ("初二3班", Some("八年级")),
            ("初中三年级1班", Some("九年级")),
            ("高一（5）班", Some("高一")),
            ("高中二年级3班", Some("高二")),
            ("十一年级1班", Some("高二")),
            ("10年级1班", Some("高一")),
            ("12班", None),
            ("一班", None),
            ("音乐教室", None),
            ("", None),
            ("0(1)班", None),
        ] {
            assert_eq!(grade_of(name), grade, "{name}");
        }
    }
}
