//! The listener: TCP → TLS within ten seconds → HTTP/1.1, each connection with its peer, each wait with an end.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use axum::{Extension, Router};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    DeviceHttp, Peer,
    limits::{Turns, network},
    router,
};
use crate::{
    clock::HouseClock,
    pki::{denylist::Denylist, device_of, serial_of},
};

/// From the first byte to a finished handshake. Handshakes at once are not limited: one costs a fraction of a millisecond, and
/// a limit would let a few silent clients keep everybody waiting.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// For a request's headers, and for the next request on an open connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// For a client to take any byte at all of an answer.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// For running answers at shutdown.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest request head in bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Serves devices on `listener` until `shutdown`, then lets running answers finish for up to five seconds.
///
/// # Errors
/// The certificates cannot be used. A failing connection is only logged.
pub async fn serve(
    listener: TcpListener,
    http: DeviceHttp,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let config = http
        .pki
        .device_server_config()
        .context("Failed to prepare TLS for devices")?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let connections = Arc::new(Semaphore::new(http.limits.connections));
    let each = http.limits.connections_each;
    let by_address = Turns::new(each);
    let tracker = TaskTracker::new();
    let (clock, denylist) = (http.clock.clone(), http.denylist.clone());
    let router = router(http);
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &connections) => accepted,
        };
        let (stream, address, permit) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file handles and the like: the connection stays queued, so do not spin.
                tracing::warn!(%error, "failed to accept a device's connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(turn) = by_address.start(&network(address.ip())) else {
            tracing::debug!(peer = %address, most = each, "too many device connections from one address");
            continue;
        };
        let connection = Connection {
            acceptor: acceptor.clone(),
            router: router.clone(),
            clock: clock.clone(),
            denylist: denylist.clone(),
            shutdown: shutdown.clone(),
        };
        tracker.spawn(async move {
            if let Err(error) = connection.run(stream, address).await {
                tracing::debug!(peer = %address, error = format!("{error:#}"), "device connection ended");
            }
            drop((permit, turn));
        });
    }
    drop(listener);
    tracker.close();
    if timeout(DRAIN_TIMEOUT, tracker.wait()).await.is_err() {
        tracing::info!(open = tracker.len(), "device connections were cut at shutdown");
    }
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = connections
        .clone()
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, address) = listener.accept().await?;
    Ok((stream, address, permit))
}

struct Connection {
    acceptor: TlsAcceptor,
    router: Router,
    clock: HouseClock,
    denylist: Denylist,
    shutdown: CancellationToken,
}

impl Connection {
    async fn run(self, stream: TcpStream, address: SocketAddr) -> anyhow::Result<()> {
        stream.set_nodelay(true)?;
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(STALL_TIMEOUT));
        let tls = tokio::select! {
            () = self.shutdown.cancelled() => return Ok(()),
            tls = timeout(HANDSHAKE_TIMEOUT, self.acceptor.accept(Box::pin(stream))) => {
                tls.context("TLS handshake took too long")??
            }
        };
        let certificate = tls
            .get_ref()
            .1
            .peer_certificates()
            .and_then(|chain| chain.first());
        let (serial, not_after) = certificate.and_then(serial_of).unzip();
        let peer = Peer {
            address,
            device: certificate.and_then(device_of),
            serial,
            not_after,
            expired: not_after.is_some_and(|last| last < self.clock.now()),
        };
        let cut = self.cut(&peer);
        let service = TowerToHyperService::new(self.router.layer(Extension(peer)));
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(tls), service);
        tokio::pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => ended?,
            () = cut => tracing::info!(peer = %address, "the connection of a device that is kept out from now on was cut"),
            () = self.shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await?;
            }
        }
        Ok(())
    }

    /// Done when the device at the other end comes to be kept out, whatever answer is under way. One that was out before it
    /// came may stay for the little that it may ask.
    fn cut(&self, peer: &Peer) -> impl Future<Output = ()> + use<> {
        let (device, serial) = (peer.device.clone(), peer.serial.clone());
        let denylist = self.denylist.clone();
        let mut generation = denylist.generation();
        let admitted = move || {
            device
                .as_ref()
                .is_some_and(|device| denylist.admit(device, serial.as_deref()).is_ok())
        };
        async move {
            if !admitted() {
                return std::future::pending().await;
            }
            while generation.changed().await.is_ok() {
                if !admitted() {
                    return;
                }
            }
            std::future::pending().await
        }
    }
}
