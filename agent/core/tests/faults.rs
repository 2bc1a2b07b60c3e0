//! Faults: chosen from the list, kept until the console has them, confirmed once said to be mended.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use agent_core::{
    Millis,
    faults::{FaultRefusal, Faults, Saved, Wish},
};
use contract::{
    id::BootId,
    records::{FaultClass, Repair, RepairState},
};

fn wish(id: &str, class: FaultClass, symptom: &str) -> Wish {
    Wish {
        id: id.into(),
        class,
        symptom: symptom.into(),
        lesson: None,
        at: None,
        boot_id: BootId::new("b").unwrap(),
    }
}

fn repair(id: &str, state: RepairState) -> Repair {
    Repair {
        fault: id.into(),
        state,
        note: "已更换电源板".into(),
        since: "2026-11-23T02:00:00Z".parse().unwrap(),
    }
}

#[test]
fn only_what_is_on_the_list_is_taken() {
    let mut faults = Faults::resume(Saved::default());
    let now = Millis(0);
    faults.report(wish("1", FaultClass::Sound, "none"), now).unwrap();
    faults.report(wish("2", FaultClass::Other, ""), now).unwrap();
    for symptom in ["张三打翻了水", "black", "NONE", "none "] {
        let refused = faults.report(wish("3", FaultClass::Sound, symptom), now);
        assert_eq!(refused, Err(FaultRefusal::Symptom), "{symptom}");
    }
}

#[test]
fn who_taps_too_often_waits() {
    let mut faults = Faults::resume(Saved::default());
    for n in 0..10 {
        faults
            .report(wish(&n.to_string(), FaultClass::Touch, ""), Millis(n))
            .unwrap();
    }
    let more = |faults: &mut Faults, at| faults.report(wish("x", FaultClass::Touch, ""), Millis(at));
    assert_eq!(more(&mut faults, 3_599_999), Err(FaultRefusal::TooMany));
    assert_eq!(more(&mut faults, 3_600_000), Ok(()));
}

#[test]
fn a_report_is_told_until_the_console_has_it_and_a_repair_is_confirmed_once() {
    let mut faults = Faults::resume(Saved::default());
    faults
        .report(wish("1", FaultClass::Power, "off"), Millis(0))
        .unwrap();
    assert_eq!((faults.untold().0.len(), faults.waiting()), (1, 1));
    // A restart takes nothing away.
    let mut faults = Faults::resume(faults.saved().clone());
    assert_eq!(
        faults.confirm("1", true, None),
        Err(FaultRefusal::Unknown),
        "not said to be mended"
    );
    faults.told(&["1".into()], &[], vec![repair("1", RepairState::Received)]);
    assert_eq!((faults.untold().0.len(), faults.waiting()), (0, 0));
    faults.told(&[], &[], vec![repair("1", RepairState::Fixed)]);
    faults.confirm("1", false, None).unwrap();
    assert_eq!(
        faults.confirm("1", true, None),
        Err(FaultRefusal::Unknown),
        "said already"
    );
    let said = faults.untold().1;
    assert_eq!((said[0].fixed, said[0].number), (false, 1));
    // The console does not know it yet.
    faults.told(&[], &[], vec![repair("1", RepairState::Fixed)]);
    let shown: Vec<_> = faults
        .shown()
        .map(|(report, repair)| (report.is_some(), repair.unwrap().state))
        .collect();
    assert_eq!(shown, [(true, RepairState::Reopened)]);
    faults.told(&[], &[("1".into(), 1)], vec![repair("1", RepairState::Reopened)]);
    assert!(faults.untold().1.is_empty());
    // Forgotten when the console speaks of it no more.
    faults.told(&[], &[], vec![]);
    assert!(faults.saved().reports.is_empty());
}
