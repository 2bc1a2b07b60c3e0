//! Saved views: how somebody narrowed, sorted and laid out one of the pages' lists.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A saved view of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct View {
    /// Its id.
    pub id: i64,
    /// Which list, by the page's word: `devices`, `orders` …
    pub list: String,
    /// Its name for people.
    pub name: String,
    /// The page's query string without `?`: filters and order.
    pub query: String,
    /// Shown columns, by the page's words; empty: those that the page shows by itself.
    pub columns: Vec<String>,
    /// Whether it is the reader's own; only then it can be changed.
    pub mine: bool,
    /// Whose it is, as people know them.
    pub owner: String,
    /// Whether others see it: whoever holds a role at its place, above or below it.
    pub shared: bool,
    /// The region it is shared with; neither region nor school: the whole install.
    pub region_id: Option<i64>,
    /// The school it is shared with.
    pub school_id: Option<i64>,
    /// Name of that place.
    pub place: Option<String>,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// Saved views, one's own first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ViewList {
    /// All of them.
    pub items: Vec<View>,
}

/// Of which list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ViewQuery {
    /// Only of this list.
    pub list: Option<String>,
}

/// A view to save.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewView {
    /// Which list: 1–40 of `a`–`z`, `0`–`9`, `_`, `-`.
    pub list: String,
    /// How it is.
    #[serde(flatten)]
    pub is: ViewBody,
}

/// How a view is from now on.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ViewBody {
    /// 1–60 characters, unique among one's own of the same list.
    pub name: String,
    /// At most 2,000 characters.
    #[serde(default)]
    pub query: String,
    /// At most 40, each 1–40 of `a`–`z`, `A`–`Z`, `0`–`9`, `_`, `-`.
    #[serde(default)]
    pub columns: Vec<String>,
    /// Whether others see it.
    #[serde(default)]
    pub shared: bool,
    /// With a region; with neither region nor school it is shared with the whole install, which takes a role there.
    #[serde(default)]
    pub region_id: Option<i64>,
    /// With a school.
    #[serde(default)]
    pub school_id: Option<i64>,
}
