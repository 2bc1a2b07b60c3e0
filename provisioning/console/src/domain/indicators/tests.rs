use super::{facts::*, *};

fn indicator(id: &str) -> &'static Indicator {
    Dictionary::get().unwrap().indicator(id).unwrap()
}

#[test]
fn every_indicator_has_its_function_and_every_reason_its_words() {
    let dictionary = Dictionary::get().unwrap();
    assert!(dictionary.indicators.len() >= 20);
    for indicator in &dictionary.indicators {
        assert!(rows(indicator, &Facts::default()).is_some(), "{}", indicator.id);
        for text in [
            &indicator.zh,
            &indicator.en,
            &indicator.definition,
            &indicator.formula,
            &indicator.denominator,
        ] {
            assert!(!text.trim().is_empty(), "{}", indicator.id);
        }
        let quoted = ["S0 ", "S1 ", "S2 ", "S3 ", "S4 "];
        assert!(
            quoted.iter().any(|plan| indicator.source.starts_with(plan)),
            "{}",
            indicator.id
        );
    }
    let code = include_str!("rules.rs");
    for reason in [
        "no_data",
        "no_screen",
        "no_timetable_word",
        "no_test",
        "not_recorded",
        "not_yet",
        "not_inspected",
        "not_filled_in",
    ] {
        assert!(code.contains(&format!("\"{reason}\"")));
        assert!(dictionary.reasons.iter().any(|r| r.id == reason), "{reason}");
    }
}

#[test]
fn values_are_rounded_half_up_and_nothing_is_divided_by_nothing() {
    assert_eq!(value(Kind::Percent, 2, 3), Some((6667, 2)));
    assert_eq!(value(Kind::Percent, 1, 8), Some((1250, 2)));
    assert_eq!(value(Kind::Percent, 1, 20_000), Some((1, 2)), "0.005 goes up");
    assert_eq!(value(Kind::Percent, 0, 0), None);
    assert_eq!(value(Kind::Hours, 5_580, 0), Some((16, 1)), "1.55 h");
    assert_eq!(value(Kind::MeanHours, 7_200, 3), Some((7, 1)));
    assert_eq!(shown(Kind::Percent, (6667, 2)), "66.67%");
    assert_eq!(shown(Kind::Percent, (5, 2)), "0.05%");
    assert_eq!(shown(Kind::Count, (12, 0)), "12");
    assert_eq!(shown(Kind::Ratio, (-5, 2)), "-0.05");
}

#[test]
fn silence_is_unknown_and_never_nothing() {
    let silent = Device {
        id: "d1".into(),
        school: 1,
        days: 31,
        days_silent: 20,
        days_expected: 20,
        ..Device::default()
    };
    let half = Device {
        id: "d2".into(),
        school: 1,
        days: 31,
        days_heard: 10,
        days_silent: 10,
        days_expected: 20,
        expected_s: 1_000,
        online_s: 900,
        ..Device::default()
    };
    let facts = Facts {
        devices: vec![silent.clone(), half],
        ..Facts::default()
    };
    let on = indicator("device_on_rate");
    let found = rows(on, &facts).unwrap();
    let figure = Figure::sum(on, None, found.iter());
    assert_eq!(
        (figure.num, figure.den, figure.unknown),
        (Some(900), Some(1_000), 30)
    );
    assert_eq!(figure.shown(on.kind).as_deref(), Some("90.00%"));
    let facts = Facts {
        devices: vec![silent],
        ..Facts::default()
    };
    let figure = Figure::sum(on, None, rows(on, &facts).unwrap().iter());
    assert_eq!(
        (figure.num, figure.value(on.kind), figure.why.as_deref()),
        (None, None, Some("no_data"))
    );
}

#[test]
fn no_orders_are_none_and_no_boards_are_nothing_to_count() {
    let facts = Facts::default();
    let opened = indicator("repairs_opened");
    let figure = Figure::sum(opened, None, rows(opened, &facts).unwrap().iter());
    assert_eq!(figure.num, Some(0));
    let opens = indicator("lesson_opens");
    let figure = Figure::sum(opens, None, rows(opens, &facts).unwrap().iter());
    assert_eq!(
        (figure.num, figure.why.as_deref()),
        (None, Some("nothing_to_count"))
    );
}

#[test]
fn a_port_that_cannot_prove_is_in_neither_sum() {
    let school = |id: i64, verdict: &str| School {
        id,
        bandwidth: (!verdict.is_empty()).then(|| verdict.to_owned()),
        ..School::default()
    };
    let facts = Facts {
        schools: vec![
            school(1, "met"),
            school(2, "not_met"),
            school(3, "port_cannot_prove"),
            school(4, ""),
        ],
        ..Facts::default()
    };
    let met = indicator("broadband_met");
    let figure = Figure::sum(met, None, rows(met, &facts).unwrap().iter());
    assert_eq!((figure.num, figure.den, figure.unknown), (Some(1), Some(2), 2));
}
