use super::*;
use crate::api::tree::SchoolKind;

fn csv(text: &str) -> Roster {
    tables(&read(text.as_bytes(), Encoding::Guess).unwrap())
}

fn faults(roster: &Roster) -> Vec<(usize, &str, &str)> {
    roster
        .faults
        .iter()
        .map(|f| (f.row, f.column.as_str(), f.code))
        .collect()
}

const SCHOOLS: &str = "学校代码,学校名称,教学点,乡镇,合同下行带宽(Mbit/s),合同上行带宽\n\
    3145000001,城关镇中心小学,否,城关镇,200,40\n3145000002, 石山教学点 ,是,石山乡,20M,\n";
const ROOMS: &str = "学校代码,班级代码,班级名称,年级,班,主管单位,建设单位,运维单位,现有设备\n\
    3145000001,0301,三年级（1）班,三年级,1,城关小学,县教育局,某公司,75寸一体机\n3145000002,1,一年级,一年级,,,,,\n";

#[test]
fn a_good_table_is_read_and_a_second_import_changes_nothing() {
    let mut roster = csv(SCHOOLS);
    roster.classrooms = csv(ROOMS).classrooms;
    assert_eq!(faults(&roster), []);
    assert_eq!(roster.schools[1].name, "石山教学点");
    assert_eq!(roster.schools[1].kind, Some(SchoolKind::TeachingPoint));
    assert_eq!(
        (roster.schools[1].down_mbps, roster.schools[1].up_mbps),
        (Some(20), None)
    );
    assert_eq!(roster.classrooms[0].code, "0301");

    let mut known = Known::default();
    let first = plan(&mut roster, &known);
    let counts = |added, changed, same| Counts { added, changed, same };
    assert_eq!(
        (first.schools, first.classrooms),
        (counts(2, 0, 0), counts(2, 0, 0))
    );
    assert_eq!(first.steps[0], Step::AddTownship("城关镇".into()));

    known.townships = [("城关镇".into(), 10), ("石山乡".into(), 11)].into();
    for (id, school) in (1..).zip(&roster.schools) {
        let rooms = roster.classrooms.iter().filter(|r| r.school == school.code);
        let room = |r: &ClassroomRow| KnownClassroom {
            id,
            name: r.name.clone(),
            grade: r.grade.clone().unwrap_or_default(),
            class: r.class.clone().unwrap_or_default(),
            owner: r.owner.clone().unwrap_or_default(),
            builder: r.builder.clone().unwrap_or_default(),
            maintainer: r.maintainer.clone().unwrap_or_default(),
            equipment: r.equipment.clone().unwrap_or_default(),
        };
        known.schools.insert(
            school.code.clone(),
            KnownSchool {
                id,
                region_id: known.townships[school.township.as_ref().unwrap()],
                name: school.name.clone(),
                kind: school.kind.unwrap(),
                down_mbps: school.down_mbps,
                up_mbps: school.up_mbps,
                spot: school.spot,
                classrooms: rooms.map(|r| (r.code.clone(), room(r))).collect(),
            },
        );
    }
    let again = plan(&mut roster, &known);
    assert_eq!(
        (again.steps.len(), again.schools, again.classrooms),
        (0, counts(0, 0, 2), counts(0, 0, 2))
    );

    // A renamed class keeps its identity by its code; what was left empty stays.
    roster.classrooms[1].name = "二年级".into();
    let renamed = plan(&mut roster, &known);
    assert!(
        matches!(&renamed.steps[..], [Step::ChangeClassroom { id: 2, what, .. }] if what == &["班级名称：一年级 → 二年级"]),
        "{:?}",
        renamed.steps
    );
}

#[test]
fn every_bad_cell_is_named_with_its_place() {
    let roster = csv("县教育局名册,,,\n学校代码*,学校名称,类型,合同下行带宽\n\
        ,没有代码,,\n31 45,空格,,\n3145000003,,,\n3145000004,甲,大学,\n3145000005,乙,,快\n3145000006,=A1,,\n\
        3145000007,丙,,\n,,,\n3145000007,丁,,\n３１４５０００００８,戊,,0\n");
    assert_eq!(
        faults(&roster),
        [
            (3, "学校代码", "roster_missing"),
            (4, "学校代码", "roster_code"),
            (5, "学校名称", "roster_missing"),
            (6, "教学点", "roster_kind"),
            (7, "合同下行带宽", "roster_mbps"),
            (8, "学校名称", "roster_formula"),
            (12, "合同下行带宽", "roster_mbps"),
            (11, "学校代码", "roster_twice"),
        ]
    );
    assert_eq!(roster.faults[7].args["first"], "9");
    assert_eq!(roster.rows, 9);
}

#[test]
fn a_wrong_heading_and_no_table_at_all_are_told() {
    let roster = csv("学校代码,名字\n1,甲\n");
    assert_eq!(faults(&roster), [(1, "学校名称", "roster_heading_missing")]);
    assert_eq!(roster.faults[0].args["found"], "名字、学校代码");
    assert_eq!(faults(&csv("姓名,电话\n甲,1\n")), [(1, "", "roster_no_table")]);
}

#[test]
fn letters_of_gbk_are_read_and_rubbish_is_refused() {
    let (gbk, _, _) = encoding_rs::GBK.encode(SCHOOLS);
    let roster = tables(&read(&gbk, Encoding::Guess).unwrap());
    assert_eq!(roster.schools[0].name, "城关镇中心小学");
    assert_eq!(read(&gbk, Encoding::Utf8), Err(FileFault::Letters));
    assert_eq!(read(b"", Encoding::Guess), Err(FileFault::Empty));
    assert_eq!(
        read(&[0xd0, 0xcf, 0x11, 0xe0, 0], Encoding::Guess),
        Err(FileFault::Old)
    );
    assert_eq!(read(b"a\0b", Encoding::Guess), Err(FileFault::Kind));
    assert!(matches!(
        read(b"PK\x03\x04rubbish", Encoding::Guess),
        Err(FileFault::Damaged(_))
    ));
    let rows = format!("学校代码,学校名称\n{}", "1,a\n".repeat(MAX_ROWS));
    assert_eq!(
        read(rows.as_bytes(), Encoding::Guess),
        Err(FileFault::TooManyRows)
    );
}

#[test]
fn the_template_is_read_by_the_import() {
    let sheets = read(&xlsx_template().unwrap(), Encoding::Guess).unwrap();
    let roster = tables(&sheets);
    assert_eq!(faults(&roster), []);
    assert_eq!((roster.schools.len(), roster.classrooms.len()), (1, 1));
    assert_eq!(roster.classrooms[0].code, "0301", "the zero in front is kept");
    for classrooms in [false, true] {
        let roster = tables(&read(&csv_template(classrooms), Encoding::Guess).unwrap());
        assert_eq!((faults(&roster), roster.rows), (vec![], 1));
    }
}

#[test]
fn merged_cells_formulas_and_numbers_of_a_spreadsheet() {
    let mut book = rust_xlsxwriter::Workbook::new();
    let sheet = book.add_worksheet();
    for (at, heading) in (0_u16..).zip(["学校代码", "班级代码", "班级名称", "年级"]) {
        sheet.write_string(0, at, heading).unwrap();
    }
    let plain = rust_xlsxwriter::Format::new();
    sheet.merge_range(1, 0, 2, 0, "3145000001", &plain).unwrap();
    for row in 1..=3 {
        sheet.write_number(row, 1, f64::from(row)).unwrap();
        sheet.write_string(row, 2, "班").unwrap();
    }
    sheet.write_number(3, 0, 3_145_000_001_f64).unwrap();
    sheet.write_formula(3, 3, "=\"三年级\"").unwrap();
    sheet.write_number(4, 0, 1.5).unwrap();
    sheet.write_number(4, 1, 1e18).unwrap();
    // One cell in the last corner must cost nothing.
    sheet.write_string(1_048_575, 16_383, "x").unwrap();
    let roster = tables(&read(&book.save_to_buffer().unwrap(), Encoding::Guess).unwrap());
    assert_eq!(
        faults(&roster),
        [
            (3, "学校代码", "roster_merged"),
            (4, "年级", "roster_formula"),
            (5, "学校代码", "roster_number_form"),
            (5, "班级代码", "roster_number_form"),
            (5, "班级名称", "roster_missing"),
        ]
    );
    assert_eq!(roster.classrooms[0].code, "1");
}

#[test]
fn codes_of_others_and_rooms_of_nobody_are_faults() {
    let mut roster = csv(SCHOOLS);
    roster.classrooms = csv(&ROOMS.replace("3145000002,1", "3145000009,1")).classrooms;
    let known = Known {
        taken: ["3145000002".to_owned()].into(),
        ..Known::default()
    };
    plan(&mut roster, &known);
    assert_eq!(
        faults(&roster),
        [
            (3, "学校代码", "roster_elsewhere"),
            (3, "学校代码", "roster_unknown_school")
        ]
    );
}

#[test]
fn coordinates_are_degrees_and_come_in_pairs() {
    let head = "学校代码,学校名称,纬度,经度\n";
    let mut roster = csv(&format!(
        "{head}1,甲校,25.4123,110.3184\n2,乙校,北纬25.5°,E110.2\n3,丙校,,\n"
    ));
    assert_eq!(faults(&roster), []);
    let spots: Vec<_> = roster
        .schools
        .iter()
        .map(|s| s.spot.map(|p| (p.latitude_e6, p.longitude_e6)))
        .collect();
    assert_eq!(
        spots,
        [
            Some((25_412_300, 110_318_400)),
            Some((25_500_000, 110_200_000)),
            None
        ]
    );

    let bad = csv(&format!(
        "{head}1,甲校,25.4,\n2,乙校,91,110\n3,丙校,25,180.5\n4,丁校,25°24'44\",110\n5,戊校,城西,110\n"
    ));
    assert_eq!(
        faults(&bad),
        [
            (2, "经度", "roster_missing"),
            (3, "纬度", "roster_degrees"),
            (4, "经度", "roster_degrees"),
            (5, "纬度", "roster_degrees"),
            (6, "纬度", "roster_degrees"),
        ]
    );

    // What is left empty stays; what moves is said.
    let mut known = Known::default();
    for (id, row) in (1..).zip(&roster.schools) {
        let school = KnownSchool {
            id,
            region_id: 1,
            name: row.name.clone(),
            kind: SchoolKind::School,
            down_mbps: None,
            up_mbps: None,
            spot: row.spot,
            classrooms: std::collections::HashMap::new(),
        };
        known.schools.insert(row.code.clone(), school);
    }
    assert_eq!(plan(&mut roster, &known).schools.same, 3);
    let mut moved = csv(&format!("{head}1,甲校,25.5,110.3184\n2,乙校,,\n"));
    let plan = plan(&mut moved, &known);
    assert_eq!((plan.schools.changed, plan.schools.same), (1, 1));
    let Step::ChangeSchool { what, .. } = &plan.steps[0] else {
        panic!("{:?}", plan.steps)
    };
    assert_eq!(what.len(), 1, "{what:?}");
}
