//! `bbt-console serve`: lock the folder, open the doors, start the jobs, and end all of it in order.

mod lock;
mod web;

use std::{io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use contract::enrol::BrokerAddress;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::lock::ServeLock;
use crate::{
    admission::Admission,
    app::AppState,
    broker::{Broker, BrokerError, EmbeddedBrokerConfig, Guard, LinkConfig, LinkCredentials},
    config::{Config, FILE_NAME},
    device_http::{self, DeviceHttp, Limits},
    ingest, jobs, router,
};

/// What is under way at a stop gets this long.
const GRACE: Duration = Duration::from_secs(5);
/// MQTT sessions of one console.
const MAX_MQTT_CONNECTIONS: usize = 10_000;
/// Of one address: a county's schools may all come from behind one, so this only keeps one address from taking every place.
const MAX_MQTT_PER_ADDRESS: usize = 6_000;

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// The folder is served already, a port is taken, the configuration cannot be used; each names the thing and the fix.
pub async fn serve(data: &Path) -> anyhow::Result<()> {
    let stopping = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).context("Failed to listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("Failed to listen for SIGINT")?;
    let stop = stopping.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM received, stopping"),
            _ = interrupt.recv() => tracing::info!("SIGINT received, stopping"),
        }
        stop.cancel();
    });
    let console = Console::start(data).await?;
    stopping.cancelled().await;
    console.stop().await;
    Ok(())
}

/// A console that serves.
#[derive(Debug)]
pub struct Console {
    app: AppState,
    guard: Arc<Guard>,
    tasks: TaskTracker,
    ingest: tokio::task::JoinHandle<()>,
    web: SocketAddr,
    devices: SocketAddr,
    // Dropped last: the folder is free only when all else has ended.
    _lock: ServeLock,
}

impl Console {
    /// Starts everything.
    ///
    /// # Errors
    /// See [`serve`].
    pub async fn start(data: &Path) -> anyhow::Result<Self> {
        if !data.is_dir() {
            bail!(
                "there is no data folder {}; make one with: bbt-console --data {} init",
                data.display(),
                data.display()
            );
        }
        let lock = ServeLock::take(data)?;
        let config = Config::load(data)?;
        // All ports first, so that a taken one leaves nothing half started.
        let web = listen(config.listen_web, "listen_web", "the web pages", data).await?;
        let devices = listen(config.listen_devices, "listen_devices", "devices (HTTPS)", data).await?;
        let metrics = match config.listen_metrics {
            Some(address) => Some(listen(address, "listen_metrics", "figures (Prometheus)", data).await?),
            None => None,
        };
        let app = AppState::open(config).await?;
        app.db.devices().forget_presence().await?;
        app.end_local_sessions().await?;

        let admission = Arc::new(Admission::new(app.db.clone(), app.denylist.clone()));
        let broker = start_broker(&app, Arc::clone(&admission)).await?;
        let Broker {
            publisher,
            incoming,
            events,
            guard,
        } = broker;
        let guard = Arc::new(guard);
        let link = publisher.state();
        app.link.set(link.clone()).ok();

        let tasks = TaskTracker::new();
        let stopping = app.stopping.clone();
        let ingest = tokio::spawn(ingest::run(app.clone(), incoming, publisher.clone()));
        tasks.spawn(jobs::school_plans::run(
            app.clone(),
            publisher.clone(),
            link.clone(),
            stopping.clone(),
        ));
        tasks.spawn(jobs::classroom_plans::run(
            app.clone(),
            publisher.clone(),
            link.clone(),
            stopping.clone(),
        ));
        tasks.spawn(jobs::trust::run(
            app.clone(),
            publisher.clone(),
            link.clone(),
            stopping.clone(),
        ));
        tasks.spawn(jobs::publisher::run(
            app.clone(),
            publisher,
            link,
            stopping.clone(),
        ));
        tasks.spawn(jobs::revisions::run(app.clone(), stopping.clone()));
        tasks.spawn(jobs::alerts::run(app.clone(), stopping.clone()));
        tasks.spawn(jobs::notify::run(app.clone(), stopping.clone()));
        tasks.spawn(jobs::audit::run(app.clone(), stopping.clone()));
        tasks.spawn(crate::backup::job::run(app.clone(), stopping.clone()));
        tasks.spawn(jobs::bandwidth::run(app.clone(), stopping.clone()));
        tasks.spawn(jobs::gc::run(app.clone(), stopping.clone()));
        tasks.spawn(jobs::orders::run(app.clone(), stopping.clone()));
        tasks.spawn(jobs::liveness::run(app.clone(), stopping.clone()));
        tasks.spawn(jobs::rollup::run(app.clone(), stopping.clone()));
        tasks.spawn(jobs::retention::run(app.clone(), stopping.clone()));
        if let Some(target) = app.config.syslog.clone() {
            tasks.spawn(crate::syslog::run(app.clone(), target, stopping.clone()));
        }
        if let Some(listener) = metrics {
            tasks.spawn(crate::metrics::serve(listener, app.clone(), stopping.clone()));
        }
        tasks.spawn(jobs::reports::run(app.clone(), stopping.clone()));
        tasks.spawn(crate::packs::job::run(app.clone(), stopping.clone()));
        tasks.spawn(jobs::standing::run(app.clone(), stopping.clone()));
        tasks.spawn(jobs::clock::run(app.clone(), stopping.clone()));
        tasks.spawn(jobs::root_key::run(app.clone(), stopping.clone()));
        let sessions: Arc<dyn jobs::presence::Sessions> = Arc::<Guard>::clone(&guard);
        tasks.spawn(jobs::presence::run(
            app.clone(),
            events,
            Arc::clone(&sessions),
            stopping.clone(),
        ));
        tasks.spawn(jobs::presence::guard(
            app.clone(),
            sessions,
            admission,
            stopping.clone(),
        ));

        let (web_address, devices_address) = (web.local_addr()?, devices.local_addr()?);
        serve_devices(&app, &tasks, devices);
        serve_web(&app, &tasks, web)?;
        if app.config.public_host == "localhost" && !devices_address.ip().is_loopback() {
            tracing::warn!(
                "public_host is localhost, so tickets lead devices of other machines nowhere; \
                 set public_host in {} to this machine's name or address",
                data.join(FILE_NAME).display()
            );
        }
        tracing::info!(
            web = app.config.pages_here(web_address),
            devices = format!("https://{devices_address}"),
            mqtt = guard.address().map(|a| a.to_string()),
            "console serves"
        );
        Ok(Self {
            app,
            guard,
            tasks,
            ingest,
            web: web_address,
            devices: devices_address,
            _lock: lock,
        })
    }

    /// Where the web listener is.
    pub fn web(&self) -> SocketAddr {
        self.web
    }

    /// Where the device listener is.
    pub fn devices(&self) -> SocketAddr {
        self.devices
    }

    /// The shared state.
    pub fn app(&self) -> &AppState {
        &self.app
    }

    /// Ends everything: no new requests, then what devices have sent is stored, then the database is closed.
    pub async fn stop(self) {
        self.app.stopping.cancel();
        self.tasks.close();
        let orderly = async {
            self.tasks.wait().await;
            // The presence job, which shared it, has ended.
            if let Some(guard) = Arc::into_inner(self.guard) {
                guard.stop().await;
            }
            // The link has ended, so the channel runs dry and ingest ends by itself.
            if let Err(error) = self.ingest.await {
                tracing::error!(error = %error, "ingest ended badly");
            }
        };
        if tokio::time::timeout(GRACE, orderly).await.is_err() {
            tracing::warn!(
                "not everything ended within {} s; stopping anyway",
                GRACE.as_secs()
            );
        }
        jobs::audit::finish(&self.app).await;
        self.app.db.close().await;
        tracing::info!("console stopped");
    }
}

async fn listen(address: SocketAddr, key: &str, what: &str, data: &Path) -> anyhow::Result<TcpListener> {
    let file = data.join(FILE_NAME);
    TcpListener::bind(address).await.map_err(|error| {
        let port = address.port();
        let file = file.display();
        match error.kind() {
            io::ErrorKind::AddrInUse => anyhow::anyhow!(
                "port {port} for {what} is taken by another program ({address}); stop that program or set {key} in {file}"
            ),
            io::ErrorKind::PermissionDenied => {
                anyhow::anyhow!("port {port} for {what} needs more rights; set {key} in {file} to a port above 1023")
            }
            io::ErrorKind::AddrNotAvailable => anyhow::anyhow!(
                "{} for {what} is not an address of this machine; set {key} in {file} to one that is",
                address.ip()
            ),
            _ => anyhow::Error::new(error).context(format!("Failed to listen on {address} for {what}; check {key} in {file}")),
        }
    })
}

async fn start_broker(app: &AppState, door: Arc<Admission>) -> anyhow::Result<Broker> {
    let (server_cert_pem, server_key_pem) = app.pki.server_paths();
    let (cert_pem, key_pem) = app.pki.console_paths();
    let config = EmbeddedBrokerConfig {
        listen: app.config.listen_mqtt,
        server_cert_pem,
        server_key_pem,
        client_ca_pem: app.pki.ca_path(),
        max_connections: MAX_MQTT_CONNECTIONS,
        max_per_address: MAX_MQTT_PER_ADDRESS,
        door,
    };
    let credentials = LinkCredentials {
        server_ca_pem: app.pki.ca_path(),
        cert_pem,
        key_pem,
    };
    if let Some((host, port)) = &app.config.external_broker {
        tracing::info!(host, port, "MQTT is served by an external broker");
        return Broker::external(LinkConfig::new(host, *port, credentials))
            .context("Failed to link to the external broker (external_broker)");
    }
    // The console reaches its own broker by a name that is always in the server's certificate.
    let host = if app.config.listen_mqtt.is_ipv6() {
        "::1"
    } else {
        "127.0.0.1"
    };
    Broker::embedded(config, host, credentials).await.map_err(|error| match error {
        BrokerError::PortTaken { address } => anyhow::anyhow!(
            "port {} for MQTT is taken by another program ({address}); stop that program (often mosquitto or a second \
             console) or set listen_mqtt in {}",
            address.port(),
            app.config.data.join(FILE_NAME).display()
        ),
        other => anyhow::Error::new(other).context("Failed to start MQTT (listen_mqtt)"),
    })
}

fn serve_devices(app: &AppState, tasks: &TaskTracker, listener: TcpListener) {
    let http = DeviceHttp {
        db: app.db.clone(),
        objects: app.objects.clone(),
        pki: Arc::clone(&app.pki),
        keys: Arc::clone(&app.keys),
        denylist: app.denylist.clone(),
        clock: app.clock.clone(),
        broker: BrokerAddress {
            host: app.config.public_host.clone(),
            port: app.config.public_mqtt_port,
        },
        web_url: app.config.web_url.clone(),
        language: app.config.language,
        limits: Limits::default(),
    };
    let stopping = app.stopping.clone();
    tasks.spawn(async move {
        if let Err(error) = device_http::serve(listener, http, stopping).await {
            tracing::error!(error = format!("{error:#}"), "the device listener ended");
        }
    });
}

fn serve_web(app: &AppState, tasks: &TaskTracker, listener: TcpListener) -> anyhow::Result<()> {
    let tls = app.config.web_tls.as_ref().map(web::acceptor).transpose()?;
    let router = router::router(app.clone());
    tasks.spawn(web::serve(
        listener,
        tls,
        router,
        web::Limits::default(),
        app.stopping.clone(),
    ));
    Ok(())
}
