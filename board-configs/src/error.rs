//! Why a board could not be read. Each message names the file, the key, what is allowed and the fix.

use thiserror::Error;

/// Why a board could not be read.
#[derive(Debug, Error)]
pub enum BoardError {
    /// There is no such board.
    #[error("{asked_by} names board {name:?}, which does not exist; use one of: {}", known.join(", "))]
    Unknown {
        /// The name.
        name: String,
        /// Who wants it: the caller, or a file that inherits.
        asked_by: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// Not a board's name. Checked before any file is opened.
    #[error(
        "{name:?} is no board name: use <model>-rev-<revision>, at most 64 characters of a-z, 0-9 and '-', \
         such as rk3568-aio-rev-a"
    )]
    BadName {
        /// The name.
        name: String,
    },
    /// A file that is not named as a board is.
    #[error(
        "board file {file} is not named like a board: name it <model>-rev-<revision>.toml, such as rk3568-aio-rev-a.toml"
    )]
    BadFileName {
        /// The file.
        file: String,
    },
    /// A file that cannot be read.
    #[error("failed to read board file {file}: {source}; check that it exists and may be read")]
    Read {
        /// The file.
        file: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Too long for a board file.
    #[error("board file {file} has {bytes} bytes; allowed are {max}: is it a board file?")]
    TooLong {
        /// The file.
        file: String,
        /// Its length.
        bytes: u64,
        /// The longest allowed.
        max: u64,
    },
    /// Not TOML, an unknown key, or a value of the wrong kind.
    #[error("board file {file}, line {line}: {reason}; correct or remove that line")]
    Parse {
        /// The file.
        file: String,
        /// From 1.
        line: usize,
        /// What is wrong; for an unknown key, with the keys that there are.
        reason: String,
    },
    /// Boards that inherit from each other.
    #[error("boards inherit in a circle: {}; remove one `inherit`", chain.join(" → "))]
    Cycle {
        /// The names on the way, ending with the one that was there already.
        chain: Vec<String>,
    },
    /// Too many boards between a board and its root.
    #[error("boards inherit too deep: {}; allowed are {max} levels: copy the keys instead", chain.join(" → "))]
    TooDeep {
        /// The names on the way.
        chain: Vec<String>,
        /// The most allowed.
        max: usize,
    },
    /// A key that must be there.
    #[error("board file {file}: key {key} is missing; add it: {allowed}")]
    Missing {
        /// The board's own file: it may say what its ancestors do not.
        file: String,
        /// Such as `thermal.cut_at_c`.
        key: String,
        /// What may be written there.
        allowed: String,
    },
    /// A value that a board cannot have.
    #[error("board file {file}: {key} = {found} is not allowed; use {allowed}")]
    Value {
        /// The file that sets the key, which may be an ancestor's.
        file: String,
        /// Such as `thermal.cut_at_c`.
        key: String,
        /// What is written there.
        found: String,
        /// What may be.
        allowed: String,
    },
}
