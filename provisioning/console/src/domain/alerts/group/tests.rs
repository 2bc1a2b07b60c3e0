use proptest::prelude::*;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

/// County 1 with townships 10, 11, 12; school n is in township 10 + n % 3. Another county 2 with township 20 and schools from 100.
fn places() -> BTreeMap<i64, Place> {
    let mut places = BTreeMap::new();
    for school in 0..30 {
        places.insert(
            school,
            Place {
                regions: vec![10 + school % 3, 1],
                county: 1,
            },
        );
        places.insert(
            100 + school,
            Place {
                regions: vec![20, 2],
                county: 2,
            },
        );
    }
    places
}

fn lost(alert: i64, school: i64, second: i64) -> Raised {
    Raised {
        alert,
        topic: CONNECTIVITY.into(),
        school,
        of_school: true,
        severity: Severity::Critical,
        began: at(second),
    }
}

fn board(alert: i64, school: i64, second: i64) -> Raised {
    Raised {
        of_school: false,
        severity: Severity::Warning,
        ..lost(alert, school, second)
    }
}

#[test]
fn a_storm_is_one_parent_and_one_incident_for_each_school() {
    let mut open = Vec::new();
    let mut alert = 0;
    for wave in 0..6 {
        let mut raised = Vec::new();
        for school in 0..12 {
            alert += 1;
            if wave == school / 3 {
                raised.push(lost(alert, school, 15 * wave));
            } else {
                raised.push(board(alert, school, 15 * wave));
            }
        }
        group(&mut open, &raised, &places());
    }
    let areas: Vec<&Open> = open.iter().filter(|one| one.kind == IncidentKind::Area).collect();
    assert_eq!((areas.len(), open.len()), (1, 13), "{open:#?}");
    assert!(
        open.iter()
            .all(|one| one.id == areas[0].id || one.parent == Some(areas[0].id))
    );
    assert_eq!(areas[0].region, Some(1));
}

#[test]
fn two_schools_are_no_storm_and_another_county_is_another_storm() {
    let mut open = Vec::new();
    group(
        &mut open,
        &[lost(1, 0, 0), lost(2, 1, 5), lost(3, 100, 5)],
        &places(),
    );
    assert_eq!(open.len(), 3);
    assert!(open.iter().all(|one| one.parent.is_none()));
    // A third one an hour later is none either.
    group(&mut open, &[lost(4, 2, 3_600)], &places());
    assert!(open.iter().all(|one| one.parent.is_none()));
    group(&mut open, &[lost(5, 101, 60), lost(6, 102, 90)], &places());
    let area = open.iter().find(|one| one.kind == IncidentKind::Area).unwrap();
    assert_eq!(area.region, Some(20), "the lowest region that holds all three");
    assert_eq!(open.iter().filter(|one| one.parent == Some(area.id)).count(), 3);
}

#[test]
fn boards_lost_one_by_one_all_over_a_county_are_no_storm() {
    let mut open = Vec::new();
    let raised: Vec<Raised> = (0..20).map(|n| board(n, n, n)).collect();
    group(&mut open, &raised, &places());
    assert_eq!(open.len(), 20);
    assert!(
        open.iter()
            .all(|one| one.kind == IncidentKind::Device && one.parent.is_none())
    );
}

#[test]
fn another_topic_is_another_incident_and_a_long_while_later_too() {
    let mut open = Vec::new();
    let hot = Raised {
        topic: "hot".into(),
        ..board(2, 0, 0)
    };
    group(&mut open, &[board(1, 0, 0), hot.clone()], &places());
    assert_eq!(open.len(), 2);
    group(
        &mut open,
        &[
            board(3, 0, 500),
            Raised {
                alert: 4,
                began: at(40_000),
                ..hot
            },
        ],
        &places(),
    );
    assert_eq!(open.len(), 2);
    group(&mut open, &[board(5, 0, 5_000)], &places());
    assert_eq!(open.len(), 3);
}

proptest! {
    /// Each alert is in exactly one incident, of its school and topic; no part has parts; parts of a storm are of its county.
    #[test]
    fn each_alert_has_its_place(
        rounds in prop::collection::vec(prop::collection::vec((0i64..30, any::<bool>(), 0i64..3_000, any::<bool>()), 0..20), 1..6),
    ) {
        let places = places();
        let mut open = Vec::new();
        let mut alert = 0;
        for round in rounds {
            let raised: Vec<Raised> = round
                .into_iter()
                .map(|(school, far, second, whole)| {
                    alert += 1;
                    let school = if far { 100 + school } else { school };
                    if whole { lost(alert, school, second) } else { board(alert, school, second) }
                })
                .collect();
            let done = group(&mut open, &raised, &places);
            prop_assert_eq!(done.members.len(), raised.len());
            for (alert, id) in done.members {
                let raised = raised.iter().find(|one| one.alert == alert).unwrap();
                let one = open.iter().find(|one| one.id == id).unwrap();
                prop_assert_eq!(one.school, Some(raised.school));
                prop_assert!(one.began <= raised.began && one.last >= raised.began);
            }
            let mut ids: Vec<i64> = open.iter().map(|one| one.id).collect();
            ids.sort_unstable();
            ids.dedup();
            prop_assert_eq!(ids.len(), open.len());
            for one in &open {
                if let Some(parent) = one.parent {
                    let area = open.iter().find(|area| area.id == parent).unwrap();
                    prop_assert_eq!(area.kind, IncidentKind::Area);
                    prop_assert_eq!(area.parent, None);
                    prop_assert!(places[&one.school.unwrap()].regions.contains(&area.region.unwrap()));
                }
            }
        }
    }
}

#[test]
fn a_storm_goes_on_when_a_part_comes_back_into_it() {
    let mut open = Vec::new();
    let raised: Vec<Raised> = (0..3).map(|school| lost(school + 1, school, school)).collect();
    group(&mut open, &raised, &places());
    let storm = open.iter().find(|one| one.kind == IncidentKind::Area).unwrap().id;
    for one in &mut open {
        one.cleared = Some(at(200));
    }
    let done = group(&mut open, &[lost(9, 1, 300)], &places());
    let storm = open.iter().find(|one| one.id == storm).unwrap();
    assert_eq!(storm.cleared, None);
    assert!(done.touched.contains(&storm.id));
    let going_on = open.iter().filter(|one| one.cleared.is_none()).count();
    assert_eq!(going_on, 2, "the storm and its one part");
}
