//! CSES files: good ones as programs write them, and what else a stranger's disk may hold.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::{Duration, Instant};

use contract::{
    classroom::{Period, Weeks},
    cses::{CsesReason, parse, write},
};

const GOOD: &str = r#"version: 1

subjects:
  - name: 数学
    simplified_name: 数
    teacher: 李梅
    room: 101
  - name: 语文
    teacher: 王芳

schedules:
  - name: 星期一
    enable_day: 1
    weeks: all
    classes:
      - subject: 语文
        start_time: "08:00:00"
        end_time: "08:45:00"
      - subject: 数学
        start_time: 08:55:00
        end_time: 09:40:00
  - name: 星期二单周
    enable_day: 2
    weeks: odd
    classes:
      - { subject: 数学, start_time: 32100, end_time: 34800, teacher: 张三 }
  - name: 星期二双周
    enable_day: 2
    weeks: even
    classes:
      - subject: 体育
        start_time: '09:00'
        end_time: '09:45'
      - subject:
        start_time: '10:00'
        end_time: '10:45'
"#;

fn line(p: &Period) -> String {
    let weeks = match p.weeks {
        Weeks::All => "",
        Weeks::Odd => "单",
        Weeks::Even => "双",
    };
    format!(
        "{}{weeks} {} {}-{} {}",
        p.day, p.number, p.from_min, p.to_min, p.subject
    )
}

#[test]
fn a_file_as_programs_write_it() {
    let found = parse(GOOD).unwrap().periods;
    assert_eq!(
        found.iter().map(line).collect::<Vec<_>>(),
        // Tuesday has nothing at the first bell: its classes are the second.
        [
            "1 1 480-525 语文",
            "1 2 535-580 数学",
            "2单 2 535-580 数学",
            "2双 2 540-585 体育"
        ]
    );
    let again = parse(&format!("\u{feff}{GOOD}")).unwrap().periods;
    assert_eq!(again, found);
}

#[test]
fn nobody_is_named() {
    let found = format!("{:?}", parse(GOOD).unwrap());
    for name in ["李梅", "王芳", "张三", "101"] {
        assert!(!found.contains(name), "{found}");
    }
}

#[test]
fn what_is_written_is_read_again() {
    let found = parse(GOOD).unwrap();
    assert_eq!(parse(&write(&found.periods)).unwrap(), found);
    let odd = Period {
        day: 7,
        weeks: Weeks::All,
        number: 1,
        from_min: 1380,
        to_min: 1440,
        subject: "a: \"b\" # {c}, 中".to_owned(),
    };
    assert_eq!(parse(&write(std::slice::from_ref(&odd))).unwrap().periods, [odd]);
    assert_eq!(parse(&write(&[])).unwrap_err().reason, CsesReason::Empty);
}

/// What stands in for what, on which line, and why the file is refused then.
#[test]
fn errors_name_line_and_field() {
    let cases = [
        (
            "version: 1",
            "version: 2",
            1,
            "version",
            CsesReason::Version("2".into()),
        ),
        ("version: 1", "x: 1", 1, "version", CsesReason::Missing),
        (
            "enable_day: 1",
            "enable_day: 8",
            13,
            "enable_day",
            CsesReason::Day("8".into()),
        ),
        (
            "enable_day: 1",
            "enable_day: [1]",
            13,
            "enable_day",
            CsesReason::Kind("a value"),
        ),
        (
            "weeks: all",
            "weeks: each",
            14,
            "weeks",
            CsesReason::Weeks("each".into()),
        ),
        (
            "\"08:00:00\"",
            "\"8点\"",
            17,
            "start_time",
            CsesReason::Time("8点".into()),
        ),
        (
            "\"08:00:00\"",
            "\"24:00:01\"",
            17,
            "start_time",
            CsesReason::Time("24:00:01".into()),
        ),
        (
            "\"08:00:00\"",
            "-5",
            17,
            "start_time",
            CsesReason::Time("-5".into()),
        ),
        (
            "\"08:00:00\"",
            "99999",
            17,
            "start_time",
            CsesReason::Time("99999".into()),
        ),
        (
            "\"08:45:00\"",
            "\"07:45:00\"",
            18,
            "end_time",
            CsesReason::Backwards,
        ),
        (
            "\"08:45:00\"",
            "\"08:56:00\"",
            19,
            "start_time",
            CsesReason::Overlap(16),
        ),
        (
            "        end_time: 09:40:00\n",
            "",
            19,
            "end_time",
            CsesReason::Missing,
        ),
        (
            "subject: 语文",
            "subject: 语文语文语文语文语文语文语文语文语文语文语",
            16,
            "subject",
            CsesReason::Subject,
        ),
        (
            "weeks: all",
            "weeks: all\n    weeks: odd",
            15,
            "weeks",
            CsesReason::Twice,
        ),
        ("weeks: all", "weeks: &w all", 14, "file", CsesReason::Alias),
        ("weeks: all", "weeks: !!str all", 14, "file", CsesReason::Alias),
    ];
    for (from, to, line, field, reason) in cases {
        let error = parse(&GOOD.replacen(from, to, 1)).unwrap_err();
        assert_eq!(
            (error.line, error.field.as_str(), &error.reason),
            (line, field, &reason),
            "{to}: {error}"
        );
    }
}

#[test]
fn nothing_grows_or_takes_long() {
    let mut bomb = String::from("a0: &a0 [x]\n");
    for n in 1..40 {
        bomb.push_str(&format!(
            "a{n}: &a{n} [{}]\n",
            vec![format!("*a{}", n - 1); 10].join(", ")
        ));
    }
    let many: String = (0..60_000).map(|n| format!("k{n}: 1\n")).collect();
    let most = 200_000;
    let files = [
        bomb,
        many.chars().take(most).collect(),
        "[".repeat(most),
        "{".repeat(most),
        "- ".repeat(most / 2),
        "? ".repeat(most / 2),
        "a: ".repeat(most / 3),
        "{a: ".repeat(most / 4),
        "'".repeat(most),
        "\"\\".repeat(most / 2),
        "%".repeat(most),
        "&".repeat(most),
        "*a ".repeat(most / 3),
        "|\n".repeat(most / 2),
        " ".repeat(most),
        "\t".repeat(most),
        "---\n".repeat(most / 4),
        "#".repeat(most),
        "\0".repeat(most),
        "[a, ".repeat(most / 4),
        format!("version: 1\nschedules: {}", "[".repeat(most)),
        "a".repeat(most),
        format!("? {}\n: 1", "a\n ".repeat(most / 3)),
        String::new(),
    ];
    for file in files {
        let begun = Instant::now();
        assert!(parse(&file).is_err());
        // Quadratic work over these would take minutes.
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", file.get(..12));
    }
    assert_eq!(
        parse(&"a".repeat(300_000)).unwrap_err().reason,
        CsesReason::TooLarge
    );
}

#[test]
fn a_timetable_too_long_is_refused() {
    let mut file = String::from("version: 1\nschedules:\n");
    for day in 1..=7 {
        file.push_str(&format!("  - enable_day: {day}\n    classes:\n"));
        for n in 0..21 {
            file.push_str(&format!(
                "      - {{subject: 数学, start_time: {}, end_time: {}}}\n",
                n * 3600,
                n * 3600 + 2400
            ));
        }
    }
    assert_eq!(parse(&file).unwrap_err().reason, CsesReason::TooMany);
}
