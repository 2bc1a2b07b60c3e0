//! Work orders (工单): how they stand, what was done, how long it took; spare parts; what a region allows itself.

use std::collections::BTreeMap;

use contract::{id::DeviceId, records::FaultClass};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Page,
    incidents::{Incident, IncidentTold},
    listing::{Column, Sorted},
    page_of, schema,
};

/// What an order is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderKind {
    /// 维修: something is broken.
    #[default]
    Repair,
    /// 网络安全整改: notice, rectification, re-check; it closes with evidence only.
    Rectification,
}

/// What an order came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderSource {
    /// An incident of the alerts.
    Incident,
    /// 报修 at a board.
    Fault,
    /// The code on a classroom's wall.
    Qr,
    /// Somebody who is signed in.
    Hand,
    /// An inspection.
    Inspection,
}

/// What it concerns, as maintenance contracts sort it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderClass {
    /// 基础设施: devices, lines, power.
    Infrastructure,
    /// 应用系统: programs.
    Application,
    /// 教育资源: lessons.
    Resource,
}

/// How an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// Nobody has taken it yet; of a rectification: 已通报.
    New,
    /// Somebody answers for it.
    Accepted,
    /// Somebody is there; of a rectification: 整改中.
    OnSite,
    /// Done, by the word of whoever did it; who uses it is asked.
    Repaired,
    /// Who uses it says so; of a rectification: 复查通过.
    Confirmed,
    /// Over.
    Closed,
    /// It was not mended after all.
    Reopened,
    /// Over without a repair.
    Cancelled,
}

/// One thing that happened to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderAct {
    /// It came into being.
    Opened,
    /// Given to somebody.
    Assigned,
    /// Somebody takes it.
    Accepted,
    /// Somebody is there.
    OnSite,
    /// Done.
    Repaired,
    /// Who uses it says it works.
    Confirmed,
    /// It does not work after all.
    Reopened,
    /// Over.
    Closed,
    /// Over without a repair.
    Cancelled,
    /// Something to read.
    Noted,
    /// A photo was added.
    Photo,
    /// Spare parts were used.
    Parts,
    /// It was overdue and climbed to the next tier.
    Climbed,
    /// The same was reported again.
    Again,
}

/// Whose word an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderBy {
    /// Somebody who is signed in.
    User,
    /// Whoever stood at the board.
    Board,
    /// Whoever has the code on the wall.
    Qr,
    /// The console itself.
    Console,
}

/// A work order, as lists have it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Order {
    /// Its id; shown with leading zeros as 工单号.
    pub id: i64,
    /// What it is for.
    pub kind: OrderKind,
    /// What it came from.
    pub source: OrderSource,
    /// The reported fault.
    pub fault_id: Option<String>,
    /// The incident.
    pub incident_id: Option<i64>,
    /// The school.
    pub school_id: i64,
    /// Its name.
    pub school: String,
    /// The classroom.
    pub classroom_id: Option<i64>,
    /// Its name.
    pub classroom: Option<String>,
    /// The board.
    pub device_id: Option<String>,
    /// The piece of equipment.
    pub asset_id: Option<i64>,
    /// What it concerns.
    pub class: OrderClass,
    /// What is wrong, in the words of reports; none of a rectification.
    #[schema(value_type = Option<schema::FaultClass>)]
    pub fault_class: Option<FaultClass>,
    /// What exactly, a word of the class's list; may be empty.
    pub symptom: String,
    /// In a few words; may be empty where class and symptom say it.
    pub title: String,
    /// It cannot wait: class cannot be held.
    pub urgent: bool,
    /// 主管单位.
    pub owner: String,
    /// 建设单位.
    pub builder: String,
    /// 运维单位.
    pub maintainer: String,
    /// The area of responsibility.
    pub area_id: Option<i64>,
    /// Its name.
    pub area: Option<String>,
    /// Who does it, an account.
    pub assigned_to: Option<i64>,
    /// Its name.
    pub assigned_name: Option<String>,
    /// How it stands.
    pub state: OrderState,
    /// Since when.
    pub since: Timestamp,
    /// When it came into being.
    pub opened_at: Timestamp,
    /// Somebody should have taken it by then; none once somebody has.
    pub respond_due: Option<Timestamp>,
    /// It should be done by then; none once it is.
    pub repair_due: Option<Timestamp>,
    /// One of both has passed.
    pub overdue: bool,
    /// How often it climbed to a higher tier.
    pub tier: u8,
    /// How often it was worked on: 1, and one more each time it was opened again.
    pub round: u32,
    /// Photos it has.
    pub photos: u32,
}

/// The clocks of an order, measured between its events and never typed. The class clock runs in the school's hours of
/// teaching, the wall clock always.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrderClocks {
    /// Until somebody took it, in seconds; while it runs, until now.
    pub response_wall_s: u64,
    /// The same in hours of teaching.
    pub response_class_s: u64,
    /// Somebody took it: the clock stands.
    pub responded: bool,
    /// Until it was done, all rounds together, without the time in which who uses it was asked.
    pub repair_wall_s: u64,
    /// The same in hours of teaching.
    pub repair_class_s: u64,
    /// It is done: the clock stands.
    pub repaired: bool,
    /// What is allowed; which clock counts is said there.
    pub allowed: OrderSla,
    /// The response was within it; none while nobody can say.
    pub response_kept: Option<bool>,
    /// The repair was within it.
    pub repair_kept: Option<bool>,
}

/// Which clock a time runs on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderClock {
    /// Hours of teaching of the school.
    #[default]
    Class,
    /// Day and night.
    Wall,
}

/// What is allowed for orders of a class.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrderSla {
    /// On which clock.
    pub clock: OrderClock,
    /// Minutes until somebody takes it, 1–100000.
    pub respond_min: u32,
    /// Minutes until it is done, 1–100000.
    pub repair_min: u32,
}

/// An order with all that happened.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OrderDetail {
    /// The order.
    pub order: Order,
    /// What was written when it was opened.
    pub text: String,
    /// The incident that it is for.
    pub incident: Option<Incident>,
    /// By when a notice demands the rectification.
    pub due_on: Option<Date>,
    /// Its clocks.
    pub clocks: OrderClocks,
    /// Oldest first.
    pub events: Vec<OrderEvent>,
    /// Oldest first.
    pub photos: Vec<OrderPhoto>,
    /// Spare parts used.
    pub parts: Vec<PartUse>,
    /// Who was told of it, oldest first.
    pub told: Vec<IncidentTold>,
    /// What may be done now, as acts; whether this person may is for their role.
    pub next: Vec<OrderAct>,
}

/// One event.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OrderEvent {
    /// What.
    pub act: OrderAct,
    /// How it stood after it.
    pub state: OrderState,
    /// When.
    pub at: Timestamp,
    /// Whose word.
    pub by_kind: OrderBy,
    /// The account; empty where there is none.
    pub by: String,
    /// What was said.
    pub note: String,
}

/// What a photo shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PhotoShows {
    /// What is wrong.
    #[default]
    Fault,
    /// That it is mended.
    Repair,
    /// Evidence of a rectification.
    Evidence,
}

/// A photo of an order; the picture is at `/orders/{id}/photos/{photo}`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OrderPhoto {
    /// Its id.
    pub id: i64,
    /// BLAKE3 of the picture.
    pub hash: String,
    /// What it shows.
    pub shows: PhotoShows,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Bytes.
    pub size_bytes: u64,
    /// When it was added.
    pub added_at: Timestamp,
    /// By whom.
    pub added_by: String,
}

page_of!(
    /// Orders, one page: open ones first (those that are due soonest), then the newest.
    OrderPage, Order);

/// What a list of orders can be ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderColumn {
    /// Its number.
    Id,
    /// What it is about.
    Title,
    /// Name of the school.
    School,
    /// What it concerns.
    Class,
    /// Name of who has it.
    Assigned,
    /// When it was opened.
    OpenedAt,
    /// When the next step of an open one is due.
    Due,
    /// How it stands, those that nobody took first.
    State,
}

impl Column for OrderColumn {}

/// How a list of orders is ordered; rows without a value come last either way. Without: open ones first, those due soonest first, then the newest.
pub type OrderSort = Sorted<OrderColumn>;

/// Which orders.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OrderQuery {
    /// Only those that are (not) over: neither closed nor cancelled.
    pub open: Option<bool>,
    /// Only in this state.
    #[param(inline)]
    pub state: Option<OrderState>,
    /// Only of this kind.
    #[param(inline)]
    pub kind: Option<OrderKind>,
    /// Only of this class.
    #[param(inline)]
    pub class: Option<OrderClass>,
    /// Only from this source.
    #[param(inline)]
    pub source: Option<OrderSource>,
    /// Only those that are (not) overdue.
    pub overdue: Option<bool>,
    /// Only those given to whoever asks, and those nobody has of their areas.
    #[serde(default)]
    pub mine: bool,
    /// Opened from this day on.
    pub from: Option<Date>,
    /// Opened up to this day.
    pub to: Option<Date>,
    /// Only of this region.
    pub region_id: Option<i64>,
    /// Only of this school.
    pub school_id: Option<i64>,
    /// Only of this classroom.
    pub classroom_id: Option<i64>,
    /// Only of this board.
    pub device_id: Option<String>,
    /// Only of this area.
    pub area_id: Option<i64>,
    /// Only for this incident and its parts.
    pub incident_id: Option<i64>,
    /// Part of title, symptom, school, classroom or who has it, or its number.
    pub q: Option<String>,
    /// Name of a column, `-` before it turns the order round: `id`, `title`, `school`, `class`, `assigned`, `opened_at`,
    /// `due`, `state`. Left out: open ones first, those due soonest first, then the newest.
    #[param(value_type = Option<String>, pattern = "^-?(id|title|school|class|assigned|opened_at|due|state)$")]
    pub sort: Option<OrderSort>,
    /// From 1.
    pub page: Option<u32>,
    /// 1–500, default 50.
    pub page_size: Option<u32>,
}

impl OrderQuery {
    /// Which rows.
    pub fn page(&self) -> Page {
        Page::new(self.page, self.page_size)
    }
}

/// An order opened by hand. One of school, classroom, device or asset says where.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct NewOrder {
    /// The school.
    #[serde(default)]
    pub school_id: Option<i64>,
    /// The classroom.
    #[serde(default)]
    pub classroom_id: Option<i64>,
    /// The board.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub device_id: Option<DeviceId>,
    /// The piece of equipment.
    #[serde(default)]
    pub asset_id: Option<i64>,
    /// The incident it is for; an incident has one order at most. Of one of several schools, each school has its own: say which
    /// school.
    #[serde(default)]
    pub incident_id: Option<i64>,
    /// What is wrong; left out: other.
    #[serde(default)]
    #[schema(value_type = Option<schema::FaultClass>)]
    pub fault_class: Option<FaultClass>,
    /// What it concerns; left out: as the fault's class has it.
    #[serde(default)]
    pub class: Option<OrderClass>,
    /// In a few words, 2–80 characters.
    pub title: String,
    /// More, at most 1000 characters; names no person.
    #[serde(default)]
    pub text: String,
    /// It cannot wait.
    #[serde(default)]
    pub urgent: bool,
}

/// A rectification to open (网络安全通报).
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewRectification {
    /// The school.
    pub school_id: i64,
    /// The board, where it is about one.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub device_id: Option<DeviceId>,
    /// In a few words, 2–80 characters.
    pub title: String,
    /// What the notice says, at most 1000 characters.
    #[serde(default)]
    pub text: String,
    /// By when.
    pub due_on: Date,
}

/// What whoever works on an order can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkStep {
    /// I take it.
    Accept,
    /// I am there.
    OnSite,
    /// It is done.
    Repaired,
    /// Only a note.
    Note,
}

/// A word of whoever works on it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OrderWork {
    /// What.
    pub step: WorkStep,
    /// At most 200 characters; boards show it, so it names no person.
    #[serde(default)]
    pub note: String,
}

/// What whoever uses the thing, or answers for it, can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VerdictStep {
    /// It works; of a rectification: 复查通过, which whoever did the work cannot say.
    Confirm,
    /// It does not; within seven days.
    Reopen,
    /// It is over.
    Close,
}

/// A verdict on a repair.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OrderVerdict {
    /// Which.
    pub step: VerdictStep,
    /// At most 200 characters.
    #[serde(default)]
    pub note: String,
}

/// What the county's operators settle.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct OrderChange {
    /// Give it to this account.
    #[serde(default)]
    pub assign_to: Option<i64>,
    /// It can(not) wait.
    #[serde(default)]
    pub urgent: Option<bool>,
    /// What it concerns.
    #[serde(default)]
    pub class: Option<OrderClass>,
    /// End it without a repair; a note must say why.
    #[serde(default)]
    pub cancel: bool,
    /// At most 200 characters.
    #[serde(default)]
    pub note: String,
}

/// A photo, as `multipart/form-data`: the part `file` (jpeg or png, at most 5 MB), the parameter `shows`.
#[derive(Debug, ToSchema)]
pub struct PhotoForm {
    /// The picture.
    #[schema(value_type = String, format = Binary)]
    #[allow(dead_code, reason = "shape of the document only")]
    pub file: Vec<u8>,
}

/// What a photo shows.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PhotoQuery {
    /// Left out: what is wrong.
    #[serde(default)]
    #[param(inline)]
    pub shows: PhotoShows,
}

/// A spare part and how many there are.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Part {
    /// Its id.
    pub id: i64,
    /// Whose stock.
    pub region_id: i64,
    /// Its code in the stock.
    pub code: String,
    /// Its name.
    pub name: String,
    /// What is counted, e.g. 件.
    pub unit: String,
    /// How many there are.
    pub stock: i64,
    /// At or below this it is time to buy.
    pub low_at: u32,
    /// It is.
    pub low: bool,
}

/// A spare part to keep.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewPart {
    /// Whose stock.
    pub region_id: i64,
    /// Its code, 1–40 characters.
    pub code: String,
    /// Its name, 1–80 characters.
    pub name: String,
    /// What is counted; left out: 件.
    #[serde(default)]
    pub unit: Option<String>,
    /// At or below this it is time to buy.
    #[serde(default)]
    pub low_at: u32,
    /// How many there are already.
    #[serde(default)]
    pub stock: u32,
}

/// A change of the stock that no order makes: bought, counted, thrown away.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PartMove {
    /// Positive: into the stock. Not zero.
    pub change: i32,
    /// Why, 1–200 characters.
    pub note: String,
}

/// Parts that an order used.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewPartUse {
    /// Which part.
    pub part_id: i64,
    /// How many, 1–1000; negative gives them back.
    pub count: i32,
}

/// Parts that an order used.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PartUse {
    /// Which part.
    pub part_id: i64,
    /// Its code.
    pub code: String,
    /// Its name.
    pub name: String,
    /// What is counted.
    pub unit: String,
    /// How many in all.
    pub count: i64,
}

/// Whose stock.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PartQuery {
    /// Only of this region and below.
    pub region_id: Option<i64>,
    /// Only what is to be bought.
    #[serde(default)]
    pub low: bool,
}

/// What a region allows itself for orders.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OrderSlas {
    /// The region.
    pub region_id: i64,
    /// One for each class and urgency.
    pub rows: Vec<OrderSlaRow>,
}

/// What is allowed for one class.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OrderSlaRow {
    /// Which class.
    pub class: OrderClass,
    /// Those that cannot wait, or the others.
    pub urgent: bool,
    /// What is allowed.
    pub sla: OrderSla,
    /// Set at this region; else it is that of a region above or built in.
    #[serde(default)]
    pub own: bool,
}

/// From when to when.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OrderSpan {
    /// First day.
    pub from: Date,
    /// Last day; at most 400 days after it.
    pub to: Date,
    /// Only of this region.
    pub region_id: Option<i64>,
    /// Only of this area.
    pub area_id: Option<i64>,
}

/// What one technician did (O8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TechnicianFigures {
    /// The account.
    pub user_id: i64,
    /// Its user name.
    pub username: String,
    /// Schools they answer for.
    pub schools: u64,
    /// Devices there.
    pub devices: u64,
    /// Orders they took.
    pub accepted: u64,
    /// Times they were there.
    pub visits: u64,
    /// Repairs by their word.
    pub repairs: u64,
    /// Of these, confirmed by who uses the thing.
    pub confirmed: u64,
    /// Of these, opened again.
    pub reopened: u64,
    /// Of these, within what is allowed.
    pub in_time: u64,
    /// Mean time of repair in hours of teaching, seconds; none without a repair.
    pub mean_repair_class_s: Option<u64>,
    /// Spare parts used.
    pub parts: u64,
    /// Classrooms inspected.
    pub inspections: u64,
}

/// How many orders there are, for the head of the page.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct OrderCounts {
    /// By state's word, those that are open.
    pub open: BTreeMap<String, u64>,
    /// Overdue.
    pub overdue: u64,
    /// Opened today.
    pub today: u64,
}

/// The code on a classroom's wall.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct WallCode {
    /// The classroom.
    pub classroom_id: i64,
    /// Its name.
    pub classroom: String,
    /// The code; none: it has none yet.
    pub code: Option<String>,
    /// Where it leads, to be printed as a QR code.
    pub url: Option<String>,
}
