//! What a roster would change, compared with what is known.

use std::collections::{HashMap, HashSet};

use super::{ClassroomRow, Fault, Roster, SchoolRow, Spot};
use crate::api::tree::SchoolKind;

/// What is known of the county, and which codes others have taken.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Townships of the county: name to row id.
    pub townships: HashMap<String, i64>,
    /// Schools of the county by code.
    pub schools: HashMap<String, KnownSchool>,
    /// Codes in the roster that belong to schools elsewhere.
    pub taken: HashSet<String>,
}

/// A school as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownSchool {
    /// Row id.
    pub id: i64,
    /// Row id of its region.
    pub region_id: i64,
    /// Name.
    pub name: String,
    /// 教学点 or not.
    pub kind: SchoolKind,
    /// Contracted bandwidth downward, Mbit/s.
    pub down_mbps: Option<u32>,
    /// Contracted bandwidth upward, Mbit/s.
    pub up_mbps: Option<u32>,
    /// Where it stands.
    pub spot: Option<Spot>,
    /// Its classrooms by code.
    pub classrooms: HashMap<String, KnownClassroom>,
}

/// A classroom as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownClassroom {
    /// Row id.
    pub id: i64,
    /// Name.
    pub name: String,
    /// 年级.
    pub grade: String,
    /// 班.
    pub class: String,
    /// 主管单位.
    pub owner: String,
    /// 建设单位.
    pub builder: String,
    /// 运维单位.
    pub maintainer: String,
    /// 现有设备.
    pub equipment: String,
}

/// One change, to be made in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A township of that name below the county.
    AddTownship(String),
    /// A school that is not known.
    AddSchool(SchoolRow),
    /// A known school gets what the row says.
    ChangeSchool {
        /// Row id.
        id: i64,
        /// What it is to be.
        row: SchoolRow,
        /// Which headings change, and from what to what.
        what: Vec<String>,
    },
    /// A classroom that is not known.
    AddClassroom(ClassroomRow),
    /// A known classroom gets what the row says.
    ChangeClassroom {
        /// Row id.
        id: i64,
        /// What it is to be.
        row: ClassroomRow,
        /// Which headings change, and from what to what.
        what: Vec<String>,
    },
}

/// How many of a kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// New.
    pub added: usize,
    /// Known, and something differs.
    pub changed: usize,
    /// Known, and nothing differs.
    pub same: usize,
}

/// What a roster would change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the order in which they must be made.
    pub steps: Vec<Step>,
    /// Schools.
    pub schools: Counts,
    /// Classrooms.
    pub classrooms: Counts,
}

/// Compares; what does not fit is added to the roster's faults.
pub fn plan(roster: &mut Roster, known: &Known) -> Plan {
    let mut plan = Plan::default();
    let mut faults = Vec::new();
    let mut townships: HashSet<&str> = HashSet::new();
    for row in &roster.schools {
        if known.taken.contains(&row.code) {
            faults.push(Fault::new(&row.at.0, row.at.1, "学校代码", "roster_elsewhere"));
            continue;
        }
        if let Some(name) = &row.township
            && !known.townships.contains_key(name)
            && townships.insert(name)
        {
            plan.steps.push(Step::AddTownship(name.clone()));
        }
        match known.schools.get(&row.code) {
            None => {
                plan.schools.added += 1;
                plan.steps.push(Step::AddSchool(row.clone()));
            }
            Some(school) => {
                let what = school_changes(row, school, known);
                if what.is_empty() {
                    plan.schools.same += 1;
                } else {
                    plan.schools.changed += 1;
                    plan.steps.push(Step::ChangeSchool {
                        id: school.id,
                        row: row.clone(),
                        what,
                    });
                }
            }
        }
    }
    let in_file: HashSet<&str> = roster.schools.iter().map(|s| s.code.as_str()).collect();
    for row in &roster.classrooms {
        let school = known.schools.get(&row.school);
        if school.is_none() && !in_file.contains(row.school.as_str()) {
            let fault = Fault::new(&row.at.0, row.at.1, "学校代码", "roster_unknown_school");
            faults.push(fault.arg("found", &row.school));
            continue;
        }
        match school.and_then(|s| s.classrooms.get(&row.code)) {
            None => {
                plan.classrooms.added += 1;
                plan.steps.push(Step::AddClassroom(row.clone()));
            }
            Some(room) => {
                let what = classroom_changes(row, room);
                if what.is_empty() {
                    plan.classrooms.same += 1;
                } else {
                    plan.classrooms.changed += 1;
                    plan.steps.push(Step::ChangeClassroom {
                        id: room.id,
                        row: row.clone(),
                        what,
                    });
                }
            }
        }
    }
    for fault in faults {
        roster.fault(fault);
    }
    plan
}

fn change(what: &mut Vec<String>, heading: &str, old: &str, new: &str) {
    if old != new {
        what.push(format!(
            "{heading}：{} → {new}",
            if old.is_empty() { "—" } else { old }
        ));
    }
}

fn school_changes(row: &SchoolRow, school: &KnownSchool, known: &Known) -> Vec<String> {
    let mut what = Vec::new();
    change(&mut what, "学校名称", &school.name, &row.name);
    let kind = |kind: SchoolKind| {
        if kind == SchoolKind::TeachingPoint {
            "是"
        } else {
            "否"
        }
    };
    if let Some(new) = row.kind {
        change(&mut what, "教学点", kind(school.kind), kind(new));
    }
    if let Some(township) = &row.township
        && known.townships.get(township) != Some(&school.region_id)
    {
        let old = known.townships.iter().find(|(_, id)| **id == school.region_id);
        change(&mut what, "乡镇", old.map_or("", |(name, _)| name), township);
    }
    let mut mbps = |heading: &str, old: Option<u32>, new: Option<u32>| {
        if let Some(new) = new {
            let old = old.map(|n| n.to_string()).unwrap_or_default();
            change(&mut what, heading, &old, &new.to_string());
        }
    };
    mbps("合同下行带宽", school.down_mbps, row.down_mbps);
    mbps("合同上行带宽", school.up_mbps, row.up_mbps);
    if let Some(new) = row.spot {
        let degrees = |e6: Option<i32>| e6.map(|n| (f64::from(n) / 1e6).to_string()).unwrap_or_default();
        let old = school.spot;
        change(
            &mut what,
            "纬度",
            &degrees(old.map(|s| s.latitude_e6)),
            &degrees(Some(new.latitude_e6)),
        );
        change(
            &mut what,
            "经度",
            &degrees(old.map(|s| s.longitude_e6)),
            &degrees(Some(new.longitude_e6)),
        );
    }
    what
}

fn classroom_changes(row: &ClassroomRow, room: &KnownClassroom) -> Vec<String> {
    let mut what = Vec::new();
    change(&mut what, "班级名称", &room.name, &row.name);
    for (heading, old, new) in [
        ("年级", &room.grade, &row.grade),
        ("班", &room.class, &row.class),
        ("主管单位", &room.owner, &row.owner),
        ("建设单位", &room.builder, &row.builder),
        ("运维单位", &room.maintainer, &row.maintainer),
        ("现有设备", &room.equipment, &row.equipment),
    ] {
        if let Some(new) = new {
            change(&mut what, heading, old, new);
        }
    }
    what
}
