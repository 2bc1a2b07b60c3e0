//! The first run (初次使用向导): how far the install is.

use axum::{Json, extract::State};

use crate::{
    access::{Access, Permissions},
    api::{
        setup::{FurtherKind, SetupAddresses, SetupFurther, SetupStatus},
        users::UserQuery,
    },
    app::AppState,
    config::Config,
    db::{Db, DbResult, scope::Scope},
    error::ApiError,
};

/// What is done of the first run, and what is next, as far as the reader reaches.
#[utoipa::path(get, path = "/setup", tag = "system", responses((status = 200, body = SetupStatus)))]
pub async fn status(State(app): State<AppState>, access: Access) -> Result<Json<SetupStatus>, ApiError> {
    let now = app.clock.now();
    let lessons = access.reach(&app.db, "lessons.read").await?;
    let facts = app.db.setup().facts(&access.scope, &lessons, now).await?;
    // Whoever brings or reviews lessons is told of drafts; to others they are not there.
    let waiting = match may(&access, "reviews.read")? {
        true => {
            let own = access.reach(&app.db, "reviews.read").await?;
            app.db.setup().waiting_lesson(&own).await?
        }
        false => None,
    };
    let mut further = Vec::new();
    if may(&access, "users.read")? {
        let scope = access.reach(&app.db, "users.read").await?;
        further.push(people(&app.db, &scope, now).await?);
    }
    if may(&access, "backups.read")? {
        further.push(backup(&app.config));
    }
    if may(&access, "notifications.read")? {
        let scope = access.reach(&app.db, "notifications.read").await?;
        further.push(channel(&app.db, &scope).await?);
    }
    Ok(Json(SetupStatus::of(
        &facts,
        waiting,
        addresses(&app.config),
        further,
    )))
}

/// Whether any of the person's grants allows an action of the matrix.
fn may(access: &Access, action: &str) -> Result<bool, ApiError> {
    Ok(Permissions::get()?.named(action)?.nodes(&access.grants).is_some())
}

/// The same for the command line, which reaches everything.
pub(crate) async fn everything(db: &Db, config: &Config, now: jiff::Timestamp) -> DbResult<SetupStatus> {
    let all = Scope::everything();
    let facts = db.setup().facts(&all, &all, now).await?;
    let waiting = db.setup().waiting_lesson(&all).await?;
    let further = vec![
        people(db, &all, now).await?,
        backup(config),
        channel(db, &all).await?,
    ];
    Ok(SetupStatus::of(&facts, waiting, addresses(config), further))
}

async fn people(db: &Db, scope: &Scope, now: jiff::Timestamp) -> DbResult<SetupFurther> {
    let (_, total) = db.users().list(scope, &UserQuery::default(), now).await?;
    Ok(SetupFurther {
        what: FurtherKind::People,
        // One account does everything only until there is a second one.
        done: total > 1,
    })
}

fn backup(config: &Config) -> SetupFurther {
    SetupFurther {
        what: FurtherKind::Backup,
        done: config.backup.is_some(),
    }
}

async fn channel(db: &Db, scope: &Scope) -> DbResult<SetupFurther> {
    Ok(SetupFurther {
        what: FurtherKind::Channel,
        done: !db.notify().channels(scope).await?.is_empty(),
    })
}

fn addresses(config: &Config) -> SetupAddresses {
    let host = config.public_host.as_str();
    let bracketed = match host.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V6(address)) => format!("[{address}]"),
        _ => host.to_owned(),
    };
    SetupAddresses {
        devices_url: config.devices_url(),
        mqtt: format!("{bracketed}:{}", config.public_mqtt_port),
        web_url: (!config.web_url.is_empty()).then(|| config.web_url.clone()),
        local_only: config.is_local_only(),
    }
}
