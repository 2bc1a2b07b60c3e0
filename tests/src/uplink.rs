//! A school's line to the console, as a TCP relay that can be cut, silenced, restored, slowed and counted.
//!
//! TLS runs end to end through it; the relay sees bytes only.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep_until},
};

/// A line with one relayed port for each service behind it.
pub struct Uplink {
    state: watch::Sender<Line>,
    counters: Arc<Counters>,
    tasks: Vec<JoinHandle<()>>,
}

/// How a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Up,
    /// Connections stand, are even accepted, and nothing moves.
    Silent,
    Cut,
}

/// Payload bytes that crossed the line.
#[derive(Debug, Default)]
pub struct Counters {
    /// From the console to the school.
    pub down_bytes: AtomicU64,
    /// From the school to the console.
    pub up_bytes: AtomicU64,
    /// Connections accepted.
    pub connections: AtomicU64,
}

impl Uplink {
    /// A line that is up and carries nothing yet.
    pub fn new() -> Self {
        Self {
            state: watch::channel(Line::Up).0,
            counters: Arc::default(),
            tasks: Vec::new(),
        }
    }

    /// Opens a port of 127.0.0.1 (0: any) that leads to `target`. `limit_bytes_per_s` bounds the way down.
    ///
    /// # Errors
    /// The port cannot be opened.
    pub async fn relay(
        &mut self,
        port: u16,
        target: SocketAddr,
        limit_bytes_per_s: Option<u64>,
    ) -> Result<u16> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .with_context(|| {
                format!("Failed to open port {port} for the school's line; stop what holds it")
            })?;
        let port = listener.local_addr()?.port();
        let (state, counters) = (self.state.subscribe(), Arc::clone(&self.counters));
        self.tasks.push(tokio::spawn(async move {
            loop {
                let Ok((near, _)) = listener.accept().await else {
                    return;
                };
                if *state.borrow() == Line::Cut {
                    continue; // dropped: refused as on a dead line
                }
                counters.connections.fetch_add(1, Ordering::Relaxed);
                let (state, counters) = (state.clone(), Arc::clone(&counters));
                tokio::spawn(async move { carry(near, target, limit_bytes_per_s, state, &counters).await });
            }
        }));
        Ok(port)
    }

    /// Cuts the line: every connection breaks, new ones are refused.
    pub fn cut(&self) {
        self.state.send_replace(Line::Cut);
    }

    /// Silences the line: connections stand and nothing moves, as behind a dead radio link.
    pub fn silence(&self) {
        self.state.send_replace(Line::Silent);
    }

    /// Restores the line.
    pub fn restore(&self) {
        self.state.send_replace(Line::Up);
    }

    /// Whether the line is up.
    pub fn is_up(&self) -> bool {
        *self.state.borrow() == Line::Up
    }

    /// What crossed it so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}

impl Default for Uplink {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Uplink {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn carry(
    near: TcpStream,
    target: SocketAddr,
    limit: Option<u64>,
    mut state: watch::Receiver<Line>,
    counters: &Counters,
) {
    let Ok(far) = TcpStream::connect(target).await else {
        return;
    };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    tokio::select! {
        () = pump(near_read, far_write, None, state.clone(), &counters.up_bytes) => {}
        () = pump(far_read, near_write, limit, state.clone(), &counters.down_bytes) => {}
        _ = state.wait_for(|line| *line == Line::Cut) => {}
    }
}

async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    limit: Option<u64>,
    mut state: watch::Receiver<Line>,
    count: &AtomicU64,
) {
    let mut buffer = vec![0; if limit.is_some() { 8 * 1024 } else { 64 * 1024 }];
    let mut due = Instant::now();
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if state.wait_for(|line| *line != Line::Silent).await.is_err() {
            return;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
        count.fetch_add(read as u64, Ordering::Relaxed);
        if let Some(limit) = limit {
            let cost = Duration::from_secs_f64(read as f64 / limit as f64);
            due = due.max(Instant::now() - Duration::from_millis(50)) + cost;
            sleep_until(due).await;
        }
    }
}
