//! Notices to many boards at once.

use contract::command::NoticeLevel;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Page,
    commands::CommandStage,
    listing::{Column, Sorted},
    page_of,
    pushes::PushTarget,
    schema,
};

/// A new notice.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewNotice {
    /// To whom: 1–200 places or boards; a board that several name gets it once.
    pub targets: Vec<PushTarget>,
    /// How loudly. Whoever sends may send 10 urgent ones in an hour.
    #[schema(value_type = schema::NoticeLevel)]
    pub level: NoticeLevel,
    /// 1–80 characters.
    pub title: String,
    /// At most 500 characters.
    #[serde(default)]
    pub text: String,
    /// Seconds on screen, 5–86,400, default 60.
    #[serde(default)]
    pub show_for_s: Option<u32>,
    /// Seconds after which a board that was not there shows it no more, 30–604,800, default 28,800.
    #[serde(default)]
    pub ttl_s: Option<u32>,
}

/// Whom a notice would reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NoticePreview {
    /// Boards.
    pub devices: u32,
    /// Of these, connected now.
    pub online: u32,
    /// Classrooms they stand in.
    pub classrooms: u32,
    /// Schools of those.
    pub schools: u32,
    /// Of these, schools in which an exam is on: their boards show it afterwards, unless it has expired by then.
    pub schools_in_exam: u32,
    /// Urgent notices that the caller may still send in this hour.
    pub urgent_left: u32,
}

/// A place or board that a notice went to.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NoticeTarget {
    /// Which.
    pub target: PushTarget,
    /// Its name.
    pub name: String,
}

/// What became of a notice, board by board, within the reader's reach.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NoticeCounts {
    /// Boards.
    pub devices: u32,
    /// Shown.
    pub shown: u32,
    /// Under way: not there yet, or held back by an exam.
    pub waiting: u32,
    /// Came too late.
    pub expired: u32,
    /// Refused or failed.
    pub failed: u32,
}

/// A notice.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Notice {
    /// Row id.
    pub id: i64,
    /// To whom, as far as the reader reaches.
    pub targets: Vec<NoticeTarget>,
    /// How loudly.
    #[schema(value_type = schema::NoticeLevel)]
    pub level: NoticeLevel,
    /// Its title.
    pub title: String,
    /// Its text.
    pub text: String,
    /// Seconds on screen.
    pub show_for_s: u32,
    /// When it was sent.
    pub issued_at: Timestamp,
    /// From then on it is shown no more.
    pub expires_at: Timestamp,
    /// By whom.
    pub issued_by: String,
    /// What became of it.
    pub counts: NoticeCounts,
}

page_of!(
    /// Notices, newest first.
    NoticePage, Notice);

/// One board of a notice.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NoticeDevice {
    /// The board.
    pub device_id: String,
    /// The school.
    pub school_id: i64,
    /// Its name.
    pub school: String,
    /// The classroom.
    pub classroom: String,
    /// Where the order is.
    pub state: CommandStage,
    /// Why it failed or was rejected.
    pub reason: Option<String>,
    /// Since when.
    pub updated_at: Timestamp,
}

page_of!(
    /// Boards of a notice, those that have not shown it first.
    NoticeDevicePage, NoticeDevice);

/// What a list of notices can be ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeColumn {
    /// Its title.
    Title,
    /// How loudly, urgent ones last.
    Level,
    /// When it was sent.
    IssuedAt,
    /// By whom.
    IssuedBy,
    /// How many boards.
    Devices,
    /// On how many it was shown.
    Shown,
}

impl Column for NoticeColumn {}

/// How a list of notices is ordered; rows without a value come last either way. Without: the newest first.
pub type NoticeSort = Sorted<NoticeColumn>;

/// Which notices.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct NoticeListQuery {
    /// Part of title or text, or of who sent it.
    pub q: Option<String>,
    /// Name of a column, `-` before it turns the order round: `title`, `level`, `issued_at`, `issued_by`, `devices`,
    /// `shown`. Left out: the newest first.
    #[param(value_type = Option<String>, pattern = "^-?(title|level|issued_at|issued_by|devices|shown)$")]
    pub sort: Option<NoticeSort>,
    /// From 1.
    pub page: Option<u32>,
    /// 1–500, default 50.
    pub page_size: Option<u32>,
}

impl NoticeListQuery {
    /// Which rows.
    pub fn page(&self) -> Page {
        Page::new(self.page, self.page_size)
    }
}

/// Which rows.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct NoticeQuery {
    /// From 1.
    pub page: Option<u32>,
    /// 1–500, default 50.
    pub page_size: Option<u32>,
}

impl NoticeQuery {
    /// Which rows.
    pub fn page(&self) -> Page {
        Page::new(self.page, self.page_size)
    }
}
