//! Trees and tables on a real disk, without a console.

use std::{fs, path::Path};

use super::{
    super::{
        import::fixtures as fx,
        roster::{self, Encoding},
    },
    Found, csv_template, table, tree, xlsx_template,
};

fn file(root: &Path, path: &str, bytes: &[u8]) {
    let place = root.join(path);
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(place, bytes).unwrap();
}

fn titles(found: &Found) -> Vec<String> {
    let line = |c: &super::Candidate| {
        let m = &c.description.meta;
        let files: Vec<_> = c.sources.iter().map(|s| s.path.to_string()).collect();
        format!(
            "{} {}{}{}{}{} {} {} [{}]",
            m.title,
            m.stage,
            m.subject,
            m.edition,
            m.grade,
            m.volume,
            m.chapter,
            m.period,
            files.join(" ")
        )
    };
    found.candidates.iter().map(line).collect()
}

#[test]
fn a_tree_says_what_its_lessons_are() {
    let root = tempfile::tempdir().unwrap();
    let at = root.path();
    let png = fx::png(1, 1);
    file(
        at,
        "课程包/小学/数学/人教版/四年级下册/第五单元 三角形/第1课时/三角形的内角和/a.png",
        &png,
    );
    file(
        at,
        "课程包/小学/数学/人教版/四年级下册/第五单元 三角形/第1课时/三角形的内角和/资料/b.png",
        &png,
    );
    file(at, "课程包/初中语文/部编版/初一上/背影.png", &png);
    file(at, "课程包/初中语文/部编版/初一上/背影.zh-CN.srt", b"x");
    file(at, "课程包/初中语文/部编版/初一上/春.png", &png);
    file(
        at,
        "课程包/有说明/lesson.toml",
        "[meta]\ntitle='说明'\nstage='小学'\nsubject='科学'\nedition='教科版'\ngrade='三年级'\nvolume='上册'\nchapter=''\nperiod=''\n"
            .as_bytes(),
    );
    file(at, "课程包/有说明/a.png", &png);
    file(at, "课程包/没有年级/语文/认识/a.png", &png);
    file(at, "课程包/.DS_Store", b"x");
    file(at, "说明书.png", &png);
    let found = tree::tree(at).unwrap();
    assert_eq!(
        titles(&found),
        [
            "春 初中语文统编版七年级上册   [春.png]",
            "背影 初中语文统编版七年级上册   [背影.png 背影.zh-CN.srt]",
            "三角形的内角和 小学数学人教版四年级下册 第五单元 三角形 第1课时 [a.png 资料/b.png]",
            "说明 小学科学教科版三年级上册   [a.png]",
        ]
        .map(str::to_owned)
        .to_vec()
        .into_iter()
        .collect::<Vec<_>>()
    );
    assert_eq!(found.ignored, ["说明书.png"]);
    let faults: Vec<_> = found
        .faults
        .iter()
        .map(|f| (f.place.as_str(), f.column.as_str(), f.code))
        .collect();
    assert_eq!(
        faults,
        [("课程包/没有年级/语文/认识", "年级", "bulk_folder_lacks")]
    );
    assert_eq!(found.refused, 1);
}

fn read(root: &Path, csv: &str, encoding: Option<&'static encoding_rs::Encoding>) -> Found {
    let bytes = match encoding {
        Some(encoding) => encoding.encode(csv).0.into_owned(),
        None => csv.as_bytes().to_vec(),
    };
    table::table(&roster::read(&bytes, Encoding::Guess).unwrap(), root)
}

#[test]
fn a_gbk_table_says_what_files_are() {
    let root = tempfile::tempdir().unwrap();
    let at = root.path();
    for path in [
        "三角形/01微课.png",
        "三角形/01微课.srt",
        "三角形/02练习.png",
        "春.png",
    ] {
        file(at, path, &fx::png(1, 1));
    }
    let csv = "文件,课题,学段,学科,版本,年级,册次,章节,课时,资源类型,授权范围,授权到期,资源名称\r\n\
               三角形\\01微课.png,三角形的内角和,,数学,人教版,4年级,下册,第五单元,第1课时,微课,县内,2030-08-31,看一看\r\n\
               三角形/02练习,三角形的内角和,小学,数学,人教版,四年级,下册,第五单元,第1课时,微课,县内,2030/8/31,练一练\r\n\
               春.png,春,初中,语文,部编版,七年级,上册,,,,,,\r\n";
    let found = read(at, csv, Some(encoding_rs::GBK));
    assert_eq!(found.faults, []);
    assert_eq!(
        titles(&found),
        [
            "三角形的内角和 小学数学人教版四年级下册 第五单元 第1课时 [01微课.png 01微课.srt 02练习.png]",
            "春 初中语文统编版七年级上册   [春.png]"
        ]
    );
    let first = &found.candidates[0].description;
    let items: Vec<_> = first.items.iter().map(|i| i.title.as_deref()).collect();
    assert_eq!(items, [Some("看一看"), Some("练一练")]);
    let licence = first.meta.licence.as_ref().unwrap();
    assert_eq!(
        (licence.scope.as_str(), licence.expires_at.unwrap().to_string()),
        ("county", "2030-08-31T16:00:00Z".to_owned())
    );
}

#[test]
fn every_cell_at_fault_is_told_with_its_row_and_column() {
    let root = tempfile::tempdir().unwrap();
    file(root.path(), "a.png", &fx::png(1, 1));
    file(root.path(), "b.png", &fx::png(1, 1));
    let csv = "课程目录\n文件,课题,学段,学科,版本,年级,册次,课标年份,授权范围,授权到期,课程编号\n\
               a.png,好课,小学,数学,人教版,三年级,上册,,,,\n\
               没有.png,坏一,小学,数学课,人教版,三年级,上册,22,,,\n\
               ,坏二,小学,数学,人教版,七年级,上册,,,明年,有 空格\n\
               ../../etc/passwd,坏三,小学,数学,火星版,,上册,,,2030-01-01,\n\
               a.png,坏四,小学,数学,人教版,三年级,上册,,,,\n\
               b.png,=1+1,小学,数学,人教版,三年级,上册,,,,\n";
    let found = read(root.path(), csv, None);
    let faults: Vec<_> = found
        .faults
        .iter()
        .map(|f| format!("{} {} {}", f.row, f.column, f.code))
        .collect();
    assert_eq!(
        faults,
        [
            "4 课标年份 bulk_year",
            "4 学科 vocab_unknown",
            "4 文件 bulk_no_file",
            "5 文件 bulk_cell_lacks",
            "5 授权到期 bulk_day",
            "5 年级 vocab_other_stage",
            "5 课程编号 bulk_id",
            "6 年级 bulk_cell_lacks",
            "6 授权范围 bulk_cell_lacks",
            "6 版本 vocab_unknown",
            "6 文件 bulk_path",
            "7 文件 bulk_used_twice",
            "8 课题 bulk_formula",
        ]
    );
    assert_eq!((found.candidates.len(), found.refused), (1, 5));
    for fault in &found.faults {
        for language in [crate::config::Language::ZhCn, crate::config::Language::En] {
            let text = crate::messages::text(language, fault.code, &fault.args);
            assert!(!text.contains('{') && text != fault.code, "{text}");
        }
    }
    let lacks = read(root.path(), "课题,学段,年级\nx,y,z\n", None);
    assert!(lacks.faults.iter().all(|f| f.code == "bulk_column_lacks") && lacks.fault_count == 2);
    assert_eq!(
        read(root.path(), "a,b\n1,2\n", None).faults[0].code,
        "bulk_no_table"
    );
}

#[test]
fn rows_of_a_number_inherit_and_may_not_contradict() {
    let root = tempfile::tempdir().unwrap();
    for path in ["a.png", "b.png", "c/a.png"] {
        file(root.path(), path, &fx::png(1, 1));
    }
    let csv = "课程编号,文件,课题,学段,学科,版本,年级,册次\nL1,a.png,春,初中,语文,统编版,七年级,上册\nL1,b.png,,,,,,\nL1,c/a.png,,,,,,\n";
    let found = read(root.path(), csv, None);
    assert_eq!(found.faults, []);
    assert_eq!(
        titles(&found),
        ["春 初中语文统编版七年级上册   [a.png b.png 4/a.png]"]
    );
    let other = format!("{csv}L1,b.png,夏,,,,,\n");
    let found = read(root.path(), &other, None);
    assert_eq!(found.faults[0].code, "bulk_mixed");
    assert!(found.candidates.is_empty(), "half a lesson is none");
}

#[test]
fn the_templates_can_be_read_back() {
    let root = tempfile::tempdir().unwrap();
    file(root.path(), "三角形/微课.mp4", b"x");
    for bytes in [csv_template(), xlsx_template().unwrap()] {
        let found = table::table(&roster::read(&bytes, Encoding::Guess).unwrap(), root.path());
        assert_eq!(found.faults, []);
        assert_eq!(found.candidates.len(), 1);
    }
}
