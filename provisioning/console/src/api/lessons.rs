//! Lessons.

use contract::{
    hash::Hash,
    id::LessonId,
    lesson::{ItemKind, LessonItem, LessonMeta},
    path::LessonPath,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Page,
    listing::{Column, Sorted},
    page_of,
    reviews::ReviewState,
    schema,
    users::{NodeRef, Place},
};

/// What a list of lessons can be ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LessonColumn {
    /// Its title.
    Title,
    /// 学科, in the order of the vocabulary.
    Subject,
    /// 年级, in the order of the vocabulary.
    Grade,
    /// 版本, in the order of the vocabulary.
    Edition,
    /// How many items a teacher can open.
    ItemCount,
    /// Bytes of all files.
    SizeBytes,
    /// The version it is shown at.
    Version,
    /// How far its review is, drafts first.
    ReviewState,
    /// Name of whose it is.
    Owner,
    /// When that version was brought.
    CreatedAt,
}

impl Column for LessonColumn {}

/// How a list of lessons is ordered; rows without a value come last either way. Without: the newest first.
pub type LessonSort = Sorted<LessonColumn>;

/// Which lessons.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LessonQuery {
    /// 学科.
    pub subject: Option<String>,
    /// 年级.
    pub grade: Option<String>,
    /// 学段.
    pub stage: Option<String>,
    /// 版本.
    pub edition: Option<String>,
    /// 册次.
    pub volume: Option<String>,
    /// 资源类型.
    pub resource_type: Option<String>,
    /// Only lessons whose shown version is in this state.
    pub state: Option<ReviewState>,
    /// Only what can be pushed, at its released version.
    pub released: Option<bool>,
    /// Part of title, chapter or id.
    pub q: Option<String>,
    /// Whether retired ones are listed, too.
    pub retired: Option<bool>,
    /// Name of a column, `-` before it turns the order round: `title`, `subject`, `grade`, `edition`, `item_count`,
    /// `size_bytes`, `version`, `review_state`, `owner`, `created_at`. Left out: the newest first.
    #[param(value_type = Option<String>, pattern = "^-?(title|subject|grade|edition|item_count|size_bytes|version|review_state|owner|created_at)$")]
    pub sort: Option<LessonSort>,
    /// From 1.
    pub page: Option<u32>,
    /// 1–500, default 50.
    pub page_size: Option<u32>,
}

impl LessonQuery {
    /// Which rows.
    pub fn page(&self) -> Page {
        Page::new(self.page, self.page_size)
    }
}

/// One lesson at its newest version; one of a node above, whose drafts are nobody's business here, at its released one.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LessonSummary {
    /// The lesson.
    #[schema(value_type = String)]
    pub id: LessonId,
    /// Newest version.
    pub version: u32,
    /// Where it belongs in the curriculum.
    #[schema(value_type = schema::LessonMeta)]
    pub meta: LessonMeta,
    /// How many items a teacher can open.
    pub item_count: u32,
    /// Kinds among the items, each once.
    #[schema(value_type = Vec<schema::ItemKind>)]
    pub item_kinds: Vec<ItemKind>,
    /// What a device has to store.
    pub size_bytes: u64,
    /// When this version was made.
    pub created_at: Timestamp,
    /// When it was taken off offer.
    pub retired_at: Option<Timestamp>,
    /// Where this version stands in the review.
    pub review_state: ReviewState,
    /// The version that can be pushed, if any.
    pub released_version: Option<u32>,
    /// Versions up to this one were withdrawn (下架).
    pub withdrawn_up_to: Option<u32>,
    /// Whose it is: seen there, below, and by who looks down from above; changed only by content officers of that node or
    /// above.
    pub owner: NodeRef,
}

page_of!(
    /// Lessons, one page.
    LessonPage, LessonSummary);

/// One lesson with everything in it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LessonDetail {
    /// As in the list.
    #[serde(flatten)]
    pub summary: LessonSummary,
    /// All versions, newest first.
    pub versions: Vec<LessonVersion>,
    /// What a teacher opens, newest version.
    #[schema(value_type = Vec<schema::LessonItem>)]
    pub items: Vec<LessonItem>,
    /// Files, newest version.
    pub files: Vec<LessonFile>,
}

/// One version of a lesson.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LessonVersion {
    /// Counts from 1.
    pub version: u32,
    /// BLAKE3 of its manifest: of the signed document once it was released, of the draft before.
    #[schema(value_type = String)]
    pub manifest: Hash,
    /// Where it stands in the review.
    pub review_state: ReviewState,
    /// Who brought it; empty for versions from before there was a review.
    pub uploaded_by: String,
    /// What a device has to store.
    pub size_bytes: u64,
    /// When it was made.
    pub created_at: Timestamp,
}

/// One file of a lesson.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LessonFile {
    /// Where it stands in the lesson.
    #[schema(value_type = String)]
    pub path: LessonPath,
    /// BLAKE3.
    #[schema(value_type = String)]
    pub hash: Hash,
    /// Length.
    pub size_bytes: u64,
    /// MIME type found from the content.
    pub media_type: String,
}

/// The part `meta` of an upload. Each `file` part is one file; its file name is its path in the lesson.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LessonUpload {
    /// The lesson this is a new version of, or the id of a new one; left out: a new id.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    pub id: Option<LessonId>,
    /// Where it belongs in the curriculum.
    #[schema(value_type = schema::LessonMeta)]
    pub meta: LessonMeta,
    /// Titles and order of the items; left out: each supported file is an item, by name.
    #[serde(default)]
    pub items: Vec<UploadItem>,
    /// Whose a new lesson shall be; left out: the one node at which the person is content officer.
    #[serde(default)]
    pub owner: Option<Place>,
    /// Films and sounds that boards do not decode are brought into a coding that they do, before anything else is checked.
    #[serde(default)]
    pub transcode: bool,
}

/// One item of an upload.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct UploadItem {
    /// File name of one of the parts.
    pub file: String,
    /// Its name on the page; left out: the file's name.
    #[serde(default)]
    pub title: Option<String>,
}

/// The whole multipart body, for the API document.
#[derive(Debug, ToSchema)]
pub struct LessonUploadForm {
    /// JSON.
    pub meta: LessonUpload,
    /// The files.
    #[schema(value_type = Vec<String>, format = Binary)]
    pub file: Vec<Vec<u8>>,
}

/// What an upload came to.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Uploaded {
    /// The lesson.
    #[schema(value_type = String)]
    pub id: LessonId,
    /// Its newest version now.
    pub version: u32,
    /// Where that version stands: a new one is a draft.
    pub review_state: ReviewState,
    /// `false`: the content was the same as before, no new version was made.
    pub changed: bool,
}
