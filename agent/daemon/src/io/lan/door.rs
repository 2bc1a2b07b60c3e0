//! Where other boards come in: the listener, the handshake of both directions, and admission.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use anyhow::Context;
use contract::id::DeviceId;
use rustls::pki_types::ServerName;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::Instant,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::sync::CancellationToken;

use super::{
    book::Book,
    link::{self, Common},
    mdns,
    tls::{PeerTls, peer_id},
};

/// A handshake that takes longer is none.
const HANDSHAKE: Duration = Duration::from_secs(6);
/// Calls that are not authenticated yet.
const STRANGERS: usize = 24;
/// Of these from one address.
const STRANGERS_OF_ONE: usize = 3;
/// An address that is taken is tried again after this.
const BIND_AGAIN: Duration = Duration::from_secs(2);
/// What the kernel takes for sending: more than any LAN has under way, and words do not wait behind megabytes of chunks.
const SEND_BUFFER: u32 = 256 * 1024;
/// Plain bytes that TLS may hold back.
const TLS_BUFFER: usize = 64 * 1024;
/// A connection that lasted so long was a good one.
const GOOD: Duration = Duration::from_secs(10);

/// What it takes to let somebody in.
#[derive(Debug, Clone)]
pub(super) struct Doorway {
    pub(super) tls: PeerTls,
    pub(super) book: Arc<Book>,
    pub(super) common: Arc<Common>,
    pub(super) stop: CancellationToken,
}

/// Who is at the door and not authenticated yet.
#[derive(Debug, Clone, Default)]
struct Strangers(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A place at the door, until it is dropped.
#[derive(Debug)]
struct Place(Strangers, IpAddr);

impl Strangers {
    /// `None` if all places are taken, or all of this address. This machine itself may take them all.
    fn enter(&self, from: IpAddr) -> Option<Place> {
        let from = from.to_canonical();
        let mut at_the_door = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if at_the_door.values().sum::<usize>() >= STRANGERS {
            return None;
        }
        let count = at_the_door.entry(from).or_default();
        if *count >= STRANGERS_OF_ONE && !from.is_loopback() {
            return None;
        }
        *count += 1;
        Some(Place(self.clone(), from))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut at_the_door = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = at_the_door.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                at_the_door.remove(&self.1);
            }
        }
    }
}

/// Listens until stopped; an address that cannot be had is tried again.
pub(super) async fn serve(doorway: Doorway, listen: SocketAddr, announce: bool) {
    let mut told = false;
    let listener = loop {
        match bind(listen) {
            Ok(listener) => break listener,
            Err(error) if !told => {
                told = true;
                tracing::warn!(%listen, %error, "other boards cannot reach this one; trying again (see [lan] listen)");
            }
            Err(_) => {}
        }
        tokio::select! {
            () = doorway.stop.cancelled() => return,
            () = tokio::time::sleep(BIND_AGAIN) => {}
        }
    };
    let port = listener
        .local_addr()
        .map_or(listen.port(), |address| address.port());
    doorway.common.port.store(port, Ordering::Relaxed);
    tracing::info!(port, "other boards of the school can come in");
    if announce {
        tokio::spawn(mdns::run(Arc::clone(&doorway.book), port, doorway.stop.clone()));
    }
    let strangers = Strangers::default();
    loop {
        let accepted = tokio::select! {
            () = doorway.stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, from)) = accepted else {
            // Out of descriptors, mostly.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        // Too many at the door: the caller tries again.
        let Some(place) = strangers.enter(from.ip()) else {
            continue;
        };
        let doorway = doorway.clone();
        tokio::spawn(async move {
            let server = TlsAcceptor::from(Arc::clone(&doorway.tls.server));
            let handshake = async {
                stream.set_nodelay(true)?;
                server
                    .accept_with(stream, |connection| connection.set_buffer_limit(Some(TLS_BUFFER)))
                    .await
            };
            let stream = tokio::select! {
                () = doorway.stop.cancelled() => return,
                shaken = tokio::time::timeout(HANDSHAKE, handshake) => match shaken {
                    Ok(Ok(stream)) => stream,
                    Ok(Err(error)) => return tracing::debug!(%from, %error, "no board of ours came in"),
                    Err(_) => return tracing::debug!(%from, "somebody came in and said nothing"),
                },
            };
            drop(place);
            match peer_id(stream.get_ref().1.peer_certificates()) {
                Ok(peer) => doorway.connected(stream, peer, from, false).await,
                Err(error) => tracing::debug!(%from, %error, "no board of ours came in"),
            }
        });
    }
    doorway.common.port.store(0, Ordering::Relaxed);
}

fn bind(listen: SocketAddr) -> std::io::Result<TcpListener> {
    let on = |address: SocketAddr| {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        socket.set_reuseaddr(true)?;
        socket.set_send_buffer_size(SEND_BUFFER)?;
        socket.bind(address)?;
        socket.listen(128)
    };
    on(listen).or_else(|error| {
        // A kernel without IPv6.
        let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, listen.port()));
        if listen.is_ipv6() && listen.ip().is_unspecified() {
            on(v4).map_err(|_| error)
        } else {
            Err(error)
        }
    })
}

impl Doorway {
    /// Calls a board; returns who answered, once its connection is under way.
    pub(super) async fn call(&self, address: SocketAddr) -> anyhow::Result<DeviceId> {
        let connecting = async {
            let socket = if address.is_ipv4() {
                TcpSocket::new_v4()?
            } else {
                TcpSocket::new_v6()?
            };
            socket.set_send_buffer_size(SEND_BUFFER)?;
            let stream: TcpStream = socket.connect(address).await?;
            stream.set_nodelay(true)?;
            let client = TlsConnector::from(Arc::clone(&self.tls.client));
            let name = ServerName::try_from("board.bbt.invalid").map_err(std::io::Error::other)?;
            client
                .connect_with(name, stream, |connection| {
                    connection.set_buffer_limit(Some(TLS_BUFFER))
                })
                .await
        };
        let stream = tokio::time::timeout(HANDSHAKE, connecting)
            .await
            .context("no answer")??;
        let peer = peer_id(stream.get_ref().1.peer_certificates())?;
        let (doorway, of) = (self.clone(), peer.clone());
        tokio::spawn(async move { doorway.connected(stream, of, address, true).await });
        Ok(peer)
    }

    async fn connected<S>(&self, stream: S, peer: DeviceId, at: SocketAddr, we_called: bool)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
    {
        let (number, stop) = match self.book.admit(&peer, we_called) {
            Ok(admitted) => admitted,
            Err(refused) => {
                tracing::debug!(peer = %peer, %at, reason = %refused, "a board was not let in");
                return;
            }
        };
        let began = Instant::now();
        tracing::debug!(peer = %peer, %at, we_called, "connected with a board");
        let reason = link::run(stream, peer.clone(), number, stop, Arc::clone(&self.common)).await;
        tracing::debug!(peer = %peer, %at, %reason, "no longer connected with a board");
        self.book.gone(&peer, number, began.elapsed() >= GOOD);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_does_not_take_all_places_at_the_door() {
        let strangers = Strangers::default();
        let ip = |n: u8| IpAddr::from([10, 0, 0, n]);
        let mut flood: Vec<_> = std::iter::from_fn(|| strangers.enter(ip(1))).take(100).collect();
        assert_eq!(flood.len(), STRANGERS_OF_ONE);
        let mapped = Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped();
        assert!(strangers.enter(mapped.into()).is_none(), "the same address");
        let others: Vec<_> = (2..=22).filter_map(|n| strangers.enter(ip(n))).collect();
        assert_eq!(others.len(), STRANGERS - STRANGERS_OF_ONE);
        assert!(strangers.enter(ip(99)).is_none(), "all places are taken");
        flood.pop();
        assert!(strangers.enter(ip(1)).is_some(), "a place came free");
        drop((flood, others));
        assert!(strangers.0.lock().unwrap().is_empty(), "nobody is remembered");
    }
}
