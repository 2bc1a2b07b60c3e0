//! Equipment (资产), who answers for it, areas of responsibility (包区), and inspections (巡检).

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Page,
    listing::{Column, Sorted},
    page_of,
    roster::{RosterEncoding, RosterError},
};

/// What a piece of equipment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AssetKind {
    /// 班班通终端, and boxes beside a panel.
    Terminal,
    /// 交互式一体机.
    Panel,
    /// 投影机.
    Projector,
    /// 电子白板.
    Whiteboard,
    /// 电视机、显示器.
    Display,
    /// 电脑.
    Computer,
    /// 音响.
    Sound,
    /// 网络设备.
    Network,
    /// 其他.
    Other,
}

/// A piece of equipment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Asset {
    /// Its id.
    pub id: i64,
    /// The school.
    pub school_id: i64,
    /// Its name.
    pub school: String,
    /// The classroom; none: the school's.
    pub classroom_id: Option<i64>,
    /// Its name.
    pub classroom: Option<String>,
    /// The managed device that it is.
    pub device_id: Option<String>,
    /// What it is.
    pub kind: AssetKind,
    /// 资产编号; may be empty.
    pub tag: String,
    /// 品牌.
    pub brand: String,
    /// 型号.
    pub model: String,
    /// 序列号.
    pub serial: String,
    /// Whether it is interactive.
    pub interactive: bool,
    /// 主管单位.
    pub owner: String,
    /// 建设单位.
    pub builder: String,
    /// 运维单位.
    pub maintainer: String,
    /// 购置日期.
    pub bought_on: Option<Date>,
    /// 质保到期.
    pub warranty_until: Option<Date>,
    /// Anything else.
    pub note: String,
    /// When it was taken out of use.
    pub retired_at: Option<Timestamp>,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// By whom.
    pub updated_by: String,
    /// Age in whole years by the day it was bought; none: nobody says.
    pub age_years: Option<u32>,
    /// 100 as new to 0; see [`AssetReason`].
    pub health: u8,
    /// What takes from its health, worst first.
    pub reasons: Vec<AssetReason>,
}

/// What speaks for replacing a piece of equipment, and by how much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AssetReason {
    /// `age`, `warranty_over`, `wear`, `repairs`, `repairs_failed`.
    pub code: String,
    /// What it takes from its health.
    pub points: u8,
    /// The figure behind it: years, percent, orders.
    pub value: i64,
}

page_of!(
    /// Equipment, one page.
    AssetPage, Asset);

/// What a list of equipment can be ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssetColumn {
    /// By school and classroom.
    Place,
    /// Worst first: what to replace next.
    Health,
    /// What it is.
    Kind,
    /// Brand and model.
    Model,
    /// Its tag.
    Tag,
    /// 谁主管.
    Owner,
    /// When it was bought.
    BoughtOn,
    /// Until when it is under warranty.
    WarrantyUntil,
}

impl Column for AssetColumn {}

/// How a list of equipment is ordered; rows without a value come last either way. Without: by place.
pub type AssetSort = Sorted<AssetColumn>;

/// Which equipment.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AssetQuery {
    /// Only of this region.
    pub region_id: Option<i64>,
    /// Only of this school.
    pub school_id: Option<i64>,
    /// Only of this classroom.
    pub classroom_id: Option<i64>,
    /// Only of this kind.
    #[param(inline)]
    pub kind: Option<AssetKind>,
    /// Only managed devices, or only what is not managed.
    pub managed: Option<bool>,
    /// Only equipment in use that lacks owner, builder or maintainer (谁主管、谁建设、谁运维).
    #[serde(default)]
    pub incomplete: bool,
    /// Those taken out of use as well.
    #[serde(default)]
    pub retired: bool,
    /// In tag, brand, model or serial.
    pub search: Option<String>,
    /// Name of a column, `-` before it turns the order round: `place`, `health`, `kind`, `model`, `tag`, `owner`,
    /// `bought_on`, `warranty_until`. Left out: by school and classroom.
    #[param(value_type = Option<String>, pattern = "^-?(place|health|kind|model|tag|owner|bought_on|warranty_until)$")]
    pub sort: Option<AssetSort>,
    /// From 1.
    pub page: Option<u32>,
    /// 1–500, default 50.
    pub page_size: Option<u32>,
}

impl AssetQuery {
    /// Which rows.
    pub fn page(&self) -> Page {
        Page::new(self.page, self.page_size)
    }
}

/// A piece of equipment to enter by hand.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewAsset {
    /// The school.
    pub school_id: i64,
    /// The classroom.
    #[serde(default)]
    pub classroom_id: Option<i64>,
    /// What it is.
    pub kind: AssetKind,
    /// The rest; owner, builder and maintainer left out: as the classroom has them.
    #[serde(flatten)]
    pub about: AssetChange,
}

/// What is written of a piece of equipment; what is left out stays as it is.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct AssetChange {
    /// At most 40 characters.
    #[serde(default)]
    pub tag: Option<String>,
    /// At most 80 characters.
    #[serde(default)]
    pub brand: Option<String>,
    /// At most 80 characters.
    #[serde(default)]
    pub model: Option<String>,
    /// At most 80 characters; of a managed device it stays as the device says.
    #[serde(default)]
    pub serial: Option<String>,
    /// Whether it is interactive.
    #[serde(default)]
    pub interactive: Option<bool>,
    /// At most 200 characters.
    #[serde(default)]
    pub owner: Option<String>,
    /// At most 200 characters.
    #[serde(default)]
    pub builder: Option<String>,
    /// At most 200 characters.
    #[serde(default)]
    pub maintainer: Option<String>,
    /// 1990 to 2100.
    #[serde(default)]
    pub bought_on: Option<Date>,
    /// 1990 to 2100.
    #[serde(default)]
    pub warranty_until: Option<Date>,
    /// At most 200 characters.
    #[serde(default)]
    pub note: Option<String>,
    /// `true` takes it out of use, `false` puts it back; a managed device is retired where devices are.
    #[serde(default)]
    pub retired: Option<bool>,
}

/// How a file of equipment is taken.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AssetImportQuery {
    /// `true`: enter it, unless anything is wrong; else only say what would be.
    #[serde(default)]
    pub apply: bool,
    /// Letters of a csv file: `utf-8` or `gbk`; left out, they are found out.
    #[param(inline)]
    pub encoding: Option<RosterEncoding>,
}

/// What a file of equipment changes, or would.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AssetReport {
    /// Whether it was entered. Never with errors.
    pub applied: bool,
    /// Rows read.
    pub rows: usize,
    /// New in the ledger.
    pub added: usize,
    /// Known by their tag or serial, and other now.
    pub changed: usize,
    /// Known, and the same.
    pub same: usize,
    /// What is wrong, at most 500.
    pub errors: Vec<RosterError>,
    /// How much is wrong.
    pub error_count: usize,
}

/// How a school is equipped (E1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EquipmentRow {
    /// The school.
    pub school_id: i64,
    /// Its name.
    pub school: String,
    /// `school` or `teaching_point`.
    pub kind: String,
    /// Classrooms.
    pub classrooms: u32,
    /// Of these, with multimedia equipment, managed or not.
    pub equipped: u32,
    /// Of these, with an interactive set (交互式多媒体班套).
    pub interactive: u32,
    /// Classrooms without any, by name.
    pub missing: Vec<String>,
}

/// How schools are equipped, and what is still missing.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Equipment {
    /// All classrooms.
    pub classrooms: u64,
    /// Of these, equipped.
    pub equipped: u64,
    /// Of these, with an interactive set.
    pub interactive: u64,
    /// Interactive sets to each classroom; none without classrooms.
    pub interactive_ratio: Option<f64>,
    /// Village schools and teaching points without any equipment.
    pub points_without: u64,
    /// Equipment in use that lacks owner, builder or maintainer.
    pub incomplete: u64,
    /// One row for each school.
    pub schools: Vec<EquipmentRow>,
}

/// Which schools.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EquipmentQuery {
    /// Only of this region.
    pub region_id: Option<i64>,
    /// Only of this school.
    pub school_id: Option<i64>,
}

/// An area of responsibility (包区).
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Area {
    /// Its id.
    pub id: i64,
    /// The region whose schools it may hold.
    pub region_id: i64,
    /// Its name.
    pub name: String,
    /// The company or team that maintains it.
    pub vendor: String,
    /// Its schools; a school is in one area at most.
    pub schools: Vec<AreaSchool>,
    /// Who looks after it.
    pub people: Vec<AreaPerson>,
}

/// A school of an area.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AreaSchool {
    /// The school.
    pub id: i64,
    /// Its name.
    pub name: String,
}

/// Somebody who looks after an area.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AreaPerson {
    /// The account; when it is set it may be left out for its user name, which is all that many know of it.
    #[serde(default)]
    pub user_id: Option<i64>,
    /// Its user name; when it is set, only looked at without `user_id`.
    #[serde(default)]
    pub username: String,
    /// 0 is told first; what is overdue climbs to 1, 2, 3.
    pub tier: u8,
}

/// An area to make, or how it is from now on.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewArea {
    /// The region; it stays when an area is changed.
    pub region_id: i64,
    /// Its name, 1–80 characters.
    pub name: String,
    /// The company or team, at most 200 characters.
    #[serde(default)]
    pub vendor: String,
    /// Its schools, all of that region; they leave the area they were in.
    #[serde(default)]
    pub school_ids: Vec<i64>,
    /// Who looks after it.
    #[serde(default)]
    pub people: Vec<AreaPerson>,
}

/// Whose word an inspection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InspectionKind {
    /// The console's, of each device each day, from what it told.
    Automatic,
    /// Somebody's who was there.
    Human,
}

/// How something was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InspectionResult {
    /// In order.
    Pass,
    /// Not told, or not looked at.
    Unknown,
    /// Not in order.
    Fail,
}

/// One point of an inspection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InspectionItem {
    /// Which point: `online`, `clock`, `disk`, `temperature`, `wear`, `lessons`, or one of the human list.
    pub point: String,
    /// How it was found.
    pub result: InspectionResult,
    /// The figure behind it, or what was seen; at most 80 characters.
    #[serde(default)]
    pub value: String,
}

/// An inspection.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Inspection {
    /// Its id.
    pub id: i64,
    /// Whose word.
    pub kind: InspectionKind,
    /// Of which day.
    pub date: Date,
    /// The school.
    pub school_id: i64,
    /// Its name.
    pub school: String,
    /// The classroom.
    pub classroom_id: i64,
    /// Its name.
    pub classroom: String,
    /// The device.
    pub device_id: Option<String>,
    /// The worst of its points.
    pub result: InspectionResult,
    /// Its points.
    pub items: Vec<InspectionItem>,
    /// Anything else.
    pub note: String,
    /// When.
    pub at: Timestamp,
    /// By whom; empty: the console.
    pub by: String,
}

page_of!(
    /// Inspections, one page, newest first.
    InspectionPage, Inspection);

/// What a list of inspections can be ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InspectionColumn {
    /// Of which day.
    Date,
    /// Name of the school.
    School,
    /// The worst of its points, what failed first.
    Result,
    /// By whom; the console's own last.
    By,
}

impl Column for InspectionColumn {}

/// How a list of inspections is ordered; rows without a value come last either way. Without: the newest first.
pub type InspectionSort = Sorted<InspectionColumn>;

/// Which inspections.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct InspectionQuery {
    /// From this day on.
    pub from: Option<Date>,
    /// Up to this day.
    pub to: Option<Date>,
    /// Only of this kind.
    #[param(inline)]
    pub kind: Option<InspectionKind>,
    /// Only with this result.
    #[param(inline)]
    pub result: Option<InspectionResult>,
    /// Only of this region.
    pub region_id: Option<i64>,
    /// Only of this school.
    pub school_id: Option<i64>,
    /// Only of this classroom.
    pub classroom_id: Option<i64>,
    /// Name of a column, `-` before it turns the order round: `date`, `school`, `result`, `by`. Left out: the newest first.
    #[param(value_type = Option<String>, pattern = "^-?(date|school|result|by)$")]
    pub sort: Option<InspectionSort>,
    /// From 1.
    pub page: Option<u32>,
    /// 1–500, default 50.
    pub page_size: Option<u32>,
}

impl InspectionQuery {
    /// Which rows.
    pub fn page(&self) -> Page {
        Page::new(self.page, self.page_size)
    }
}

/// What somebody found who was there.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewInspection {
    /// The classroom.
    pub classroom_id: i64,
    /// Its points, 1–40; those of the human list are `screen`, `touch`, `sound`, `network`, `power`, `cabling`, `fixing`,
    /// `accessories`, `clean`, `label`.
    pub items: Vec<InspectionItem>,
    /// Anything else, at most 200 characters.
    #[serde(default)]
    pub note: String,
    /// Open an order for the points that failed.
    #[serde(default)]
    pub open_order: bool,
}
