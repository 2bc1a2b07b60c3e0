//! As much of MQTT 5 as a simulated device speaks.

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const MAX_PACKET: usize = 2 << 20;

/// What came in.
#[derive(Debug)]
pub(super) enum Packet {
    Connected,
    Subscribed,
    Published {
        topic: String,
        id: Option<u16>,
        payload: Vec<u8>,
    },
    Acknowledged {
        id: u16,
    },
    Pong,
    Disconnected {
        reason: u8,
    },
}

pub(super) struct Connect<'a> {
    pub(super) client: &'a str,
    pub(super) keep_alive_s: u16,
    pub(super) will_topic: &'a str,
    pub(super) will: &'a [u8],
    pub(super) properties: &'a [(&'a str, &'a str)],
}

fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend(bytes);
}

fn length(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let low = (value % 128) as u8;
        value /= 128;
        out.push(if value > 0 { low | 0x80 } else { low });
        if value == 0 {
            return;
        }
    }
}

fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![kind];
    length(&mut packet, body.len());
    packet.extend(body);
    packet
}

pub(super) fn connect(connect: &Connect<'_>) -> Vec<u8> {
    let mut properties = Vec::new();
    for (key, value) in connect.properties {
        properties.push(0x26);
        text(&mut properties, key.as_bytes());
        text(&mut properties, value.as_bytes());
    }
    let mut body = Vec::new();
    text(&mut body, b"MQTT");
    // Version 5; clean start, will of QoS 1 that is kept.
    body.extend([5, 0x02 | 0x04 | 0x08 | 0x20]);
    body.extend(connect.keep_alive_s.to_be_bytes());
    length(&mut body, properties.len());
    body.extend(properties);
    text(&mut body, connect.client.as_bytes());
    body.push(0);
    text(&mut body, connect.will_topic.as_bytes());
    text(&mut body, connect.will);
    framed(0x10, &body)
}

pub(super) fn subscribe(id: u16, filters: &[String]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    body.push(0);
    for filter in filters {
        text(&mut body, filter.as_bytes());
        body.push(1);
    }
    framed(0x82, &body)
}

pub(super) fn publish(id: u16, topic: &str, payload: &[u8], retain: bool) -> Vec<u8> {
    let mut body = Vec::with_capacity(payload.len() + topic.len() + 8);
    text(&mut body, topic.as_bytes());
    body.extend(id.to_be_bytes());
    body.push(0);
    body.extend(payload);
    framed(0x32 | u8::from(retain), &body)
}

pub(super) fn acknowledge(id: u16) -> Vec<u8> {
    framed(0x40, &id.to_be_bytes())
}

pub(super) const PING: [u8; 2] = [0xc0, 0];
pub(super) const DISCONNECT: [u8; 2] = [0xe0, 0];

pub(super) async fn send(to: &mut (impl AsyncWrite + Unpin), packet: &[u8]) -> Result<()> {
    to.write_all(packet).await.context("Failed to send")?;
    to.flush().await.context("Failed to send")
}

async fn varint(from: &mut (impl AsyncRead + Unpin)) -> Result<usize> {
    let (mut value, mut shift) = (0usize, 0);
    loop {
        let byte = from.read_u8().await?;
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
        shift += 7;
        ensure!(shift <= 21, "a length of more than four bytes");
    }
}

/// Reads one packet. Not to be cancelled half-way.
pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> Result<Packet> {
    let kind = from.read_u8().await.context("the broker hung up")?;
    let len = varint(from).await?;
    ensure!(len <= MAX_PACKET, "a packet of {len} bytes");
    let mut body = vec![0; len];
    from.read_exact(&mut body).await?;
    let mut rest = body.as_slice();
    match kind >> 4 {
        2 => {
            let [_, reason, ..] = *rest else {
                bail!("a short CONNACK")
            };
            ensure!(reason == 0, "the broker refused the session: {reason:#x}");
            Ok(Packet::Connected)
        }
        3 => {
            let topic_len = usize::from(take_u16(&mut rest)?);
            ensure!(rest.len() >= topic_len, "a short PUBLISH");
            let (topic, after) = rest.split_at(topic_len);
            rest = after;
            let id = if kind & 0x06 == 0 {
                None
            } else {
                Some(take_u16(&mut rest)?)
            };
            let properties = varint(&mut rest).await?;
            ensure!(rest.len() >= properties, "a short PUBLISH");
            Ok(Packet::Published {
                topic: String::from_utf8_lossy(topic).into_owned(),
                id,
                payload: rest.split_off(properties..).unwrap_or_default().to_vec(),
            })
        }
        4 => Ok(Packet::Acknowledged {
            id: take_u16(&mut rest)?,
        }),
        9 => Ok(Packet::Subscribed),
        13 => Ok(Packet::Pong),
        14 => Ok(Packet::Disconnected {
            reason: rest.first().copied().unwrap_or(0),
        }),
        other => bail!("a packet of kind {other}"),
    }
}

fn take_u16(from: &mut &[u8]) -> Result<u16> {
    let (taken, rest) = from.split_first_chunk::<2>().context("a short packet")?;
    *from = rest;
    Ok(u16::from_be_bytes(*taken))
}
