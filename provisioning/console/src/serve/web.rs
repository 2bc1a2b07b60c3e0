//! The web listener: TCP, TLS where it may be reached from the network, then HTTP/1.1; each wait has an end, so that a client
//! that says nothing holds up nobody.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use axum::{Extension, Router, extract::ConnectInfo};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_http::timeout::RequestBodyTimeoutLayer;

use crate::{
    audit::door::Caller,
    config::WebTls,
    device_http::limits::{Turns, network},
};

/// A client that takes longer for its handshake is dropped.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// For a request's headers, and for the next request on an open connection.
const HEADERS: Duration = Duration::from_secs(30);
/// For a client to take any byte at all of an answer.
const STALL: Duration = Duration::from_secs(30);
/// For running answers at shutdown.
const DRAIN: Duration = Duration::from_secs(4);
/// Largest request head in bytes.
const HEAD_BYTES: usize = 64 * 1024;

/// Bounds of the listener.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Connections at once; each open page holds one for its events, and a browser up to six more. More wait in the system's
    /// queue.
    pub connections: usize,
    /// Of those, from one address (IPv6: one /64); more are closed at once, so that one address cannot keep everybody out.
    pub each: u32,
    /// For a client to send any further byte of a request's body; a long upload may take as long as it moves.
    pub body: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 2_048,
            each: 256,
            body: Duration::from_secs(30),
        }
    }
}

/// Serves `router` on `listener` until `stopping`, then lets running answers finish for a few seconds.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    limits: Limits,
    stopping: CancellationToken,
) {
    let connections = Arc::new(Semaphore::new(limits.connections));
    let by_address = Turns::new(limits.each);
    let router = router.layer(RequestBodyTimeoutLayer::new(limits.body));
    let tracker = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stopping.cancelled() => break,
            accepted = accept(&listener, &connections) => accepted,
        };
        let (stream, peer, permit) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file handles and the like: the connection stays queued, so do not spin.
                tracing::warn!(error = %error, "a web connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(turn) = by_address.start(&network(peer.ip())) else {
            tracing::debug!(%peer, most = limits.each, "too many web connections from one address");
            continue;
        };
        let router = router.clone().layer(Extension(ConnectInfo(Caller(peer))));
        let (tls, stopping) = (tls.clone(), stopping.clone());
        tracker.spawn(async move {
            if let Err(error) = connection(stream, tls, router, stopping).await {
                tracing::debug!(%peer, error = format!("{error:#}"), "web connection ended");
            }
            drop((permit, turn));
        });
    }
    drop(listener);
    tracker.close();
    if timeout(DRAIN, tracker.wait()).await.is_err() {
        tracing::info!(open = tracker.len(), "web connections were cut at shutdown");
    }
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
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, permit))
}

async fn connection(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    router: Router,
    stopping: CancellationToken,
) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(STALL));
    let stream = Box::pin(stream);
    match tls {
        None => http(stream, router, stopping).await,
        Some(tls) => {
            let stream = tokio::select! {
                () = stopping.cancelled() => return Ok(()),
                stream = timeout(HANDSHAKE, tls.accept(stream)) => stream.context("the handshake took too long")??,
            };
            http(stream, router, stopping).await
        }
    }
}

async fn http<S>(stream: S, router: Router, stopping: CancellationToken) -> anyhow::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => ended?,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await?;
        }
    }
    Ok(())
}

/// Reads certificate and key.
///
/// # Errors
/// One of the files cannot be used; the message names it and its key in the configuration.
pub(super) fn acceptor(tls: &WebTls) -> anyhow::Result<TlsAcceptor> {
    Ok(TlsAcceptor::from(Arc::new(read(tls)?)))
}

fn read(tls: &WebTls) -> anyhow::Result<ServerConfig> {
    let chain = CertificateDer::pem_file_iter(&tls.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| {
            format!(
                "Failed to read the certificate {} (web_tls_cert)",
                tls.cert.display()
            )
        })?;
    let key = PrivateKeyDer::from_pem_file(&tls.key)
        .with_context(|| format!("Failed to read the key {} (web_tls_key)", tls.key.display()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .with_context(|| {
            format!(
                "{} does not fit {} (web_tls_cert, web_tls_key)",
                tls.key.display(),
                tls.cert.display()
            )
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use axum::{body::Bytes, routing};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn open(limits: Limits) -> (SocketAddr, CancellationToken) {
        let router = Router::new()
            .route("/healthz", routing::get(async || "ok"))
            .route(
                "/upload",
                routing::post(async |body: Bytes| body.len().to_string()),
            );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stopping) = (listener.local_addr().unwrap(), CancellationToken::new());
        tokio::spawn(serve(listener, None, router, limits, stopping.clone()));
        (address, stopping)
    }

    /// Bound to `from` of the loopback's addresses.
    async fn dial(from: &str, to: SocketAddr) -> TcpStream {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket
            .bind(SocketAddr::new(from.parse::<IpAddr>().unwrap(), 0))
            .unwrap();
        socket.connect(to).await.unwrap()
    }

    async fn said(stream: &mut TcpStream) -> String {
        let mut text = String::new();
        // A connection that was closed with something unread answers with a reset: nothing was said either.
        timeout(Duration::from_secs(10), stream.read_to_string(&mut text))
            .await
            .expect("the connection ends")
            .ok();
        text
    }

    const ASK: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    const SLOW: &[u8] =
        b"POST /upload HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 8\r\n\r\n";

    #[tokio::test]
    async fn one_address_cannot_keep_the_others_out() {
        let limits = Limits {
            connections: 8,
            each: 4,
            ..Limits::default()
        };
        let (address, stopping) = open(limits).await;
        let mut held = Vec::new();
        for _ in 0..12 {
            let mut slow = dial("127.0.0.1", address).await;
            slow.write_all(SLOW).await.ok();
            held.push(slow);
        }
        let mut other = dial("127.0.0.2", address).await;
        other.write_all(ASK).await.unwrap();
        let answer = said(&mut other).await;
        assert!(answer.ends_with("ok"), "{answer}");
        // What was too much was closed, not kept waiting.
        assert_eq!(said(&mut held.pop().unwrap()).await, "");
        drop(held);
        stopping.cancel();
    }

    #[tokio::test]
    async fn a_body_that_stands_still_ends_and_one_that_moves_does_not() {
        let limits = Limits {
            body: Duration::from_millis(400),
            ..Limits::default()
        };
        let (address, stopping) = open(limits).await;
        let mut still = dial("127.0.0.1", address).await;
        still.write_all(SLOW).await.unwrap();
        let answer = said(&mut still).await;
        assert!(!answer.contains("200 OK"), "{answer}");
        let mut moves = dial("127.0.0.1", address).await;
        moves.write_all(SLOW).await.unwrap();
        let begun = std::time::Instant::now();
        for _ in 0..8 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            moves.write_all(b"x").await.unwrap();
        }
        assert!(begun.elapsed() > limits.body);
        let answer = said(&mut moves).await;
        assert!(answer.ends_with("\r\n\r\n8"), "{answer}");
        stopping.cancel();
    }
}
