//! Two images of the board controller's program in flash, and which of them runs.
//!
//! Duty: write a new image beside the running one, verify it, try it once, keep it or go back; and choose, at
//! each start, an image that is whole. It must not know what an image does, nor how it came.
//!
//! ```text
//!  flash   | slot A | slot B | record page 0 | record page 1 |
//!
//!  running A   begin B ─▶ erase B ─▶ write B ─▶ verify B ─▶ try B ─restart─▶ running B, on trial
//!                                                                              │ commit      │ any restart
//!                                                                              ▼             ▼
//!                                                                          running B     running A
//! ```
//!
//! The order of writes, cut at each of them in `tests/slots.rs`:
//! 1. a record that the other slot holds nothing, *before* it is erased;
//! 2. the slot is erased, then written;
//! 3. a record that it is whole, only after all of it was read back and matched its digest;
//! 4. a record that it is to be tried;
//! 5. at the start: a record that the trial has begun, *before* the image gets control. A start that finds a
//!    trial begun goes back;
//! 6. a record that the image on trial is the one to run.
//!
//! A record is written beside the last and counts when its CRC is right, the highest number first. When a page
//! is full the other is erased and written, so that the newest record is never in a page that is being erased.
//! At a start the chosen image is read against its record's CRC; should it not match, the other one is.

use board_link::{ImageHead, ImageReport, ImageSlot, Label, OtherImage, Refusal, Request, Response, label};
use embedded_storage::nor_flash::NorFlash;
use sha2::{Digest, Sha256};

/// Bytes of a record. The flash must be able to write in steps that divide it.
pub const RECORD_BYTES: usize = 128;
/// Bytes read at a time.
const PIECE: usize = 64;
const MAGIC: [u8; 4] = *b"BBT1";

/// Where everything lies, in bytes from the start of the flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Slot A.
    pub a: u32,
    /// Slot B.
    pub b: u32,
    /// Bytes of each slot, whole erase pages.
    pub slot_bytes: u32,
    /// The two record pages.
    pub records: [u32; 2],
    /// Bytes of each record page: at least one erase page and two records.
    pub record_bytes: u32,
}

impl Layout {
    /// Where a slot begins.
    #[must_use]
    pub const fn start(&self, slot: ImageSlot) -> u32 {
        match slot {
            ImageSlot::A => self.a,
            ImageSlot::B => self.b,
        }
    }
}

/// A whole image, as its record tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Whole {
    bytes: u32,
    crc: u32,
    version: Label,
}

/// A trial, from the request to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trial {
    None,
    Wanted,
    Begun,
}

/// What the flash says of the images.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    number: u32,
    /// The one to run when there is no trial.
    good: ImageSlot,
    trial: Trial,
    a: Option<Whole>,
    b: Option<Whole>,
}

impl Record {
    const fn of(&self, slot: ImageSlot) -> &Option<Whole> {
        match slot {
            ImageSlot::A => &self.a,
            ImageSlot::B => &self.b,
        }
    }

    const fn of_mut(&mut self, slot: ImageSlot) -> &mut Option<Whole> {
        match slot {
            ImageSlot::A => &mut self.a,
            ImageSlot::B => &mut self.b,
        }
    }

    fn to_bytes(&self) -> [u8; RECORD_BYTES] {
        let mut out = [0xff; RECORD_BYTES];
        out[..4].copy_from_slice(&MAGIC);
        out[4..8].copy_from_slice(&self.number.to_le_bytes());
        out[8] = u8::from(self.good == ImageSlot::B);
        out[9] = self.trial as u8;
        for (whole, at) in [(&self.a, 10), (&self.b, 52)] {
            let Some(whole) = whole else { continue };
            let version = whole.version.as_bytes();
            out[at] = version.len() as u8;
            out[at + 1..at + 5].copy_from_slice(&whole.bytes.to_le_bytes());
            out[at + 5..at + 9].copy_from_slice(&whole.crc.to_le_bytes());
            out[at + 9..at + 9 + version.len()].copy_from_slice(version);
        }
        let crc = board_link::crc32(&out[..RECORD_BYTES - 4]);
        out[RECORD_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    fn from_bytes(bytes: &[u8; RECORD_BYTES]) -> Option<Self> {
        let (body, crc) = bytes.split_last_chunk::<4>()?;
        if board_link::crc32(body) != u32::from_le_bytes(*crc) || body.first_chunk() != Some(&MAGIC) {
            return None;
        }
        let whole = |at: usize| {
            let version = body.get(at + 9..at + 9 + usize::from(body[at]))?;
            Some(Whole {
                bytes: word(body, at + 1)?,
                crc: word(body, at + 5)?,
                version: label(core::str::from_utf8(version).ok()?),
            })
        };
        // An absent image has 0xff for its version's length, which reaches beyond the record.
        Some(Self {
            number: word(body, 4)?,
            good: if body[8] == 0 { ImageSlot::A } else { ImageSlot::B },
            trial: match body[9] {
                0 => Trial::None,
                1 => Trial::Wanted,
                _ => Trial::Begun,
            },
            a: whole(10),
            b: whole(52),
        })
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..at + 4)?
        .first_chunk()
        .map(|word| u32::from_le_bytes(*word))
}

/// What a start has chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chosen {
    /// Start this one.
    pub slot: ImageSlot,
    /// It is on trial.
    pub trial: bool,
    /// The start before was a trial that nobody committed.
    pub rolled_back: bool,
}

/// The images, and the flash that they lie in.
#[derive(Debug)]
pub struct Images<F> {
    flash: F,
    layout: Layout,
    record: Record,
    /// Page and place of the next record; `None` when the page is full.
    next: (usize, Option<u32>),
    running: ImageSlot,
    on_trial: bool,
    running_version: Label,
    incoming: Option<Incoming>,
}

#[derive(Debug)]
struct Incoming {
    head: ImageHead,
    written: u32,
}

impl<F: NorFlash> Images<F> {
    /// Reads the records. `running` is where this program lies, and `version` is its own; a flash without records,
    /// as from the factory, is taken to hold nothing else.
    ///
    /// # Errors
    /// The flash's own.
    pub fn open(flash: F, layout: Layout, running: ImageSlot, version: Label) -> Result<Self, F::Error> {
        let mut images = Self {
            flash,
            layout,
            record: Record {
                number: 0,
                good: running,
                trial: Trial::None,
                a: None,
                b: None,
            },
            next: (0, Some(0)),
            running,
            on_trial: false,
            running_version: version,
            incoming: None,
        };
        images.read_records()?;
        images.on_trial = images.record.trial == Trial::Begun && images.record.good != running;
        Ok(images)
    }

    /// What a start does before any image has control: chooses, and writes down what must not be tried twice.
    ///
    /// # Errors
    /// The flash's own; then start slot A.
    pub fn choose(flash: F, layout: Layout) -> Result<Chosen, F::Error> {
        let mut images = Self::open(flash, layout, ImageSlot::A, Label::new())?;
        let good = images.record.good;
        let mut chosen = Chosen {
            slot: good,
            trial: false,
            rolled_back: false,
        };
        match images.record.trial {
            Trial::Wanted => {
                let fit = images.is_whole(good.other())?;
                images.write_record(|record| record.trial = if fit { Trial::Begun } else { Trial::None })?;
                if fit {
                    (chosen.slot, chosen.trial) = (good.other(), true);
                    return Ok(chosen);
                }
            }
            Trial::Begun => {
                images.write_record(|record| record.trial = Trial::None)?;
                chosen.rolled_back = true;
            }
            Trial::None => {}
        }
        // The factory's image has no record, so that nothing can be held against it.
        if images.record.of(good).is_some() && !images.is_whole(good)? && images.is_whole(good.other())? {
            chosen.slot = good.other();
        }
        Ok(chosen)
    }

    /// Does one of the requests about images. A flash that fails refuses; what was written counts for nothing.
    pub fn handle(&mut self, request: &Request) -> Response {
        let done = match request {
            Request::GetImages => return Response::Images(self.report()),
            Request::BeginImage(head) => self.begin(head),
            Request::PutImage(chunk) => self.put(chunk.offset, &chunk.data),
            Request::VerifyImage => self.verify(),
            Request::TryImage => self.try_image(),
            Request::CommitImage => self.commit(),
            Request::RollBackImage => self.roll_back(),
            _ => Err(Refusal::NotFitted),
        };
        done.unwrap_or_else(Response::Refused)
    }

    fn report(&self) -> ImageReport {
        let other = match (&self.incoming, self.record.of(self.running.other())) {
            (Some(incoming), _) => OtherImage::Coming {
                offset: incoming.written,
                bytes: incoming.head.bytes,
            },
            (None, Some(whole)) => OtherImage::Whole {
                version: whole.version.clone(),
            },
            (None, None) => OtherImage::Empty,
        };
        ImageReport {
            running: self.running,
            trial: self.on_trial,
            version: self.running_version.clone(),
            other,
        }
    }

    fn begin(&mut self, head: &ImageHead) -> Result<Response, Refusal> {
        if self.on_trial {
            // The other slot is the way back.
            return Err(Refusal::WrongState);
        }
        if head.bytes == 0 || head.bytes > self.layout.slot_bytes {
            return Err(Refusal::BadImage);
        }
        if let Some(incoming) = self.incoming.as_ref().filter(|incoming| incoming.head == *head) {
            return Ok(Response::ImageWants {
                offset: incoming.written,
            });
        }
        self.incoming = None;
        let other = self.running.other();
        let running = self.running;
        let start = self.layout.start(other);
        self.write_record(|record| {
            *record.of_mut(other) = None;
            record.good = running;
            record.trial = Trial::None;
        })
        .map_err(failed)?;
        self.flash
            .erase(start, start + self.layout.slot_bytes)
            .map_err(failed)?;
        self.incoming = Some(Incoming {
            head: head.clone(),
            written: 0,
        });
        Ok(Response::ImageWants { offset: 0 })
    }

    fn put(&mut self, offset: u32, data: &[u8]) -> Result<Response, Refusal> {
        let start = self.layout.start(self.running.other());
        let incoming = self.incoming.as_mut().ok_or(Refusal::BadImage)?;
        let len = data.len() as u32;
        if offset != incoming.written {
            return Err(Refusal::OutOfOrder);
        }
        let end = offset.checked_add(len).filter(|end| *end <= incoming.head.bytes);
        let end = end.ok_or(Refusal::BadImage)?;
        let last = end == incoming.head.bytes;
        if len == 0 || (!last && !len.is_multiple_of(PIECE as u32)) {
            return Err(Refusal::OutOfRange);
        }
        let mut written = start + offset;
        for piece in data.chunks(PIECE) {
            // Flash is written in steps; what pads the last one is never read.
            let mut padded = [0xff; PIECE];
            padded[..piece.len()].copy_from_slice(piece);
            let steps = piece.len().next_multiple_of(F::WRITE_SIZE).min(PIECE);
            if self.flash.write(written, &padded[..steps]).is_err() {
                // Half written, it cannot be written again.
                self.incoming = None;
                return Err(Refusal::PartFailed);
            }
            written += PIECE as u32;
        }
        incoming.written = end;
        Ok(Response::ImageWants { offset: end })
    }

    fn verify(&mut self) -> Result<Response, Refusal> {
        let incoming = self.incoming.as_ref().ok_or(Refusal::BadImage)?;
        if incoming.written != incoming.head.bytes {
            return Err(Refusal::OutOfOrder);
        }
        let head = incoming.head.clone();
        let other = self.running.other();
        let mut sha = Sha256::new();
        let crc = self
            .read_image(other, head.bytes, |piece| sha.update(piece))
            .map_err(failed)?;
        self.incoming = None;
        if sha.finalize()[..] != head.digest {
            return Err(Refusal::BadImage);
        }
        let whole = Whole {
            bytes: head.bytes,
            crc,
            version: head.version,
        };
        self.write_record(|record| *record.of_mut(other) = Some(whole))
            .map_err(failed)?;
        Ok(Response::Done)
    }

    fn try_image(&mut self) -> Result<Response, Refusal> {
        if self.on_trial {
            return Err(Refusal::WrongState);
        }
        if self.incoming.is_some() || !self.is_whole(self.running.other()).map_err(failed)? {
            return Err(Refusal::BadImage);
        }
        let running = self.running;
        self.write_record(|record| {
            record.good = running;
            record.trial = Trial::Wanted;
        })
        .map_err(failed)?;
        Ok(Response::Done)
    }

    fn commit(&mut self) -> Result<Response, Refusal> {
        if self.on_trial {
            let running = self.running;
            self.write_record(|record| {
                record.good = running;
                record.trial = Trial::None;
            })
            .map_err(failed)?;
            self.on_trial = false;
        }
        // Said again, it is as it should be.
        Ok(Response::Done)
    }

    fn roll_back(&mut self) -> Result<Response, Refusal> {
        let other = self.running.other();
        // On trial, the next start goes back by itself.
        if !self.on_trial {
            if self.incoming.is_some() || !self.is_whole(other).map_err(failed)? {
                return Err(Refusal::BadImage);
            }
            self.write_record(|record| {
                record.good = other;
                record.trial = Trial::None;
            })
            .map_err(failed)?;
        }
        Ok(Response::Done)
    }

    fn is_whole(&mut self, slot: ImageSlot) -> Result<bool, F::Error> {
        let Some(whole) = self.record.of(slot).clone() else {
            return Ok(false);
        };
        if whole.bytes > self.layout.slot_bytes {
            return Ok(false);
        }
        Ok(self.read_image(slot, whole.bytes, |_| ())? == whole.crc)
    }

    /// Shows an image piece by piece; gives its CRC.
    fn read_image(
        &mut self,
        slot: ImageSlot,
        bytes: u32,
        mut see: impl FnMut(&[u8]),
    ) -> Result<u32, F::Error> {
        let start = self.layout.start(slot);
        let mut crc = board_link::Crc32::new();
        let mut at = 0;
        while at < bytes {
            let mut piece = [0; PIECE];
            let len = PIECE.min((bytes - at) as usize);
            let steps = len.next_multiple_of(F::READ_SIZE).min(PIECE);
            self.flash.read(start + at, &mut piece[..steps])?;
            see(&piece[..len]);
            crc.update(&piece[..len]);
            at += len as u32;
        }
        Ok(crc.finish())
    }

    fn read_records(&mut self) -> Result<(), F::Error> {
        let mut newest = None;
        for page in 0..2 {
            let mut free = None;
            let mut at = 0;
            while at + RECORD_BYTES as u32 <= self.layout.record_bytes {
                let mut bytes = [0; RECORD_BYTES];
                self.flash.read(self.layout.records[page] + at, &mut bytes)?;
                if let Some(record) = Record::from_bytes(&bytes) {
                    let newer = newest
                        .as_ref()
                        .is_none_or(|(_, found): &(usize, Record)| found.number < record.number);
                    if newer {
                        newest = Some((page, record));
                    }
                }
                // Torn places are never written again; behind them it goes on.
                if bytes.iter().all(|byte| *byte == 0xff) {
                    free = free.or(Some(at));
                } else {
                    free = None;
                }
                at += RECORD_BYTES as u32;
            }
            if newest.as_ref().is_none_or(|(of, _)| *of == page) {
                self.next = (page, free);
            }
        }
        match newest {
            Some((_, record)) => self.record = record,
            // Nothing to lose: the first record makes itself a clean page.
            None => self.next = (1, None),
        }
        Ok(())
    }

    fn write_record(&mut self, change: impl FnOnce(&mut Record)) -> Result<(), F::Error> {
        let mut record = self.record.clone();
        change(&mut record);
        record.number = record.number.wrapping_add(1);
        let (page, place) = match self.next {
            (page, Some(at)) => (page, at),
            (page, None) => {
                let page = 1 - page;
                let start = self.layout.records[page];
                self.flash.erase(start, start + self.layout.record_bytes)?;
                (page, 0)
            }
        };
        let after = place + RECORD_BYTES as u32;
        let room = after + RECORD_BYTES as u32 <= self.layout.record_bytes;
        self.next = (page, room.then_some(after));
        self.flash
            .write(self.layout.records[page] + place, &record.to_bytes())?;
        self.record = record;
        Ok(())
    }
}

fn failed<E>(_: E) -> Refusal {
    Refusal::PartFailed
}
