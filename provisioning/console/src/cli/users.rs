//! Accounts on the command line. Whoever has a shell here is bound by nothing but the last administrator.

use jiff::Timestamp;

use super::{
    admin::{BY, all, plain},
    args::{At, User},
    setup,
    show::{list, or_dash, word},
};
use crate::{
    access::Role,
    api::{
        MAX_PAGE_SIZE,
        users::{Grant, NodeKind, UserKind, UserQuery, UserSummary},
    },
    auth,
    config::Config,
    controllers::users::checked_username,
    db::{
        Db,
        scope::{Node, Scope},
        users::NewAccount,
    },
};

const EVERYTHING: Scope = Scope::everything();

pub(super) async fn user(command: User, config: &Config, db: &Db) -> anyhow::Result<()> {
    let now = Timestamp::now();
    let find = async |username: &str| {
        let found = db.users().find(username).await?;
        found.ok_or_else(|| {
            anyhow::anyhow!(
                "there is no user {username} in {}; see user list",
                config.data.display()
            )
        })
    };
    match command {
        User::Add {
            username,
            display_name,
            language,
            password_stdin,
            break_glass,
            roles,
            at,
        } => {
            let username = checked_username(&username).map_err(plain)?;
            let node = at.node();
            anyhow::ensure!(
                roles.is_empty() == node.is_none(),
                "--role and one of --region, --school, --install belong together"
            );
            let grants: Vec<(Role, Node)> = roles
                .into_iter()
                .filter_map(|role| node.map(|node| (role, node)))
                .collect();
            let (password, generated) = setup::password(password_stdin)?;
            let hash = auth::hash_password(&password)?;
            let shown = display_name.unwrap_or_else(|| username.clone());
            let account = NewAccount {
                username: &username,
                display_name: &shown,
                password_hash: &hash,
                language,
                kind: if break_glass {
                    UserKind::BreakGlass
                } else {
                    UserKind::Local
                },
                grants: &grants,
                by: BY,
            };
            db.users().create(&EVERYTHING, &account, now).await?;
            setup::told(&username, &password, generated);
            if grants.is_empty() {
                println!(
                    "{username} holds no role yet and can do nothing; grant one with: bbt-console --data {} user grant \
                     {username} --role ROLE (--region ID | --school ID | --install)",
                    config.data.display()
                );
            }
        }
        User::List(format) => {
            let users = all(|page| {
                let query = UserQuery {
                    page: Some(page),
                    page_size: Some(MAX_PAGE_SIZE),
                    ..Default::default()
                };
                async move { db.users().list(&EVERYTHING, &query, now).await }
            })
            .await?;
            let heads = &[
                "USER",
                "NAME",
                "KIND",
                "STATE",
                "2ND FACTOR",
                "LAST SIGN-IN",
                "GRANTS (ID: ROLE AT)",
            ];
            list(format, &users, heads, || users.iter().map(row).collect())?;
        }
        User::Passwd {
            username,
            password_stdin,
        } => {
            let user = find(&username).await?;
            anyhow::ensure!(
                user.kind() != UserKind::Oidc,
                "{username} signs in elsewhere and has no password here"
            );
            let (password, generated) = setup::password(password_stdin)?;
            db.users()
                .set_password(&EVERYTHING, user.id, &auth::hash_password(&password)?, None, now)
                .await?;
            setup::told(&username, &password, generated);
        }
        User::Grant { username, role, at } => {
            let user = find(&username).await?;
            let node = at
                .node()
                .ok_or_else(|| anyhow::anyhow!("say where: --region ID, --school ID or --install"))?;
            println!(
                "{}",
                db.grants()
                    .grant(&EVERYTHING, user.id, role, node, BY, now)
                    .await?
            );
        }
        User::RevokeGrant { username, grant } => {
            let user = find(&username).await?;
            db.grants().revoke(&EVERYTHING, user.id, grant).await?;
        }
        User::Disable { username } => {
            let user = find(&username).await?;
            db.users().set_disabled(&EVERYTHING, user.id, true, now).await?;
        }
        User::Enable { username } => {
            let user = find(&username).await?;
            db.users().set_disabled(&EVERYTHING, user.id, false, now).await?;
        }
        User::ResetTotp { username } => {
            let user = find(&username).await?;
            db.users().clear_totp(&EVERYTHING, user.id).await?;
        }
        User::Sessions {
            username,
            end,
            format,
        } => {
            let user = find(&username).await?;
            if let Some(id) = end {
                return Ok(db.sessions().end(user.id, &id).await?);
            }
            let sessions = db.sessions().of(user.id, None, now).await?;
            let heads = &["ID", "SINCE", "LAST SEEN", "ADDRESS", "METHOD", "BROWSER"];
            list(format, &sessions, heads, || {
                let row = |s: &crate::api::session::SessionInfo| {
                    vec![
                        s.id.clone(),
                        s.created_at.to_string(),
                        or_dash(s.last_seen_at),
                        s.address.clone(),
                        s.method.as_str().to_owned(),
                        s.user_agent.clone(),
                    ]
                };
                sessions.iter().map(row).collect()
            })?;
        }
    }
    Ok(())
}

fn row(u: &UserSummary) -> Vec<String> {
    let at = |grant: &Grant| {
        let place = match (grant.node.kind, grant.node.id) {
            (NodeKind::Root, _) => "install".to_owned(),
            (kind, id) => format!("{} {} {}", word(&kind), id.unwrap_or_default(), grant.node.name),
        };
        format!("{}: {} at {place}", grant.id, grant.role.as_str())
    };
    vec![
        u.username.clone(),
        u.display_name.clone(),
        word(&u.kind),
        if u.disabled { "off" } else { "on" }.to_owned(),
        if u.totp { "yes" } else { "no" }.to_owned(),
        or_dash(u.last_sign_in_at),
        match u.grants.is_empty() {
            true => "none".to_owned(),
            false => u.grants.iter().map(at).collect::<Vec<_>>().join("; "),
        },
    ]
}

impl At {
    pub(super) fn node(&self) -> Option<Node> {
        match (self.region, self.school, self.install) {
            (Some(id), ..) => Some(Node::Region(id)),
            (None, Some(id), _) => Some(Node::School(id)),
            (None, None, true) => Some(Node::Root),
            (None, None, false) => None,
        }
    }
}
