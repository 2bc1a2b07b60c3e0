//! Who may say and hear what. Decides only: no socket, no clock, no broker type.
//!
//! The certificate's common name is the identity. A device reaches the topics of its own id and nothing else; the
//! console reaches everything below `bbt/`.

use contract::{
    id::DeviceId,
    topic::{Direction, Topic},
};

/// The common name, and so the client id, of the console's own certificate. Never issued to a device.
pub const CONSOLE_NAME: &str = "bbt-console";

const SHARED: &str = "$share/";
const ROOT: &str = "bbt/";

/// Whom a certificate speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The console itself.
    Console,
    /// One classroom device.
    Device(DeviceId),
}

/// What a client wants to do with a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Send to a topic name; a last will counts as a publish.
    Publish,
    /// Listen to a topic filter.
    Subscribe,
}

/// Why a connection is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The TLS session carried no certificate with a common name.
    #[error("the client certificate has no common name")]
    NoName,
    /// The common name is neither the console's nor a device id.
    #[error("the certificate's common name {0:?} is not a device id")]
    NotADevice(String),
    /// A client tried to go by another name than its certificate's.
    #[error("client id {client_id:?} is not the certificate's common name {name:?}")]
    OtherName {
        /// The certificate's common name.
        name: String,
        /// The client id of the CONNECT packet.
        client_id: String,
    },
    /// The last will would speak where the client may not.
    #[error("a last will on {0:?} is not allowed")]
    Will(String),
}

/// Whether `subject` may perform `action` on `topic`, a topic name or (for [`Action::Subscribe`]) a topic filter as the
/// client wrote it, with any `$share/group/` in front.
pub fn allowed(subject: &Subject, action: Action, topic: &str) -> bool {
    match subject {
        Subject::Device(id) => {
            let direction = match action {
                Action::Publish => Direction::Up,
                Action::Subscribe => Direction::Down,
            };
            // A wildcard, `$SYS` and `$share` are no topics of ours, so they never parse.
            Topic::parse(topic).is_ok_and(|t| t.device == *id && t.leaf.direction() == direction)
        }
        Subject::Console => match action {
            Action::Publish => topic.starts_with(ROOT) && !topic.contains(['+', '#']),
            Action::Subscribe => without_share(topic).starts_with(ROOT),
        },
    }
}

/// Whether `topic` is one of another device than `device`: then it spoke in that one's name.
pub fn foreign(device: &DeviceId, topic: &str) -> bool {
    Topic::parse(topic).is_ok_and(|t| t.device != *device)
}

/// Whether a connection may come in at all, and as whom.
///
/// `name` is the certificate's common name, `client_id` and `will_topic` are those of the CONNECT packet.
pub fn admit(name: Option<&str>, client_id: &str, will_topic: Option<&str>) -> Result<Subject, Refusal> {
    let name = name.ok_or(Refusal::NoName)?;
    let subject = subject(name).ok_or_else(|| Refusal::NotADevice(name.to_owned()))?;
    if client_id != name {
        return Err(Refusal::OtherName {
            name: name.to_owned(),
            client_id: client_id.to_owned(),
        });
    }
    match will_topic {
        Some(topic) if !allowed(&subject, Action::Publish, topic) => Err(Refusal::Will(topic.to_owned())),
        _ => Ok(subject),
    }
}

/// Whom a common name stands for; `None` if it is no valid device id.
pub fn subject(name: &str) -> Option<Subject> {
    if name == CONSOLE_NAME {
        return Some(Subject::Console);
    }
    DeviceId::new(name).ok().map(Subject::Device)
}

fn without_share(filter: &str) -> &str {
    filter
        .strip_prefix(SHARED)
        .and_then(|rest| rest.split_once('/'))
        .map_or(filter, |(_group, inner)| inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::topic::Leaf;

    fn device(id: &str) -> Subject {
        Subject::Device(DeviceId::new(id).unwrap())
    }

    #[test]
    fn a_device_publishes_exactly_its_own_up_leaves_and_hears_exactly_its_own_down_leaves() {
        let me = device("d1");
        for leaf in Leaf::ALL {
            let own = Topic::new(DeviceId::new("d1").unwrap(), leaf).to_string();
            let up = ["report", "telemetry", "status", "presence"].contains(&leaf.as_str());
            assert_eq!(allowed(&me, Action::Publish, &own), up, "{own}");
            assert_eq!(allowed(&me, Action::Subscribe, &own), !up, "{own}");
            let foreign = Topic::new(DeviceId::new("d2").unwrap(), leaf).to_string();
            assert!(!allowed(&me, Action::Publish, &foreign), "{foreign}");
            assert!(!allowed(&me, Action::Subscribe, &foreign), "{foreign}");
        }
    }

    #[test]
    fn a_device_never_reaches_wildcards_shares_system_topics_or_lookalikes() {
        for topic in [
            "#",
            "+",
            "+/#",
            "/",
            "",
            "bbt/#",
            "bbt/v1/d/+/command",
            "bbt/v1/d/d1/+",
            "bbt/v1/d/d1/#",
            "bbt/v1/d/d1",
            "bbt/v1/d/d1/",
            "bbt/v1/d/d1/down",
            "bbt/v1/d/d1/command/",
            "bbt/v1/d/d1/command/x",
            "bbt/v1/d/d1//command",
            "/bbt/v1/d/d1/command",
            "bbt/v2/d/d1/command",
            "BBT/v1/d/d1/command",
            "bbt/v1/d/d1 /command",
            "bbt/v1/d/d11/command",
            "bbt/v1/d/D1/command",
            "$SYS/#",
            "$SYS/broker/clients/total",
            "$share/console/bbt/v1/d/d1/command",
            "$share/x/#",
            "$queue/bbt/v1/d/d1/command",
            "$exclusive/bbt/v1/d/d1/command",
            "$limit/1/bbt/v1/d/d1/command",
            "$delayed/1/bbt/v1/d/d1/telemetry",
            "bbt/v1/d/d1/presence?user=1",
            "bbt/v1/d/bbt-console/command",
        ] {
            for action in [Action::Publish, Action::Subscribe] {
                assert!(!allowed(&device("d1"), action, topic), "{action:?} {topic}");
            }
        }
    }

    #[test]
    fn the_console_reaches_all_of_ours_and_nothing_else() {
        let console = Subject::Console;
        for filter in [
            "bbt/#",
            "bbt/v1/d/+/report",
            "$share/console/bbt/v1/d/+/report",
            "bbt/v1/d/d1/command",
        ] {
            assert!(allowed(&console, Action::Subscribe, filter), "{filter}");
        }
        for filter in [
            "#",
            "+/v1/d/+/report",
            "$SYS/#",
            "$share/console/#",
            "$share/console/$SYS/#",
            "$share/console",
        ] {
            assert!(!allowed(&console, Action::Subscribe, filter), "{filter}");
        }
        assert!(allowed(&console, Action::Publish, "bbt/v1/d/d1/assignment"));
        for topic in [
            "bbt/v1/d/+/assignment",
            "bbt/#",
            "$SYS/x",
            "$share/g/bbt/x",
            "other",
        ] {
            assert!(!allowed(&console, Action::Publish, topic), "{topic}");
        }
    }

    #[test]
    fn only_the_name_in_the_certificate_comes_in() {
        assert_eq!(
            admit(Some("d1"), "d1", Some("bbt/v1/d/d1/presence")),
            Ok(device("d1"))
        );
        assert_eq!(
            admit(Some(CONSOLE_NAME), CONSOLE_NAME, None),
            Ok(Subject::Console)
        );
        assert_eq!(admit(None, "d1", None), Err(Refusal::NoName));
        assert!(matches!(
            admit(Some("d1"), "d2", None),
            Err(Refusal::OtherName { .. })
        ));
        assert!(matches!(
            admit(Some("d1"), "", None),
            Err(Refusal::OtherName { .. })
        ));
        assert!(matches!(
            admit(Some("d1"), CONSOLE_NAME, None),
            Err(Refusal::OtherName { .. })
        ));
        assert!(matches!(
            admit(Some("a/b"), "a/b", None),
            Err(Refusal::NotADevice(_))
        ));
        assert!(matches!(admit(Some("#"), "#", None), Err(Refusal::NotADevice(_))));
        assert!(matches!(
            admit(Some("d1"), "d1", Some("bbt/v1/d/d2/presence")),
            Err(Refusal::Will(_))
        ));
        assert!(matches!(
            admit(Some("d1"), "d1", Some("bbt/v1/d/d1/command")),
            Err(Refusal::Will(_))
        ));
    }
}
