//! The chain: what exactly is hashed, and how a log is checked row by row. Knows no database.
//!
//! `hash = BLAKE3(hash of the row before ‖ the row's canonical JSON)`, the hash before the first row being 32 zero bytes.
//! Canonical is: the keys of [`Row`] in the order in which they stand there, no white space, UTF-8 unescaped, `detail` byte
//! for byte as stored. `docs/src/reference/audit.md` says it for everybody else.

use contract::hash::Hash;
use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// The hash before the first row.
pub const GENESIS: [u8; 32] = [0; 32];

/// One row as it is hashed, but for `detail`, which follows byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Counts from 1 without a gap.
    pub seq: i64,
    /// When, to the millisecond.
    #[serde(serialize_with = "milliseconds")]
    pub at: Timestamp,
    /// `user`, `cli`, `device`, `system`.
    pub actor_kind: String,
    /// Its name.
    pub actor: String,
    /// Name of the action.
    pub action: String,
    /// `done`, `refused`, `failed`.
    pub outcome: String,
    /// Kind of the object.
    pub object_kind: String,
    /// Its id.
    pub object: String,
    /// Row id of the region it happened at.
    pub region: Option<i64>,
    /// Row id of the school it happened at; neither: the install.
    pub school: Option<i64>,
    /// Address of the caller.
    pub address: String,
    /// Id of the request.
    pub request_id: String,
    /// JSON object as text.
    #[serde(skip)]
    pub detail: String,
}

fn milliseconds<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&format_args!("{at:.3}"))
}

impl Row {
    /// The bytes that are hashed.
    ///
    /// # Errors
    /// None that a row can cause.
    pub fn canonical(&self) -> Result<String, serde_json::Error> {
        let mut text = serde_json::to_string(self)?;
        text.pop();
        text.push_str(",\"detail\":");
        text.push_str(&self.detail);
        text.push('}');
        Ok(text)
    }

    /// The row's hash behind `previous`.
    ///
    /// # Errors
    /// See [`Row::canonical`].
    pub fn hash(&self, previous: &[u8; 32]) -> Result<[u8; 32], serde_json::Error> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(previous).update(self.canonical()?.as_bytes());
        Ok(*hasher.finalize().as_bytes())
    }

    /// The row as a line of the export: canonical, and `previous` and `hash` behind it.
    ///
    /// # Errors
    /// See [`Row::canonical`].
    pub fn line(&self, previous: &[u8], hash: &[u8]) -> Result<String, serde_json::Error> {
        let mut text = self.canonical()?;
        text.pop();
        let (previous, hash) = (hex::encode(previous), hex::encode(hash));
        text.push_str(&format!(",\"previous\":\"{previous}\",\"hash\":\"{hash}\"}}"));
        Ok(text)
    }
}

/// Why a log is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Break {
    /// A row is not there.
    #[error("row {missing} is missing: {found} follows where it should stand; rows were removed")]
    Gap {
        /// The first one.
        missing: i64,
        /// What stands there instead.
        found: i64,
    },
    /// A row's hash is not that of its content behind the row before.
    #[error("row {0} was changed, or the row before it was exchanged: its hash does not fit its content")]
    Changed(i64),
    /// The signed head names a row that is not there.
    #[error("the log ends at row {last}, but the signed head of {at} names row {head}: the end was cut off")]
    CutOff {
        /// Last row.
        last: i64,
        /// Row of the head.
        head: i64,
        /// When the head was signed.
        at: Timestamp,
    },
    /// The signed head names another content.
    #[error("row {seq} is not the one that the signed head of {at} names: the log was written anew")]
    OtherHead {
        /// Row of the head.
        seq: i64,
        /// When the head was signed.
        at: Timestamp,
    },
}

impl Break {
    /// The row in question.
    pub const fn seq(&self) -> i64 {
        match self {
            Self::Gap { missing, .. } => *missing,
            Self::Changed(seq) | Self::OtherHead { seq, .. } => *seq,
            Self::CutOff { last, .. } => *last + 1,
        }
    }
}

/// Walks a log from its first row.
#[derive(Debug, Clone)]
pub struct Walk {
    seq: i64,
    hash: [u8; 32],
}

impl Default for Walk {
    fn default() -> Self {
        Self {
            seq: 0,
            hash: GENESIS,
        }
    }
}

impl Walk {
    /// Goes on behind a row that was found good before.
    pub const fn behind(seq: i64, hash: Hash) -> Self {
        Self { seq, hash: hash.0 }
    }

    /// Rows seen so far, which is the last one's number.
    pub const fn seq(&self) -> i64 {
        self.seq
    }

    /// Hash of the last row.
    pub fn hash(&self) -> Hash {
        Hash(self.hash)
    }

    /// Takes the next row.
    ///
    /// # Errors
    /// It is not the next row, or not as it was written.
    pub fn step(&mut self, row: &Row, hash: &[u8]) -> Result<(), Break> {
        let next = self.seq + 1;
        if row.seq != next {
            return Err(Break::Gap {
                missing: next,
                found: row.seq,
            });
        }
        let is = row.hash(&self.hash).map_err(|_| Break::Changed(next))?;
        if hash != is {
            return Err(Break::Changed(next));
        }
        (self.seq, self.hash) = (next, is);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(seq: i64) -> Row {
        Row {
            seq,
            at: Timestamp::from_millisecond(1_700_000_000_120).unwrap(),
            actor_kind: "user".into(),
            actor: "张三\"\n".into(),
            action: "tree.write".into(),
            outcome: "done".into(),
            object_kind: "school".into(),
            object: "7".into(),
            region: None,
            school: Some(7),
            address: "10.0.0.5".into(),
            request_id: "r1".into(),
            detail: "{\"a\":1}".into(),
        }
    }

    /// The format is a promise: whoever keeps an export must be able to check it for years.
    #[test]
    fn the_canonical_bytes_and_the_hash_stay_as_they_are() {
        let line = row(1).canonical().unwrap();
        assert_eq!(
            line,
            "{\"seq\":1,\"at\":\"2023-11-14T22:13:20.120Z\",\"actor_kind\":\"user\",\"actor\":\"张三\\\"\\n\",\
             \"action\":\"tree.write\",\"outcome\":\"done\",\"object_kind\":\"school\",\"object\":\"7\",\"region\":null,\
             \"school\":7,\"address\":\"10.0.0.5\",\"request_id\":\"r1\",\"detail\":{\"a\":1}}"
        );
        let hash = row(1).hash(&GENESIS).unwrap();
        let by_hand = blake3::hash(&[&GENESIS[..], line.as_bytes()].concat());
        assert_eq!(&hash, by_hand.as_bytes());
        assert_eq!(hex::encode(hash), GOLDEN);
    }
    const GOLDEN: &str = "48f9b5962edcc281573ec510da2e515943d9f7d7895b07aa5bbcd53e67de0158";

    #[test]
    fn each_kind_of_tampering_is_named() {
        let (first, second) = (row(1), row(2));
        let one = first.hash(&GENESIS).unwrap();
        let two = second.hash(&one).unwrap();
        let mut walk = Walk::default();
        walk.step(&first, &one).unwrap();
        let changed = Row {
            actor: "李四".into(),
            ..second.clone()
        };
        assert_eq!(walk.clone().step(&changed, &two), Err(Break::Changed(2)));
        let rehashed = changed.hash(&one).unwrap();
        let mut forged = walk.clone();
        forged.step(&changed, &rehashed).unwrap();
        let third = row(3).hash(&two).unwrap();
        assert_eq!(forged.step(&row(3), &third), Err(Break::Changed(3)));
        let gap = Break::Gap { missing: 2, found: 3 };
        assert_eq!(walk.step(&row(3), &third), Err(gap));
        walk.step(&second, &two).unwrap();
        assert_eq!(walk.seq(), 2);
    }
}
