//! What can go wrong at the broker door. Each error names the thing, the reason and the fix.

use std::{io, net::SocketAddr, path::PathBuf, time::Duration};

/// Why the broker, or the console's link to it, could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// Another program listens on the MQTT address already.
    #[error(
        "MQTT port {} on {} is already taken by another program; stop that program \
         (often a second console or mosquitto) or set another MQTT port in the console's configuration",
        .address.port(), .address.ip()
    )]
    PortTaken {
        /// What was to be listened on.
        address: SocketAddr,
    },
    /// The MQTT address cannot be listened on for another reason, such as missing rights or an address of another host.
    #[error(
        "cannot listen for MQTT on {address}: {source}; set an address of this machine and a port above 1023"
    )]
    Listen {
        /// What was to be listened on.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// A certificate or key file is missing, unreadable or not PEM.
    #[error("cannot use the {what} in {}: {reason}; restore the file or create the console's certificates again", .path.display())]
    Credential {
        /// Which of the files, in words.
        what: &'static str,
        /// Where it was looked for.
        path: PathBuf,
        /// What was wrong with it.
        reason: String,
    },
    /// Certificates and keys were read, but TLS cannot be built from them (a key of another certificate, for example).
    #[error("the MQTT certificates do not fit together: {reason}; create the console's certificates again")]
    Tls {
        /// What the TLS library said.
        reason: String,
    },
    /// The broker's own threads could not be started.
    #[error("failed to start the MQTT broker: {reason}")]
    Start {
        /// What failed.
        reason: String,
    },
    /// The payload is above [`MAX_PAYLOAD_BYTES`](super::MAX_PAYLOAD_BYTES).
    #[error(
        "a message of {size} bytes for {topic} was not sent: the limit is {limit} bytes; send less at once"
    )]
    PayloadTooLarge {
        /// Where it was to go.
        topic: String,
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The broker could not be reached, or was too slow, for the whole time a publish may wait.
    #[error(
        "a message for {topic} was not queued within {waited:?}: {reason}; it stays owed and is sent after the link is back"
    )]
    NotQueued {
        /// Where it was to go.
        topic: String,
        /// How long was waited.
        waited: Duration,
        /// The state of the link.
        reason: String,
    },
    /// The link was stopped; the console is shutting down.
    #[error("the MQTT link is stopped")]
    Stopped,
}
