//! Who the device is, as JSON for a technician and for scripts: `bbt-agent identity`, and a part of `bbt-agent status`.
//! Reads only, so it may run beside the agent.

use agent_core::{Millis, clock::Clock};
use contract::standing::Standing;
use serde_json::{Value, json};

use crate::{
    clock::{self, SavedFloor},
    config::Config,
    identity::{Identity, IdentityFolder, Kept},
    io::{hardware::hardware, tls},
    run::copied_from,
};

/// `state` is `none`, `provisional`, `enrolled` or `locked`; `standing` is the console's last word, `active` if it never
/// said another one. Times are RFC 3339.
///
/// # Errors
/// What is kept cannot be read.
pub fn identity(config: &Config) -> anyhow::Result<Value> {
    let folder = IdentityFolder::of(config);
    let hardware = hardware(config);
    let kept = folder.load()?;
    let state = match &kept {
        Kept::None => "none",
        Kept::Provisional(_) => "provisional",
        Kept::Enrolled(_) => "enrolled",
        Kept::Locked(_) => "locked",
    };
    let order = folder.standing()?;
    let mut shown = json!({
        "state": state,
        "hardware": hardware,
        "clock": clock_now(config, None),
    });
    match &kept {
        Kept::Enrolled(identity) => {
            let reply = &identity.reply;
            let word = order.filter(|order| order.device_id == reply.device_id);
            shown["device_id"] = json!(reply.device_id);
            shown["placement"] = json!(reply.placement);
            shown["standing"] = json!(word.as_ref().map_or(Standing::Active, |word| word.standing));
            shown["standing_at"] = json!(word.map(|word| word.issued_at));
            shown["issued_at"] = json!(reply.issued_at);
            shown["not_after"] = json!(tls::valid_until(&reply.certificate_pem).ok());
            shown["renew_below_days"] = json!(reply.renewal.unwrap_or_default().below_days);
            shown["renewal_under_way"] = json!(folder.renewed().is_some());
            shown["enrolled_hardware"] = json!(identity.hardware);
            shown["copied"] = json!(copied_from(identity, &hardware));
            shown["clock"] = clock_now(config, Some(identity));
        }
        Kept::Provisional(provisional) => {
            shown["placement"] = json!(provisional.ticket.placement);
            shown["county"] = json!(provisional.saved.county.county);
        }
        Kept::Locked(lock) => {
            shown["device_id"] = json!(lock.device_id);
            shown["standing"] = json!(Standing::Stolen);
            shown["order_id"] = json!(lock.order_id);
            shown["contact"] = json!(lock.contact);
        }
        Kept::None => {}
    }
    Ok(shown)
}

/// As far as this look goes: what the console told the running agent is not known here.
fn clock_now(config: &Config, identity: Option<&Identity>) -> Value {
    let mut known = Clock::new(clock::built(), 0, Millis::default());
    if let Some(identity) = identity {
        let reply = &identity.reply;
        if let Some(end) = tls::authorities_end(&reply.ca_pem, &reply.certificate_pem) {
            known.cap(end);
        }
        known.signed_at(reply.issued_at);
    }
    if let Some(saved) = SavedFloor::open(&config.data_dir).floor() {
        known.signed_at(saved);
    }
    let system = clock::system();
    let reading = known.read(system, Millis::default());
    json!({ "trust": reading.trust, "system": system, "floor": reading.floor, "built": clock::built() })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::identity::tests::identity as an_identity;

    #[test]
    fn an_unknown_board_and_a_copied_disk_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let config = |serial: &str| {
            let text = format!(
                "data_dir = '{}'\nboard = 'generic-box-rev-a'\nserial = '{serial}'\n",
                dir.path().display()
            );
            Config::parse(&text, Path::new("c")).unwrap()
        };
        let nobody = identity(&config("S1")).unwrap();
        assert_eq!(
            (&nobody["state"], &nobody["device_id"]),
            (&json!("none"), &Value::Null)
        );
        IdentityFolder::new(dir.path()).store(&an_identity("d1")).unwrap();
        let here = identity(&config("S1")).unwrap();
        assert_eq!(
            (
                &here["state"],
                &here["device_id"],
                &here["standing"],
                &here["copied"]
            ),
            (&json!("enrolled"), &json!("d1"), &json!("active"), &Value::Null)
        );
        assert_eq!(here["clock"]["trust"], "rtc");
        assert!(!here.to_string().contains("key of"), "no secret is told");
        assert_eq!(identity(&config("S2")).unwrap()["copied"], "serial");
    }
}
