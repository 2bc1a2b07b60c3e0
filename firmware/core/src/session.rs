//! Decides what is owed to the SoC's side of the link: one answer for each request, however often it is heard.

use board_link::{
    Frame, Handshake, Hello, Label, Message, Payload, Request, Response, Seq, Version, VersionRange, Welcome,
    negotiate,
};
use heapless::Deque;

/// Who the board says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its name in `board-configs`.
    pub board: Label,
    /// The version of the program that runs this core.
    pub firmware: Label,
}

/// One conversation, from a Hello to the next or to the end of the SoC's power.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    identity: Identity,
    agreed: Option<Version>,
    last: Option<Exchange>,
    report_seq: Seq,
    /// Answers on their way. When the shell does not fetch them the oldest goes: its asker asks again.
    answers: Deque<Frame, 4>,
}

#[derive(Debug, Clone)]
struct Exchange {
    seq: Seq,
    request: Request,
    /// `None` until a part has answered.
    response: Option<Response>,
}

/// What a frame asks of the board.
pub(crate) enum Heard {
    /// Nothing, or nothing more: it is answered.
    Nothing,
    /// A Hello: what an earlier agent waited for is void.
    NewSession,
    /// A request that was not heard before.
    Request(Request),
    /// A request without a session: refuse it in this version.
    NoSession(Version),
}

impl Session {
    pub(crate) const fn new(identity: Identity) -> Self {
        Self {
            identity,
            agreed: None,
            last: None,
            report_seq: Seq(0),
            answers: Deque::new(),
        }
    }

    pub(crate) fn hear(&mut self, frame: Frame) -> Heard {
        match frame.payload {
            Payload::Handshake(Handshake::Hello(hello)) => {
                self.greet(frame.seq, &hello);
                Heard::NewSession
            }
            Payload::Session {
                version,
                message: Message::Request(request),
            } => {
                if self.agreed != Some(version) {
                    return Heard::NoSession(version);
                }
                if let Some(last) = &self.last
                    && last.seq == frame.seq
                    && last.request == request
                {
                    if let Some(response) = last.response.clone() {
                        self.queue(frame.seq, version, Message::Response(response));
                    }
                    return Heard::Nothing;
                }
                self.last = Some(Exchange {
                    seq: frame.seq,
                    request,
                    response: None,
                });
                Heard::Request(request)
            }
            // Only a board says these.
            Payload::Handshake(Handshake::Welcome(_) | Handshake::NoCommonVersion(_))
            | Payload::Session {
                message: Message::Response(_) | Message::Report(_),
                ..
            } => Heard::Nothing,
        }
    }

    /// Answers a request of this session.
    pub(crate) fn answer(&mut self, seq: Seq, response: Response) {
        let Some(version) = self.agreed else { return };
        if let Some(last) = self.last.as_mut().filter(|last| last.seq == seq) {
            last.response = Some(response.clone());
        }
        self.queue(seq, version, Message::Response(response));
    }

    /// Answers a request that belongs to no session.
    pub(crate) fn answer_stranger(&mut self, seq: Seq, version: Version, response: Response) {
        self.queue(seq, version, Message::Response(response));
    }

    /// A report to send now, or `None` when nobody listens.
    pub(crate) fn report(&mut self, report: board_link::Report) -> Option<Frame> {
        let version = self.agreed?;
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

    pub(crate) fn next_answer(&mut self) -> Option<Frame> {
        self.answers.pop_front()
    }

    pub(crate) const fn is_open(&self) -> bool {
        self.agreed.is_some()
    }

    /// The SoC lost power or was reset.
    pub(crate) fn close(&mut self) {
        self.agreed = None;
        self.last = None;
        self.answers.clear();
    }

    fn greet(&mut self, seq: Seq, hello: &Hello) {
        self.close();
        self.agreed = negotiate(VersionRange::OURS, hello.versions);
        let reply = match self.agreed {
            Some(version) => Handshake::Welcome(Welcome {
                version,
                versions: VersionRange::OURS,
                board: self.identity.board.clone(),
                firmware: self.identity.firmware.clone(),
            }),
            None => Handshake::NoCommonVersion(VersionRange::OURS),
        };
        self.push(Frame {
            seq,
            payload: Payload::Handshake(reply),
        });
    }

    fn queue(&mut self, seq: Seq, version: Version, message: Message) {
        self.push(Frame {
            seq,
            payload: Payload::Session { version, message },
        });
    }

    fn push(&mut self, frame: Frame) {
        if let Err(frame) = self.answers.push_back(frame) {
            self.answers.pop_front();
            // There is room now: one has just gone.
            let _ = self.answers.push_back(frame);
        }
    }
}
