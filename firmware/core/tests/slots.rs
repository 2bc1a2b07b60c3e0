//! Power is cut at every write and every erase of an update, and in every start after it: what then starts is
//! whole, and the update can be done again.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::cell::RefCell;
use std::rc::Rc;

use board_core::slots::{Chosen, Images, Layout};
use board_link::{
    CHUNK_BYTES, ImageChunk, ImageHead, ImageSlot, OtherImage, Refusal, Request, Response, label,
};
use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};
use sha2::{Digest, Sha256};

const PAGE: usize = 256;
const WORD: usize = 4;
const LAYOUT: Layout = Layout {
    a: 0,
    b: 1_024,
    slot_bytes: 1_024,
    records: [2_048, 2_304],
    record_bytes: 256,
};

/// NOR flash: a page is erased to ones, a word is written once after that. Power goes during the operation whose
/// number is `cut_at`, which leaves any of its bits done or not done.
#[derive(Debug)]
struct Chip {
    bytes: Vec<u8>,
    written: Vec<bool>,
    operations: u32,
    cut_at: Option<u32>,
    dead: bool,
    noise: u64,
}

#[derive(Debug, Clone)]
struct Flash(Rc<RefCell<Chip>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct NoPower;

impl NorFlashError for NoPower {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl Chip {
    fn random(&mut self) -> u8 {
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 7;
        self.noise ^= self.noise << 17;
        (self.noise >> 24) as u8
    }

    /// Whether this operation is the one in which power goes.
    fn operate(&mut self) -> Result<bool, NoPower> {
        if self.dead {
            return Err(NoPower);
        }
        self.operations += 1;
        self.dead = self.cut_at == Some(self.operations);
        Ok(self.dead)
    }
}

impl ErrorType for Flash {
    type Error = NoPower;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NoPower> {
        let chip = self.0.borrow();
        if chip.dead {
            return Err(NoPower);
        }
        bytes.copy_from_slice(&chip.bytes[offset as usize..offset as usize + bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.borrow().bytes.len()
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NoPower> {
        let mut chip = self.0.borrow_mut();
        assert!(
            (from as usize).is_multiple_of(PAGE) && (to as usize).is_multiple_of(PAGE),
            "erase of half a page"
        );
        for page in (from as usize..to as usize).step_by(PAGE) {
            let cut = chip.operate()?;
            for at in page..page + PAGE {
                let mask = if cut { chip.random() } else { 0xff };
                chip.bytes[at] |= mask;
                // After half an erase nobody knows what can be written: nothing, until it is erased again.
                chip.written[at / WORD] = cut;
            }
            if cut {
                return Err(NoPower);
            }
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NoPower> {
        let mut chip = self.0.borrow_mut();
        assert!(
            (offset as usize).is_multiple_of(WORD) && bytes.len().is_multiple_of(WORD),
            "write of half a word"
        );
        for (i, word) in bytes.chunks(WORD).enumerate() {
            let cut = chip.operate()?;
            let at = offset as usize + i * WORD;
            assert!(
                !chip.written[at / WORD],
                "a word at {at} is written twice without an erase"
            );
            for (j, byte) in word.iter().enumerate() {
                let mask = if cut { chip.random() } else { 0 };
                chip.bytes[at + j] &= byte | mask;
            }
            chip.written[at / WORD] = chip.bytes[at..at + WORD].iter().any(|byte| *byte != 0xff);
            if cut {
                return Err(NoPower);
            }
        }
        Ok(())
    }
}

fn image(seed: u8, len: usize) -> Vec<u8> {
    (0..len)
        .map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed))
        .collect()
}

fn head(image: &[u8], version: &str) -> ImageHead {
    ImageHead {
        bytes: image.len() as u32,
        digest: Sha256::digest(image).into(),
        version: label(version),
    }
}

/// As from the factory: the old image in slot A, and nothing else.
fn factory(old: &[u8], noise: u64) -> Flash {
    let mut bytes = vec![0xff; 2_560];
    bytes[..old.len()].copy_from_slice(old);
    let written = bytes
        .chunks(WORD)
        .map(|word| word.iter().any(|byte| *byte != 0xff))
        .collect();
    Flash(Rc::new(RefCell::new(Chip {
        bytes,
        written,
        operations: 0,
        cut_at: None,
        dead: false,
        noise,
    })))
}

impl Flash {
    /// Power comes; it goes again in the so-many-th operation from now.
    fn power(&self, cut_at: Option<u32>) {
        let mut chip = self.0.borrow_mut();
        (chip.operations, chip.cut_at, chip.dead) = (0, cut_at, false);
    }

    fn holds(&self, slot: ImageSlot, image: &[u8]) -> bool {
        let start = LAYOUT.start(slot) as usize;
        self.0.borrow().bytes[start..start + image.len()] == *image
    }
}

fn open(flash: &Flash, running: ImageSlot) -> Result<Images<Flash>, NoPower> {
    Images::open(flash.clone(), LAYOUT, running, label("old"))
}

/// The agent brings an image into the other slot and has it tried.
fn bring(images: &mut Images<Flash>, new: &[u8]) -> Result<(), Refusal> {
    let mut step = |request: Request| match images.handle(&request) {
        Response::Refused(why) => Err(why),
        response => Ok(response),
    };
    step(Request::BeginImage(head(new, "new")))?;
    for (i, data) in new.chunks(CHUNK_BYTES).enumerate() {
        step(Request::PutImage(ImageChunk {
            offset: (i * CHUNK_BYTES) as u32,
            data: data.iter().copied().collect(),
        }))?;
    }
    step(Request::VerifyImage)?;
    step(Request::TryImage)?;
    Ok(())
}

/// From wherever the board is to the new image committed, with power cut in the so-many-th operation, or never.
fn live(flash: &Flash, new: &[u8]) -> Result<(), NoPower> {
    for _ in 0..4 {
        let chosen = Images::choose(flash.clone(), LAYOUT)?;
        let mut images = open(flash, chosen.slot)?;
        if flash.holds(chosen.slot, new) {
            let done = images.handle(&Request::CommitImage);
            return if done == Response::Done {
                Ok(())
            } else {
                Err(NoPower)
            };
        }
        if bring(&mut images, new).is_err() {
            return Err(NoPower);
        }
    }
    unreachable!("an update needs two starts")
}

/// What a start chooses must be whole; gives it.
fn whole(flash: &Flash, old: &[u8], new: &[u8], story: &str) -> Chosen {
    let chosen = Images::choose(flash.clone(), LAYOUT).expect("power is on");
    let fine = flash.holds(chosen.slot, old) || flash.holds(chosen.slot, new);
    assert!(fine, "{story}: slot {:?} is neither image", chosen.slot);
    chosen
}

#[test]
fn power_cut_at_every_operation_of_two_updates_and_of_the_start_after_it() {
    let images = [image(1, 700), image(2, 1_024), image(3, 333)];
    let (mut cuts, mut starts) = (0, 0);
    // Updates that were begun and left write records, so that pages of records turn at other moments.
    for (left, noise) in [0x9e37_79b9, 0x1234_5678, 0xdead_beef].into_iter().enumerate() {
        // The second update goes the other way, over records of the first.
        for round in 0..2 {
            let prepared = || {
                let flash = factory(&images[0], noise);
                let mut begun = open(&flash, ImageSlot::A).expect("power is on");
                for bytes in 1..=left {
                    begun.handle(&Request::BeginImage(head(&image(9, bytes), "left")));
                }
                for new in &images[1..=round] {
                    live(&flash, new).expect("power is on");
                }
                flash
            };
            let (old, new) = (&images[round], &images[round + 1]);
            for cut_at in 1.. {
                let flash = prepared();
                flash.power(Some(cut_at));
                if live(&flash, new).is_ok() {
                    break;
                }
                cuts += 1;
                // Cut the start after it, too, at each of its operations.
                for again_at in 1.. {
                    let copy = Flash(Rc::new(RefCell::new(Chip {
                        bytes: flash.0.borrow().bytes.clone(),
                        written: flash.0.borrow().written.clone(),
                        operations: 0,
                        cut_at: Some(again_at),
                        dead: false,
                        noise: noise + u64::from(again_at),
                    })));
                    let through = Images::choose(copy.clone(), LAYOUT).is_ok();
                    copy.power(None);
                    starts += 1;
                    let story = format!("round {round}, cut at {cut_at}, then at {again_at}");
                    whole(&copy, old, new, &story);
                    live(&copy, new).expect("power is on");
                    let last = whole(&copy, new, new, &story);
                    assert!(!last.trial, "{story}: committed");
                    if through {
                        break;
                    }
                }
            }
        }
    }
    assert!(cuts > 1_800 && starts > cuts, "{cuts} cuts, {starts} starts");
}

#[test]
fn an_image_that_is_not_committed_is_tried_once() {
    let (old, new) = (image(1, 700), image(2, 900));
    let flash = factory(&old, 1);
    bring(&mut open(&flash, ImageSlot::A).unwrap(), &new).unwrap();
    let tried = Images::choose(flash.clone(), LAYOUT).unwrap();
    assert_eq!((tried.slot, tried.trial), (ImageSlot::B, true));
    let mut images = open(&flash, ImageSlot::B).unwrap();
    let head = head(&old, "x");
    assert_eq!(
        images.handle(&Request::BeginImage(head)),
        Response::Refused(Refusal::WrongState)
    );
    let Response::Images(report) = images.handle(&Request::GetImages) else {
        unreachable!("images")
    };
    assert!(report.trial);
    let back = Images::choose(flash.clone(), LAYOUT).unwrap();
    assert_eq!(
        (back.slot, back.trial, back.rolled_back),
        (ImageSlot::A, false, true)
    );
    let again = Images::choose(flash, LAYOUT).unwrap();
    assert_eq!((again.slot, again.rolled_back), (ImageSlot::A, false));
}

#[test]
fn wrong_images_are_refused_at_each_step() {
    let (old, new) = (image(1, 700), image(2, 900));
    let flash = factory(&old, 1);
    let mut images = open(&flash, ImageSlot::A).unwrap();
    let refused = Response::Refused;
    let chunk = |offset: u32, data: &[u8]| {
        let data = data.iter().copied().collect();
        Request::PutImage(ImageChunk { offset, data })
    };
    assert_eq!(images.handle(&chunk(0, &new[..64])), refused(Refusal::BadImage));
    assert_eq!(images.handle(&Request::VerifyImage), refused(Refusal::BadImage));
    assert_eq!(images.handle(&Request::TryImage), refused(Refusal::BadImage));
    assert_eq!(images.handle(&Request::RollBackImage), refused(Refusal::BadImage));
    let large = head(&image(0, 1_025), "large");
    assert_eq!(
        images.handle(&Request::BeginImage(large)),
        refused(Refusal::BadImage)
    );

    let wants = |offset| Response::ImageWants { offset };
    assert_eq!(images.handle(&Request::BeginImage(head(&new, "new"))), wants(0));
    assert_eq!(
        images.handle(&chunk(64, &new[64..128])),
        refused(Refusal::OutOfOrder)
    );
    assert_eq!(images.handle(&chunk(0, &new[..63])), refused(Refusal::OutOfRange));
    assert_eq!(images.handle(&chunk(0, &new[..128])), wants(128));
    assert_eq!(
        images.handle(&Request::BeginImage(head(&new, "new"))),
        wants(128),
        "it goes on"
    );
    assert_eq!(images.handle(&Request::VerifyImage), refused(Refusal::OutOfOrder));
    assert_eq!(images.handle(&Request::TryImage), refused(Refusal::BadImage));
    let mut spoilt = new.clone();
    spoilt[500] ^= 1;
    for (i, data) in spoilt[128..].chunks(CHUNK_BYTES).enumerate() {
        images.handle(&chunk((128 + i * CHUNK_BYTES) as u32, data));
    }
    assert_eq!(images.handle(&Request::VerifyImage), refused(Refusal::BadImage));
    assert_eq!(images.handle(&Request::TryImage), refused(Refusal::BadImage));
    let Response::Images(report) = images.handle(&Request::GetImages) else {
        unreachable!("images")
    };
    assert_eq!(report.other, OtherImage::Empty);
    assert_eq!(images.handle(&Request::GetReport), refused(Refusal::NotFitted));
}

#[test]
fn after_a_commit_the_board_can_be_told_to_go_back() {
    let images = [image(1, 700), image(2, 900), image(3, 800)];
    let flash = factory(&images[0], 1);
    live(&flash, &images[1]).unwrap();
    live(&flash, &images[2]).unwrap();
    let running = Images::choose(flash.clone(), LAYOUT).unwrap().slot;
    assert!(flash.holds(running, &images[2]));
    let mut opened = open(&flash, running).unwrap();
    assert_eq!(opened.handle(&Request::RollBackImage), Response::Done);
    let back = Images::choose(flash.clone(), LAYOUT).unwrap().slot;
    assert!(flash.holds(back, &images[1]));
}

#[test]
fn an_image_that_rots_is_not_started_while_the_other_is_whole() {
    let images = [image(1, 700), image(2, 900), image(3, 800)];
    let flash = factory(&images[0], 1);
    live(&flash, &images[1]).unwrap();
    live(&flash, &images[2]).unwrap();
    let running = Images::choose(flash.clone(), LAYOUT).unwrap().slot;
    flash.0.borrow_mut().bytes[LAYOUT.start(running) as usize + 10] ^= 4;
    let other = Images::choose(flash.clone(), LAYOUT).unwrap().slot;
    assert_eq!(other, running.other());
    assert!(flash.holds(other, &images[1]));
}
