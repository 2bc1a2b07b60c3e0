//! Accounts, what they hold, and the nodes that things belong to.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Page,
    listing::{Column, Sorted},
    page_of,
};
use crate::{access::Role, config::Language, db::scope::Node};

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
    /// The node it names.
    pub(crate) const fn node(&self) -> Node {
        match (self.kind, self.id) {
            (NodeKind::Region, Some(id)) => Node::Region(id),
            (NodeKind::School, Some(id)) => Node::School(id),
            _ => Node::Root,
        }
    }

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

/// How somebody proves who they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum UserKind {
    /// By a password of the console's own.
    #[default]
    Local,
    /// By the county's single sign-on.
    Oidc,
    /// By a password that is for emergencies only; using it is told as a security event.
    BreakGlass,
}

impl UserKind {
    /// As in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Oidc => "oidc",
            Self::BreakGlass => "break_glass",
        }
    }

    pub(crate) fn of_column(text: &str) -> Self {
        match text {
            "oidc" => Self::Oidc,
            "break_glass" => Self::BreakGlass,
            _ => Self::Local,
        }
    }
}

/// A role at a node, as somebody holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Grant {
    /// Row id.
    pub id: i64,
    /// Which role.
    pub role: Role,
    /// Where: there and below.
    pub node: NodeRef,
}

/// A role to be granted at a node; neither region nor school: the whole install.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGrant {
    /// Which role.
    pub role: Role,
    /// A region.
    #[serde(default)]
    pub region_id: Option<i64>,
    /// Or a school.
    #[serde(default)]
    pub school_id: Option<i64>,
}

impl NewGrant {
    /// Where.
    pub const fn place(self) -> Place {
        Place {
            region_id: self.region_id,
            school_id: self.school_id,
        }
    }
}

/// One account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserSummary {
    /// Row id.
    pub id: i64,
    /// Name for signing in.
    pub username: String,
    /// Name for people.
    pub display_name: String,
    /// Language of the pages.
    pub language: Language,
    /// How the person proves who they are.
    pub kind: UserKind,
    /// Switched off: cannot sign in.
    pub disabled: bool,
    /// Has a second factor.
    pub totp: bool,
    /// Too many failed sign-ins: until then no further try.
    pub locked_until: Option<Timestamp>,
    /// When last signed in.
    pub last_sign_in_at: Option<Timestamp>,
    /// What it may do, and where.
    pub grants: Vec<Grant>,
}

page_of!(
    /// Accounts, one page, by name.
    UserPage, UserSummary);

/// What a list of accounts can be ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserColumn {
    /// Name for signing in.
    Username,
    /// Name for people.
    DisplayName,
    /// How the person proves who they are.
    Kind,
    /// Whether it is switched off.
    Disabled,
    /// Whether it has a second factor.
    Totp,
    /// When last signed in.
    LastSignInAt,
}

impl Column for UserColumn {}

/// How a list of accounts is ordered; rows without a value come last either way. Without: by name for signing in.
pub type UserSort = Sorted<UserColumn>;

/// Which accounts.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UserQuery {
    /// Part of a name.
    pub q: Option<String>,
    /// Name of a column, `-` before it turns the order round: `username`, `display_name`, `kind`, `disabled`, `totp`,
    /// `last_sign_in_at`. Left out: by name for signing in.
    #[param(value_type = Option<String>, pattern = "^-?(username|display_name|kind|disabled|totp|last_sign_in_at)$")]
    pub sort: Option<UserSort>,
    /// From 1.
    pub page: Option<u32>,
    /// 1–500, default 50.
    pub page_size: Option<u32>,
}

impl UserQuery {
    /// Which rows.
    pub fn page(&self) -> Page {
        Page::new(self.page, self.page_size)
    }
}

/// A new account.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct NewUser {
    /// Name for signing in, 1–64 characters.
    pub username: String,
    /// Name for people; left out: the user name.
    #[serde(default)]
    pub display_name: Option<String>,
    /// Language of the pages.
    #[serde(default)]
    pub language: Language,
    /// How the person proves who they are.
    #[serde(default)]
    pub kind: UserKind,
    /// Left out: one is made and told once.
    #[serde(default)]
    #[schema(format = Password)]
    pub password: Option<String>,
    /// What it may do, and where; at least one, except by who administers the whole install.
    #[serde(default)]
    pub grants: Vec<NewGrant>,
}

impl std::fmt::Debug for NewUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewUser")
            .field("username", &self.username)
            .field("kind", &self.kind)
            .field("grants", &self.grants)
            .finish_non_exhaustive()
    }
}

/// The account that was made.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct CreatedUser {
    /// Row id.
    pub id: i64,
    /// The password, where it was made here; shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// Changes to an account; what is left out stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ChangeUser {
    /// Name for people, 1–80 characters.
    #[serde(default)]
    pub display_name: Option<String>,
    /// Language of the pages.
    #[serde(default)]
    pub language: Option<Language>,
    /// Switches the account off (its sessions end at once) or on again.
    #[serde(default)]
    pub disabled: Option<bool>,
}

/// Another password for somebody.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ResetPassword {
    /// Left out: one is made and told once.
    #[serde(default)]
    #[schema(format = Password)]
    pub password: Option<String>,
}

/// The password that was made.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct PasswordReset {
    /// Where it was made here; shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// All roles.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RoleList {
    /// In the order of the matrix.
    pub roles: Vec<RoleActions>,
}

/// One role.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RoleActions {
    /// Which.
    pub id: Role,
    /// What it allows.
    pub actions: Vec<String>,
}
