//! One order to many devices.

use std::collections::{BTreeMap, BTreeSet};

use axum::{Json, extract::State};
use contract::{
    command::{CommandBody, CommandEnvelope},
    controls::ControlsReport,
    id::DeviceId,
};
use jiff::Timestamp;

use super::{Body, bandwidth, commands, notices};
use crate::{
    access::Access,
    api::{
        bandwidth::NewBandwidthTest,
        device_bulk::{BulkAnswer, BulkCommand, BulkDevice, BulkOrder, BulkResult},
        devices::{DeviceFilter, DeviceState},
        notices::NewNotice,
        pushes::PushTarget,
        schema,
    },
    app::{AppState, Noun},
    db::{
        Db, DbError,
        devices::bulk::{MOST_DEVICES, Reached},
        scope::Scope,
    },
    error::{ApiError, Code},
};

/// One order to many devices: restart, off, screen, loudspeaker, lock, a notice, or a test of their lines. A dry run says how many devices and classrooms
/// that would be; sending needs that number, so that what is confirmed is what happens. The answer names every device.
#[utoipa::path(post, path = "/devices/bulk", tag = "devices", request_body = BulkCommand, responses(
    (status = 200, body = BulkAnswer),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    (status = 429, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn order(
    State(app): State<AppState>,
    access: Access,
    Body(new): Body<BulkCommand>,
) -> Result<Json<BulkAnswer>, ApiError> {
    if new.dry_run {
        crate::audit::only_looking();
    }
    let lines = access.reach(&app.db, "bandwidth.test").await?;
    let reach = Reach {
        devices: &access.scope,
        lines: &lines,
    };
    let now = if new.dry_run {
        Timestamp::now()
    } else {
        app.clock.sign()?
    };
    let answer = give(&app.db, &reach, &new, &access.user.username, now).await?;
    if !new.dry_run {
        // Wakes the publisher, too.
        app.changed(Noun::Device, None);
    }
    Ok(Json(answer))
}

/// How far somebody reaches with an order to many.
pub(crate) struct Reach<'a> {
    /// Whose devices.
    pub(crate) devices: &'a Scope,
    /// Whose lines may be tested.
    pub(crate) lines: &'a Scope,
}

/// Says, or does, what was ordered.
///
/// # Errors
/// See the route.
pub(crate) async fn give(
    db: &Db,
    reach: &Reach<'_>,
    new: &BulkCommand,
    by: &str,
    now: Timestamp,
) -> Result<BulkAnswer, ApiError> {
    check(db, reach.devices, new, now).await?;
    let found = db
        .devices()
        .reached(reach.devices, &new.ids, new.filter.as_ref())
        .await?;
    if found.len() > MOST_DEVICES {
        return Err(ApiError::invalid(
            "filter",
            format!("more than {MOST_DEVICES} devices; narrow the filter and give the order in parts"),
        ));
    }
    if let (true, Some(first)) = (found.is_empty(), new.ids.first()) {
        return Err(DbError::not_found("device", first).into());
    }
    let body = new.order.body();
    // Of each school once: whether a class or an exam is on there.
    let mut busy: BTreeMap<i64, &'static str> = BTreeMap::new();
    if let Some(body) = &body {
        let schools: BTreeSet<i64> = found.iter().map(|device| device.school_id).collect();
        for school in schools {
            if let Some(why) = commands::not_now(db, school, body, now).await? {
                busy.insert(school, why);
            }
        }
    }
    let mut items: Vec<(Option<Reached>, BulkDevice)> = found
        .into_iter()
        .map(|device| {
            let item = judged(&device, &new.order, body.as_ref(), &busy, reach);
            (Some(device), item)
        })
        .collect();
    let known: BTreeSet<&DeviceId> = items.iter().map(|(_, item)| &item.device_id).collect();
    let unknown: Vec<BulkDevice> = new
        .ids
        .iter()
        .filter(|id| !known.contains(id))
        .map(missing)
        .collect();
    items.extend(unknown.into_iter().map(|item| (None, item)));
    if !new.dry_run {
        send(db, reach, new, by, now, &mut items).await?;
    }
    Ok(answer(new.dry_run, items))
}

async fn check(db: &Db, scope: &Scope, new: &BulkCommand, now: Timestamp) -> Result<(), ApiError> {
    let one_of_both = new.ids.is_empty() == new.filter.is_some();
    if !one_of_both
        || new
            .filter
            .as_ref()
            .is_some_and(|filter| *filter == DeviceFilter::default())
    {
        return Err(ApiError::invalid(
            "ids",
            "name devices by their ids, or by a filter that narrows; one of both",
        ));
    }
    if new.ids.len() > MOST_DEVICES {
        return Err(ApiError::invalid(
            "ids",
            format!("{} devices; at most {MOST_DEVICES} are allowed", new.ids.len()),
        ));
    }
    if let Some(filter) = &new.filter {
        db.need_places(scope, filter.region_id, filter.school_id).await?;
        if let Some(classroom) = filter.classroom_id {
            db.need_classroom(scope, classroom).await?;
        }
    }
    match &new.order {
        BulkOrder::Notice { .. } => {
            notice(new, Vec::new(), now)?;
        }
        order => {
            if let Some(body) = order.body() {
                // Any id will do: only the bounds are looked at.
                let id = DeviceId::new("d").map_err(ApiError::internal)?;
                commands::order(id, body, new.ttl_s, now)?;
            }
        }
    }
    Ok(())
}

fn notice(
    new: &BulkCommand,
    devices: Vec<PushTarget>,
    now: Timestamp,
) -> Result<Option<crate::db::notices::Checked>, ApiError> {
    let BulkOrder::Notice {
        level,
        title,
        text,
        show_for_s,
    } = &new.order
    else {
        return Ok(None);
    };
    let mut checked = notices::checked(
        NewNotice {
            // The bound is on what people type; these are counted above.
            targets: vec![PushTarget::School { id: 0 }],
            level: *level,
            title: title.clone(),
            text: text.clone(),
            show_for_s: Some(*show_for_s),
            ttl_s: Some(new.ttl_s.unwrap_or(commands::DEFAULT_TTL_S)),
        },
        now,
    )?;
    checked.targets = devices;
    Ok(Some(checked))
}

fn judged(
    device: &Reached,
    order: &BulkOrder,
    body: Option<&CommandBody>,
    busy: &BTreeMap<i64, &'static str>,
    reach: &Reach<'_>,
) -> BulkDevice {
    let cannot = body.is_some_and(|body| !ControlsReport::can(device.controls.as_ref(), &body.needs()));
    let reason = if device.standing != "active" {
        Some(device.standing.clone())
    } else if cannot {
        Some(Code::DeviceCannot.as_str().to_owned())
    } else if let Some(why) = busy.get(&device.school_id) {
        Some((*why).to_owned())
    } else if matches!(order, BulkOrder::TestBandwidth { .. }) && !reach.lines.has_school(device.school_id) {
        Some("not_allowed".to_owned())
    } else {
        None
    };
    BulkDevice {
        device_id: device.id.clone(),
        school: device.school.clone(),
        classroom: device.classroom.clone(),
        state: device.state,
        result: if reason.is_some() {
            BulkResult::Skipped
        } else {
            BulkResult::Ready
        },
        command_id: None,
        reason,
    }
}

fn missing(id: &DeviceId) -> BulkDevice {
    BulkDevice {
        device_id: id.clone(),
        school: String::new(),
        classroom: String::new(),
        state: DeviceState::Unknown,
        result: BulkResult::Skipped,
        command_id: None,
        reason: Some("not_found".to_owned()),
    }
}

async fn send(
    db: &Db,
    reach: &Reach<'_>,
    new: &BulkCommand,
    by: &str,
    now: Timestamp,
    items: &mut [(Option<Reached>, BulkDevice)],
) -> Result<(), ApiError> {
    let ready = items.iter().filter(|(_, item)| item.result == BulkResult::Ready);
    let count = u32::try_from(ready.count()).unwrap_or(u32::MAX);
    match new.expected {
        None => {
            return Err(ApiError::invalid(
                "expected",
                "say how many devices the dry run found, so that no other number gets the order",
            ));
        }
        Some(expected) if expected != count => {
            return Err(DbError::Conflict(format!(
                "{count} devices would get the order, and not {expected} as before; look at the list again"
            ))
            .into());
        }
        Some(_) if count == 0 => {
            return Err(DbError::Conflict("no device would get the order".to_owned()).into());
        }
        Some(_) => {}
    }
    let mut schools: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (n, (device, item)) in items.iter().enumerate() {
        if let (Some(device), BulkResult::Ready) = (device, item.result) {
            schools.entry(device.school_id).or_default().push(n);
        }
    }
    match &new.order {
        BulkOrder::Notice { .. } => {
            let targets = items
                .iter()
                .filter(|(_, item)| item.result == BulkResult::Ready)
                .map(|(_, item)| PushTarget::Device {
                    id: item.device_id.clone(),
                })
                .collect();
            let Some(notice) = notice(new, targets, now)? else {
                return Ok(());
            };
            let id = notices::sent(db.notices().send(reach.devices, &notice, by).await?)?;
            let orders: BTreeMap<i64, String> = db.notices().orders(id).await?.into_iter().collect();
            for (device, item) in items.iter_mut() {
                if let Some(order) = device.as_ref().and_then(|device| orders.get(&device.device_no)) {
                    item.result = BulkResult::Queued;
                    item.command_id = Some(order.clone());
                }
            }
        }
        BulkOrder::TestBandwidth { forced } => test_lines(db, reach, *forced, by, now, schools, items).await,
        order => {
            let Some(body) = order.body() else { return Ok(()) };
            for (school, places) in schools {
                let mut orders: Vec<(i64, CommandEnvelope)> = Vec::with_capacity(places.len());
                for n in &places {
                    if let Some((Some(device), item)) = items.get_mut(*n) {
                        let order = commands::order(device.id.clone(), body.clone(), new.ttl_s, now)?;
                        item.result = BulkResult::Queued;
                        item.command_id = Some(order.id.to_string());
                        orders.push((device.device_no, order));
                    }
                }
                // What other schools got they have; this one is told apart.
                if let Err(error) = db.devices().order_school(school, &orders, by).await {
                    tracing::error!(error = %error, school, "an order to many was not given to a school");
                    for n in places {
                        if let Some((_, item)) = items.get_mut(n) {
                            item.result = BulkResult::Skipped;
                            item.command_id = None;
                            item.reason = Some("console_failed".to_owned());
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

async fn test_lines(
    db: &Db,
    reach: &Reach<'_>,
    forced: bool,
    by: &str,
    now: Timestamp,
    schools: BTreeMap<i64, Vec<usize>>,
    items: &mut [(Option<Reached>, BulkDevice)],
) {
    let test = NewBandwidthTest {
        forced,
        ..NewBandwidthTest::default()
    };
    for (school, places) in schools {
        let done = bandwidth::order_now(db, reach.lines, school, &test, by, now).await;
        for n in places {
            if let Some((_, item)) = items.get_mut(n) {
                match &done {
                    Ok(test) => {
                        item.result = BulkResult::Queued;
                        item.command_id = Some(test.clone());
                    }
                    Err(error) => {
                        item.result = BulkResult::Skipped;
                        item.reason = Some(error.code.as_str().to_owned());
                    }
                }
            }
        }
    }
}

fn answer(dry_run: bool, items: Vec<(Option<Reached>, BulkDevice)>) -> BulkAnswer {
    let gets: Vec<&Reached> = items
        .iter()
        .filter(|(_, item)| item.result != BulkResult::Skipped)
        .filter_map(|(device, _)| device.as_ref())
        .collect();
    let small = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let online = gets.iter().filter(|device| device.state == DeviceState::Online);
    let classrooms: BTreeSet<i64> = gets.iter().map(|device| device.classroom_id).collect();
    let schools: BTreeSet<i64> = gets.iter().map(|device| device.school_id).collect();
    BulkAnswer {
        dry_run,
        devices: small(gets.len()),
        online: small(online.count()),
        classrooms: small(classrooms.len()),
        schools: small(schools.len()),
        skipped: small(items.len() - gets.len()),
        items: items.into_iter().map(|(_, item)| item).collect(),
    }
}
