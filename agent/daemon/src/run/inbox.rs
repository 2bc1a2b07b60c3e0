//! What the doors and our own tasks have to say to the loop.

use agent_core::{
    Millis,
    exam::Found,
    identity::renewal,
    lessons::{FileRoom, Inventory, Version},
};
use contract::{
    bandwidth::BandwidthResult, id::CommandId, report::DiskReport, signed::Signed, standing::StandingOrder,
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    io::{
        board::BoardLook,
        console::{Answer as Told, Refusal},
        fetch::FetchEvent,
        mqtt::MqttEvent,
        net::Seen,
        pack::Word,
        time::TimeAnswer,
    },
    keeper::Answer,
    notebook::{PinDenied, Word as PageWord},
    shelf::{ExamView, LessonCard},
    store::ContentStore,
};

/// Where doors put their events.
#[derive(Debug, Clone)]
pub(super) struct Inbox {
    pub(super) mqtt: mpsc::Sender<MqttEvent>,
    pub(super) fetch: mpsc::Sender<FetchEvent>,
    pub(super) keeper: mpsc::Sender<Answer>,
    pub(super) inside: mpsc::Sender<Inside>,
}

/// What tasks of our own have to say.
#[derive(Debug)]
pub(super) enum Inside {
    StoreOpened(ContentStore),
    StoreChanged,
    Surveyed {
        inventory: Inventory,
        disk: DiskReport,
        files: Option<FileRoom>,
        cards: Vec<(Version, LessonCard)>,
    },
    SurveyFailed,
    Evicted {
        version: Version,
        gone: bool,
    },
    RebootFailed(CommandId, String),
    /// A command's deed is done, or why it is not.
    DeedDone(CommandId, Result<(), String>),
    /// The board's controls were looked at.
    BoardLooked(BoardLook),
    /// The screen was made bright for an hour that begins, or why not.
    Lit(Result<(), String>),
    /// The console on the time, and when it was asked.
    Time(TimeAnswer, Millis),
    /// The console's verified word, or nothing.
    Standing(Option<Box<(Signed<StandingOrder>, StandingOrder)>>),
    /// The console on which keys to believe and what was withdrawn.
    Trust(Told),
    /// How a step of the renewal went, and whether the console would not have us.
    Renewal(renewal::Event, Option<Refusal>),
    /// The line was measured.
    Measured(Box<BandwidthResult>),
    /// The network was looked at.
    Network(Box<Seen>),
    /// What the loudspeaker was found like.
    Sound(Found),
    /// The board's page said something.
    Page(Box<PageWord>),
    /// A disk was plugged in.
    DiskCame,
    /// Whether a PIN was the right one, and who waits for the answer.
    PinChecked(bool, oneshot::Sender<Result<ExamView, PinDenied>>),
    /// The classroom's plan, or why the console did not give it.
    Classroom(Told),
    /// What the console says to what was noted down.
    Records(Told),
    /// What the desk that looks at disks has to say.
    Disk(Word),
    /// The board that looked like a copy is noted as the device.
    Repaired,
    /// The renewed identity is in force on the disk.
    Renewed,
}
