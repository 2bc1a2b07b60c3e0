//! Accepts connections for one server: bounded in number, in the size of a request and in how long one may take.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::Request, response::Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::guard::ArrivedAt;

/// Connections at the same time, for each address.
const CONNECTIONS: usize = 128;
/// A request's head arrives within this; also how long an idle connection is kept.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// Most bytes of a request's head.
const HEAD_BYTES: usize = 16 * 1024;
/// Most headers of a request.
const HEADERS: usize = 64;
/// Answers under way may go on for so long when the agent ends.
const GRACE: Duration = Duration::from_millis(500);

/// Serves until `ending`.
pub(super) async fn serve(listener: TcpListener, router: Router, ending: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let at = listener.local_addr().ok();
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
            Ok((stream, _)) => {
                let _ = stream.set_nodelay(true);
                let Ok(local) = stream.local_addr() else { continue };
                let (router, ending) = (router.clone(), ending.clone());
                tokio::spawn(async move {
                    connection(stream, local, router, ending).await;
                    drop(place);
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

async fn connection(
    stream: tokio::net::TcpStream,
    local: SocketAddr,
    router: Router,
    ending: CancellationToken,
) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let router = router.clone();
        async move {
            let mut request: Request = request.map(Body::new);
            request.extensions_mut().insert(ArrivedAt(local.ip()));
            Ok::<Response, Infallible>(
                router
                    .oneshot(request)
                    .await
                    .unwrap_or_else(|never| match never {}),
            )
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_BYTES)
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
