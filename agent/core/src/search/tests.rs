use proptest::prelude::*;

use super::*;

const LESSONS: [(&str, &str, &str, &str); 14] = [
    ("小数的初步认识", "数学", "三年级", "第七单元 小数的初步认识"),
    ("分数的初步认识", "数学", "三年级", "第八单元 分数的初步认识"),
    ("数学广角——集合", "数学", "三年级", "第九单元 数学广角"),
    ("小数的意义和性质", "数学", "四年级", "第四单元 小数的意义和性质"),
    ("观潮", "语文", "四年级", "第一单元"),
    ("长城", "语文", "四年级", "第二单元"),
    ("重庆的山", "地理", "八年级", "第三章"),
    ("音乐的故事", "音乐", "五年级", "第二单元"),
    ("Unit 3 My school bag", "英语", "四年级", "Unit 3"),
    ("第12课 绿色的家", "道德与法治", "四年级", "第四单元"),
    ("二十四节气", "科学", "六年级", "第二单元"),
    ("西安事变", "历史", "八年级", "第六单元"),
    ("花儿与少年", "音乐", "四年级", "第五单元"),
    ("《红楼梦》导读", "语文", "高一", "整本书阅读"),
];

fn index() -> Index {
    let mut builder = Builder::new();
    for (title, subject, grade, chapter) in LESSONS {
        let doc = Doc {
            title,
            subject,
            grade,
            chapter,
            ..Doc::default()
        };
        builder.push(
            doc,
            [
                "微课",
                if title == "观潮" {
                    "钱塘江大潮录像"
                } else {
                    "练习"
                },
            ],
        );
    }
    builder.build()
}

fn titles(question: &str) -> Vec<&'static str> {
    let found = index().search(question, 50, |_| Standing::default());
    assert_eq!(found.total, found.hits.len());
    found.hits.iter().map(|hit| LESSONS[hit.doc as usize].0).collect()
}

#[test]
fn a_lesson_is_found_in_every_way_it_is_typed() {
    for (question, title) in [
        ("小数的初步", "小数的初步认识"),
        ("xiaoshudechubu", "小数的初步认识"),
        ("xsdcbrs", "小数的初步认识"),
        ("xiaosdchub", "小数的初步认识"),
        ("sx 3 xiaoshu", "小数的初步认识"),
        ("sx3xiaoshu", "小数的初步认识"),
        ("shuxue三年级小数", "小数的初步认识"),
        ("三年级数学小数", "小数的初步认识"),
        ("小shu的初bu", "小数的初步认识"),
        ("ＸＳＤＣＢ", "小数的初步认识"),
        ("guanchao", "观潮"),
        ("gc", "观潮"),
        ("guanc", "观潮"),
        ("钱塘江", "观潮"),
        ("qtjdc", "观潮"),
        ("changcheng", "长城"),
        ("zhangcheng", "长城"),
        ("chongqing", "重庆的山"),
        ("yinyuedegushi", "音乐的故事"),
        ("my school", "Unit 3 My school bag"),
        ("unit3", "Unit 3 My school bag"),
        ("msb", "Unit 3 My school bag"),
        ("myschb", "Unit 3 My school bag"),
        ("lvse", "第12课 绿色的家"),
        ("luse", "第12课 绿色的家"),
        ("十二课", "第12课 绿色的家"),
        ("第12课", "第12课 绿色的家"),
        ("24jieqi", "二十四节气"),
        ("二十四", "二十四节气"),
        ("ershisi", "二十四节气"),
        ("xi'an", "西安事变"),
        ("xian", "西安事变"),
        ("huar", "花儿与少年"),
        ("红楼", "《红楼梦》导读"),
        ("hlmdd", "《红楼梦》导读"),
    ] {
        assert_eq!(
            titles(question).first(),
            Some(&title),
            "{question}: {:?}",
            titles(question)
        );
    }
}

#[test]
fn what_is_typed_by_ear_is_found_last() {
    assert_eq!(titles("cangcen"), ["长城"]);
    assert_eq!(titles("guanzao"), Vec::<&str>::new(), "ch is not z");
    assert_eq!(titles("guancao"), ["观潮"]);
    assert_eq!(titles("yinlue"), Vec::<&str>::new());
}

#[test]
fn what_is_not_there_is_not_found() {
    for question in ["", "   ", "！？", "化学", "xyzzy", "观潮x", "sx 3 guanchao"] {
        assert_eq!(titles(question), Vec::<&str>::new(), "{question}");
    }
}

#[test]
fn the_beginning_of_a_title_comes_before_its_initials_and_those_before_the_inside() {
    let mut builder = Builder::new();
    for title in ["生活中的小数", "小书", "小数", "小数乘法", "笑声"] {
        builder.push(
            Doc {
                title,
                ..Doc::default()
            },
            [],
        );
    }
    let index = builder.build();
    let order = |question: &str, standing: &dyn Fn(u32) -> Standing| -> Vec<u32> {
        let found = index.search(question, 10, standing);
        found.hits.iter().map(|hit| hit.doc).collect()
    };
    let plain = |_| Standing::default();
    assert_eq!(order("小数", &plain), [2, 3, 0]);
    assert_eq!(order("xiaoshu", &plain), [1, 2, 3, 0]);
    assert_eq!(order("xs", &plain), [1, 2, 4, 3, 0]);
    // Of equals, what plays; then what is of the class's grade.
    let ready = |doc| Standing {
        ready: doc != 1,
        own_grade: doc == 1,
    };
    assert_eq!(order("xiaoshu", &ready), [2, 1, 3, 0]);
    let grade = |doc| Standing {
        ready: true,
        own_grade: doc == 4,
    };
    assert_eq!(order("xs", &grade), [4, 1, 2, 3, 0]);
    assert_eq!(index.search("xs", 2, plain).total, 5);
    assert_eq!(
        order("xs", &plain)[..2],
        index
            .search("xs", 2, plain)
            .hits
            .iter()
            .map(|h| h.doc)
            .collect::<Vec<_>>()
    );
}

#[test]
fn what_was_found_is_marked() {
    let index = index();
    let hit = |question: &str| index.search(question, 1, |_| Standing::default()).hits.remove(0);
    let found = hit("sx chubu");
    assert_eq!((found.field, found.matched), (Field::Title, vec![(3, 2)]));
    assert_eq!(hit("小数 认识").matched, [(0, 2), (5, 2)]);
    let item = hit("jiangdachao");
    assert_eq!((item.field, item.item), (Field::Item, Some(1)), "{item:?}");
}

/// Any letters, syllables and characters of the kind.
fn typed() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![
            "[a-z]{1,6}",
            "[小数的初步认识长城观潮重庆一二三十百年级]{1,4}",
            "[0-9]{1,3}",
            Just(" ".to_owned()),
            "\\PC{0,3}"
        ],
        0..8,
    )
    .prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever is typed, the answer is bounded, in order and within the titles.
    #[test]
    fn any_question_is_answered(question in typed(), limit in 0..6usize) {
        let index = index();
        let found = index.search(&question, limit, |_| Standing::default());
        prop_assert!(found.hits.len() <= limit && found.hits.len() <= found.total);
        for hit in &found.hits {
            let title = LESSONS[hit.doc as usize].0;
            if hit.field == Field::Title {
                let len = title.chars().count();
                prop_assert!(hit.matched.iter().all(|(from, count)| *count > 0 && from + count <= len));
                prop_assert!(hit.matched.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0));
            }
        }
    }

    /// A title is found by itself, by its Pinyin and by its initials, wherever it is cut.
    #[test]
    fn a_title_is_found_by_its_beginning(which in 0..LESSONS.len(), cut in 2..7usize) {
        let title = LESSONS[which].0;
        let start: String = title.chars().take(cut).collect();
        prop_assert!(titles(&start).contains(&title), "{start}");
        let spelt: String = title.chars().take(cut).map(spelling).collect();
        prop_assert!(titles(&spelt).contains(&title), "{spelt}");
        let initials: String = title.chars().take(cut).map(spelling).filter_map(|s| s.chars().next()).collect();
        if title.chars().take(cut).all(|c| !c.is_ascii()) {
            prop_assert!(titles(&initials).contains(&title), "{initials}");
        }
    }
}

fn spelling(c: char) -> String {
    use pinyin::ToPinyin;
    c.to_pinyin()
        .map_or(c.to_string(), |p| p.plain().replace('ü', "v"))
}
