//! The board's side: what is owed to the SoC, one answer for each request, however often it is heard.

use heapless::Deque;

use crate::frame::{Frame, Payload, Seq};
use crate::message::{Handshake, Hello, Message, Report, Request, Response, Welcome};
use crate::units::Label;
use crate::version::{Version, VersionRange, negotiate};

/// Requests that may be lost in a row before a new session is needed. From version 2 on.
pub const NUMBERS_AHEAD: u16 = 64;

/// The first version whose Welcome names the number of the first request.
const NUMBERED: Version = 2;

/// Who the board says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its name in `board-configs`.
    pub board: Label,
    /// The version of the program that speaks for it.
    pub firmware: Label,
}

/// One conversation after the other, each from a Hello to the next or to the end of the SoC's power.
#[derive(Debug, Clone)]
pub struct BoardSide {
    identity: Identity,
    open: Option<Open>,
    /// Where the numbers of the next session start: no number heard so far is near.
    next_first: Seq,
    report_seq: Seq,
    /// Answers on their way. When the shell does not fetch them the oldest goes: its asker asks again.
    answers: Deque<Frame, 4>,
}

#[derive(Debug, Clone)]
struct Open {
    version: Version,
    /// The Hello that opened it: heard again it is a copy, not a newcomer.
    hello: (Seq, Hello),
    first: Seq,
    /// The last request's number, or the one before the first.
    newest: Seq,
    last: Option<Exchange>,
}

#[derive(Debug, Clone)]
struct Exchange {
    request: Request,
    /// `None` until a part has answered.
    response: Option<Response>,
}

/// What a frame asks of the board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Nothing, or nothing more: it is answered.
    Nothing,
    /// A Hello: what an earlier agent waited for is void.
    NewSession,
    /// A request that was not heard before: do it, and give [`BoardSide::answer`] what came of it.
    Request(Seq, Request),
}

impl BoardSide {
    /// Nobody has spoken yet. `first` is where the first session's numbers start; a board that was reset should
    /// take one that its earlier life has not used, such as its number of starts times 1024.
    #[must_use]
    pub const fn new(identity: Identity, first: Seq) -> Self {
        Self {
            identity,
            open: None,
            next_first: first,
            report_seq: Seq(0),
            answers: Deque::new(),
        }
    }

    /// Takes in a frame.
    pub fn hear(&mut self, frame: Frame) -> Heard {
        match frame.payload {
            Payload::Handshake(Handshake::Hello(hello)) => self.greet(frame.seq, hello),
            Payload::Session {
                version,
                message: Message::Request(request),
            } => self.request(frame.seq, version, request),
            // Only a board says these.
            Payload::Handshake(_) | Payload::Session { .. } => Heard::Nothing,
        }
    }

    /// Answers the request that was given out with this number. Dropped when nobody waits for it any more.
    pub fn answer(&mut self, seq: Seq, response: Response) {
        let Some(open) = &mut self.open else { return };
        if open.newest != seq {
            // Version 1 has sessions whose asker went on without this answer, and may still want it.
            if open.version < NUMBERED {
                let version = open.version;
                self.push(seq, version, Message::Response(response));
            }
            return;
        }
        let Some(last) = open.last.as_mut().filter(|last| last.response.is_none()) else {
            return;
        };
        last.response = Some(response.clone());
        let version = open.version;
        self.push(seq, version, Message::Response(response));
    }

    /// A report to send now, or `None` when nobody listens, or nobody who knows the word.
    pub fn report(&mut self, report: Report) -> Option<Frame> {
        let version = self.version().filter(|version| *version >= report.since())?;
        let seq = self.report_seq;
        self.report_seq = seq.next();
        Some(Frame {
            seq,
            payload: Payload::Session {
                version,
                message: Message::Report(report),
            },
        })
    }

    /// The next answer to send.
    pub fn next_answer(&mut self) -> Option<Frame> {
        self.answers.pop_front()
    }

    /// The version agreed upon, while somebody listens.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        self.open.as_ref().map(|open| open.version)
    }

    /// The SoC lost power or was reset.
    pub fn close(&mut self) {
        if let Some(open) = self.open.take() {
            self.next_first = open.newest.plus(NUMBERS_AHEAD + 1);
        }
        self.answers.clear();
    }

    fn greet(&mut self, seq: Seq, hello: Hello) -> Heard {
        if let Some(open) = &self.open
            && open.version >= NUMBERED
            && open.hello == (seq, hello.clone())
        {
            let (version, first) = (open.version, open.first);
            self.welcome(seq, version, first);
            return Heard::Nothing;
        }
        self.close();
        match negotiate(VersionRange::OURS, hello.versions) {
            Some(version) => {
                let first = self.next_first;
                self.open = Some(Open {
                    version,
                    hello: (seq, hello),
                    first,
                    newest: Seq(first.0.wrapping_sub(1)),
                    last: None,
                });
                self.welcome(seq, version, first);
            }
            None => self.queue(Frame {
                seq,
                payload: Payload::Handshake(Handshake::NoCommonVersion(VersionRange::OURS)),
            }),
        }
        Heard::NewSession
    }

    fn welcome(&mut self, seq: Seq, version: Version, first: Seq) {
        let welcome = Welcome {
            version,
            versions: VersionRange::OURS,
            board: self.identity.board.clone(),
            firmware: self.identity.firmware.clone(),
        };
        let words = if version >= NUMBERED {
            Handshake::WelcomeFrom { welcome, first }
        } else {
            Handshake::Welcome(welcome)
        };
        self.queue(Frame {
            seq,
            payload: Payload::Handshake(words),
        });
    }

    fn request(&mut self, seq: Seq, version: Version, request: Request) -> Heard {
        let Some(open) = self.open.as_mut().filter(|open| open.version == version) else {
            return self.stranger(seq, version);
        };
        let again = match &open.last {
            Some(last) => open.newest == seq && (version >= NUMBERED || last.request == request),
            None => false,
        };
        if again {
            let response = open.last.as_ref().and_then(|last| last.response.clone());
            if let Some(response) = response {
                self.push(seq, version, Message::Response(response));
            }
            return Heard::Nothing;
        }
        if version >= NUMBERED && !(1..=NUMBERS_AHEAD).contains(&seq.since(open.newest)) {
            return self.stranger(seq, version);
        }
        open.newest = seq;
        open.last = Some(Exchange {
            request: request.clone(),
            response: None,
        });
        Heard::Request(seq, request)
    }

    fn stranger(&mut self, seq: Seq, version: Version) -> Heard {
        let refused = Response::Refused(crate::message::Refusal::NoSession);
        self.push(seq, version, Message::Response(refused));
        Heard::Nothing
    }

    fn push(&mut self, seq: Seq, version: Version, message: Message) {
        self.queue(Frame {
            seq,
            payload: Payload::Session { version, message },
        });
    }

    fn queue(&mut self, frame: Frame) {
        if let Err(frame) = self.answers.push_back(frame) {
            self.answers.pop_front();
            // There is room now: one has just gone.
            let _ = self.answers.push_back(frame);
        }
    }
}
