//! Review (自审 → 初审 → 复审 → 准入 → 出库) and withdrawal (下架) of lesson versions.

use contract::{id::LessonId, lesson::LessonMeta};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Page, page_of, schema, users::NodeRef};
pub use crate::domain::review::{Deed, ReviewState, ReviewStep};

/// Which versions.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ReviewQuery {
    /// Only of this state; left out: all that somebody is still to do something about.
    pub state: Option<ReviewState>,
    /// Only those on which the person could take the next step now.
    pub mine: Option<bool>,
    /// 学科.
    pub subject: Option<String>,
    /// Part of title, chapter or id.
    pub q: Option<String>,
    /// From 1.
    pub page: Option<u32>,
    /// 1–500, default 50.
    pub page_size: Option<u32>,
}

impl ReviewQuery {
    /// Which rows.
    pub fn page(&self) -> Page {
        Page::new(self.page, self.page_size)
    }
}

/// One version under review.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ReviewItem {
    /// The lesson.
    #[schema(value_type = String)]
    pub lesson: LessonId,
    /// The version.
    pub version: u32,
    /// Where it stands.
    pub state: ReviewState,
    /// Since when.
    pub state_at: Timestamp,
    /// Where the lesson belongs in the curriculum.
    #[schema(value_type = schema::LessonMeta)]
    pub meta: LessonMeta,
    /// Whose the lesson is.
    pub owner: NodeRef,
    /// Who brought it: an account, or `cli:` and the operating system's user.
    pub uploaded_by: String,
    /// The same by the name that people know; as `uploaded_by` where no account has one.
    pub uploaded_by_name: String,
    /// The version that boards hold meanwhile.
    pub released_version: Option<u32>,
    /// The step that is next.
    pub next: Option<ReviewStep>,
    /// Whether the person who asks may take it: by role, and by four eyes.
    pub may: bool,
    /// Why not, though the role would allow it: `own_work` or `second_step`.
    pub barred: Option<String>,
    /// The reason of the last return.
    pub returned_reason: Option<String>,
}

page_of!(
    /// Versions under review, one page, those that wait longest first.
    ReviewPage, ReviewItem);

/// Which version of a lesson.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct VersionQuery {
    /// Left out: the newest.
    pub version: Option<u32>,
}

/// A version's review with its history.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LessonReview {
    /// As in the list.
    #[serde(flatten)]
    pub item: ReviewItem,
    /// Fields that 自审 still needs, e.g. `edition`.
    pub missing: Vec<String>,
    /// Whether the version can be withdrawn by the person who asks.
    pub may_withdraw: bool,
    /// Whether the person who asks may change its description.
    pub may_edit: bool,
    /// Everything that was done to this lesson's versions, oldest first.
    pub history: Vec<ReviewEntry>,
}

/// One line of the history.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ReviewEntry {
    /// The version it was done to.
    pub version: u32,
    /// What was done.
    pub step: Deed,
    /// Where the version stood then.
    pub state: ReviewState,
    /// By whom: an account, or `cli:` and the operating system's user.
    pub person: String,
    /// The same by the name that people know; as `person` where no account has one.
    pub person_name: String,
    /// When.
    pub at: Timestamp,
    /// Why; may be empty.
    pub reason: String,
}

/// Passes a step or returns the version.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ReviewVerdict {
    /// The version that was looked at; refused if another is the newest by now.
    pub version: u32,
    /// Whether it passes.
    pub verdict: Verdict,
    /// Why; needed for a return, at most 500 characters.
    #[serde(default)]
    pub reason: String,
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// On to the next step.
    Pass,
    /// 退回.
    Return,
}

/// 自审 is done.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SelfCheck {
    /// The version that was looked at.
    pub version: u32,
    /// A remark for the reviewers, at most 500 characters.
    #[serde(default)]
    pub reason: String,
}

/// 下架.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Withdraw {
    /// Why, at most 500 characters.
    pub reason: String,
    /// This version and all before it; left out: all there are.
    #[serde(default)]
    pub up_to_version: Option<u32>,
}

/// What a withdrawal did.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Withdrawn {
    /// Versions up to this one.
    pub up_to_version: u32,
    /// Boards that got a new assignment.
    pub devices: u32,
    /// The version that is on offer now, if any.
    pub released_version: Option<u32>,
}

/// A new description for a draft.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewMeta {
    /// The draft that it is for.
    pub version: u32,
    /// The whole description.
    #[schema(value_type = schema::LessonMeta)]
    pub meta: LessonMeta,
}
