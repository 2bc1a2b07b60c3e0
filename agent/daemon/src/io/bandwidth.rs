//! Measures the line to the console: several TLS connections, the first second not counted, the port's own count beside the
//! payload's.
//!
//! Downwards we count what arrived here. Upwards the console counts what arrived there: what was handed to the system may still
//! lie in a queue. Both directions begin at moments that follow from the test alone, so that boards stay in step.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use contract::{
    api::{PROBE_DOWN, PROBE_UP},
    bandwidth::{BandwidthResult, BandwidthTest, LinkKind, Measured},
};
use futures_util::{StreamExt, stream};
use rand::RngCore;
use reqwest::{Body, Client, StatusCode};
use serde::Deserialize;
use tokio::{
    net::lookup_host,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
    net::{self, Port, Target},
    whole_reason,
};

/// Not counted at the begin: connections open and TCP finds its rate.
const WARM_UP: Duration = Duration::from_secs(1);
/// Between the directions: what is still on its way arrives.
const PAUSE: Duration = Duration::from_secs(3);
/// For the console's count after the last byte.
const ANSWER: Duration = Duration::from_secs(15);
const CONNECT: Duration = Duration::from_secs(5);
const CHUNK: usize = 64 * 1024;
/// What TLS, TCP, IP and Ethernet add to a payload at most, in percent; the rest of a port's count is somebody else's.
const FRAMING_PERCENT: u64 = 6;

static NOISE: LazyLock<Bytes> = LazyLock::new(|| {
    let mut bytes = vec![0; 1024 * 1024];
    rand::rng().fill_bytes(&mut bytes);
    bytes.into()
});

/// What is to be measured, and how.
#[derive(Debug, Clone)]
pub struct Job {
    /// The order.
    pub test: BandwidthTest,
    /// It begins when the others do.
    pub in_step: bool,
    /// E.g. `https://console.example:8443`.
    pub console_url: String,
    /// With the device's certificate.
    pub tls: rustls::ClientConfig,
    /// Where `/proc` and `/sys` are.
    pub root: PathBuf,
}

/// What the console counted upwards.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Counted {
    counted_bytes: u64,
    counted_ms: u64,
}

/// Measures; dropped, it lets go of the line at once.
pub async fn run(job: Job) -> BandwidthResult {
    let begun = Instant::now();
    let mut result = agent_core::bandwidth::failed(&job.test, "");
    result.failed = None;
    result.in_step = job.in_step;
    match measure(&job, begun, &mut result).await {
        Ok(()) => {}
        Err(reason) => result.failed = Some(reason.to_owned()),
    }
    result
}

async fn measure(job: &Job, begun: Instant, result: &mut BandwidthResult) -> Result<(), &'static str> {
    let target = Target::of(&job.console_url).ok_or("no_console")?;
    let address = address_of(&target).await.ok_or("console_silent")?;
    let (rtt, local) = net::round_trip(address).await.ok_or("console_silent")?;
    result.rtt_ms = Some(rtt);
    let root = job.root.clone();
    let port = tokio::task::spawn_blocking(move || net::port_of(&root, local))
        .await
        .ok()
        .flatten();
    result.link = port.as_ref().map_or(LinkKind::None, |port| port.link);
    result.port_mbps = port.as_ref().and_then(|port| port.mbps);
    let seconds = Duration::from_secs(u64::from(job.test.seconds));
    let mut at = begun;
    if job.test.down {
        let measured = down(job, port.as_ref(), at).await?;
        result.other_bytes += other(&measured);
        result.down = Some(measured);
        at += seconds + PAUSE;
    }
    if job.test.up {
        sleep_until(at).await;
        let measured = up(job, port.as_ref(), at).await?;
        result.other_bytes += other(&measured);
        result.up = Some(measured);
    }
    Ok(())
}

async fn address_of(target: &Target) -> Option<SocketAddr> {
    lookup_host((target.host.as_str(), target.port))
        .await
        .ok()?
        .next()
}

const fn other(measured: &Measured) -> u64 {
    let own = measured.payload_bytes.saturating_mul(100 + FRAMING_PERCENT) / 100;
    measured.wire_bytes.saturating_sub(own)
}

fn client(job: &Job) -> Result<Client, &'static str> {
    Client::builder()
        .user_agent(concat!("bbt-agent/", env!("CARGO_PKG_VERSION")))
        .tls_backend_preconfigured(job.tls.clone())
        .https_only(true)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT)
        .pool_max_idle_per_host(0)
        .tcp_nodelay(true)
        .build()
        .map_err(|error| {
            tracing::warn!(error = whole_reason(&error), "the line cannot be measured");
            "no_console"
        })
}

fn refusal(status: StatusCode) -> &'static str {
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => "console_busy",
        StatusCode::FORBIDDEN => "refused",
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => "console_too_old",
        _ => "console_error",
    }
}

/// Port bytes at a moment; `down` chooses the way.
fn wire(job: &Job, port: Option<&Port>, down: bool) -> u64 {
    let both = port.and_then(|port| net::bytes(&job.root, &port.name));
    both.map_or(0, |(received, sent)| if down { received } else { sent })
}

async fn down(job: &Job, port: Option<&Port>, at: Instant) -> Result<Measured, &'static str> {
    let client = client(job)?;
    let url = format!("{}{PROBE_DOWN}?seconds={}", job.console_url, job.test.seconds + 1);
    let arrived = Arc::new(AtomicU64::new(0));
    let mut streams = JoinSet::new();
    for _ in 0..job.test.streams {
        let (request, arrived) = (client.get(&url), Arc::clone(&arrived));
        streams.spawn(async move {
            let answer = request.send().await.map_err(|_| "console_silent")?;
            if !answer.status().is_success() {
                return Err(refusal(answer.status()));
            }
            let mut bytes = answer.bytes_stream();
            while let Some(Ok(chunk)) = bytes.next().await {
                arrived.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            }
            Ok(())
        });
    }
    let (from, to) = (
        at + WARM_UP,
        at + Duration::from_secs(u64::from(job.test.seconds)),
    );
    sleep_until(from).await;
    let (first, wire_first, from) = (
        arrived.load(Ordering::Relaxed),
        wire(job, port, true),
        Instant::now(),
    );
    sleep_until(to).await;
    let (last, wire_last, to) = (
        arrived.load(Ordering::Relaxed),
        wire(job, port, true),
        Instant::now(),
    );
    let carrying = count(&mut streams)?;
    if last == first {
        return Err("console_silent");
    }
    Ok(Measured {
        payload_bytes: last - first,
        wire_bytes: wire_last.saturating_sub(wire_first),
        ms: to.duration_since(from).as_millis().try_into().unwrap_or(u64::MAX),
        streams: carrying,
    })
}

/// How many still carry something; the reason of one that was refused if none does.
fn count(streams: &mut JoinSet<Result<(), &'static str>>) -> Result<u32, &'static str> {
    let (mut ended, mut why) = (0, None);
    while let Some(done) = streams.try_join_next() {
        match done {
            Ok(Err(reason)) => why = Some(reason),
            Ok(Ok(())) => ended += 1,
            Err(_) => why = Some("console_silent"),
        }
    }
    let carrying = u32::try_from(streams.len()).unwrap_or(0) + ended;
    match why {
        Some(reason) if carrying == 0 => Err(reason),
        _ => Ok(carrying),
    }
}

async fn up(job: &Job, port: Option<&Port>, at: Instant) -> Result<Measured, &'static str> {
    let client = client(job)?;
    let url = format!("{}{PROBE_UP}?seconds={}", job.console_url, job.test.seconds);
    let until = at + Duration::from_secs(u64::from(job.test.seconds)) + ANSWER;
    let mut streams = JoinSet::new();
    for _ in 0..job.test.streams {
        let noise = stream::unfold(0_usize, move |at| async move {
            if Instant::now() >= until {
                return None;
            }
            let chunk = NOISE.slice(at..at + CHUNK);
            Some((Ok::<_, std::io::Error>(chunk), (at + CHUNK) % NOISE.len()))
        });
        let request = client.post(&url).body(Body::wrap_stream(noise));
        streams.spawn(async move {
            let answer = request.send().await.map_err(|_| "console_silent")?;
            if !answer.status().is_success() {
                return Err(refusal(answer.status()));
            }
            let body = answer.bytes().await.map_err(|_| "console_silent")?;
            serde_json::from_slice::<Counted>(&body).map_err(|_| "console_error")
        });
    }
    let (from, to) = (
        at + WARM_UP,
        at + Duration::from_secs(u64::from(job.test.seconds)),
    );
    sleep_until(from).await;
    let (wire_first, from) = (wire(job, port, false), Instant::now());
    sleep_until(to).await;
    let (wire_last, to) = (wire(job, port, false), Instant::now());
    let ms: u64 = to.duration_since(from).as_millis().try_into().unwrap_or(u64::MAX);
    let (mut payload_bytes, mut carrying, mut why) = (0_u64, 0, "console_silent");
    let all = async {
        while let Some(done) = streams.join_next().await {
            match done {
                Ok(Ok(counted)) if counted.counted_ms > 0 => {
                    // Each of the console's windows is its own by some milliseconds; rates add up.
                    payload_bytes += counted.counted_bytes.saturating_mul(ms) / counted.counted_ms;
                    carrying += 1;
                }
                Ok(Err(reason)) => why = reason,
                Ok(Ok(_)) | Err(_) => {}
            }
        }
    };
    let _ = tokio::time::timeout(ANSWER, all).await;
    if carrying == 0 || payload_bytes == 0 {
        return Err(why);
    }
    Ok(Measured {
        payload_bytes,
        wire_bytes: wire_last.saturating_sub(wire_first),
        ms,
        streams: carrying,
    })
}
