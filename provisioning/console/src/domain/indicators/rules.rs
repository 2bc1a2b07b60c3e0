//! One function per indicator. Each turns what is known into rows; see `data/indicators.toml` for what they mean.

use std::collections::BTreeMap;

use super::{
    Indicator, Row,
    facts::{Classroom, Device, ExamBoard, Facts, Order, Repair, School},
};

/// The rows of an indicator, in the order of their places; none: there is no function of that name.
pub fn rows(indicator: &Indicator, facts: &Facts) -> Option<Vec<Row>> {
    Some(match indicator.id.as_str() {
        "devices_told" => facts.devices.iter().map(devices_told).collect(),
        "device_on_rate" => facts.devices.iter().filter_map(device_on_rate).collect(),
        "screen_hours" => facts.devices.iter().filter_map(screen_hours).collect(),
        "lesson_opening" => facts.classrooms.iter().filter_map(lesson_opening).collect(),
        "planned_lessons_opened" => facts
            .classrooms
            .iter()
            .filter_map(planned_lessons_opened)
            .collect(),
        "lesson_opens" => used(facts, |room| room.opens),
        "lesson_hours" => used(facts, |room| room.seconds),
        "teaching_point_coverage" => teaching_point_coverage(facts),
        "resources_arrived" => resources_arrived(facts),
        "classrooms_equipped" => facts.classrooms.iter().map(classrooms_equipped).collect(),
        "classrooms_online" => facts.classrooms.iter().map(classrooms_online).collect(),
        "broadband_met" => facts.schools.iter().map(broadband_met).collect(),
        "broadband_100m" => facts.schools.iter().map(broadband_100m).collect(),
        "inspections_done" => facts.devices.iter().filter_map(inspections_done).collect(),
        "repairs_opened" => repairs(facts).map(|order| order_row(order, 1)).collect(),
        "response_hours" => repairs(facts)
            .map(|order| timed(order, order.response_s))
            .collect(),
        "repair_hours" => repairs(facts).map(|order| timed(order, order.repair_s)).collect(),
        "repairs_confirmed" => repairs(facts)
            .filter(|order| order.repair_s.is_some())
            .map(|order| order_row(order, i64::from(order.confirmed)))
            .collect(),
        "rectifications_closed" => facts
            .orders
            .iter()
            .filter(|order| order.rectification)
            .map(|order| order_row(order, i64::from(order.closed)))
            .collect(),
        "technician_in_time" => technicians(facts, |repair| Some(i64::from(repair.in_time))),
        "technician_repair_hours" => technicians(facts, |repair| Some(repair.wall_s)),
        "technician_first_fix" => technicians(facts, |repair| repair.works.map(i64::from)),
        "exam_silence" => facts.exams.iter().map(exam_silence).collect(),
        "assets_answered_for" => assets_answered_for(facts),
        _ if indicator.manual => manual(indicator, facts),
        _ => return None,
    })
}

fn devices_told(device: &Device) -> Row {
    let heard = i64::from(device.days_heard > 0);
    Row::known(device.school, &device.id, &device.label, heard, 1)
}

fn device_on_rate(device: &Device) -> Option<Row> {
    let (school, id, label) = (device.school, &device.id, &device.label);
    match (device.expected_s, device.days_silent) {
        // No school in all that time.
        (0, 0) => None,
        (0, silent) => Some(Row::unknown(school, id, label, silent, "no_data")),
        (expected, silent) => {
            Some(Row::known(school, id, label, device.online_s, expected).but(silent, "no_data"))
        }
    }
}

fn screen_hours(device: &Device) -> Option<Row> {
    let (school, id, label) = (device.school, &device.id, &device.label);
    // Days it was heard and did not tell, and school days it was not heard.
    let mute = device.days_heard.saturating_sub(device.screen_days);
    let unknown = mute.saturating_add(device.days_silent);
    let why = if device.days_heard == 0 {
        "no_data"
    } else {
        "no_screen"
    };
    match (device.screen_days, unknown) {
        (0, 0) => None,
        (0, unknown) => Some(Row::unknown(school, id, label, unknown, why)),
        (_, unknown) => Some(Row::known(school, id, label, device.screen_on_s, 1).but(unknown, "no_data")),
    }
}

fn lesson_opening(room: &Classroom) -> Option<Row> {
    let told = room.opened + room.not_opened;
    match (told, room.periods_unknown) {
        (0, 0) => None,
        (0, unknown) => Some(Row::unknown(
            room.school,
            room.id,
            &room.label,
            unknown,
            "no_timetable_word",
        )),
        (told, unknown) => Some(
            Row::known(room.school, room.id, &room.label, room.opened, told)
                .but(unknown, "no_timetable_word"),
        ),
    }
}

fn planned_lessons_opened(room: &Classroom) -> Option<Row> {
    let unknown = room.planned.saturating_sub(room.planned_told).max(0);
    match (room.planned_told, unknown) {
        (0, 0) => None,
        (0, unknown) => Some(Row::unknown(
            room.school,
            room.id,
            &room.label,
            unknown,
            "no_timetable_word",
        )),
        (told, unknown) => Some(
            Row::known(room.school, room.id, &room.label, room.planned_opened, told)
                .but(unknown, "no_timetable_word"),
        ),
    }
}

/// Rooms with a board, or with use from when they had one.
fn used(facts: &Facts, of: fn(&Classroom) -> i64) -> Vec<Row> {
    let rooms = facts.classrooms.iter();
    rooms
        .filter(|room| room.devices > 0 || room.days_told > 0)
        .map(|room| {
            if room.days_told > 0 {
                Row::known(room.school, room.id, &room.label, of(room), 1)
            } else {
                Row::unknown(room.school, room.id, &room.label, 1, "no_data")
            }
        })
        .collect()
}

fn teaching_point_coverage(facts: &Facts) -> Vec<Row> {
    let points = facts.schools.iter().filter(|school| school.teaching_point);
    points
        .map(|point| {
            let rooms = facts.classrooms.iter().filter(|room| room.school == point.id);
            let (told, opens) = rooms.fold((0, 0), |(told, opens), room| {
                (told + room.days_told, opens + room.lesson_opens)
            });
            if told > 0 {
                Row::known(point.id, point.id, &point.name, i64::from(opens > 0), 1)
            } else {
                Row::unknown(point.id, point.id, &point.name, 1, "no_data")
            }
        })
        .collect()
}

fn resources_arrived(facts: &Facts) -> Vec<Row> {
    let name = |school: i64| {
        let found = facts.schools.iter().find(|s| s.id == school);
        found.map_or("", |school| school.name.as_str())
    };
    facts
        .pushes
        .iter()
        .map(|push| {
            let label = format!("{} · #{}", name(push.school), push.id);
            let key = format!("{}@{}", push.id, push.school);
            Row::known(push.school, key, label, push.arrived, push.devices)
        })
        .collect()
}

fn classrooms_equipped(room: &Classroom) -> Row {
    Row::known(room.school, room.id, &room.label, i64::from(room.assets > 0), 1)
}

fn classrooms_online(room: &Classroom) -> Row {
    if room.days_heard > 0 || room.devices == 0 {
        let heard = i64::from(room.days_heard > 0);
        Row::known(room.school, room.id, &room.label, heard, 1)
    } else {
        Row::unknown(room.school, room.id, &room.label, 1, "no_data")
    }
}

fn broadband_met(school: &School) -> Row {
    let (id, name) = (school.id, &school.name);
    match school.bandwidth.as_deref() {
        Some("met") => Row::known(id, id, name, 1, 1),
        Some("not_met") => Row::known(id, id, name, 0, 1),
        Some(why @ ("port_cannot_prove" | "no_target" | "no_figures")) => Row::unknown(id, id, name, 1, why),
        _ => Row::unknown(id, id, name, 1, "no_test"),
    }
}

fn broadband_100m(school: &School) -> Row {
    let (id, name) = (school.id, &school.name);
    match school.contracted_down_mbps {
        Some(mbps) => Row::known(id, id, name, i64::from(mbps >= 100), 1),
        None => Row::unknown(id, id, name, 1, "not_recorded"),
    }
}

fn inspections_done(device: &Device) -> Option<Row> {
    let (school, id, label) = (device.school, &device.id, &device.label);
    if device.days_expected == 0 {
        return None;
    }
    if device.inspected + device.inspected_unknown == 0 {
        return Some(Row::unknown(
            school,
            id,
            label,
            device.days_expected,
            "not_inspected",
        ));
    }
    let due = device.days_expected - device.inspected_unknown;
    Some(Row::known(school, id, label, device.inspected, due).but(device.inspected_unknown, "no_data"))
}

fn repairs(facts: &Facts) -> impl Iterator<Item = &Order> {
    facts.orders.iter().filter(|order| !order.rectification)
}

fn order_row(order: &Order, num: i64) -> Row {
    Row::known(order.school, order.id, &order.label, num, 1)
}

fn timed(order: &Order, seconds: Option<i64>) -> Row {
    match seconds {
        Some(seconds) => order_row(order, seconds),
        None => Row::unknown(order.school, order.id, &order.label, 1, "not_yet"),
    }
}

/// A row for each account at each school where it repaired something: the sum of what is known of its repairs, and how many of
/// them that is.
fn technicians(facts: &Facts, of: fn(&Repair) -> Option<i64>) -> Vec<Row> {
    let mut people: BTreeMap<(i64, &str), (i64, i64, i64)> = BTreeMap::new();
    for repair in &facts.repairs {
        let sums = people.entry((repair.school, &repair.by)).or_default();
        match of(repair) {
            Some(num) => {
                sums.0 = sums.0.saturating_add(num);
                sums.1 += 1;
            }
            None => sums.2 += 1,
        }
    }
    let mut rows = Vec::with_capacity(people.len());
    for school in &facts.schools {
        for ((_, by), (num, den, unknown)) in people.range((school.id, "")..(school.id + 1, "")) {
            let (key, label) = (format!("{by}@{}", school.id), format!("{by} · {}", school.name));
            rows.push(match den {
                0 => Row::unknown(school.id, key, label, *unknown, "not_yet"),
                den => Row::known(school.id, key, label, *num, *den).but(*unknown, "not_yet"),
            });
        }
    }
    rows
}

fn exam_silence(board: &ExamBoard) -> Row {
    match board.silent {
        Some(silent) => Row::known(board.school, &board.key, &board.label, i64::from(silent), 1),
        None => Row::unknown(board.school, &board.key, &board.label, 1, board.why),
    }
}

fn assets_answered_for(facts: &Facts) -> Vec<Row> {
    facts
        .assets
        .iter()
        .map(|asset| {
            Row::known(
                asset.school,
                asset.id,
                &asset.label,
                i64::from(asset.answered_for),
                1,
            )
        })
        .collect()
}

fn manual(indicator: &Indicator, facts: &Facts) -> Vec<Row> {
    let typed = |school: i64| {
        let mut all = facts.manual.iter();
        all.find(|found| found.school == school && found.indicator == indicator.id)
    };
    facts
        .schools
        .iter()
        .map(|school| match typed(school.id) {
            Some(found) => Row::known(school.id, school.id, &school.name, found.num, found.den),
            None => Row::unknown(school.id, school.id, &school.name, 1, "not_filled_in"),
        })
        .collect()
}
