//! Every way of getting in, at work while the device has no identity that its console accepts: asking as a claim, a typed
//! code, a USB disk, a ticket that waits for a line. All with one key, so that no way spoils another.

#[cfg(test)]
mod tests;
mod usb;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use agent_core::enrol::Failure;
use contract::{hardware::Hardware, usb::CountyFile};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    claim::{self, Decision, Pace},
    enrol::{Applicant, EnrolError, Errand, Target, county, errand_of_code, errand_of_ticket},
    tls::TimeFloor,
    usb as disk,
};
use crate::{
    config::Config,
    identity::{Identity, IdentityFolder, Provisional},
    messages,
    shelf::{Denied, Said, Typed, TypedCodes, Unenrolled, WayNote, Wish},
};

/// How often it is looked whether the county is known by now, and the key can be kept.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// A ticket that the console refused is shown again this seldom: somebody may have set it right.
const REFUSED_AGAIN: Duration = Duration::from_secs(600);
/// Tries for somebody who stands before the page.
const TYPED_TRIES: u32 = 2;
/// So many failures in a row are nothing to speak of.
const QUIET_FAILURES: u32 = 2;

/// What the ways in have to work with.
#[derive(Debug, Clone)]
pub struct Ways {
    /// The settings.
    pub config: Arc<Config>,
    /// What the board is made of.
    pub hardware: Hardware,
    /// The identity on this disk that is not to be used any more: a copy's, shown to the console so that it knows whose.
    /// A revoked or replaced one is not handed over.
    pub copied: Option<Box<Identity>>,
    /// Nothing is asked of the console: a locked device looks for its unlock order on USB disks only.
    pub locked: bool,
    /// For TLS.
    pub floor: TimeFloor,
    /// Codes that are typed on the player's page.
    pub typed: TypedCodes,
    /// Ends the work.
    pub stop: CancellationToken,
}

/// What they have to say.
#[derive(Debug)]
pub enum WayEvent {
    /// What the page shows while the device waits.
    Waiting(Unenrolled),
    /// Something under `data_dir` changed (identity, provisional trust, lock): look again.
    Changed,
}

/// Works until [`Ways::stop`].
pub async fn run(ways: Ways, events: mpsc::Sender<WayEvent>) {
    let stop = ways.stop.clone();
    let work = async {
        let desk = Desk::open(ways, events).await;
        let (chosen, choices) = mpsc::channel(1);
        if desk.ways.locked {
            usb::look_after(&desk, choices).await;
            return;
        }
        tokio::join!(
            usb::look_after(&desk, choices),
            take_wishes(&desk, chosen),
            ask_for_identity(&desk)
        );
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => stop.cancelled().await,
    }
}

/// Who has a word on the page; the first that has something to say is shown.
#[derive(Debug, Clone, Copy)]
enum Voice {
    Usb,
    Console,
    Board,
}

/// What all ways share.
struct Desk {
    ways: Ways,
    provisional: Option<Provisional>,
    /// There is an identity, and its key cannot be opened.
    keyless: bool,
    events: mpsc::Sender<WayEvent>,
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct Shown {
    page: Unenrolled,
    notes: [Option<WayNote>; 3],
}

impl Desk {
    async fn open(ways: Ways, events: mpsc::Sender<WayEvent>) -> Self {
        let folder = IdentityFolder::of(&ways.config);
        let look = move || {
            let keyless = folder.identity().ok().flatten();
            let keyless = keyless.is_some_and(|identity| identity.key_pem.is_empty());
            (folder.provisional(), keyless)
        };
        let (provisional, keyless) = tokio::task::spawn_blocking(look).await.unwrap_or_default();
        let serial = ways.hardware.serial.clone();
        let place = provisional
            .as_ref()
            .map(|p| p.ticket.placement.clone())
            .unwrap_or_default();
        let desk = Self {
            ways,
            provisional,
            keyless,
            events,
            shown: Mutex::default(),
        };
        desk.show(|page| {
            page.serial = serial;
            page.place = place;
        })
        .await;
        desk
    }

    /// Changes what the page shows, and says so if it is another thing.
    async fn show(&self, change: impl FnOnce(&mut Unenrolled)) {
        self.redraw(|shown| change(&mut shown.page)).await;
    }

    /// What `voice` has to say from now on.
    async fn note(&self, voice: Voice, note: Option<WayNote>) {
        self.redraw(|shown| shown.notes[voice as usize] = note).await;
    }

    async fn problem(&self, voice: Voice, said: Said) {
        self.note(voice, Some(WayNote { problem: true, said })).await;
    }

    async fn redraw(&self, change: impl FnOnce(&mut Shown)) {
        let page = {
            let mut shown = self
                .shown
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            let before = shown.page.clone();
            change(&mut shown);
            shown.page.note = shown.notes.iter().flatten().next().cloned();
            // The very first look is shown whatever it says.
            if shown.page == before && before != Unenrolled::default() {
                return;
            }
            shown.page.clone()
        };
        let _ = self.events.send(WayEvent::Waiting(page)).await;
    }

    async fn changed(&self) {
        let _ = self.events.send(WayEvent::Changed).await;
    }

    /// The county, as soon as it is known; shown with it.
    async fn county(&self) -> Option<CountyFile> {
        let config = Arc::clone(&self.ways.config);
        let loaded = tokio::task::spawn_blocking(move || county::load(&config)).await;
        match loaded {
            Ok(Ok(county)) => {
                if let Some(county) = &county {
                    self.show(|page| page.county.clone_from(&county.county)).await;
                }
                county
            }
            Ok(Err(error)) => {
                self.problem(Voice::Board, EnrolError::County(error).denied().said)
                    .await;
                None
            }
            Err(_) => None,
        }
    }

    /// The board with its key.
    async fn applicant(&self) -> Result<Applicant, EnrolError> {
        let (config, hardware) = (Arc::clone(&self.ways.config), self.ways.hardware.clone());
        let floor = self.ways.floor.clone();
        tokio::task::spawn_blocking(move || Applicant::new(config, hardware, floor))
            .await
            .map_err(anyhow::Error::from)
            .flatten()
            .map_err(EnrolError::NotPrepared)
    }
}

fn say(key: &str, values: &[(&str, String)]) -> Said {
    messages::said(|all| &all.ways, key, values)
}

/// Shows the board's key to people and to the console, and uses what brings an identity without anybody's hand.
async fn ask_for_identity(desk: &Desk) {
    let applicant = loop {
        match desk.applicant().await {
            Ok(applicant) => break applicant,
            Err(error) => desk.problem(Voice::Board, error.denied().said).await,
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    if opens_again(desk).await {
        tracing::info!("the device's key can be used again");
        desk.changed().await;
        return;
    }
    // No way in leads anywhere without one, so none is offered; it is read again at the next start.
    if desk.ways.hardware.serial.is_empty() {
        let file = desk.ways.config.file.clone();
        let why = say("no_serial", &[("file", file.display().to_string())]);
        let error = EnrolError::NoSerial(file);
        tracing::error!(%error, "this board cannot be enrolled yet");
        desk.problem(Voice::Board, why).await;
        return;
    }
    desk.note(Voice::Board, None).await;
    desk.show(|page| page.fingerprint = applicant.fingerprint()).await;
    if !use_ticket(desk, &applicant).await {
        claim_until_decided(desk, &applicant).await;
    }
}

/// Whether the identity whose key could not be opened (a TPM that was late) is of use after all: nobody is to get a second
/// name for that.
async fn opens_again(desk: &Desk) -> bool {
    if !desk.keyless {
        return false;
    }
    let folder = IdentityFolder::of(&desk.ways.config);
    let identity = tokio::task::spawn_blocking(move || folder.identity().ok().flatten()).await;
    identity
        .ok()
        .flatten()
        .is_some_and(|identity| !identity.key_pem.is_empty())
}

/// Asks with the ticket that a USB disk or an unlock order brought, for as long as there is hope; whether it worked.
async fn use_ticket(desk: &Desk, applicant: &Applicant) -> bool {
    let data_dir = &desk.ways.config.data_dir;
    let mut errand = match (&desk.provisional, disk::waiting_ticket(data_dir)) {
        (Some(provisional), _) => {
            let saved = &provisional.saved;
            let target = Target {
                console_url: saved.county.console_url.clone(),
                ca_pem: saved.county.ca_pem.clone(),
            };
            Errand::new(
                target,
                saved.request.code.clone(),
                saved.request.classroom.clone(),
            )
        }
        (None, Some(ticket)) => errand_of_ticket(&ticket, None),
        (None, None) => return false,
    };
    errand.tries = 1;
    if desk.provisional.is_some() {
        desk.county().await;
    }
    let mut pace = Pace::new(rand::random());
    loop {
        let wait = match applicant.enrol(&errand, |_| {}).await {
            Ok(device_id) => {
                tracing::info!(device.id = %device_id, "enrolled with the ticket that waited for a line");
                disk::drop_waiting_ticket(data_dir);
                desk.changed().await;
                return true;
            }
            Err(EnrolError::Failed(Failure::Unreachable(reason))) => {
                tracing::debug!(reason, "no line to the console yet");
                pace.after_failure(None)
            }
            Err(error) => {
                tracing::warn!(%error, "the ticket was not accepted");
                desk.problem(Voice::Console, error.denied().said).await;
                if desk.provisional.is_none() {
                    disk::drop_waiting_ticket(data_dir);
                    return false;
                }
                REFUSED_AGAIN
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// Says that the board is there until somebody decides.
async fn claim_until_decided(desk: &Desk, applicant: &Applicant) {
    let mut pace = Pace::new(rand::random());
    let claim = applicant.claim();
    let (mut failures, mut asked): (u32, Option<(Target, reqwest::Client)>) = (0, None);
    loop {
        let county = desk.county().await;
        let serial = desk.ways.hardware.serial.as_str();
        let qr_text = county.as_ref().map_or_else(String::new, |county| {
            qr_text(county, &applicant.fingerprint(), serial)
        });
        desk.show(|page| page.qr_text = qr_text).await;
        let copied = desk.ways.copied.as_deref();
        let target = match (copied, county) {
            (Some(copied), _) => Target {
                console_url: copied.console_url.clone(),
                ca_pem: copied.reply.ca_pem.clone(),
            },
            (None, Some(county)) => Target {
                console_url: county.console_url,
                ca_pem: county.ca_pem,
            },
            (None, None) => {
                tokio::time::sleep(LOOK_EVERY).await;
                continue;
            }
        };
        if asked.as_ref().is_none_or(|(known, _)| *known != target) {
            let shown = copied.map(|own| (own.reply.certificate_pem.as_str(), own.key_pem.as_str()));
            match applicant.client(&target, shown) {
                Ok(client) => asked = Some((target, client)),
                Err(error) => {
                    desk.problem(Voice::Console, error.denied().said).await;
                    tokio::time::sleep(LOOK_EVERY * 10).await;
                    continue;
                }
            }
        }
        let Some((target, client)) = &asked else { continue };
        let (wait, said) = match claim::ask(client, &target.console_url, &claim).await {
            Decision::Waiting(wanted) => (pace.after_answer(wanted), None),
            Decision::Enrolled(reply) => match applicant.keep(*reply, &target.console_url).await {
                Ok(()) => {
                    tracing::info!("enrolled: somebody at the console picked this board's classroom");
                    desk.changed().await;
                    return;
                }
                Err(error) => {
                    let reason = format!("{error:#}");
                    (
                        pace.after_failure(None),
                        Some(say("not_stored", &[("reason", reason)])),
                    )
                }
            },
            Decision::Refused => {
                tracing::warn!(
                    "somebody at the console refused this board; it asks again after its next start"
                );
                desk.problem(Voice::Console, say("claim_refused", &[])).await;
                return;
            }
            Decision::Busy(reason, after) => (
                pace.after_failure(after),
                Some(say("claim_busy", &[("reason", reason)])),
            ),
            Decision::Stranger(reason) => (
                pace.after_failure(None),
                Some(say("claim_stranger", &[("reason", reason)])),
            ),
            Decision::Unanswered(reason) => (
                pace.after_failure(None),
                Some(say("claim_unanswered", &[("reason", reason)])),
            ),
        };
        failures = if said.is_some() { failures + 1 } else { 0 };
        let said = said.filter(|_| failures > QUIET_FAILURES);
        let note = said.map(|said| WayNote { problem: true, said });
        desk.note(Voice::Console, note).await;
        tokio::time::sleep(wait).await;
    }
}

/// Does what is asked for on the page, one wish after the other.
async fn take_wishes(desk: &Desk, usb: mpsc::Sender<(String, Typed)>) {
    let mut wishes = desk.ways.typed.lock().await;
    while let Some(typed) = wishes.recv().await {
        // Asked before we were at work, and given up since.
        if typed.answer.is_closed() {
            continue;
        }
        let (code, classroom) = match &typed.wish {
            Wish::Code { code, classroom } => (code.clone(), classroom.clone()),
            Wish::UsbClassroom(classroom) => {
                let classroom = classroom.clone();
                if let Err(mpsc::error::TrySendError::Full((_, typed))) = usb.try_send((classroom, typed)) {
                    let _ = typed.answer.send(Err(denied("usb_busy")));
                }
                continue;
            }
        };
        let answer = by_code(desk, &code, classroom).await;
        let enrolled = answer.is_ok();
        let _ = typed.answer.send(answer);
        if enrolled {
            desk.changed().await;
        }
    }
}

async fn by_code(desk: &Desk, code: &str, classroom: Option<String>) -> Result<Said, Denied> {
    let (config, typed) = (Arc::clone(&desk.ways.config), code.to_owned());
    let errand = tokio::task::spawn_blocking(move || errand_of_code(&config, &typed, classroom.as_deref()))
        .await
        .map_err(|error| EnrolError::NotPrepared(error.into()))
        .flatten();
    let enrol = async {
        let errand = Errand {
            tries: TYPED_TRIES,
            ..errand?
        };
        desk.applicant().await?.enrol(&errand, |_| {}).await
    };
    match enrol.await {
        Ok(device_id) => {
            tracing::info!(device.id = %device_id, "enrolled with a code that was typed on the page");
            Ok(say("enrolled", &[("device_id", device_id.to_string())]))
        }
        Err(error) => {
            tracing::warn!(%error, "a code that was typed on the page did not enrol the device");
            Err(error.denied())
        }
    }
}

fn denied(key: &str) -> Denied {
    Denied {
        said: say(key, &[]),
        classrooms: Vec::new(),
    }
}

/// What a telephone opens when it reads the board's screen; empty where the county has no page for it.
fn qr_text(county: &CountyFile, fingerprint: &str, serial: &str) -> String {
    let web = county.web_url.trim_end_matches('/');
    if web.is_empty() {
        return String::new();
    }
    let mut escaped = String::new();
    for byte in serial.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte))
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    format!("{web}/claim#fp={fingerprint}&serial={escaped}")
}
