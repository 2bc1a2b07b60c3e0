//! Memory that a reset keeps: how often the chip has started and why, the fault log, the plan.
//!
//! It is RAM that nobody clears, so a loss of mains empties it. Every part has its own check: whatever noise left
//! there counts as nothing.
#![allow(unsafe_code)] // memory without a first value

use core::mem::MaybeUninit;
use core::panic::PanicInfo;
use core::ptr::{addr_of, addr_of_mut};

use board_core::Memory;
use board_core::faults::{FAULT_BYTES, FaultLog, LOG_BYTES, place_of, to_bytes};
use board_link::{Fault, ImageSlot, ResetCause, WakePlan, crc32};
use cortex_m::peripheral::SCB;

const MAGIC: u32 = 0xbb70_0001;
const PLAN_BYTES: usize = 240;

/// What the last life left a note of.
const NO_NOTE: u32 = 0;
const RESTART: u32 = 1;
const PANIC: u32 = 2;

#[repr(C)]
struct Kept {
    magic: u32,
    starts: u32,
    note: u32,
    line: i32,
    faults: [u8; LOG_BYTES],
    plan_len: u32,
    plan_crc: u32,
    plan: [u8; PLAN_BYTES],
}

#[used]
#[unsafe(export_name = "bbt_kept")]
#[unsafe(link_section = ".uninit.kept")]
static mut KEPT: MaybeUninit<Kept> = MaybeUninit::uninit();

/// How the last life ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Last {
    /// As it should.
    Fine,
    /// By a panic in this line.
    Panic { line: i32 },
    /// By the watchdog.
    Watchdog,
}

fn kept() -> *mut Kept {
    addr_of_mut!(KEPT).cast()
}

/// Reads what was kept, and begins a new life. Called once, before anything else here.
#[inline(never)] // its copies must be gone when the core is made
pub(crate) fn begin() -> (Last, Memory) {
    let kept = kept();
    // SAFETY: the fields are plain numbers and bytes, for which any bits are a value; they are read as volatile, so
    // that nothing is concluded from their having no first value. Only this thread comes here.
    unsafe {
        let survived = addr_of!((*kept).magic).read_volatile() == MAGIC;
        if !survived {
            kept.cast::<u8>().write_bytes(0, size_of::<Kept>());
            addr_of_mut!((*kept).magic).write_volatile(MAGIC);
        }
        let starts = addr_of!((*kept).starts).read_volatile().wrapping_add(1);
        addr_of_mut!((*kept).starts).write_volatile(starts);
        let note = addr_of!((*kept).note).read_volatile();
        addr_of_mut!((*kept).note).write_volatile(NO_NOTE);
        let (reset_cause, last) = match note {
            _ if !survived => (ResetCause::PowerOn, Last::Fine),
            RESTART => (ResetCause::Software, Last::Fine),
            PANIC => {
                let line = addr_of!((*kept).line).read_volatile();
                (ResetCause::Panic, Last::Panic { line })
            }
            _ => (ResetCause::Watchdog, Last::Watchdog),
        };
        let faults = FaultLog::restore(starts, &addr_of!((*kept).faults).read_volatile());
        let plan = addr_of!((*kept).plan).read_volatile();
        let len = addr_of!((*kept).plan_len).read_volatile() as usize;
        let crc = addr_of!((*kept).plan_crc).read_volatile();
        let plan = plan
            .get(..len)
            .filter(|bytes| crc32(bytes) == crc)
            .and_then(|bytes| postcard::from_bytes::<WakePlan>(bytes).ok())
            .unwrap_or_default();
        let memory = Memory {
            faults,
            reset_cause,
            plan,
            image: (ImageSlot::A, false),
        };
        (last, memory)
    }
}

/// Keeps a fault.
pub(crate) fn fault(fault: &Fault) {
    let at = place_of(fault.number) * FAULT_BYTES;
    let bytes = to_bytes(fault);
    // SAFETY: `place_of` is below the number of places, so that it lies within the field; one thread.
    unsafe {
        let place = addr_of_mut!((*kept()).faults).cast::<u8>().add(at);
        for (i, byte) in bytes.iter().enumerate() {
            place.add(i).write_volatile(*byte);
        }
    }
}

/// Keeps the plan. One that does not fit, which none does not, is forgotten at the next start.
pub(crate) fn plan(plan: &WakePlan) {
    let mut bytes = [0; PLAN_BYTES];
    let len = postcard::to_slice(plan, &mut bytes).map_or(0, |used| used.len());
    let crc = crc32(&bytes[..len]);
    let kept = kept();
    // SAFETY: as in `begin`. The sum is written last: a plan that is half written has a wrong one.
    unsafe {
        addr_of_mut!((*kept).plan_crc).write_volatile(!crc);
        addr_of_mut!((*kept).plan).write_volatile(bytes);
        addr_of_mut!((*kept).plan_len).write_volatile(len as u32);
        addr_of_mut!((*kept).plan_crc).write_volatile(crc);
    }
}

/// Starts the chip anew, on purpose.
pub(crate) fn restart() -> ! {
    note(RESTART, 0);
    SCB::sys_reset()
}

fn note(what: u32, line: i32) {
    let kept = kept();
    // SAFETY: as in `begin`.
    unsafe {
        addr_of_mut!((*kept).line).write_volatile(line);
        addr_of_mut!((*kept).note).write_volatile(what);
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let line = info.location().map_or(0, |location| location.line());
    note(PANIC, i32::try_from(line).unwrap_or(i32::MAX));
    SCB::sys_reset()
}
