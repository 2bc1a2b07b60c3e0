//! Figures of one device over time, and what happened on it.

use axum::{Json, extract::State};
use contract::id::DeviceId;
use jiff::{SignedDuration, Timestamp};

use super::{Path, Query, within};
use crate::{
    access::Access,
    api::{
        device_events::{DeviceEventList, DeviceEventQuery},
        schema,
        series::{SeriesQuery, SeriesSet, Tier},
    },
    app::AppState,
    db::events::EventFilter,
    domain::readings::{METRICS, Metric, metric},
    error::ApiError,
};

/// Readings of one request.
const MOST_METRICS: usize = 12;
/// Days that one request may cover at each step.
const RAW_SPAN: SignedDuration = SignedDuration::from_hours(48);
const FIVE_MIN_SPAN: SignedDuration = SignedDuration::from_hours(31 * 24);
const HOUR_SPAN: SignedDuration = SignedDuration::from_hours(800 * 24);

/// Readings of one device over time: sample by sample, in slots of 5 minutes or in hours, with gaps shown as gaps.
#[utoipa::path(get, path = "/devices/{id}/series", tag = "devices", params(("id" = String, Path), SeriesQuery), responses(
    (status = 200, body = SeriesSet),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn series(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<DeviceId>,
    Query(query): Query<SeriesQuery>,
) -> Result<Json<SeriesSet>, ApiError> {
    let metrics = named(&query.metrics)?;
    let now = Timestamp::now();
    let (from, to) = span(query.from, query.to, SignedDuration::from_hours(24), now)?;
    let tier = tier(query.step.as_deref())?;
    let most = match tier {
        Some(Tier::Raw) => RAW_SPAN,
        Some(Tier::FiveMin) => FIVE_MIN_SPAN,
        Some(Tier::Hour) | None => HOUR_SPAN,
    };
    if to.duration_since(from) > most {
        return Err(ApiError::invalid(
            "from",
            format!(
                "more than {} days at that step; ask for less, or leave step to auto",
                most.as_hours() / 24
            ),
        ));
    }
    let series = app
        .db
        .rollups()
        .series(&access.scope, &id, &metrics, (from, to), tier, now)
        .await?;
    Ok(Json(series))
}

/// What happened on one device, newest first.
#[utoipa::path(get, path = "/devices/{id}/events", tag = "devices", params(("id" = String, Path), DeviceEventQuery), responses(
    (status = 200, body = DeviceEventList),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn events(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<DeviceId>,
    Query(query): Query<DeviceEventQuery>,
) -> Result<Json<DeviceEventList>, ApiError> {
    let limit = within("limit", query.limit.unwrap_or(200), 1, 1_000)?;
    let month = SignedDuration::from_hours(30 * 24);
    let (from, to) = span(query.from, query.to, month, Timestamp::now())?;
    let filter = EventFilter {
        kind: query.kind,
        from: Some(from),
        to: Some(to),
        limit,
        ..EventFilter::default()
    };
    let items = app.db.events().of_device(&access.scope, &id, filter).await?;
    Ok(Json(DeviceEventList { items }))
}

/// Readings by name.
///
/// # Errors
/// Names the one that there is not.
pub(crate) fn named(names: &str) -> Result<Vec<&'static Metric>, ApiError> {
    let invalid = |problem| ApiError::invalid("metrics", problem);
    let metrics = names
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(|name| {
            metric(name).ok_or_else(|| {
                let known: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
                invalid(format!(
                    "there is no reading {name:?}; known are {}",
                    known.join(", ")
                ))
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    match metrics.len() {
        0 => Err(invalid("name at least one reading, e.g. cpu_percent".to_owned())),
        n if n > MOST_METRICS => Err(invalid(format!(
            "{n} readings at once; at most {MOST_METRICS} are allowed"
        ))),
        _ => Ok(metrics),
    }
}

fn tier(step: Option<&str>) -> Result<Option<Tier>, ApiError> {
    match step {
        None | Some("auto" | "") => Ok(None),
        Some("raw") => Ok(Some(Tier::Raw)),
        Some("5m") => Ok(Some(Tier::FiveMin)),
        Some("1h") => Ok(Some(Tier::Hour)),
        Some(other) => Err(ApiError::invalid(
            "step",
            format!("{other:?} is none of auto, raw, 5m and 1h"),
        )),
    }
}

/// A stretch of time that was asked for, or the usual one up to now.
///
/// # Errors
/// It ends before it begins.
pub(crate) fn span(
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    usual: SignedDuration,
    now: Timestamp,
) -> Result<(Timestamp, Timestamp), ApiError> {
    let to = to.unwrap_or(now);
    let from = match from {
        Some(from) => from,
        None => to.saturating_sub(usual).map_err(ApiError::internal)?,
    };
    if from > to {
        return Err(ApiError::invalid(
            "from",
            format!("from {from} is later than to {to}"),
        ));
    }
    Ok((from, to))
}
