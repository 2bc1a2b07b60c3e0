//! The MQTT broker inside the console's process.
//!
//! Owns the port, the broker's own threads, and nothing durable: sessions and retained messages are gone after a restart,
//! because what is owed is in the console's database. The broker runs on a runtime of its own, so that stopping it ends
//! every task it ever started and a storm of devices cannot starve the HTTP side.
//!
//! Every client shows a certificate of the device CA; see [`super::policy`] for what it may then do.

use std::{
    io,
    net::SocketAddr,
    num::{NonZeroU16, NonZeroUsize},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use contract::id::DeviceId;
use rmqtt::{
    context::ServerContext,
    net::{Builder, Listener},
    server::MqttServer,
    types::Id,
};
use tokio::{runtime::Runtime, sync::mpsc, task::JoinHandle};
use tracing::{info, warn};

use super::{
    MAX_PACKET_BYTES, credentials,
    door::{Caller, Door},
    error::BrokerError,
    events::{BrokerEvent, Presence},
    hooks, parts,
};

/// How many events the console may be behind before they are counted as missed.
const EVENT_CAPACITY: usize = 8_192;
/// Tasks that get this long to end when the broker stops.
const STOP_GRACE: Duration = Duration::from_secs(2);
/// TLS handshakes and CONNECT packets under way at once.
const MAX_HANDSHAKES: usize = 500;
/// Messages sent to a device and not acknowledged by it.
pub(super) const MAX_INFLIGHT: NonZeroU16 = NonZeroU16::new(32).unwrap();
/// Messages waiting for one device; the oldest is dropped first.
pub(super) const MAX_QUEUE: usize = 200;
/// The deepest topic we have is `bbt/v1/d/<device>/<leaf>`.
const MAX_TOPIC_LEVELS: usize = 8;
const MAX_SUBSCRIPTIONS: usize = 16;
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a session, and a message queued in it, may outlive its connection.
pub(super) const SESSION_EXPIRY: Duration = Duration::from_secs(600);
const MAX_CLIENT_ID_BYTES: usize = 64;
const MAX_THREADS: usize = 4;

/// Where the embedded broker listens and by which certificates. The files are PEM and read once, at start.
#[derive(Debug, Clone)]
pub struct EmbeddedBrokerConfig {
    /// Address and port; port 0 takes a free one, see [`Running::address`].
    pub listen: SocketAddr,
    /// The server's certificate, then its chain. Its subject alternative names hold every name and address by which
    /// devices and the console reach the broker.
    pub server_cert_pem: PathBuf,
    /// The key of that certificate.
    pub server_key_pem: PathBuf,
    /// The CA that signs the certificates of devices and of the console's own link.
    pub client_ca_pem: PathBuf,
    /// Sessions at once, the console's own included; further ones are refused as "server unavailable".
    pub max_connections: usize,
    /// Devices connected from one address at once; a school behind one address may have hundreds.
    pub max_per_address: usize,
    /// Who is let in beyond what the certificate says.
    pub door: Arc<dyn Door>,
}

/// A broker that is running. Dropping it stops it at once; [`Running::stop`] waits for the end.
pub struct Running {
    address: SocketAddr,
    presence: Arc<Presence>,
    broker: ServerContext,
    server: JoinHandle<()>,
    runtime: Option<Runtime>,
}

/// Starts the broker and returns it with the channel of what it sees.
///
/// # Errors
/// [`BrokerError::PortTaken`] or [`BrokerError::Listen`] for the address, [`BrokerError::Credential`] or
/// [`BrokerError::Tls`] for the files, [`BrokerError::Start`] if no thread can be started.
pub async fn start(
    config: EmbeddedBrokerConfig,
) -> Result<(Running, mpsc::Receiver<BrokerEvent>), BrokerError> {
    credentials::certificates("MQTT server certificate", &config.server_cert_pem)?;
    credentials::key("MQTT server key", &config.server_key_pem)?;
    credentials::certificates("device CA certificate", &config.client_ca_pem)?;

    let threads = std::thread::available_parallelism()
        .map_or(1, NonZeroUsize::get)
        .min(MAX_THREADS);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name("mqtt-broker")
        .enable_all()
        .build()
        .map_err(|e| BrokerError::Start {
            reason: e.to_string(),
        })?;
    // Held from here on, so that an early return stops the runtime without blocking.
    let mut guard = RuntimeGuard(Some(runtime));

    let (events, receiver) = mpsc::channel(EVENT_CAPACITY);
    let presence = Arc::new(Presence::new(events));
    let handle = guard.handle()?;
    let build = handle.spawn(build(config, Arc::clone(&presence)));
    let (server, broker, address) = build.await.map_err(|e| BrokerError::Start {
        reason: e.to_string(),
    })??;
    let server = handle.spawn(async move {
        // Ends only with the runtime; a failing accept is logged and tried again inside.
        let _ = server.run().await;
    });
    info!(%address, "MQTT broker is listening");
    Ok((
        Running {
            address,
            presence,
            broker,
            server,
            runtime: guard.0.take(),
        },
        receiver,
    ))
}

async fn build(
    config: EmbeddedBrokerConfig,
    presence: Arc<Presence>,
) -> Result<(MqttServer, ServerContext, SocketAddr), BrokerError> {
    let listener = listen(&config)?;
    let address = listener.local_addr().map_err(|e| BrokerError::Start {
        reason: format!("{e:#}"),
    })?;
    let broker = ServerContext::new()
        .mqtt_max_sessions(isize::try_from(config.max_connections).unwrap_or(isize::MAX))
        // Refusing devices by the host's load average would make them fall away during an upload.
        .busy_check_enable(false)
        .build()
        .await;
    parts::install(&broker).await;
    hooks::install(&broker, &presence, &config.door, config.max_per_address).await;
    Ok((
        MqttServer::new(broker.clone())
            .listener_by_id(listener, address.port())
            .build(),
        broker,
        address,
    ))
}

fn listen(config: &EmbeddedBrokerConfig) -> Result<Listener, BrokerError> {
    let builder = Builder::new()
        .name("devices")
        .laddr(config.listen)
        // A restart must not wait for the old connections' TIME_WAIT; on Linux a live listener still keeps its port.
        .reuseaddr(Some(true))
        .nodelay(true)
        .max_connections(config.max_connections)
        .max_handshaking_limit(MAX_HANDSHAKES)
        .handshake_timeout(HANDSHAKE_TIMEOUT)
        .max_packet_size(MAX_PACKET_BYTES)
        .max_inflight(MAX_INFLIGHT)
        .max_mqueue_len(MAX_QUEUE)
        .max_topic_levels(MAX_TOPIC_LEVELS)
        .max_subscriptions(MAX_SUBSCRIPTIONS)
        .max_clientid_len(MAX_CLIENT_ID_BYTES)
        .allow_zero_keepalive(false)
        .session_expiry_interval(SESSION_EXPIRY)
        .max_session_expiry_interval(SESSION_EXPIRY)
        .message_expiry_interval(SESSION_EXPIRY)
        // With this on, a client without a user name would never reach our check of its certificate.
        .allow_anonymous(false)
        .collect_cert_info(true)
        .tls_cross_certificate(true)
        .tls_cert(Some(text("MQTT server certificate", &config.server_cert_pem)?))
        .tls_key(Some(text("MQTT server key", &config.server_key_pem)?))
        .tls_client_ca_certs(Some(text("device CA certificate", &config.client_ca_pem)?));
    let listener = builder
        .bind()
        .map_err(|e| unbound(config.listen, e.downcast::<io::Error>()))?;
    listener.tls().map_err(|e| BrokerError::Tls {
        reason: format!("{e:#}"),
    })
}

fn unbound(address: SocketAddr, cause: Result<io::Error, rmqtt::Error>) -> BrokerError {
    match cause {
        Ok(e) if e.kind() == io::ErrorKind::AddrInUse => BrokerError::PortTaken { address },
        Ok(source) => BrokerError::Listen { address, source },
        Err(other) => BrokerError::Listen {
            address,
            source: io::Error::other(format!("{other:#}")),
        },
    }
}

/// rmqtt takes paths as text.
fn text(what: &'static str, path: &Path) -> Result<String, BrokerError> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| BrokerError::Credential {
            what,
            path: path.to_owned(),
            reason: "the path is not UTF-8".to_owned(),
        })
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Running {
    /// The address that is really listened on, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every device connected now; the truth after [`BrokerEvent::Missed`].
    pub fn online(&self) -> Vec<Caller> {
        self.presence.online()
    }

    /// Ends a device's session, connected or waiting, with all that is queued in it; answers within 6 s.
    pub async fn kick(&self, device: &DeviceId) {
        let Some(runtime) = &self.runtime else { return };
        let (broker, name) = (self.broker.clone(), device.as_str().to_owned());
        // On the broker's own threads, where its timers are.
        let kicking = runtime.handle().spawn(async move {
            let id = Id::from(broker.node.id(), name.into());
            broker
                .extends
                .shared()
                .await
                .entry(id)
                .kick(true, true, true)
                .await
        });
        match kicking.await {
            Ok(Ok(_)) => info!(device.id = %device, "the device's MQTT session was ended"),
            Ok(Err(error)) => {
                warn!(device.id = %device, error = %error, "an MQTT session could not be ended")
            }
            Err(error) => warn!(device.id = %device, %error, "an MQTT session could not be ended"),
        }
    }

    /// Stops listening, closes every connection and waits (at most a few seconds) until the broker's threads have ended.
    ///
    /// Devices see a closed connection and come back by themselves; what they had not been told is stored they send again.
    pub async fn stop(mut self) {
        self.server.abort();
        if let Some(runtime) = self.runtime.take() {
            // A runtime may not be waited for on an async thread.
            let ended = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(STOP_GRACE)).await;
            if let Err(error) = ended {
                tracing::error!(%error, "the MQTT broker did not stop cleanly");
            }
        }
        info!(address = %self.address, "MQTT broker stopped");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

struct RuntimeGuard(Option<Runtime>);

impl RuntimeGuard {
    fn handle(&self) -> Result<tokio::runtime::Handle, BrokerError> {
        let missing = || BrokerError::Start {
            reason: "no runtime".to_owned(),
        };
        self.0
            .as_ref()
            .map(|runtime| runtime.handle().clone())
            .ok_or_else(missing)
    }
}

impl Drop for RuntimeGuard {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
