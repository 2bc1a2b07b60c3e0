//! Accepts connections for one server: bounded in number, in the size of a request and in how long one may take.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, body::Body, extract::Request, response::Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::guard::{ArrivedAt, CameFrom};

/// Connections at the same time, for each address.
const CONNECTIONS: usize = 128;
/// Of these, for one address of the LAN: a classroom's laptop needs about ten, and none may crowd out the board.
const CONNECTIONS_OF_ONE: usize = 32;
/// Somebody on the LAN who takes nothing of an answer for so long is gone. A browser that paused asks again by itself.
const TAKEN_WITHIN: Duration = Duration::from_secs(120);
/// A request's head arrives within this; also how long an idle connection is kept.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// Most bytes of a request's head.
const HEAD_BYTES: usize = 16 * 1024;
/// On the board: all cookies that a browser keeps for a site fit in, so that an exercise cannot make the player deaf. `guard`
/// counts the rest.
const HEAD_BYTES_OWN: usize = 1024 * 1024;
/// Most headers of a request.
const HEADERS: usize = 64;
/// Answers under way may go on for so long when the agent ends.
const GRACE: Duration = Duration::from_millis(500);

/// Serves until `ending`.
pub(super) async fn serve(listener: TcpListener, router: Router, ending: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let at = listener.local_addr().ok();
    let peers = Peers::default();
    loop {
        // Taken before accepting: whoever comes beyond waits in the kernel's queue, not in our memory.
        let place = tokio::select! {
            () = ending.cancelled() => break,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        let accepted = tokio::select! {
            () = ending.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let _ = stream.set_nodelay(true);
                let Ok(local) = stream.local_addr() else { continue };
                let Some(counted) = peers.count(peer.ip()) else {
                    tracing::debug!(%peer, "too many connections of one address");
                    continue;
                };
                let (router, ending) = (router.clone(), ending.clone());
                tokio::spawn(async move {
                    connection(stream, (local.ip(), peer.ip()), router, ending).await;
                    drop((place, counted));
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely: closing connections will mend it.
                tracing::warn!(%error, address = ?at, "a connection to the player was not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// How many connections each address of the LAN has.
#[derive(Clone, Default)]
struct Peers(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One of them; ends it when dropped.
struct Counted(Peers, IpAddr);

impl Peers {
    /// `None` if it has its share. The board itself is not counted.
    fn count(&self, peer: IpAddr) -> Option<Counted> {
        let peer = peer.to_canonical();
        if !peer.is_loopback() {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let open = all.entry(peer).or_default();
            if *open >= CONNECTIONS_OF_ONE {
                return None;
            }
            *open += 1;
        }
        Some(Counted(self.clone(), peer))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut all = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = all.get_mut(&self.1) {
            *open -= 1;
            if *open == 0 {
                all.remove(&self.1);
            }
        }
    }
}

async fn connection(
    stream: tokio::net::TcpStream,
    (local, peer): (IpAddr, IpAddr),
    router: Router,
    ending: CancellationToken,
) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let router = router.clone();
        async move {
            let mut request: Request = request.map(Body::new);
            request.extensions_mut().insert(ArrivedAt(local));
            request.extensions_mut().insert(CameFrom(peer));
            Ok::<Response, Infallible>(
                router
                    .oneshot(request)
                    .await
                    .unwrap_or_else(|never| match never {}),
            )
        }
    });
    let mut stream = TimeoutStream::new(stream);
    if !peer.to_canonical().is_loopback() {
        stream.set_write_timeout(Some(TAKEN_WITHIN));
    }
    let stream = Box::pin(stream);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(if peer.to_canonical().is_loopback() {
            HEAD_BYTES_OWN
        } else {
            HEAD_BYTES
        })
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // A client that goes away is nobody's error.
        _ = connection.as_mut() => {}
        () = ending.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(GRACE, connection).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_the_lan_has_its_share_and_the_board_has_no_limit() {
        let peers = Peers::default();
        let (one, other, own): (IpAddr, IpAddr, IpAddr) = (
            "192.168.1.20".parse().unwrap(),
            "192.168.1.21".parse().unwrap(),
            "127.0.0.1".parse().unwrap(),
        );
        let mut held: Vec<_> = (0..CONNECTIONS_OF_ONE)
            .map(|_| peers.count(one).unwrap())
            .collect();
        assert!(peers.count(one).is_none());
        assert!(peers.count("::ffff:192.168.1.20".parse().unwrap()).is_none());
        assert!(peers.count(other).is_some());
        let board: Vec<_> = (0..200).map(|_| peers.count(own).unwrap()).collect();
        held.pop();
        assert!(peers.count(one).is_some());
        drop((held, board));
        assert!(peers.0.lock().unwrap().is_empty());
    }
}
