//! The calendar of a school and a region's defaults: term, bells, days off, the help card, the technician's PIN.

use axum::{Json, extract::State, http::StatusCode};
use contract::classroom::MAX_PERIODS;
use jiff::{Timestamp, civil::Weekday};

use super::super::{Body, Path, text};
use crate::{
    access::Access,
    api::{
        schema,
        timetables::{
            Bell, CalendarDay, CalendarSettings, Help, NewTechnicianPin, RegionCalendar, SchoolCalendar,
            TermSpan,
        },
    },
    app::{AppState, Noun},
    db::scope::Node,
    domain::pin,
    error::ApiError,
};

const MOST_DAYS: usize = 200;
const MOST_WEEKS: u8 = 60;

/// What is set at a school, and what holds.
#[utoipa::path(get, path = "/schools/{id}/calendar", tag = "timetables", params(("id" = i64, Path)), responses(
    (status = 200, body = SchoolCalendar),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn school(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<Json<SchoolCalendar>, ApiError> {
    Ok(Json(
        app.db.timetables().school_calendar(&access.scope, id).await?,
    ))
}

/// Sets a school's calendar; what is left out holds as for the region. The school's boards are told within seconds.
#[utoipa::path(put, path = "/schools/{id}/calendar", tag = "timetables", params(("id" = i64, Path)),
    request_body = CalendarSettings, responses(
        (status = 200, body = SchoolCalendar),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn set_school(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Body(new): Body<CalendarSettings>,
) -> Result<Json<SchoolCalendar>, ApiError> {
    let (new, now) = (checked(new)?, Timestamp::now());
    let timetables = app.db.timetables();
    timetables
        .set_calendar(&access.scope, Node::School(id), &new, &access.user.username, now)
        .await?;
    app.changed(Noun::Tree, None);
    Ok(Json(timetables.school_calendar(&access.scope, id).await?))
}

/// What a region sets for its schools.
#[utoipa::path(get, path = "/regions/{id}/calendar", tag = "timetables", params(("id" = i64, Path)), responses(
    (status = 200, body = RegionCalendar),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn region(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<Json<RegionCalendar>, ApiError> {
    Ok(Json(
        app.db.timetables().region_calendar(&access.scope, id).await?,
    ))
}

/// Sets what holds for the schools of a region where they say nothing themselves.
#[utoipa::path(put, path = "/regions/{id}/calendar", tag = "timetables", params(("id" = i64, Path)),
    request_body = CalendarSettings, responses(
        (status = 200, body = RegionCalendar),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn set_region(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Body(new): Body<CalendarSettings>,
) -> Result<Json<RegionCalendar>, ApiError> {
    let (new, now) = (checked(new)?, Timestamp::now());
    let timetables = app.db.timetables();
    timetables
        .set_calendar(&access.scope, Node::Region(id), &new, &access.user.username, now)
        .await?;
    app.changed(Noun::Tree, None);
    Ok(Json(timetables.region_calendar(&access.scope, id).await?))
}

/// Sets the PIN that opens the settings of a school's boards; it is kept as a digest and cannot be read again.
#[utoipa::path(put, path = "/schools/{id}/technician-pin", tag = "timetables", params(("id" = i64, Path)),
    request_body = NewTechnicianPin, responses(
        (status = 204),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn set_school_pin(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Body(new): Body<NewTechnicianPin>,
) -> Result<StatusCode, ApiError> {
    set_pin(&app, &access, Node::School(id), new).await
}

/// Sets the PIN that opens the settings of boards in a region, where a school or a nearer region has none.
#[utoipa::path(put, path = "/regions/{id}/technician-pin", tag = "timetables", params(("id" = i64, Path)),
    request_body = NewTechnicianPin, responses(
        (status = 204),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn set_region_pin(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Body(new): Body<NewTechnicianPin>,
) -> Result<StatusCode, ApiError> {
    set_pin(&app, &access, Node::Region(id), new).await
}

async fn set_pin(
    app: &AppState,
    access: &Access,
    at: Node,
    new: NewTechnicianPin,
) -> Result<StatusCode, ApiError> {
    let digest = match new.pin {
        None => None,
        Some(pin) => {
            checked_pin(&pin)?;
            // A quarter of a second of one core.
            let made = tokio::task::spawn_blocking(move || pin::digest(&pin, &mut rand::rng()));
            Some(made.await.map_err(ApiError::internal)?)
        }
    };
    app.db
        .timetables()
        .set_technician_pin(
            &access.scope,
            at,
            digest.as_ref(),
            &access.user.username,
            Timestamp::now(),
        )
        .await?;
    app.changed(Noun::Tree, None);
    Ok(StatusCode::NO_CONTENT)
}

/// A PIN within its bounds.
pub(crate) fn checked_pin(pin: &str) -> Result<(), ApiError> {
    let refusal = "a PIN has 6 to 12 digits, not all of them the same";
    pin::is_pin(pin)
        .then_some(())
        .ok_or_else(|| ApiError::invalid("pin", refusal))
}

/// Settings within their bounds.
pub(crate) fn checked(new: CalendarSettings) -> Result<CalendarSettings, ApiError> {
    if let Some(term) = new.term {
        checked_term(term)?;
    }
    let bells = new.bells.map(checked_bells).transpose()?;
    if new.days.len() > MOST_DAYS {
        return Err(ApiError::invalid(
            "days",
            format!("{} days; allowed are up to {MOST_DAYS}", new.days.len()),
        ));
    }
    let mut days = new
        .days
        .into_iter()
        .map(checked_day)
        .collect::<Result<Vec<_>, _>>()?;
    days.sort_by_key(|day| day.date);
    if let Some(twice) = days
        .windows(2)
        .find(|pair| matches!(pair, [a, b] if a.date == b.date))
    {
        let date = twice.first().map(|day| day.date.to_string()).unwrap_or_default();
        return Err(ApiError::invalid("days", format!("{date} stands there twice")));
    }
    let word = |word: Option<String>| word.map(|word| text("help", &word, 0, 40)).transpose();
    let help = Help {
        office: word(new.help.office)?,
        phone: word(new.help.phone)?,
        text: new.help.text.map(card).transpose()?,
    };
    Ok(CalendarSettings {
        bells,
        days,
        help,
        ..new
    })
}

/// The card has lines.
fn card(words: String) -> Result<String, ApiError> {
    let lines: Vec<String> = words
        .lines()
        .map(|line| text("help", line, 0, 500))
        .collect::<Result<_, _>>()?;
    let words = lines.join("\n");
    match words.chars().count() {
        0..=500 => Ok(words.trim().to_owned()),
        length => Err(ApiError::invalid(
            "help",
            format!("the card has {length} characters; allowed are up to 500"),
        )),
    }
}

fn checked_term(term: TermSpan) -> Result<(), ApiError> {
    if term.first_monday.weekday() != Weekday::Monday {
        return Err(ApiError::invalid(
            "term",
            format!(
                "{} is no Monday; a term begins on the Monday of its first week",
                term.first_monday
            ),
        ));
    }
    if !(1..=MOST_WEEKS).contains(&term.weeks) {
        return Err(ApiError::invalid(
            "term",
            format!("{} weeks; allowed are 1 to {MOST_WEEKS}", term.weeks),
        ));
    }
    Ok(())
}

fn checked_bells(mut bells: Vec<Bell>) -> Result<Vec<Bell>, ApiError> {
    bells.sort_by_key(|bell| bell.number);
    let wrong = |why: String| Err(ApiError::invalid("bells", why));
    let mut last = (0, 0);
    for bell in &bells {
        if !(1..=MAX_PERIODS).contains(&bell.number) || bell.number == last.0 {
            return wrong(format!(
                "number {}; each of 1 to {MAX_PERIODS} at most once",
                bell.number
            ));
        }
        if bell.from_min >= bell.to_min || bell.to_min > 1_440 || bell.from_min < last.1 {
            return wrong(format!(
                "period {} from minute {} to {}; they count from 0 to 1440, one after the other",
                bell.number, bell.from_min, bell.to_min
            ));
        }
        last = (bell.number, bell.to_min);
    }
    Ok(bells)
}

fn checked_day(day: CalendarDay) -> Result<CalendarDay, ApiError> {
    if day.like.is_some_and(|like| !(1..=7).contains(&like)) {
        return Err(ApiError::invalid(
            "days",
            format!("{} like day {:?}; 1 is Monday and 7 Sunday", day.date, day.like),
        ));
    }
    Ok(CalendarDay {
        name: text("days", &day.name, 0, 20)?,
        ..day
    })
}
