//! A server on this machine that takes every message that somebody is told through.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Takes messages until it is dropped with its runtime.
#[derive(Debug, Clone)]
pub struct Hook {
    /// Its address; what stands behind `key=` is a secret of the channel.
    pub url: String,
    told: Arc<Mutex<Vec<String>>>,
}

impl Hook {
    /// Listens on a free port of the loopback.
    ///
    /// # Errors
    /// None is free.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let hook = Self {
            url: format!("http://{}/hook?key=secret-of-the-robot", listener.local_addr()?),
            told: Arc::default(),
        };
        let told = Arc::clone(&hook.told);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(take(stream, Arc::clone(&told)));
            }
        });
        Ok(hook)
    }

    /// The bodies of all messages so far.
    pub fn told(&self) -> Vec<String> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn take(mut stream: TcpStream, told: Arc<Mutex<Vec<String>>>) {
    let mut text = Vec::new();
    let mut part = [0u8; 4096];
    loop {
        let Ok(read @ 1..) = stream.read(&mut part).await else {
            return;
        };
        text.extend_from_slice(&part[..read]);
        let all = String::from_utf8_lossy(&text);
        let Some((head, body)) = all.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse::<usize>().ok())?
        });
        if body.len() >= length.unwrap_or(0) {
            told.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(body.to_owned());
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
                .await;
            return;
        }
    }
}
