//! The other boards of the school, over the school's own network.
//!
//! Found by multicast DNS and by the doors that the school's plan names, both of them only hints; authenticated by mutual TLS
//! under the county's authority (`tls.rs`); let in only if the plan names them (`book.rs`). One connection stands between
//! two boards: the one with the lower id calls, after a grace the other one, too. What is said over it is `contract::peer`
//! (`frames.rs`), bounded everywhere (`link.rs`); what it means is decided by `agent_core::peers`.

mod asked;
mod book;
mod budget;
mod door;
mod frames;
mod link;
mod mdns;
mod seek;
#[cfg(test)]
pub(crate) mod tests;
mod tls;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU16, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use agent_core::peers::{Distrust, Word};
use bytes::Bytes;
use contract::{hash::Hash, id::DeviceId, report::PeerDoor, school::SchoolMember};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::{probes, tls::TimeFloor};
use crate::store::ContentStore;
pub use asked::Expected;
use book::Book;
use link::Common;
pub use link::{Link, Told};
pub use tls::PeerTls;

/// Chunks in memory on their way to peers, all of them together; half a megabyte each at most.
const SERVING: usize = 12;
/// Whoever says what is no frame of ours is left alone for so long.
const NONSENSE_BAN: Duration = Duration::from_secs(600);
/// Our addresses are looked up again after this.
const ADDRESSES_FOR: Duration = Duration::from_secs(30);
/// Addresses named to the console.
const DOOR_ADDRESSES: usize = 8;

/// How this board takes part.
#[derive(Debug, Clone)]
pub struct LanOptions {
    /// Who we are.
    pub own: DeviceId,
    /// Where we serve.
    pub listen: SocketAddr,
    /// Most connections.
    pub max_peers: usize,
    /// Addresses where boards may be, for networks that neither multicast DNS nor the plan tells of.
    pub hints: Vec<SocketAddr>,
    /// Whether to announce and look for boards by multicast DNS.
    pub mdns: bool,
    /// Where it is kept who is banned.
    pub bans: Option<PathBuf>,
    /// By what bans that were kept are judged.
    pub floor: TimeFloor,
}

/// What a peer did.
#[derive(Debug)]
pub enum LanEvent {
    /// Connected, authenticated, of our school.
    Up {
        /// Who.
        peer: DeviceId,
        /// How to reach it.
        link: Link,
    },
    /// A connection ended.
    Down {
        /// Whose.
        peer: DeviceId,
        /// Which.
        number: u64,
    },
    /// It said something.
    Heard {
        /// Who.
        peer: DeviceId,
        /// Over which connection.
        number: u64,
        /// What.
        word: Word,
    },
    /// A chunk that was asked for; not verified.
    Chunk {
        /// Who.
        peer: DeviceId,
        /// Over which connection.
        number: u64,
        /// Of which file.
        file: Hash,
        /// Which chunk.
        index: u32,
        /// As it came.
        bytes: Bytes,
    },
    /// A chunk that was asked for is not as long as it should be.
    WrongLength {
        /// Who.
        peer: DeviceId,
        /// Over which connection.
        number: u64,
        /// Of which file.
        file: Hash,
        /// Which chunk.
        index: u32,
    },
    /// It sent what no board of ours sends; its connection ends by itself.
    Distrusted {
        /// Who.
        peer: DeviceId,
        /// Why.
        reason: Distrust,
    },
}

/// Our part in it; ends when it is dropped.
#[derive(Debug)]
pub struct Lan {
    book: Arc<Book>,
    common: Arc<Common>,
    listen: SocketAddr,
    addresses: Mutex<Option<(Instant, Vec<String>)>>,
    stop: CancellationToken,
}

impl Lan {
    /// Serves, announces and looks for others; lets nobody in before [`Self::members`] says whom.
    pub fn start(
        options: LanOptions,
        tls: PeerTls,
        store: ContentStore,
        events: mpsc::Sender<LanEvent>,
    ) -> Self {
        let stop = CancellationToken::new();
        let common = Arc::new(Common {
            store,
            serving: Semaphore::new(SERVING),
            served: AtomicU64::new(0),
            port: AtomicU16::new(0),
            events,
        });
        let book = Arc::new(Book::open(&options));
        let doorway = door::Doorway {
            tls,
            book: Arc::clone(&book),
            common: Arc::clone(&common),
            stop: stop.clone(),
        };
        tokio::spawn(door::serve(doorway.clone(), options.listen, options.mdns));
        tokio::spawn(seek::run(doorway));
        Self {
            book,
            common,
            listen: options.listen,
            addresses: Mutex::default(),
            stop,
        }
    }

    /// The boards of our school, ourselves among them or not; everybody else is let go.
    pub fn members(&self, members: &[SchoolMember]) {
        self.book.members(members);
    }

    /// Neither calls nor admits a board for so long.
    pub fn ban(&self, peer: &DeviceId, how_long: Duration) {
        self.book.ban(peer, how_long);
    }

    /// The same, for nonsense.
    pub fn ban_nonsense(&self, peer: &DeviceId) {
        self.ban(peer, NONSENSE_BAN);
    }

    /// Where others reach us; `None` while they do not.
    pub fn door(&self) -> Option<PeerDoor> {
        let port = self.port();
        let addresses = self.addresses();
        (port > 0).then_some(PeerDoor { addresses, port })
    }

    /// The port of it; 0 while there is none.
    pub fn port(&self) -> u16 {
        self.common.port.load(Ordering::Relaxed)
    }

    /// Our addresses on the school's network, looked up now and then.
    fn addresses(&self) -> Vec<String> {
        if !self.listen.ip().is_unspecified() {
            return vec![self.listen.ip().to_string()];
        }
        let mut known = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some((at, addresses)) if at.elapsed() < ADDRESSES_FOR => addresses.clone(),
            _ => {
                let mut found: Vec<_> = probes::addresses().iter().map(ToString::to_string).collect();
                found.truncate(DOOR_ADDRESSES);
                *known = Some((Instant::now(), found.clone()));
                found
            }
        }
    }

    /// Lets go of all boards, for good.
    pub fn close(&self) {
        self.stop.cancel();
        self.book.close_all();
    }

    /// Bytes of chunks given to others since the last call.
    pub fn take_served(&self) -> u64 {
        self.common.served.swap(0, Ordering::Relaxed)
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        self.close();
    }
}
