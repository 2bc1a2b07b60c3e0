//! Regions, schools, classrooms.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::devices::DeviceSummary;

/// Level of a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum RegionKind {
    /// 省.
    Province,
    /// 市.
    City,
    /// 县/区.
    County,
    /// 乡镇/街道.
    Township,
}

impl RegionKind {
    /// As in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Province => "province",
            Self::City => "city",
            Self::County => "county",
            Self::Township => "township",
        }
    }
}

/// What a school is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum SchoolKind {
    /// 学校.
    School,
    /// 教学点.
    TeachingPoint,
}

impl SchoolKind {
    /// As in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::School => "school",
            Self::TeachingPoint => "teaching_point",
        }
    }
}

/// All regions with their schools.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Tree {
    /// Flat; parents stand before their children.
    pub regions: Vec<Region>,
}

/// One region.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Region {
    /// Row id.
    pub id: i64,
    /// The region above; none for a root.
    pub parent_id: Option<i64>,
    /// Level.
    pub kind: RegionKind,
    /// Name for people.
    pub name: String,
    /// Official code, where known.
    pub code: Option<String>,
    /// It lies above what the reader may see: only its name is told, to show the way down.
    pub above: bool,
    /// Schools directly in it.
    pub schools: Vec<SchoolSummary>,
}

/// One school, counted.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SchoolSummary {
    /// Row id.
    pub id: i64,
    /// Name for people.
    pub name: String,
    /// School or teaching point.
    pub kind: SchoolKind,
    /// Official code.
    pub code: String,
    /// Classrooms in it.
    pub classrooms: u32,
    /// Devices in it.
    pub devices: u32,
    /// Of these, 在线.
    pub online: u32,
    /// Of these, 离线: they should be there, and are not.
    pub offline: u32,
    /// Of these, 已关机: they are not there, and need not be.
    pub off: u32,
    /// Of these, 未知.
    pub unknown: u32,
    /// Degrees north, WGS 84, where the roster says so.
    pub latitude: Option<f64>,
    /// Degrees east; there when the other is.
    pub longitude: Option<f64>,
}

/// Which places.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PlaceFilter {
    /// In this region or below it.
    pub region_id: Option<i64>,
    /// In this school.
    pub school_id: Option<i64>,
}

/// One school with its classrooms.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct School {
    /// Row id.
    pub id: i64,
    /// The region it is in.
    pub region_id: i64,
    /// Name of that region.
    pub region: String,
    /// Name for people.
    pub name: String,
    /// School or teaching point.
    pub kind: SchoolKind,
    /// Official code.
    pub code: String,
    /// Bandwidth that its line is paid for, towards the school, where the roster says it.
    pub contracted_down_mbps: Option<u32>,
    /// The same, away from the school.
    pub contracted_up_mbps: Option<u32>,
    /// Its classrooms, by code.
    pub classrooms: Vec<Classroom>,
}

/// One classroom with what stands in it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Classroom {
    /// Row id.
    pub id: i64,
    /// The school it is in.
    pub school_id: i64,
    /// Code, unique in the school.
    pub code: String,
    /// Name for people, e.g. 三年级(2)班.
    pub name: String,
    /// 年级; may be empty.
    pub grade: String,
    /// 班级, as in the roster; may be empty.
    pub class: String,
    /// 谁主管, as in the roster; may be empty.
    pub owner: String,
    /// 谁建设, as in the roster; may be empty.
    pub builder: String,
    /// 谁运维, as in the roster; may be empty.
    pub maintainer: String,
    /// What stands in it besides, also what nobody manages; may be empty.
    pub equipment: String,
    /// Usually one, or none yet.
    pub devices: Vec<DeviceSummary>,
}

/// A new region.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewRegion {
    /// The region above; none for a root.
    pub parent_id: Option<i64>,
    /// Level.
    pub kind: RegionKind,
    /// 1–80 characters, unique below its parent.
    pub name: String,
    /// Official code.
    pub code: Option<String>,
}

/// A new school.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewSchool {
    /// Where.
    pub region_id: i64,
    /// 1–40 characters, unique over the install.
    pub code: String,
    /// 1–80 characters.
    pub name: String,
    /// School or teaching point.
    pub kind: SchoolKind,
}

/// A new classroom.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewClassroom {
    /// Where.
    pub school_id: i64,
    /// 1–40 characters, unique in the school.
    pub code: String,
    /// 1–80 characters.
    pub name: String,
    /// 年级; may be empty.
    #[serde(default)]
    pub grade: String,
}

/// Another name for a region, school or classroom.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Rename {
    /// 1–80 characters.
    pub name: String,
}

/// The row that was made.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct Created {
    /// Row id.
    pub id: i64,
}
