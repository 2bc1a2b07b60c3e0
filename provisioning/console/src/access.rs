//! Who may do what. The matrix is data (`permissions.toml`); this module finds a request's action in it, collects the nodes
//! at which the person holds a role for it, and hands the handler an [`Access`]: the one key to every query.
//!
//! Fails closed: a route that no action names is refused for everybody. What lies outside a person's nodes does not exist
//! for them (404), what their roles do not allow is refused (403).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use axum::{
    extract::{FromRequestParts, MatchedPath, Request, State},
    http::{Method, request::Parts},
    middleware::Next,
    response::Response,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    app::AppState,
    audit,
    auth::Current,
    db::{
        Db,
        scope::{Node, Scope},
        sessions::OpenSession,
        users::User,
    },
    error::{ApiError, Code},
};

const DATA: &str = include_str!("../permissions.toml");
/// Where the API begins; routes in the data are written without it.
pub(crate) const PREFIX: &str = "/api/v1";

static PERMISSIONS: LazyLock<Result<Permissions, String>> = LazyLock::new(|| Permissions::parse(DATA));

/// What somebody may be granted at a node of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// 省/市监管.
    Overseer,
    /// 县运维.
    CountyOperator,
    /// 县内容管理.
    ContentOfficer,
    /// 教研员, who reviews lessons.
    Reviewer,
    /// 厂商技术员（包区）.
    Technician,
    /// 学校管理员.
    SchoolAdmin,
    /// 审计员.
    Auditor,
    /// 系统管理员.
    SystemAdmin,
}

impl Role {
    /// All of them, in the order of the matrix.
    pub const ALL: [Self; 8] = [
        Self::Overseer,
        Self::CountyOperator,
        Self::ContentOfficer,
        Self::Reviewer,
        Self::Technician,
        Self::SchoolAdmin,
        Self::Auditor,
        Self::SystemAdmin,
    ];

    /// As in the data, the database and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overseer => "overseer",
            Self::CountyOperator => "county_operator",
            Self::ContentOfficer => "content_officer",
            Self::Reviewer => "reviewer",
            Self::Technician => "technician",
            Self::SchoolAdmin => "school_admin",
            Self::Auditor => "auditor",
            Self::SystemAdmin => "system_admin",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| {
                let all = Self::ALL.map(Self::as_str).join(", ");
                format!("there is no role {text:?}; the roles are: {all}")
            })
    }
}

/// A role at a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Row id of the grant.
    pub id: i64,
    /// Which role.
    pub role: Role,
    /// Where.
    pub node: Node,
}

/// One action of the matrix.
#[derive(Debug, Clone)]
pub struct Action {
    /// Its name, e.g. `devices.read`.
    pub name: String,
    /// Who may, at their node and below; `None`: everybody who is signed in.
    pub roles: Option<BTreeSet<Role>>,
    /// Whether what belongs to nodes above may be read as well.
    pub upward: bool,
    /// Whether only a grant at the root of the install counts.
    pub root_only: bool,
    /// `METHOD /path`, without the API's prefix.
    pub routes: Vec<String>,
}

/// The matrix.
#[derive(Debug)]
pub struct Permissions {
    actions: Vec<Action>,
    by_route: BTreeMap<String, usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPermissions {
    role: Vec<RawRole>,
    action: Vec<RawAction>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRole {
    id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAction {
    name: String,
    roles: Vec<String>,
    #[serde(default)]
    upward: bool,
    #[serde(default)]
    root_only: bool,
    routes: Vec<String>,
}

impl Permissions {
    /// The matrix of this build.
    ///
    /// # Errors
    /// The data cannot be used; a test sees to it that it can.
    pub fn get() -> Result<&'static Self, ApiError> {
        PERMISSIONS.as_ref().map_err(ApiError::internal)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let raw: RawPermissions = toml::from_str(text).map_err(|e| format!("permissions.toml: {e}"))?;
        let named: BTreeSet<&str> = raw.role.iter().map(|role| role.id.as_str()).collect();
        if named != Role::ALL.map(Role::as_str).into() {
            return Err(format!(
                "permissions.toml names the roles {named:?}, the program others"
            ));
        }
        let mut actions = Vec::new();
        let mut by_route = BTreeMap::new();
        for action in raw.action {
            let roles = match action.roles.as_slice() {
                [all] if all == "*" => None,
                some => Some(some.iter().map(|r| r.parse()).collect::<Result<_, _>>()?),
            };
            for route in &action.routes {
                if by_route.insert(route.clone(), actions.len()).is_some() {
                    return Err(format!("permissions.toml names the route {route} twice"));
                }
            }
            actions.push(Action {
                name: action.name,
                roles,
                upward: action.upward,
                root_only: action.root_only,
                routes: action.routes,
            });
        }
        Ok(Self { actions, by_route })
    }

    /// All actions, in the order of the data.
    pub fn actions(&self) -> &[Action] {
        &self.actions
    }

    /// One action by its name.
    ///
    /// # Errors
    /// There is none of that name: a fault of the program.
    pub fn named(&self, name: &str) -> Result<&Action, ApiError> {
        self.actions
            .iter()
            .find(|action| action.name == name)
            .ok_or_else(|| ApiError::internal(format!("permissions.toml has no action {name}")))
    }

    /// Whether any action has a route of this path, by whatever method.
    fn knows_path(&self, path: &str) -> bool {
        self.by_route
            .keys()
            .any(|route| route.split_once(' ').is_some_and(|(_, known)| known == path))
    }

    /// The action of a route; `path` as the router knows it, without the API's prefix.
    pub fn of_route(&self, method: &Method, path: &str) -> Option<&Action> {
        // A page of headers only is a page.
        let method = if *method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let at = self.by_route.get(&format!("{method} {path}"))?;
        self.actions.get(*at)
    }
}

impl Action {
    /// Where `grants` allow it; `None` if nowhere.
    pub fn nodes(&self, grants: &[Held]) -> Option<Vec<Node>> {
        let Some(roles) = &self.roles else {
            return Some(Vec::new());
        };
        let nodes: Vec<Node> = grants
            .iter()
            .filter(|held| roles.contains(&held.role) && (!self.root_only || held.node == Node::Root))
            .map(|held| held.node)
            .collect();
        (!nodes.is_empty()).then_some(nodes)
    }
}

/// Somebody who may do what the route does, and how far it reaches. Handlers take it as an argument; without the
/// middleware [`authorise`] before them they fail.
#[derive(Debug, Clone)]
pub struct Access {
    /// Who.
    pub user: User,
    /// By which session.
    pub session: OpenSession,
    /// Hash of the session's cookie.
    pub token: [u8; 32],
    /// Everything the user holds, also for other actions.
    pub grants: Vec<Held>,
    /// What the action reaches; every query takes it.
    pub scope: Scope,
}

impl Access {
    /// How far the person reaches with another action of the matrix, e.g. which lessons a push may name; an action that they
    /// may not do reaches nothing.
    ///
    /// # Errors
    /// The database's.
    pub async fn reach(&self, db: &Db, action: &str) -> Result<Scope, ApiError> {
        let action = Permissions::get()?.named(action)?;
        let nodes = action.nodes(&self.grants).unwrap_or_default();
        Ok(db.resolve_scope(&nodes, action.upward).await?)
    }
}

impl FromRequestParts<AppState> for Access {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiError> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(|| ApiError::internal("a route asks for Access without the middleware before it"))
    }
}

/// Middleware: finds the route's action, and lets in who holds a role for it somewhere.
///
/// # Errors
/// [`Code::NotSignedIn`], [`Code::Forbidden`].
pub async fn authorise(
    State(app): State<AppState>,
    path: MatchedPath,
    Current { user, session, token }: Current,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    audit::actor(&user.username);
    let route = path.as_str();
    let route = route.strip_prefix(PREFIX).unwrap_or(route);
    let permissions = Permissions::get()?;
    let action = permissions.of_route(request.method(), route);
    if action.is_none() && permissions.knows_path(route) {
        return Err(ApiError::new(Code::MethodNotAllowed));
    }
    let grants = app.db.grants().of(user.id).await?;
    let nodes = action.and_then(|action| action.nodes(&grants));
    let (Some(action), Some(nodes)) = (action, nodes) else {
        let name = action.map_or("?", |action| action.name.as_str());
        tracing::warn!(user.name = user.username, method = %request.method(), route, action = name, "refused");
        return Err(ApiError::new(Code::Forbidden).arg("action", name));
    };
    let scope = app.db.resolve_scope(&nodes, action.upward).await?;
    request.extensions_mut().insert(Access {
        user,
        session,
        token,
        grants,
        scope,
    });
    Ok(next.run(request).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_can_be_used() {
        let permissions = Permissions::parse(DATA).unwrap();
        assert!(permissions.of_route(&Method::GET, "/devices").is_some());
        assert!(permissions.of_route(&Method::HEAD, "/devices").is_some());
        assert!(permissions.of_route(&Method::PUT, "/devices").is_none());
    }

    #[test]
    fn a_role_counts_where_it_was_granted_and_the_root_alone_where_only_it_counts() {
        let permissions = Permissions::parse(DATA).unwrap();
        let held = |role, node| Held { id: 1, role, node };
        let action = |name: &str| permissions.actions().iter().find(|a| a.name == name).unwrap();
        let grants = [
            held(Role::CountyOperator, Node::Region(7)),
            held(Role::Auditor, Node::School(9)),
        ];
        assert_eq!(action("pushes.write").nodes(&grants), Some(vec![Node::Region(7)]));
        assert_eq!(
            action("devices.read").nodes(&grants),
            Some(vec![Node::Region(7), Node::School(9)])
        );
        assert_eq!(action("users.write").nodes(&grants), None);
        assert_eq!(action("account.own").nodes(&[]), Some(vec![]));
        assert_eq!(action("system.read").nodes(&grants), None);
        assert_eq!(
            action("system.read").nodes(&[held(Role::Auditor, Node::Root)]),
            Some(vec![Node::Root])
        );
    }
}
