//! The SoC's side: asks one thing at a time, asks again, and says of each request what became of it.

use heapless::Deque;
use thiserror::Error;

use crate::frame::{Frame, Payload, Seq};
use crate::message::{Handshake, Hello, Message, Refusal, Report, Request, Response, Welcome};
use crate::units::Label;
use crate::version::{Version, VersionRange};

/// Requests that wait or whose outcome was not fetched yet, at most.
pub const MAX_WAITING: usize = 8;

const NEWS: usize = 4;
const REPORTS: usize = 8;

/// How patient the SoC is. Milliseconds, each at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Before a request or a Hello is said again; twice as long each time.
    pub again_ms: u32,
    /// The longest time between two Hellos.
    pub hello_at_most_ms: u32,
    /// From asking to giving up on an answer.
    pub answer_ms: u32,
    /// Without a word from the board before it is greeted anew. Longer than between two of its reports.
    pub silent_ms: u32,
    /// Before a board that shares no version is greeted again: it may have been updated.
    pub stranger_ms: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            again_ms: 200,
            hello_at_most_ms: 5_000,
            answer_ms: 3_000,
            silent_ms: 35_000,
            stranger_ms: 60_000,
        }
    }
}

/// Names a request until its outcome is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u32);

/// Why a request was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Ask {
    /// Fetch outcomes first.
    #[error("{MAX_WAITING} requests to the board controller wait already")]
    Full,
    /// The board controller speaks an older version.
    #[error("the board controller speaks version {version}, that request came with version {since}")]
    TooNew {
        /// Agreed upon.
        version: Version,
        /// Needed.
        since: Version,
    },
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// A board answered our Hello.
    Up(Welcome),
    /// The conversation ended; it is begun anew.
    Down(DownReason),
    /// A request has its answer.
    Answered(Ticket, Response),
    /// A request has no answer and will have none: nobody knows whether it was done.
    Lost(Ticket),
    /// The board says something.
    Report(Report),
}

/// Why a conversation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DownReason {
    /// A request was not answered.
    Unanswered,
    /// Nothing was heard for too long.
    Silent,
    /// The board does not know of the session: it was reset.
    Forgotten,
    /// The board shares no version; these are its own.
    NoCommonVersion(VersionRange),
}

/// The conversation as the SoC keeps it. Times are milliseconds of a clock that never steps back.
#[derive(Debug, Clone)]
pub struct SocSide {
    hello: Hello,
    patience: Patience,
    state: State,
    hello_seq: Seq,
    next_ticket: u32,
    waiting: Deque<Waiting, MAX_WAITING>,
    under_way: Option<UnderWay>,
    outcomes: Deque<LinkEvent, MAX_WAITING>,
    news: Deque<LinkEvent, NEWS>,
    reports: Deque<Report, REPORTS>,
    missed_reports: u32,
}

#[derive(Debug, Clone)]
enum State {
    Greeting {
        tries: u32,
        say_at: u64,
    },
    Open {
        version: Version,
        next: Seq,
        silent_at: u64,
        reports: ReportSeqs,
    },
    Strangers {
        again_at: u64,
    },
}

#[derive(Debug, Clone)]
struct Waiting {
    ticket: Ticket,
    request: Request,
    deadline: u64,
}

#[derive(Debug, Clone)]
struct UnderWay {
    waiting: Waiting,
    seq: Seq,
    tries: u32,
    say_at: u64,
}

/// Which of the last 32 reports were heard.
#[derive(Debug, Clone, Copy, Default)]
struct ReportSeqs {
    newest: Option<Seq>,
    /// Bit n: the n-th before the newest was heard.
    heard: u32,
}

impl SocSide {
    /// Greets at once. `hello_seq` should be drawn at random, so that the board tells a restarted agent from a
    /// repeated Hello.
    #[must_use]
    pub const fn new(
        software: Label,
        versions: VersionRange,
        hello_seq: Seq,
        patience: Patience,
        now_ms: u64,
    ) -> Self {
        Self {
            hello: Hello { versions, software },
            patience,
            state: State::Greeting {
                tries: 0,
                say_at: now_ms,
            },
            hello_seq,
            next_ticket: 0,
            waiting: Deque::new(),
            under_way: None,
            outcomes: Deque::new(),
            news: Deque::new(),
            reports: Deque::new(),
            missed_reports: 0,
        }
    }

    /// Asks for something; what becomes of it comes as an event with the ticket, exactly once.
    ///
    /// # Errors
    /// [`Ask`], and then no event comes.
    pub fn request(&mut self, request: Request, now_ms: u64) -> Result<Ticket, Ask> {
        if let Some(version) = self.version()
            && request.since() > version
        {
            return Err(Ask::TooNew {
                version,
                since: request.since(),
            });
        }
        let known = self.waiting.len() + self.outcomes.len() + usize::from(self.under_way.is_some());
        if known >= MAX_WAITING {
            return Err(Ask::Full);
        }
        let ticket = Ticket(self.next_ticket);
        let waiting = Waiting {
            ticket,
            request,
            deadline: later(now_ms, self.patience.answer_ms),
        };
        self.waiting.push_back(waiting).map_err(|_| Ask::Full)?;
        self.next_ticket = self.next_ticket.wrapping_add(1);
        self.begin_next(now_ms);
        Ok(ticket)
    }

    /// The version agreed upon, while the board is there.
    #[must_use]
    pub const fn version(&self) -> Option<Version> {
        match self.state {
            State::Open { version, .. } => Some(version),
            State::Greeting { .. } | State::Strangers { .. } => None,
        }
    }

    /// Reports whose numbers were passed over: the line lost them.
    #[must_use]
    pub const fn missed_reports(&self) -> u32 {
        self.missed_reports
    }

    /// Takes in a frame.
    pub fn receive(&mut self, frame: Frame, now_ms: u64) {
        match frame.payload {
            Payload::Handshake(words) if frame.seq == self.hello_seq => self.welcomed(words, now_ms),
            Payload::Session { version, message } if self.version() == Some(version) => {
                let silent = later(now_ms, self.patience.silent_ms);
                if let State::Open { silent_at, .. } = &mut self.state {
                    *silent_at = silent;
                }
                match message {
                    Message::Response(response) => self.answered(frame.seq, response, now_ms),
                    Message::Report(report) => self.reported(frame.seq, report),
                    // Our own words, echoed by the line.
                    Message::Request(_) => {}
                }
            }
            // From an earlier conversation.
            Payload::Handshake(_) | Payload::Session { .. } => {}
        }
    }

    /// The next frame to write; `None` when there is nothing to say now.
    pub fn next_frame(&mut self, now_ms: u64) -> Option<Frame> {
        match &mut self.state {
            State::Greeting { tries, say_at } if *say_at <= now_ms => {
                *tries = tries.saturating_add(1);
                let wait = doubled(self.patience.again_ms, *tries).min(self.patience.hello_at_most_ms);
                *say_at = later(now_ms, wait);
                Some(Frame {
                    seq: self.hello_seq,
                    payload: Payload::Handshake(Handshake::Hello(self.hello.clone())),
                })
            }
            State::Open { version, .. } => {
                let under_way = self.under_way.as_mut().filter(|it| it.say_at <= now_ms)?;
                under_way.tries = under_way.tries.saturating_add(1);
                under_way.say_at = later(now_ms, doubled(self.patience.again_ms, under_way.tries));
                Some(Frame {
                    seq: under_way.seq,
                    payload: Payload::Session {
                        version: *version,
                        message: Message::Request(under_way.waiting.request.clone()),
                    },
                })
            }
            State::Greeting { .. } | State::Strangers { .. } => None,
        }
    }

    /// What happened next. Fetch until there is nothing: outcomes that are not fetched count as waiting.
    pub fn next_event(&mut self) -> Option<LinkEvent> {
        self.news
            .pop_front()
            .or_else(|| self.outcomes.pop_front())
            .or_else(|| self.reports.pop_front().map(LinkEvent::Report))
    }

    /// When to call [`SocSide::handle_timeout`] and then [`SocSide::next_frame`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<u64> {
        let state = match self.state {
            State::Greeting { say_at, .. } => say_at,
            State::Open { silent_at, .. } => silent_at,
            State::Strangers { again_at } => again_at,
        };
        let under_way = self
            .under_way
            .as_ref()
            .map(|it| it.say_at.min(it.waiting.deadline));
        let waiting = self.waiting.iter().map(|it| it.deadline).min();
        [Some(state), under_way, waiting].into_iter().flatten().min()
    }

    /// Gives up what was due by `now_ms`.
    pub fn handle_timeout(&mut self, now_ms: u64) {
        if self
            .under_way
            .as_ref()
            .is_some_and(|it| it.waiting.deadline <= now_ms)
        {
            self.end(DownReason::Unanswered, now_ms);
        }
        for _ in 0..self.waiting.len() {
            if let Some(waiting) = self.waiting.pop_front() {
                if waiting.deadline <= now_ms {
                    self.outcome(LinkEvent::Lost(waiting.ticket));
                } else {
                    // It has just left.
                    let _ = self.waiting.push_back(waiting);
                }
            }
        }
        match self.state {
            State::Open { silent_at, .. } if silent_at <= now_ms => self.end(DownReason::Silent, now_ms),
            State::Strangers { again_at } if again_at <= now_ms => self.greet(now_ms),
            _ => {}
        }
    }

    fn welcomed(&mut self, words: Handshake, now_ms: u64) {
        // Said again while the conversation runs, it is a copy.
        if !matches!(self.state, State::Greeting { .. }) {
            return;
        }
        let (welcome, first) = match words {
            Handshake::WelcomeFrom { welcome, first } => (welcome, first),
            Handshake::Welcome(welcome) => (welcome, self.hello_seq.next()),
            Handshake::NoCommonVersion(theirs) => {
                self.state = State::Strangers {
                    again_at: later(now_ms, self.patience.stranger_ms),
                };
                self.tell(LinkEvent::Down(DownReason::NoCommonVersion(theirs)));
                return;
            }
            // Our own words, echoed by the line.
            Handshake::Hello(_) => return,
        };
        if !self.hello.versions.contains(welcome.version) {
            return;
        }
        self.state = State::Open {
            version: welcome.version,
            next: first,
            silent_at: later(now_ms, self.patience.silent_ms),
            reports: ReportSeqs::default(),
        };
        self.tell(LinkEvent::Up(welcome));
        self.begin_next(now_ms);
    }

    fn answered(&mut self, seq: Seq, response: Response, now_ms: u64) {
        if self.under_way.as_ref().is_none_or(|it| it.seq != seq) {
            return;
        }
        if response == Response::Refused(Refusal::NoSession) {
            self.end(DownReason::Forgotten, now_ms);
            return;
        }
        if let Some(done) = self.under_way.take() {
            self.outcome(LinkEvent::Answered(done.waiting.ticket, response));
        }
        self.begin_next(now_ms);
    }

    fn reported(&mut self, seq: Seq, report: Report) {
        let State::Open { reports, .. } = &mut self.state else {
            return;
        };
        let (fresh, missed) = reports.hear(seq);
        self.missed_reports = self.missed_reports.saturating_add(missed);
        let Some(newest) = fresh else { return };
        let state = matches!(report, Report::Board(_) | Report::Details(_));
        // A state that was overtaken by a newer one is no news.
        if state && !newest {
            return;
        }
        if let Err(report) = self.reports.push_back(report) {
            self.reports.pop_front();
            self.missed_reports = self.missed_reports.saturating_add(1);
            // There is room now: one has just gone.
            let _ = self.reports.push_back(report);
        }
    }

    fn begin_next(&mut self, now_ms: u64) {
        loop {
            let State::Open { version, next, .. } = &mut self.state else {
                return;
            };
            if self.under_way.is_some() {
                return;
            }
            let Some(waiting) = self.waiting.pop_front() else {
                return;
            };
            if waiting.request.since() > *version {
                // Asked before anybody knew how old the board's words are.
                self.outcome(LinkEvent::Answered(
                    waiting.ticket,
                    Response::Refused(Refusal::NotFitted),
                ));
                continue;
            }
            let seq = *next;
            *next = seq.next();
            self.under_way = Some(UnderWay {
                waiting,
                seq,
                tries: 0,
                say_at: now_ms,
            });
        }
    }

    fn end(&mut self, reason: DownReason, now_ms: u64) {
        if let Some(lost) = self.under_way.take() {
            self.outcome(LinkEvent::Lost(lost.waiting.ticket));
        }
        self.tell(LinkEvent::Down(reason));
        self.greet(now_ms);
    }

    fn greet(&mut self, now_ms: u64) {
        self.hello_seq = self.hello_seq.next();
        self.state = State::Greeting {
            tries: 0,
            say_at: now_ms,
        };
    }

    fn outcome(&mut self, outcome: LinkEvent) {
        // As many as there are requests: `request` counts those that were not fetched.
        let _ = self.outcomes.push_back(outcome);
    }

    fn tell(&mut self, news: LinkEvent) {
        if let Err(news) = self.news.push_back(news) {
            // Ups and downs that nobody fetched: the newest tell how it stands.
            self.news.pop_front();
            let _ = self.news.push_back(news);
        }
    }
}

impl ReportSeqs {
    /// `Some(true)` for the newest so far, `Some(false)` for one that was overtaken, `None` for a copy; and how
    /// many numbers were passed over.
    fn hear(&mut self, seq: Seq) -> (Option<bool>, u32) {
        let Some(newest) = self.newest else {
            (self.newest, self.heard) = (Some(seq), 1);
            return (Some(true), 0);
        };
        let ahead = seq.since(newest);
        if ahead == 0 {
            return (None, 0);
        }
        if ahead < 0x8000 {
            self.newest = Some(seq);
            self.heard = self.heard.checked_shl(u32::from(ahead)).unwrap_or(0) | 1;
            return (Some(true), u32::from(ahead) - 1);
        }
        let behind = u32::from(newest.since(seq));
        let Some(bit) = 1u32.checked_shl(behind) else {
            return (None, 0);
        };
        if self.heard & bit != 0 {
            return (None, 0);
        }
        self.heard |= bit;
        (Some(false), 0)
    }
}

fn later(now_ms: u64, span_ms: u32) -> u64 {
    now_ms.saturating_add(u64::from(span_ms.max(1)))
}

/// `base`, twice as long with each try after the first.
fn doubled(base: u32, tries: u32) -> u32 {
    base.saturating_mul(1u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX))
}
