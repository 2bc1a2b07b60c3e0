//! Waiting boards on the command line.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    admin::{BY, plain},
    args::Claim,
    show::{list, or_dash},
};
use crate::{
    api::claims::ClaimApproval,
    config::Config,
    controllers::claims::{Decider, decide},
    db::{Db, scope::Scope},
    enrolment::Enroller,
    pki,
};

pub(super) async fn claim(command: Claim, config: &Config, db: &Db) -> anyhow::Result<()> {
    let (scope, now) = (Scope::everything(), Timestamp::now());
    match command {
        Claim::List(format) => {
            let found = db.claims().list(&scope, now).await?;
            list(
                format,
                &found,
                &[
                    "ID",
                    "ON ITS SCREEN",
                    "SERIAL",
                    "BOARD",
                    "ADDRESS",
                    "LAST SEEN",
                    "COPY OF",
                ],
                || {
                    let row = |c: &crate::api::claims::Claim| {
                        vec![
                            c.id.to_string(),
                            c.fingerprint.clone(),
                            c.serial.clone(),
                            c.board.clone(),
                            c.address.clone(),
                            c.last_seen_at.to_string(),
                            or_dash(c.copy_of.as_deref()),
                        ]
                    };
                    found.iter().map(row).collect()
                },
            )
        }
        Claim::Approve {
            id,
            classroom,
            replaces,
        } => {
            let enroller = enroller(config, db)?;
            let wish = ClaimApproval {
                classroom_id: classroom,
                replaces: replaces.map(|device| device.to_string()),
            };
            let who = Decider {
                scope: &scope,
                name: BY,
            };
            let device = decide(&enroller, config, &who, id, &wish, now)
                .await
                .map_err(plain)?;
            println!("{device}");
            Ok(())
        }
        Claim::Refuse { id } => {
            db.claims().refuse(&scope, id, BY, now).await?;
            println!("claim {id} refused");
            Ok(())
        }
    }
}

/// What boards become devices with, beside a serving console.
pub(super) fn enroller(config: &Config, db: &Db) -> anyhow::Result<Enroller> {
    let opened = pki::open(config)?;
    Ok(Enroller {
        db: db.clone(),
        pki: Arc::new(opened.pki),
        keys: Arc::new(opened.keys),
    })
}
