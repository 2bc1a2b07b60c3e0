//! What a board is made of: how a copied disk is told from the board it was copied from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Name of the MQTT 5 user property of CONNECT that carries the power-up's id.
pub const CONNECT_BOOT: &str = "bbt-boot";
/// Name of the MQTT 5 user property of CONNECT that carries a [`Hardware`] as JSON.
pub const CONNECT_HARDWARE: &str = "bbt-hardware";
/// Longest of its texts, in bytes.
pub const MAX_FIELD_BYTES: usize = 128;
/// Most network addresses told.
pub const MAX_MACS: usize = 8;

/// Marks of a board that do not travel with a copy of its disk. Says nothing of any person.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hardware {
    /// The board's serial number.
    pub serial: String,
    /// The board controller's own id, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcu_id: Option<String>,
    /// Of the disk that holds the identity, e.g. the eMMC's CID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_id: Option<String>,
    /// Network addresses, sorted. They change with a dongle, so they only help a person to tell two boards apart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub macs: Vec<String>,
}

/// A mark that two boards do not share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// The serial number.
    Serial,
    /// The board controller.
    Mcu,
    /// The disk.
    Disk,
}

impl Hardware {
    /// The first mark by which `other` is surely another board; `None` if it may be the same one. A mark that one of them
    /// does not tell, or tells empty, proves nothing.
    ///
    /// What is left: a mark says nothing of where it was read. A kernel that tells a disk or a board by another of its
    /// numbers than before looks like another disk or board; the console's people decide (`accept`).
    pub fn differs(&self, other: &Self) -> Option<Mark> {
        [Mark::Serial, Mark::Mcu, Mark::Disk].into_iter().find(
            |mark| matches!((self.tells(*mark), other.tells(*mark)), (Some(ours), Some(theirs)) if ours != theirs),
        )
    }

    /// What it tells of a mark; `None` if nothing.
    pub fn tells(&self, mark: Mark) -> Option<&str> {
        match mark {
            Mark::Serial => told(&self.serial),
            Mark::Mcu => self.mcu_id.as_deref().and_then(told),
            Mark::Disk => self.disk_id.as_deref().and_then(told),
        }
    }

    /// Whether every text and list is within its bounds.
    pub fn is_bounded(&self) -> bool {
        let fits = |text: &str| text.len() <= MAX_FIELD_BYTES && !text.chars().any(char::is_control);
        fits(&self.serial)
            && [&self.mcu_id, &self.disk_id]
                .into_iter()
                .flatten()
                .all(|t| fits(t))
            && self.macs.len() <= MAX_MACS
            && self.macs.iter().all(|mac| fits(mac))
    }
}

fn told(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_board_is_told_by_what_both_tell() {
        let board = Hardware {
            serial: "S1".into(),
            mcu_id: Some("m1".into()),
            disk_id: None,
            macs: vec!["02:00:00:00:00:01".into()],
        };
        let like = |change: fn(&mut Hardware)| {
            let mut other = board.clone();
            change(&mut other);
            other
        };
        assert_eq!(
            board.differs(&like(|o| o.serial = "S2".into())),
            Some(Mark::Serial)
        );
        assert_eq!(
            board.differs(&like(|o| o.mcu_id = Some("m2".into()))),
            Some(Mark::Mcu)
        );
        assert_eq!(
            board.differs(&like(|o| o.mcu_id = None)),
            None,
            "silence proves nothing"
        );
        assert_eq!(board.differs(&like(|o| o.disk_id = Some("d".into()))), None);
        assert_eq!(
            board.differs(&like(|o| o.macs.clear())),
            None,
            "a dongle is no board"
        );
        assert!(board.is_bounded());
        assert!(!like(|o| o.serial = "x".repeat(129)).is_bounded());
        assert!(!like(|o| o.macs = vec!["\n".into()]).is_bounded());
    }

    #[test]
    fn what_is_told_empty_is_not_told() {
        let board = |serial: &str, mark: Option<&str>| Hardware {
            serial: serial.into(),
            mcu_id: mark.map(str::to_owned),
            disk_id: mark.map(str::to_owned),
            macs: vec![],
        };
        let whole = board("S1", Some("m1"));
        for (other, differs) in [
            (board("", Some("m1")), None),
            (board("  ", None), None),
            (board("S1", Some("")), None),
            (board(" S1 ", Some(" m1 ")), None),
            (board("", Some("m2")), Some(Mark::Mcu)),
            (board("S2", Some("")), Some(Mark::Serial)),
        ] {
            assert_eq!(whole.differs(&other), differs, "{other:?}");
            assert_eq!(other.differs(&whole), differs, "the other way round: {other:?}");
        }
    }
}
