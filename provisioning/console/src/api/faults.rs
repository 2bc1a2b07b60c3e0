//! Faults that somebody reported at a board (报修), and how their repair stands.

use contract::records::{FaultClass, RepairState};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Page,
    listing::{Column, Sorted},
    page_of, schema,
};

/// A fault.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Fault {
    /// Its id, made by the board.
    pub id: String,
    /// The board.
    pub device_id: String,
    /// Its serial number.
    pub serial: String,
    /// The school.
    pub school_id: i64,
    /// Its name.
    pub school: String,
    /// The classroom it stood in.
    pub classroom_id: i64,
    /// Its name.
    pub classroom: String,
    /// What is wrong.
    #[schema(value_type = schema::FaultClass)]
    pub class: FaultClass,
    /// What exactly, a word of the class's list; may be empty.
    pub symptom: String,
    /// The lesson that was open.
    pub lesson_id: Option<String>,
    /// Its title.
    pub lesson: Option<String>,
    /// When it was reported, by the board's clock, where that can be believed.
    pub at: Option<Timestamp>,
    /// When the console got it.
    pub received_at: Timestamp,
    /// How far its repair is.
    #[schema(value_type = schema::RepairState)]
    pub state: RepairState,
    /// What the maintenance team says; the board shows it.
    pub note: String,
    /// Since when it stands so.
    pub since: Timestamp,
}

/// A fault with all that happened.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct FaultDetail {
    /// The fault.
    pub fault: Fault,
    /// Oldest first.
    pub history: Vec<FaultEvent>,
}

/// One step of a repair.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct FaultEvent {
    /// How it stood then.
    #[schema(value_type = schema::RepairState)]
    pub state: RepairState,
    /// What was said.
    pub note: String,
    /// When the console learned of it.
    pub at: Timestamp,
    /// By whom; none: at the board.
    pub by: Option<String>,
}

page_of!(
    /// Faults, one page: open ones first, then the newest.
    FaultPage, Fault);

/// What a list of faults can be ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultColumn {
    /// What is wrong.
    Class,
    /// Name of the school.
    School,
    /// When the console got it.
    ReceivedAt,
    /// How far its repair is, those that nobody took first.
    State,
    /// Since when it stands so.
    Since,
}

impl Column for FaultColumn {}

/// How a list of faults is ordered; rows without a value come last either way. Without: open ones first, then the newest.
pub type FaultSort = Sorted<FaultColumn>;

/// Which faults.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FaultQuery {
    /// Only those that are (not) open: neither confirmed nor closed.
    pub open: Option<bool>,
    /// Only in this state: received, under_way, fixed, confirmed, reopened, closed.
    #[param(value_type = Option<schema::RepairState>)]
    pub state: Option<RepairState>,
    /// Only of this class.
    #[param(value_type = Option<schema::FaultClass>)]
    pub class: Option<FaultClass>,
    /// Only of this region.
    pub region_id: Option<i64>,
    /// Only of this school.
    pub school_id: Option<i64>,
    /// Only of this board.
    pub device_id: Option<String>,
    /// Part of school, classroom, note, or of the board's id or serial.
    pub q: Option<String>,
    /// Name of a column, `-` before it turns the order round: `class`, `school`, `received_at`, `state`, `since`.
    /// Left out: open ones first, then the newest.
    #[param(value_type = Option<String>, pattern = "^-?(class|school|received_at|state|since)$")]
    pub sort: Option<FaultSort>,
    /// From 1.
    pub page: Option<u32>,
    /// 1–500, default 50.
    pub page_size: Option<u32>,
}

impl FaultQuery {
    /// Which rows.
    pub fn page(&self) -> Page {
        Page::new(self.page, self.page_size)
    }
}

/// What the maintenance team can say of a repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RepairStep {
    /// Somebody is at it.
    UnderWay,
    /// It is mended; whoever stands at the board is asked.
    Fixed,
    /// It ends without a repair.
    Closed,
}

/// How a repair stands from now on.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RepairChange {
    /// How far it is.
    pub state: RepairStep,
    /// For whoever stands at the board, at most 200 characters; names no person.
    #[serde(default)]
    pub note: String,
}
