//! What became of a push on each board, and over which way it came.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Page, page_of};
pub use crate::domain::planner::{ReceiptReason, ReceiptState};

/// What became of a push on one board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Receipt {
    /// The board.
    pub device_id: String,
    /// Its serial number.
    pub serial: String,
    /// Its school.
    pub school_id: i64,
    /// Name of that school.
    pub school: String,
    /// Its classroom.
    pub classroom: String,
    /// What became of it.
    pub state: ReceiptState,
    /// Why it failed or cannot be reached.
    pub reason: Option<ReceiptReason>,
    /// What exactly, for the technician.
    pub detail: Option<String>,
    /// When the board first had all of it.
    pub arrived_at: Option<Timestamp>,
    /// It has arrived, but after the day by which it was needed.
    pub late: bool,
    /// Lessons of the push complete on it.
    pub lessons_ready: u32,
    /// Lessons of the push.
    pub lessons_total: u32,
    /// Bytes of them on it.
    pub done_bytes: u64,
    /// All their bytes.
    pub total_bytes: u64,
    /// When it was last heard.
    pub last_seen_at: Option<Timestamp>,
}

page_of!(
    /// Receipts of a push, one page; those that need a look first.
    ReceiptPage, Receipt);

/// Which receipts.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ReceiptQuery {
    /// Only this kind.
    pub state: Option<ReceiptState>,
    /// Only of this school.
    pub school_id: Option<i64>,
    /// From 1.
    pub page: Option<u32>,
    /// 1–500, default 50.
    pub page_size: Option<u32>,
}

impl ReceiptQuery {
    /// Which rows.
    pub fn page(&self) -> Page {
        Page::new(self.page, self.page_size)
    }
}

/// Receipts, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReceiptTotals {
    /// Boards.
    pub boards: u32,
    /// See [`ReceiptState::Arrived`].
    pub arrived: u32,
    /// See [`ReceiptState::Failed`].
    pub failed: u32,
    /// See [`ReceiptState::Unreachable`].
    pub unreachable: u32,
    /// See [`ReceiptState::Pending`].
    pub pending: u32,
}

impl ReceiptTotals {
    /// Adds one board.
    pub fn add(&mut self, state: ReceiptState) {
        self.boards += 1;
        *match state {
            ReceiptState::Arrived => &mut self.arrived,
            ReceiptState::Failed => &mut self.failed,
            ReceiptState::Unreachable => &mut self.unreachable,
            ReceiptState::Pending => &mut self.pending,
        } += 1;
    }
}

/// Over which ways lesson bytes came to the boards of a school while the push was under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Ways {
    /// Over the school's line.
    pub wan_bytes: u64,
    /// From other boards of the school.
    pub lan_bytes: u64,
    /// Copied from older versions on the same board.
    pub copied_bytes: u64,
    /// From a disk.
    pub pack_bytes: u64,
    /// Bytes of the push's lessons, each file once.
    pub content_bytes: u64,
    /// `wan_bytes` ÷ `content_bytes`: how often the push came over the line. Without a board that was heard, none.
    pub copies: Option<f64>,
    /// Other pushes were under way at the school in that time; the figures are of all of them.
    pub shared: bool,
}

/// One school's receipts.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SchoolReceipts {
    /// The school.
    pub school_id: i64,
    /// Its name.
    pub school: String,
    /// Its boards.
    pub totals: ReceiptTotals,
    /// Over which ways it came.
    pub ways: Ways,
}

/// A push's receipts, by school.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ReceiptSummary {
    /// The push.
    pub push_id: i64,
    /// When the books are closed: the day by which it is needed, or 14 days after it was made.
    pub deadline: Timestamp,
    /// They are closed: no board is pending.
    pub closed: bool,
    /// All boards.
    pub totals: ReceiptTotals,
    /// By school, those with most to look at first.
    pub schools: Vec<SchoolReceipts>,
}
