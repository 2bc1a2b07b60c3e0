//! Where the board controller is: a serial port, a TCP or Unix socket of an emulator, or nowhere, and then `board-core` runs
//! inside the agent. All of them give the same stream of bytes.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use anyhow::Context;
use board_configs::{Board, Mcu};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};
use tokio_serial::{DataBits, FlowControl, Parity, SerialPortBuilderExt, StopBits};

/// Somebody who does not answer is not there.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Bits per second where only a path is given by hand.
const USUAL_BAUD: u32 = 115_200;

/// Bytes both ways.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Where the board controller is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Port {
    /// In the agent itself.
    Inside,
    /// At a serial port.
    Serial {
        /// Such as `/dev/ttyS3`.
        path: PathBuf,
        /// Bits per second.
        baud: u32,
    },
    /// At a TCP port: an emulator's.
    Tcp(String),
    /// At a Unix socket: an emulator's.
    Unix(PathBuf),
}

/// How a port is written in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("none, tcp:HOST:PORT, unix:/PATH, or a serial port, /dev/…")]
pub struct BadPort;

impl FromStr for Port {
    type Err = BadPort;

    fn from_str(text: &str) -> Result<Self, BadPort> {
        let bounded = text.len() <= 200 && !text.chars().any(char::is_control);
        if !bounded {
            return Err(BadPort);
        }
        if text == "none" {
            return Ok(Self::Inside);
        }
        if let Some(address) = text.strip_prefix("tcp:") {
            let (host, port) = address.rsplit_once(':').ok_or(BadPort)?;
            let right = !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0);
            return right.then(|| Self::Tcp(address.to_owned())).ok_or(BadPort);
        }
        if let Some(path) = text.strip_prefix("unix:").filter(|path| path.starts_with('/')) {
            return Ok(Self::Unix(path.into()));
        }
        if text.starts_with('/') {
            return Ok(Self::Serial {
                path: text.into(),
                baud: USUAL_BAUD,
            });
        }
        Err(BadPort)
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inside => write!(f, "inside the agent"),
            Self::Serial { path, baud } => write!(f, "{} at {baud} bit/s", path.display()),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Port {
    /// Where the board's file says that it is, unless the configuration says otherwise (`at`, `baud`).
    pub fn of(board: &Board, at: Option<&Self>, baud: Option<u32>) -> Self {
        let port = match (at, &board.mcu) {
            (Some(port), _) => port.clone(),
            (None, Mcu::None) => Self::Inside,
            (None, Mcu::Uart { path, baud }) => Self::Serial {
                path: path.into(),
                baud: *baud,
            },
            (None, Mcu::Tcp { address }) => Self::Tcp(address.clone()),
        };
        match (port, baud) {
            (Self::Serial { path, .. }, Some(baud)) => Self::Serial { path, baud },
            (port, _) => port,
        }
    }

    /// Opens it. [`Port::Inside`] is never opened: whoever runs the board has its other end.
    ///
    /// # Errors
    /// It is not there, another program has it, or nobody answers within 5 s.
    pub(super) async fn open(&self) -> anyhow::Result<Box<dyn Stream>> {
        match self {
            Self::Inside => anyhow::bail!("the board controller inside the agent has no port"),
            Self::Serial { path, baud } => {
                let name = path.to_str().context("the port's path is no text")?;
                Ok(Box::new(serial(name, *baud)?))
            }
            Self::Tcp(address) => {
                let stream = tokio::time::timeout(CONNECT_LIMIT, TcpStream::connect(address))
                    .await
                    .with_context(|| format!("{address} did not answer within 5 s"))?
                    .with_context(|| format!("Failed to connect to {address}"))?;
                let _ = stream.set_nodelay(true);
                Ok(Box::new(stream))
            }
            Self::Unix(path) => {
                let stream = UnixStream::connect(path)
                    .await
                    .with_context(|| format!("Failed to connect to {}", path.display()))?;
                Ok(Box::new(stream))
            }
        }
    }
}

/// A serial port for us alone, 8N1, raw: nothing is echoed, translated or swallowed.
///
/// # Errors
/// It is not there, or another program has it.
pub(super) fn serial(path: &str, baud: u32) -> anyhow::Result<tokio_serial::SerialStream> {
    let mut stream = tokio_serial::new(path, baud)
        .data_bits(DataBits::Eight)
        .parity(Parity::None)
        .stop_bits(StopBits::One)
        .flow_control(FlowControl::None)
        .open_native_async()
        .with_context(|| format!("Failed to open the serial port {path}"))?;
    // Two who read one line would each see half of it.
    stream
        .set_exclusive(true)
        .with_context(|| format!("Failed to have the serial port {path} alone"))?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[test]
    fn ports_are_read_as_they_are_written() {
        let serial = |path: &str, baud| Port::Serial {
            path: path.into(),
            baud,
        };
        for (text, port) in [
            ("none", Some(Port::Inside)),
            ("/dev/ttyUSB0", Some(serial("/dev/ttyUSB0", 115_200))),
            ("tcp:127.0.0.1:4000", Some(Port::Tcp("127.0.0.1:4000".into()))),
            ("tcp:[::1]:4000", Some(Port::Tcp("[::1]:4000".into()))),
            ("unix:/run/q", Some(Port::Unix("/run/q".into()))),
            ("tcp:4000", None),
            ("tcp::4000", None),
            ("tcp:host:0", None),
            ("unix:q", None),
            ("ttyS0", None),
            ("", None),
            ("/dev/\u{7}", None),
        ] {
            assert_eq!(text.parse().ok(), port, "{text:?}");
        }
    }

    #[test]
    fn the_configuration_overrules_the_board() {
        let emulated = Board::builtin("lm3s6965evb-rev-a").unwrap();
        let port = Port::of(&emulated, None, None);
        assert_eq!(port.to_string(), "/dev/ttyS0 at 115200 bit/s");
        assert_eq!(
            Port::of(&emulated, None, Some(9600)).to_string(),
            "/dev/ttyS0 at 9600 bit/s"
        );
        let socket = Port::Tcp("127.0.0.1:1".into());
        assert_eq!(Port::of(&emulated, Some(&socket), Some(9600)), socket);
        let alone = Board::builtin("generic-box-rev-a").unwrap();
        assert_eq!(Port::of(&alone, None, None), Port::Inside);
    }

    /// A terminal would echo, and make other bytes of some: the line must not.
    #[tokio::test]
    async fn a_serial_line_carries_every_byte_as_it_is_and_echoes_none() {
        let (mut board, end) = tokio_serial::SerialStream::pair().unwrap();
        let path = tokio_serial::SerialPort::name(&end).unwrap();
        // It was opened for us alone by the pair itself.
        drop(end);
        let port: Port = path.parse().unwrap();
        let mut agent = port.open().await.unwrap();
        let all: Vec<u8> = (0..=255).collect();
        let limit = Duration::from_secs(5);
        for _ in 0..2 {
            board.write_all(&all).await.unwrap();
            let mut heard = vec![0; all.len()];
            let reading = agent.read_exact(&mut heard);
            tokio::time::timeout(limit, reading).await.unwrap().unwrap();
            assert_eq!(heard, all);
        }
        agent.write_all(&all).await.unwrap();
        let mut heard = vec![0; all.len()];
        // Had the line echoed, the board's own bytes would come first.
        let reading = board.read_exact(&mut heard);
        tokio::time::timeout(limit, reading).await.unwrap().unwrap();
        assert_eq!(heard, all);
        let again = format!("{:#}", port.open().await.err().unwrap());
        assert!(again.contains(&path), "nobody else gets it: {again}");
    }

    #[tokio::test]
    async fn a_port_that_is_not_there_is_named() {
        let serial: Port = "/dev/not-there".parse().unwrap();
        let error = format!("{:#}", serial.open().await.err().unwrap());
        assert!(error.contains("/dev/not-there"), "{error}");
        let socket: Port = "unix:/not/there".parse().unwrap();
        let error = format!("{:#}", socket.open().await.err().unwrap());
        assert!(error.contains("/not/there"), "{error}");
    }
}
