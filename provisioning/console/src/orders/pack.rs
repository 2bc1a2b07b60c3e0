//! The vendor evidence pack (O7): a zip of orders, events, clocks, confirmations and photos, with a list of hashes. It says how
//! things stood when the last day ended, and nothing in it depends on when it is made: the same days make the same bytes, as
//! long as nobody changes what is allowed, the school's calendar or the names of schools.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    io::{Cursor, Write as _},
    path::Path,
};

use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::{
    api::orders::{OrderAct, OrderDetail, OrderSpan, TechnicianFigures},
    config::Language,
    controllers::{receipts::local, usage::csv},
    db::{Db, scope::Scope},
    domain::{
        faults, orders as rules,
        timetables::{at, later},
    },
    error::{ApiError, Code},
    photos,
    reports::clean,
};

/// Photos of one pack, in bytes all together.
const MAX_PHOTO_BYTES: u64 = 1 << 30;

/// Makes the pack.
///
/// # Errors
/// The last day is not over; the region is out of reach; a photo cannot be read.
pub async fn build(
    db: &Db,
    data: &Path,
    scope: &Scope,
    span: OrderSpan,
    now: Timestamp,
) -> Result<Vec<u8>, ApiError> {
    let end = at(later(span.to, 1), 0);
    if end > now {
        return Err(ApiError::invalid(
            "to",
            format!("{} is not over yet; evidence is made of days that are", span.to),
        ));
    }
    let orders = db.orders().evidence(scope, span, end).await?;
    let figures = db.orders().figures(scope, span).await?;
    let size: u64 = orders
        .iter()
        .flat_map(|order| &order.photos)
        .map(|photo| photo.size_bytes)
        .sum();
    if size > MAX_PHOTO_BYTES {
        return Err(
            ApiError::new(Code::TooLarge).arg("limit", "1 GiB of photos; choose fewer days or one area")
        );
    }
    let data = data.to_owned();
    tokio::task::spawn_blocking(move || write(&data, span, &orders, &figures))
        .await
        .map_err(ApiError::internal)?
}

fn write(
    data: &Path,
    span: OrderSpan,
    orders: &[OrderDetail],
    figures: &[TechnicianFigures],
) -> Result<Vec<u8>, ApiError> {
    let mut files: Vec<(String, Vec<u8>)> = vec![
        ("events.csv".into(), events_csv(orders)?),
        ("index.html".into(), page(span, orders).into_bytes()),
        ("orders.csv".into(), orders_csv(orders)?),
        ("orders.json".into(), orders_json(span, orders)?),
        ("technicians.csv".into(), figures_csv(figures, Language::ZhCn)?),
    ];
    let hashes: BTreeSet<&str> = orders
        .iter()
        .flat_map(|order| &order.photos)
        .map(|photo| photo.hash.as_str())
        .collect();
    for hash in hashes {
        let bytes = photos::read(data, hash).map_err(ApiError::internal)?;
        files.push((format!("photos/{hash}.jpg"), bytes));
    }
    files.sort();
    let mut sums = String::new();
    for (name, bytes) in &files {
        let _ = writeln!(sums, "{}  {name}", hex::encode(Sha256::digest(bytes)));
    }
    files.push(("SHA256SUMS".into(), sums.into_bytes()));
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in &files {
        // No time of today in it, and photos are compressed already.
        let stored = name.ends_with(".jpg");
        let how = if stored {
            CompressionMethod::Stored
        } else {
            CompressionMethod::Deflated
        };
        let options = SimpleFileOptions::default()
            .compression_method(how)
            .last_modified_time(zip::DateTime::default())
            .unix_permissions(0o644);
        zip.start_file(name.as_str(), options)
            .map_err(ApiError::internal)?;
        zip.write_all(bytes).map_err(ApiError::internal)?;
    }
    Ok(zip.finish().map_err(ApiError::internal)?.into_inner())
}

fn confirmed(order: &OrderDetail) -> Option<(Timestamp, String)> {
    let event = order
        .events
        .iter()
        .rev()
        .find(|event| event.act == OrderAct::Confirmed)?;
    Some((event.at, rules::by_word(event.by_kind)))
}

fn when(at: Option<Timestamp>) -> String {
    at.map_or_else(String::new, local)
}

fn first(order: &OrderDetail, act: OrderAct) -> Option<Timestamp> {
    order
        .events
        .iter()
        .find(|event| event.act == act)
        .map(|event| event.at)
}

fn last(order: &OrderDetail, act: OrderAct) -> Option<Timestamp> {
    order
        .events
        .iter()
        .rev()
        .find(|event| event.act == act)
        .map(|event| event.at)
}

fn orders_csv(orders: &[OrderDetail]) -> Result<Vec<u8>, ApiError> {
    let columns = [
        "id",
        "kind",
        "source",
        "school",
        "classroom",
        "class",
        "fault_class",
        "symptom",
        "title",
        "owner",
        "builder",
        "maintainer",
        "state",
        "opened_at",
        "accepted_at",
        "on_site_at",
        "repaired_at",
        "confirmed_at",
        "confirmed_by",
        "reopened",
        "response_wall_s",
        "response_class_s",
        "repair_wall_s",
        "repair_class_s",
        "respond_min",
        "repair_min",
        "response_kept",
        "repair_kept",
        "photos",
        "parts",
    ];
    let row = |order: &OrderDetail| {
        let (o, c) = (&order.order, &order.clocks);
        let confirmed = confirmed(order);
        let kept = |kept: Option<bool>| kept.map_or("", |kept| if kept { "yes" } else { "no" }).to_owned();
        let parts: Vec<String> = order
            .parts
            .iter()
            .map(|part| format!("{} × {}", part.name, part.count))
            .collect();
        vec![
            format!("{:06}", o.id),
            rules::kind_word(o.kind),
            rules::source_word(o.source),
            o.school.clone(),
            o.classroom.clone().unwrap_or_default(),
            rules::class_word(o.class),
            o.fault_class.map_or("", faults::class_word).to_owned(),
            o.symptom.clone(),
            o.title.clone(),
            o.owner.clone(),
            o.builder.clone(),
            o.maintainer.clone(),
            rules::state_word(o.state),
            local(o.opened_at),
            when(first(order, OrderAct::Accepted)),
            when(first(order, OrderAct::OnSite)),
            when(last(order, OrderAct::Repaired)),
            when(confirmed.as_ref().map(|(at, _)| *at)),
            confirmed.map(|(_, by)| by).unwrap_or_default(),
            order
                .events
                .iter()
                .filter(|event| event.act == OrderAct::Reopened)
                .count()
                .to_string(),
            c.response_wall_s.to_string(),
            c.response_class_s.to_string(),
            c.repair_wall_s.to_string(),
            c.repair_class_s.to_string(),
            c.allowed.respond_min.to_string(),
            c.allowed.repair_min.to_string(),
            kept(c.response_kept),
            kept(c.repair_kept),
            order.photos.len().to_string(),
            parts.join("; "),
        ]
    };
    csv(
        &columns.map(|name| format!("orders.column.{name}")),
        orders.iter().map(row),
        Language::ZhCn,
    )
}

fn events_csv(orders: &[OrderDetail]) -> Result<Vec<u8>, ApiError> {
    let columns = ["id", "at", "act", "state", "by_kind", "by", "note"];
    let rows = orders.iter().flat_map(|order| {
        order.events.iter().map(|event| {
            vec![
                format!("{:06}", order.order.id),
                event.at.to_string(),
                rules::act_word(event.act),
                rules::state_word(event.state),
                rules::by_word(event.by_kind),
                event.by.clone(),
                event.note.clone(),
            ]
        })
    });
    csv(
        &columns.map(|name| format!("orders.column.{name}")),
        rows,
        Language::ZhCn,
    )
}

fn orders_json(span: OrderSpan, orders: &[OrderDetail]) -> Result<Vec<u8>, ApiError> {
    let list: Vec<_> = orders
        .iter()
        .map(|order| {
            let o = &order.order;
            json!({
                "id": o.id, "kind": o.kind, "source": o.source, "fault_id": o.fault_id, "incident_id": o.incident_id,
                "school_id": o.school_id, "school": o.school, "classroom_id": o.classroom_id, "classroom": o.classroom,
                "device_id": o.device_id, "class": o.class, "fault_class": o.fault_class, "symptom": o.symptom,
                "title": o.title, "text": order.text, "owner": o.owner, "builder": o.builder,
                "maintainer": o.maintainer, "state": o.state, "opened_at": o.opened_at, "due_on": order.due_on,
                "clocks": order.clocks, "events": order.events, "photos": order.photos, "parts": order.parts,
            })
        })
        .collect();
    let whole = json!({ "format": 1, "from": span.from, "to": span.to, "region_id": span.region_id,
                        "area_id": span.area_id, "orders": list });
    let mut bytes = serde_json::to_vec_pretty(&whole).map_err(ApiError::internal)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The figures of technicians as a table.
pub(crate) fn figures_csv(rows: &[TechnicianFigures], language: Language) -> Result<Vec<u8>, ApiError> {
    let columns = [
        "username",
        "schools",
        "devices",
        "accepted",
        "visits",
        "repairs",
        "confirmed",
        "reopened",
        "in_time",
        "mean_repair_class_s",
        "parts",
        "inspections",
    ];
    let row = |row: &TechnicianFigures| {
        vec![
            row.username.clone(),
            row.schools.to_string(),
            row.devices.to_string(),
            row.accepted.to_string(),
            row.visits.to_string(),
            row.repairs.to_string(),
            row.confirmed.to_string(),
            row.reopened.to_string(),
            row.in_time.to_string(),
            row.mean_repair_class_s.map(|s| s.to_string()).unwrap_or_default(),
            row.parts.to_string(),
            row.inspections.to_string(),
        ]
    };
    csv(
        &columns.map(|name| format!("technicians.column.{name}")),
        rows.iter().map(row),
        language,
    )
}

fn hours(seconds: u64) -> String {
    format!("{}:{:02}", seconds / 3_600, seconds % 3_600 / 60)
}

/// A page to print: one line for each order.
fn page(span: OrderSpan, orders: &[OrderDetail]) -> String {
    let say = |key: String| crate::messages::text(Language::ZhCn, &key, &std::collections::BTreeMap::new());
    let mut page = format!(
        "<!doctype html><html lang=\"zh-CN\"><meta charset=\"utf-8\"><title>运维服务证据 {0} 至 {1}</title>\
         <style>body{{font:12px/1.5 'Noto Sans CJK SC','Noto Sans SC',sans-serif;color:#111;max-width:1200px;margin:24px auto;\
         padding:0 16px}}\
         h1{{font-size:22px;margin:0 0 4px}}table{{border-collapse:collapse;width:100%;margin-top:12px}}thead{{display:table-header-group}}\
         tr{{break-inside:avoid}}td,th{{border:1px solid #999;padding:4px 6px;text-align:left;vertical-align:top}}th{{background:#dde8f5;\
         white-space:nowrap;print-color-adjust:exact}}td:first-child,td:nth-child(n+7){{font-variant-numeric:tabular-nums;white-space:nowrap}}\
         @page{{size:A4 landscape;margin:12mm;@bottom-right{{content:counter(page) \" / \" counter(pages);font-size:9pt;color:#555}}}}\
         @media print{{body{{margin:0;padding:0 1px;max-width:none}}}}</style>\
         <h1>运维服务证据</h1><p>{0} 至 {1}，工单 {2} 张。时间由事件计量，不是手工填写；“课时”只计学校上课时段。</p><table><thead>\
         <tr><th>工单<th>学校<th>教室<th>故障<th>运维单位<th>状态<th>报修<th>响应(课时)<th>维修(课时)<th>时限内<th>确认<th>照片</tr></thead><tbody>",
        span.from,
        span.to,
        orders.len()
    );
    for order in orders {
        let (o, c) = (&order.order, &order.clocks);
        let what = match o.fault_class {
            Some(class) if o.title.is_empty() => say(format!("wall.class.{}", faults::class_word(class))),
            _ => o.title.clone(),
        };
        let confirmed = confirmed(order).map_or_else(
            || "—".to_owned(),
            |(at, by)| format!("{} {}", local(at), say(format!("orders.by.{by}"))),
        );
        let kept = match c.repair_kept {
            Some(true) => "是",
            Some(false) => "否",
            None => "—",
        };
        let _ = write!(
            page,
            "<tr><td>{:06}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{kept}<td>{}<td>",
            o.id,
            clean::html(&o.school),
            clean::html(o.classroom.as_deref().unwrap_or("")),
            clean::html(&what),
            clean::html(&o.maintainer),
            say(format!("orders.state.{}", rules::state_word(o.state))),
            local(o.opened_at),
            hours(c.response_class_s),
            hours(c.repair_class_s),
            clean::html(&confirmed),
        );
        for photo in &order.photos {
            let _ = write!(page, "<a href=\"photos/{0}.jpg\">{1}</a> ", photo.hash, photo.id);
        }
        page.push_str("</tr>");
    }
    page.push_str("</tbody></table></html>\n");
    page
}
