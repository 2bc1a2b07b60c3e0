//! Accounts, what they hold, and the nodes that things belong to.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::db::scope::Node;

/// What a node of the tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NodeKind {
    /// The whole install.
    Root,
    /// A region and everything below it.
    Region,
    /// One school.
    School,
}

/// A node of the tree, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeRef {
    /// What it is.
    pub kind: NodeKind,
    /// Row id; none for the install.
    pub id: Option<i64>,
    /// Its name; empty for the install.
    pub name: String,
}

impl NodeRef {
    pub(crate) fn of(node: Node, name: Option<String>) -> Self {
        let (kind, id) = match node {
            Node::Root => (NodeKind::Root, None),
            Node::Region(id) => (NodeKind::Region, Some(id)),
            Node::School(id) => (NodeKind::School, Some(id)),
        };
        Self {
            kind,
            id,
            name: name.unwrap_or_default(),
        }
    }
}

/// A node of the tree as a caller names it; neither field: the whole install.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// A region.
    #[serde(default)]
    pub region_id: Option<i64>,
    /// Or a school.
    #[serde(default)]
    pub school_id: Option<i64>,
}

impl Place {
    /// The node; `None` if both were named.
    pub const fn node(self) -> Option<Node> {
        match (self.region_id, self.school_id) {
            (Some(_), Some(_)) => None,
            (region, school) => Some(Node::of_columns(region, school)),
        }
    }
}
