//! Screens that are not the board's own: a monitor at a serial port, a projector on the network. Each protocol says what is
//! written and what an answer means; this file has the line and the patience.

mod lg;
mod nec;
mod pjlink;

use std::{sync::Mutex, sync::PoisonError, time::Duration};

use board_configs::{Screen, ScreenProtocol};
use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::port::{Stream, serial};
use crate::io::board::{Abilities, BoardControl, BoardError, BoardLook, BoardState};

/// A monitor that takes longer does not answer.
const LIMIT: Duration = Duration::from_secs(3);
/// No answer is longer.
const MOST_BYTES: usize = 128;
const WHAT: &str = "switch its screen";

/// What a monitor may be told and how it answers.
trait Protocol {
    /// Bytes that make it bright or dark.
    fn switch(&self, on: bool) -> Vec<u8>;
    /// Bytes that ask how it is.
    fn ask(&self) -> Vec<u8>;
    /// Ends an answer.
    fn end(&self) -> u8;
    /// Whether an answer says that it was done.
    ///
    /// # Errors
    /// What the monitor says instead.
    fn done(&self, answer: &[u8]) -> Result<(), String>;
    /// Whether it is bright.
    fn is_on(&self, answer: &[u8]) -> Option<bool>;
}

/// Switches such a screen.
#[derive(Debug)]
pub struct ScreenControl {
    screen: Screen,
    /// What it last said or was told.
    on: Mutex<Option<bool>>,
    /// One conversation at a time: the line is one.
    line: tokio::sync::Mutex<()>,
}

impl ScreenControl {
    /// `None` for a board whose screen is its own, or that has none to switch.
    pub fn of(screen: &Screen) -> Option<Self> {
        match screen {
            Screen::None | Screen::Own => None,
            Screen::Rs232 { .. } | Screen::Pjlink { .. } => Some(Self {
                screen: screen.clone(),
                on: Mutex::new(None),
                line: tokio::sync::Mutex::new(()),
            }),
        }
    }

    async fn switch(&self, on: bool) -> Result<(), String> {
        let _alone = self.line.lock().await;
        match &self.screen {
            Screen::None | Screen::Own => Err("the board has no such screen".to_owned()),
            Screen::Rs232 {
                protocol,
                path,
                baud,
                set_id,
            } => {
                let mut stream = serial(path, *baud).map_err(|error| format!("{error:#}"))?;
                match protocol {
                    ScreenProtocol::Lg => tell(&lg::Lg { set_id: *set_id }, &mut stream, on).await,
                    ScreenProtocol::Nec => tell(&nec::Nec { set_id: *set_id }, &mut stream, on).await,
                }
            }
            Screen::Pjlink { address } => {
                let connecting = tokio::time::timeout(LIMIT, TcpStream::connect(address));
                let mut stream = connecting
                    .await
                    .map_err(|_| format!("{address} did not answer within {} s", LIMIT.as_secs()))?
                    .map_err(|error| format!("{address}: {error}"))?;
                let greeting = answer(&mut stream, pjlink::END).await?;
                pjlink::greeted(&greeting)?;
                tell(&pjlink::Pjlink, &mut stream, on).await
            }
        }?;
        *self.on.lock().unwrap_or_else(PoisonError::into_inner) = Some(on);
        Ok(())
    }
}

impl BoardControl for ScreenControl {
    /// What is known; a monitor is not asked each time, since its line is slow and its answer wakes some of them.
    fn look(&self) -> BoxFuture<'_, BoardLook> {
        let screen_on = *self.on.lock().unwrap_or_else(PoisonError::into_inner);
        let look = BoardLook {
            abilities: Abilities {
                screen: true,
                ..Abilities::default()
            },
            state: BoardState {
                screen_on,
                ..BoardState::default()
            },
        };
        Box::pin(async move { look })
    }

    fn power_off(&self) -> BoxFuture<'_, Result<(), BoardError>> {
        cannot("switch itself off")
    }

    fn screen(&self, on: bool) -> BoxFuture<'_, Result<(), BoardError>> {
        Box::pin(async move {
            let told = self.switch(on).await;
            told.map_err(|reason| BoardError::Failed { what: WHAT, reason })
        })
    }

    fn volume(&self, _percent: u8) -> BoxFuture<'_, Result<(), BoardError>> {
        cannot("set its volume")
    }

    fn mute(&self, _mute: bool) -> BoxFuture<'_, Result<(), BoardError>> {
        cannot("mute its loudspeaker")
    }
}

/// A screen is only switched.
fn cannot(what: &'static str) -> BoxFuture<'static, Result<(), BoardError>> {
    Box::pin(async move {
        Err(BoardError::Cannot {
            what,
            fix: "the screen of its board file can only be switched".to_owned(),
        })
    })
}

/// Tells it once, and once more where it did not understand: the first bytes after a long rest are often lost.
async fn tell(protocol: &impl Protocol, stream: &mut impl Stream, on: bool) -> Result<(), String> {
    let mut reason = String::new();
    for _ in 0..2 {
        let told = exchange(stream, &protocol.switch(on), protocol.end()).await;
        match told.and_then(|answer| protocol.done(&answer)) {
            Ok(()) => return Ok(()),
            Err(why) => reason = why,
        }
        // A screen that is that way already refuses, or is too busy warming up to answer.
        let asked = exchange(stream, &protocol.ask(), protocol.end()).await;
        if asked.is_ok_and(|answer| protocol.is_on(&answer) == Some(on)) {
            return Ok(());
        }
    }
    Err(reason)
}

async fn exchange(stream: &mut impl Stream, words: &[u8], end: u8) -> Result<Vec<u8>, String> {
    let writing = async {
        stream.write_all(words).await?;
        stream.flush().await
    };
    tokio::time::timeout(LIMIT, writing)
        .await
        .map_err(|_| "the screen's line takes no bytes".to_owned())?
        .map_err(|error| error.to_string())?;
    answer(stream, end).await
}

/// Up to and with `end`; what was left over of an earlier answer goes with it.
async fn answer(stream: &mut impl Stream, end: u8) -> Result<Vec<u8>, String> {
    let reading = async {
        let mut heard = Vec::new();
        let mut byte = [0];
        loop {
            if stream.read(&mut byte).await.map_err(|error| error.to_string())? == 0 {
                return Err("the screen closed the line".to_owned());
            }
            heard.push(byte[0]);
            if byte[0] == end {
                return Ok(heard);
            }
            if heard.len() >= MOST_BYTES {
                return Err("what the screen says has no end".to_owned());
            }
        }
    };
    tokio::time::timeout(LIMIT, reading)
        .await
        .map_err(|_| format!("the screen did not answer within {} s", LIMIT.as_secs()))?
}

/// For an error: an answer as it may be read.
fn quoted(answer: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(answer)
        .chars()
        .filter(|c| !c.is_control())
        .take(60)
        .collect();
    format!("{text:?}")
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncBufReadExt, net::TcpListener};

    use super::*;

    /// A monitor at the other end of a line: for each thing it is told, what it answers.
    async fn monitor(
        answers: Vec<&'static [u8]>,
        protocol: impl Protocol,
        on: bool,
    ) -> (Result<(), String>, Vec<Vec<u8>>) {
        let (mut ours, theirs) = tokio::io::duplex(256);
        let end = 0x0d;
        let screen = tokio::spawn(async move {
            let (read, mut write) = tokio::io::split(theirs);
            let mut read = tokio::io::BufReader::new(read);
            let mut heard = Vec::new();
            for answer in answers {
                let mut words = Vec::new();
                read.read_until(end, &mut words).await.unwrap();
                heard.push(words);
                write.write_all(answer).await.unwrap();
            }
            heard
        });
        let told = tell(&protocol, &mut ours, on).await;
        drop(ours);
        (told, screen.await.unwrap())
    }

    #[tokio::test]
    async fn lg_is_told_and_believed_when_it_says_ok() {
        let lg = lg::Lg { set_id: 10 };
        let (told, heard) = monitor(vec![b"a 0a OK01x"], lg, true).await;
        assert_eq!(told, Ok(()));
        assert_eq!(heard, [b"ka 0a 01\r".to_vec()]);
        // Refused since it is dark already.
        let lg = lg::Lg { set_id: 1 };
        let (told, heard) = monitor(vec![b"a 01 NG00x", b"a 01 OK00x"], lg, false).await;
        assert_eq!(told, Ok(()));
        assert_eq!(heard, [b"ka 01 00\r".to_vec(), b"ka 01 ff\r".to_vec()]);
        // Refused, and bright all the same; twice.
        let stubborn: Vec<&'static [u8]> = vec![b"a 01 NG00x", b"a 01 OK01x", b"a 01 NG00x", b"a 01 OK01x"];
        let (told, _) = monitor(stubborn, lg::Lg { set_id: 1 }, false).await;
        assert!(told.unwrap_err().contains("NG00"));
    }

    #[tokio::test]
    async fn nec_is_told_in_frames() {
        let on: &[u8] = b"\x010A0A0C\x02C203D60001\x03\x73\r";
        let said: &'static [u8] = b"\x0100AB0E\x0200C203D60001\x03\x76\r";
        let (told, heard) = monitor(vec![said], nec::Nec { set_id: 1 }, true).await;
        assert_eq!(told, Ok(()));
        assert_eq!(heard, [on.to_vec()]);
    }

    #[tokio::test]
    async fn a_projector_on_the_network_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let control = ScreenControl::of(&Screen::Pjlink { address }).unwrap();
        let projector = tokio::spawn(async move {
            let mut heard = Vec::new();
            for (greeting, answer) in [("PJLINK 0\r", "%1POWR=OK\r"), ("PJLINK 1 498e4a67\r", "")] {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.write_all(greeting.as_bytes()).await.unwrap();
                let mut words = String::new();
                let mut buffer = [0; 64];
                if !answer.is_empty() {
                    let n = stream.read(&mut buffer).await.unwrap();
                    words.push_str(&String::from_utf8_lossy(&buffer[..n]));
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
                heard.push(words);
            }
            heard
        });
        assert_eq!(control.look().await.state.screen_on, None, "nobody told it yet");
        control.screen(true).await.unwrap();
        let look = control.look().await;
        assert!(look.abilities.screen && !look.abilities.power_off);
        assert_eq!(look.state.screen_on, Some(true));
        let refused = control.screen(false).await.unwrap_err().to_string();
        assert!(refused.contains("password"), "{refused}");
        assert_eq!(projector.await.unwrap(), ["%1POWR 1\r", ""]);
        assert!(matches!(control.volume(3).await, Err(BoardError::Cannot { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_does_not_answer_is_given_up() {
        let (mut ours, _theirs) = tokio::io::duplex(256);
        let told = tell(&lg::Lg { set_id: 1 }, &mut ours, true).await;
        assert!(told.unwrap_err().contains("did not answer"));
        let (mut ours, mut theirs) = tokio::io::duplex(1024);
        theirs.write_all(&[b'z'; 500]).await.unwrap();
        assert!(answer(&mut ours, b'x').await.unwrap_err().contains("no end"));
    }
}
