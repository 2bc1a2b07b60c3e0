//! Accounts of others, and what they hold.

use axum::{Json, extract::State, http::StatusCode};
use jiff::Timestamp;

use super::{
    Body, Path, Query,
    account::{NAME, hashed},
    text,
};
use crate::{
    access::{Access, Permissions, Role},
    api::{
        schema,
        session::SessionList,
        tree::Created,
        users::{
            ChangeUser, CreatedUser, NewGrant, NewUser, PasswordReset, ResetPassword, RoleActions, RoleList,
            UserKind, UserPage, UserQuery, UserSummary,
        },
    },
    app::{AppState, Noun},
    audit, auth,
    db::{scope::Node, users::NewAccount},
    error::{ApiError, Code},
};

/// Most grants of a new account.
const MOST_GRANTS: usize = 100;

/// Accounts whose every grant lies within one's nodes, by name, one page.
#[utoipa::path(get, path = "/users", tag = "users", params(UserQuery), responses((status = 200, body = UserPage)))]
pub async fn list(
    State(app): State<AppState>,
    access: Access,
    Query(query): Query<UserQuery>,
) -> Result<Json<UserPage>, ApiError> {
    let found = app
        .db
        .users()
        .list(&access.scope, &query, Timestamp::now())
        .await?;
    Ok(Json(UserPage::new(found, query.page())))
}

/// Makes an account; a password that was left out is made and told once.
#[utoipa::path(post, path = "/users", tag = "users", request_body = NewUser, responses(
    (status = 201, body = CreatedUser),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn add(
    State(app): State<AppState>,
    access: Access,
    Body(new): Body<NewUser>,
) -> Result<(StatusCode, Json<CreatedUser>), ApiError> {
    let username = checked_username(&new.username)?;
    let display_name = match &new.display_name {
        Some(name) => text("display_name", name, 1, NAME)?,
        None => username.clone(),
    };
    if new.grants.is_empty() && !access.scope.is_everything() {
        return Err(ApiError::invalid(
            "grants",
            "name at least one role at a node within your own; an account without any is out of your reach",
        ));
    }
    if new.kind == UserKind::BreakGlass && !access.scope.is_everything() {
        return Err(only_the_installs("kind"));
    }
    if new.grants.len() > MOST_GRANTS {
        return Err(ApiError::invalid("grants", format!("at most {MOST_GRANTS}")));
    }
    let grants = new
        .grants
        .iter()
        .map(|grant| Ok((grant.role, node(*grant)?)))
        .collect::<Result<Vec<(Role, Node)>, ApiError>>()?;
    let (password, told) = chosen(new.kind, new.password, &username)?;
    let hash = match password {
        Some(password) => hashed(password).await?,
        None => String::new(),
    };
    let account = NewAccount {
        username: &username,
        display_name: &display_name,
        password_hash: &hash,
        language: new.language,
        kind: new.kind,
        grants: &grants,
        by: &access.user.username,
    };
    audit::note("kind", new.kind.as_str());
    audit::note("roles", roles(&grants));
    let id = app
        .db
        .users()
        .create(&access.scope, &account, Timestamp::now())
        .await?;
    app.changed(Noun::User, id.to_string());
    Ok((StatusCode::CREATED, Json(CreatedUser { id, password: told })))
}

/// One account.
#[utoipa::path(get, path = "/users/{id}", tag = "users", params(("id" = i64, Path)), responses(
    (status = 200, body = UserSummary),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn detail(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<Json<UserSummary>, ApiError> {
    let found = app
        .db
        .users()
        .summary(&access.scope, id, Timestamp::now())
        .await?;
    Ok(Json(found))
}

/// Changes name or language, or switches an account off (its sessions end at once) or on again.
#[utoipa::path(patch, path = "/users/{id}", tag = "users", params(("id" = i64, Path)), request_body = ChangeUser,
    responses(
        (status = 204),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 409, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn change(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Body(new): Body<ChangeUser>,
) -> Result<StatusCode, ApiError> {
    let name = new
        .display_name
        .map(|name| text("display_name", &name, 1, NAME))
        .transpose()?;
    let users = app.db.users();
    users.get(&access.scope, id).await?;
    if let Some(disabled) = new.disabled {
        audit::note("disabled", disabled);
        users
            .set_disabled(&access.scope, id, disabled, Timestamp::now())
            .await?;
    }
    if name.is_some() || new.language.is_some() {
        users
            .set_profile(&access.scope, id, name.as_deref(), new.language)
            .await?;
    }
    app.changed(Noun::User, id.to_string());
    Ok(StatusCode::NO_CONTENT)
}

/// Removes an account that was never used.
#[utoipa::path(delete, path = "/users/{id}", tag = "users", params(("id" = i64, Path)), responses(
    (status = 204),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn remove(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiError> {
    app.db.users().delete(&access.scope, id).await?;
    app.changed(Noun::User, id.to_string());
    Ok(StatusCode::NO_CONTENT)
}

/// Gives somebody another password and ends their sessions; one that was left out is made and told once.
#[utoipa::path(post, path = "/users/{id}/password", tag = "users", params(("id" = i64, Path)),
    request_body = ResetPassword, responses(
        (status = 200, body = PasswordReset),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 409, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn reset_password(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Body(given): Body<ResetPassword>,
) -> Result<Json<PasswordReset>, ApiError> {
    let user = app.db.users().get(&access.scope, id).await?;
    if user.kind() == UserKind::Oidc {
        return Err(
            ApiError::new(Code::Conflict).detail("the account signs in elsewhere and has no password here")
        );
    }
    if user.kind() == UserKind::BreakGlass && !access.scope.is_everything() {
        return Err(only_the_installs("password"));
    }
    let (password, told) = chosen(user.kind(), given.password, &user.username)?;
    let hash = hashed(password.unwrap_or_default()).await?;
    app.db
        .users()
        .set_password(&access.scope, id, &hash, None, Timestamp::now())
        .await?;
    app.changed(Noun::User, id.to_string());
    Ok(Json(PasswordReset { password: told }))
}

/// Takes somebody's second factor away, e.g. with a lost phone.
#[utoipa::path(delete, path = "/users/{id}/totp", tag = "users", params(("id" = i64, Path)), responses(
    (status = 204),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn clear_totp(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiError> {
    app.db.users().clear_totp(&access.scope, id).await?;
    app.changed(Noun::User, id.to_string());
    Ok(StatusCode::NO_CONTENT)
}

/// Sessions of an account, newest first.
#[utoipa::path(get, path = "/users/{id}/sessions", tag = "users", params(("id" = i64, Path)), responses(
    (status = 200, body = SessionList),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn sessions(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<Json<SessionList>, ApiError> {
    app.db.users().get(&access.scope, id).await?;
    let items = app
        .db
        .sessions()
        .of(id, Some(&access.token), Timestamp::now())
        .await?;
    Ok(Json(SessionList { items }))
}

/// Ends a session of an account at once.
#[utoipa::path(delete, path = "/users/{id}/sessions/{session}", tag = "users",
    params(("id" = i64, Path), ("session" = String, Path)), responses(
        (status = 204),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn end_session(
    State(app): State<AppState>,
    access: Access,
    Path((id, session)): Path<(i64, String)>,
) -> Result<StatusCode, ApiError> {
    app.db.users().get(&access.scope, id).await?;
    app.db.sessions().end(id, &session).await?;
    app.changed(Noun::User, id.to_string());
    Ok(StatusCode::NO_CONTENT)
}

/// Grants a role at a node within one's own; the account's sessions end.
#[utoipa::path(post, path = "/users/{id}/grants", tag = "users", params(("id" = i64, Path)), request_body = NewGrant,
    responses(
        (status = 201, body = Created),
        (status = 403, body = schema::Problem, content_type = "application/problem+json"),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn grant(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Body(new): Body<NewGrant>,
) -> Result<(StatusCode, Json<Created>), ApiError> {
    let node = node(new)?;
    audit::note("roles", roles(&[(new.role, node)]));
    let grant = app
        .db
        .grants()
        .grant(
            &access.scope,
            id,
            new.role,
            node,
            &access.user.username,
            Timestamp::now(),
        )
        .await?;
    app.changed(Noun::User, id.to_string());
    Ok((StatusCode::CREATED, Json(Created { id: grant })))
}

/// Takes a grant back; the account's sessions end.
#[utoipa::path(delete, path = "/users/{id}/grants/{grant}", tag = "users",
    params(("id" = i64, Path), ("grant" = i64, Path)), responses(
        (status = 204),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn revoke(
    State(app): State<AppState>,
    access: Access,
    Path((id, grant)): Path<(i64, i64)>,
) -> Result<StatusCode, ApiError> {
    audit::note("grant", grant);
    app.db.grants().revoke(&access.scope, id, grant).await?;
    app.changed(Noun::User, id.to_string());
    Ok(StatusCode::NO_CONTENT)
}

/// All roles and what each allows.
#[utoipa::path(get, path = "/roles", tag = "users", responses((status = 200, body = RoleList)))]
pub async fn role_list(_: Access) -> Result<Json<RoleList>, ApiError> {
    let permissions = Permissions::get()?;
    let roles = Role::ALL
        .into_iter()
        .map(|role| RoleActions {
            id: role,
            actions: permissions
                .actions()
                .iter()
                .filter(|action| action.roles.as_ref().is_none_or(|roles| roles.contains(&role)))
                .map(|action| action.name.clone())
                .collect(),
        })
        .collect();
    Ok(Json(RoleList { roles }))
}

/// A name for signing in: no blanks, which nobody sees at the door.
pub(crate) fn checked_username(username: &str) -> Result<String, ApiError> {
    let username = text("username", username, 1, 64)?;
    if username.chars().any(char::is_whitespace) {
        return Err(ApiError::invalid("username", "no blanks are allowed in it"));
    }
    Ok(username)
}

/// The account for emergencies signs in when single sign-on is the only way for everybody else, so it is the whole install's.
fn only_the_installs(field: &'static str) -> ApiError {
    ApiError::invalid(
        field,
        "an account for emergencies is made, and its password given, by who administers the whole install",
    )
}

fn node(grant: NewGrant) -> Result<Node, ApiError> {
    grant
        .place()
        .node()
        .ok_or_else(|| ApiError::invalid("grants", "name a region or a school, not both"))
}

/// The password to hash, none for an account that signs in elsewhere; and the one to be told, where it was made here.
fn chosen(
    kind: UserKind,
    given: Option<String>,
    username: &str,
) -> Result<(Option<String>, Option<String>), ApiError> {
    match (kind, given) {
        (UserKind::Oidc, Some(_)) => Err(ApiError::invalid(
            "password",
            "an account that signs in elsewhere has no password here",
        )),
        (UserKind::Oidc, None) => Ok((None, None)),
        (_, Some(password)) => {
            auth::check_password(&password, username)?;
            Ok((Some(password), None))
        }
        (_, None) => {
            let password = auth::generate_password();
            Ok((Some(password.clone()), Some(password)))
        }
    }
}

/// For the log: roles with their nodes.
fn roles(grants: &[(Role, Node)]) -> Vec<String> {
    grants
        .iter()
        .map(|(role, node)| match node {
            Node::Root => format!("{} @ install", role.as_str()),
            Node::Region(id) => format!("{} @ region {id}", role.as_str()),
            Node::School(id) => format!("{} @ school {id}", role.as_str()),
        })
        .collect()
}
