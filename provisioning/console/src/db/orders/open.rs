//! How orders come into being.

use contract::records::FaultClass;
use jiff::{Timestamp, civil::Date};
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::{Orders, acts, due};
use crate::{
    api::orders::{
        NewOrder, NewRectification, OrderAct, OrderBy, OrderClass, OrderKind, OrderSource, OrderState,
    },
    db::{
        DbError, DbResult,
        alerts::own_name,
        areas, bump, ms,
        scope::{Node, Scope},
    },
    domain::{faults, orders as rules},
};

/// Most open orders that reports from one classroom's wall make.
const MOST_OPEN_BY_QR: i64 = 5;
/// Most events that the same report adds to an order when it comes again.
const MOST_AGAIN: i64 = 20;

/// An order before it has a number.
#[derive(Debug, Clone)]
pub struct Opening {
    /// What it is for.
    pub kind: OrderKind,
    /// What it came from.
    pub source: OrderSource,
    /// The reported fault.
    pub fault_id: Option<String>,
    /// The incident.
    pub incident_id: Option<i64>,
    /// The school.
    pub school_id: i64,
    /// The classroom.
    pub classroom_id: Option<i64>,
    /// Row of the device.
    pub device_no: Option<i64>,
    /// The piece of equipment.
    pub asset_id: Option<i64>,
    /// What is wrong.
    pub fault_class: Option<FaultClass>,
    /// What it concerns.
    pub class: OrderClass,
    /// A word of the class's list.
    pub symptom: String,
    /// In a few words.
    pub title: String,
    /// More.
    pub text: String,
    /// It cannot wait.
    pub urgent: bool,
    /// By when a notice demands it.
    pub due_on: Option<Date>,
    /// Whose word it is, and the account.
    pub by: (OrderBy, String),
}

impl Opening {
    /// One of a school that says nothing else yet.
    pub fn at(school_id: i64, source: OrderSource, by: (OrderBy, String)) -> Self {
        Self {
            kind: OrderKind::Repair,
            source,
            fault_id: None,
            incident_id: None,
            school_id,
            classroom_id: None,
            device_no: None,
            asset_id: None,
            fault_class: None,
            class: OrderClass::Infrastructure,
            symptom: String::new(),
            title: String::new(),
            text: String::new(),
            urgent: false,
            due_on: None,
            by,
        }
    }
}

/// Writes an order down; answers its id. Who answers for the thing is taken from the equipment, else from the classroom.
pub(in crate::db) async fn insert(tx: &mut SqliteConnection, new: &Opening, now: Timestamp) -> DbResult<i64> {
    let asset: Option<i64> = match new.asset_id {
        Some(asset) => Some(asset),
        None => {
            sqlx::query_scalar("SELECT id FROM assets WHERE device_no = ?")
                .bind(new.device_no)
                .fetch_optional(&mut *tx)
                .await?
        }
    };
    let roles: Option<(String, String, String)> = sqlx::query_as(
        "SELECT coalesce(nullif(a.owner, ''), c.owner, ''), coalesce(nullif(a.builder, ''), c.builder, ''),
                coalesce(nullif(a.maintainer, ''), c.maintainer, '')
           FROM (SELECT 1) LEFT JOIN assets a ON a.id = ?1 LEFT JOIN classrooms c ON c.id = ?2",
    )
    .bind(asset)
    .bind(new.classroom_id)
    .fetch_optional(&mut *tx)
    .await?;
    let (owner, builder, maintainer) = roles.unwrap_or_default();
    let area: Option<i64> = sqlx::query_scalar("SELECT area_id FROM area_schools WHERE school_id = ?")
        .bind(new.school_id)
        .fetch_optional(&mut *tx)
        .await?;
    // Where one person looks after the area, it is theirs.
    let assigned = match (area, areas::responsible(tx, new.school_id, 0).await?.as_slice()) {
        (Some(_), [one]) => Some(*one),
        _ => None,
    };
    let (respond_due, repair_due) = due(tx, new.school_id, new.class, new.urgent, now).await?;
    let repair_due = new.due_on.map_or(repair_due, |date| {
        crate::domain::timetables::at(date, 24 * 60 - 1)
    });
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO orders (kind, source, fault_id, incident_id, school_id, classroom_id, device_no, asset_id, class,
                             fault_class, symptom, title, text, urgent, owner, builder, maintainer, area_id, assigned_to,
                             state, since, opened_at, opened_by, round_since, respond_due, repair_due, due_on)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, 'new', ?20, ?20, ?21,
                 ?20, ?22, ?23, ?24) RETURNING id",
    )
    .bind(rules::kind_word(new.kind))
    .bind(rules::source_word(new.source))
    .bind(&new.fault_id)
    .bind(new.incident_id)
    .bind(new.school_id)
    .bind(new.classroom_id)
    .bind(new.device_no)
    .bind(asset)
    .bind(rules::class_word(new.class))
    .bind(new.fault_class.map_or("", faults::class_word))
    .bind(&new.symptom)
    .bind(&new.title)
    .bind(&new.text)
    .bind(new.urgent)
    .bind(owner)
    .bind(builder)
    .bind(maintainer)
    .bind(area)
    .bind(assigned)
    .bind(ms(now))
    .bind(Some(&new.by.1).filter(|name| !name.is_empty()))
    .bind(ms(respond_due))
    .bind(ms(repair_due))
    .bind(new.due_on.map(|date| date.to_string()))
    .fetch_one(&mut *tx)
    .await?;
    let by = acts::By {
        kind: new.by.0,
        name: &new.by.1,
        user: None,
    };
    acts::log(tx, id, OrderAct::Opened, OrderState::New, &by, "", now).await?;
    bump(tx, "order").await?;
    Ok(id)
}

impl Orders<'_> {
    /// Opens an order by hand, or for an incident.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for what it names, also where out of reach; [`DbError::Conflict`] where nothing says where, or the
    /// incident has its order.
    pub async fn open(&self, scope: &Scope, new: &NewOrder, by: &str, now: Timestamp) -> DbResult<i64> {
        let mut tx = self.0.begin().await?;
        let mut opening = Opening::at(0, OrderSource::Hand, (OrderBy::User, by.to_owned()));
        let place = self.place(&mut tx, scope, new, &mut opening).await?;
        opening.school_id = place;
        opening.fault_class = Some(new.fault_class.unwrap_or(FaultClass::Other));
        opening.class = new
            .class
            .unwrap_or_else(|| rules::class_for(new.fault_class.unwrap_or(FaultClass::Other)));
        opening.title.clone_from(&new.title);
        opening.text.clone_from(&new.text);
        opening.urgent = new.urgent;
        if let Some(incident) = new.incident_id {
            let incident = part_at(&mut tx, incident, place)
                .await?
                .ok_or_else(|| DbError::Conflict(format!("incident {incident} is not at school {place}")))?;
            let taken: Option<i64> = sqlx::query_scalar("SELECT id FROM orders WHERE incident_id = ?")
                .bind(incident)
                .fetch_optional(&mut *tx)
                .await?;
            if let Some(order) = taken {
                return Err(DbError::Conflict(format!(
                    "incident {incident} has its order already: {order}"
                )));
            }
            opening.incident_id = Some(incident);
            opening.source = OrderSource::Incident;
            crate::audit::note("incident_id", incident);
        }
        let id = insert(&mut tx, &opening, now).await?;
        crate::audit::object("order", id);
        crate::audit::node(Node::School(place));
        crate::audit::note("title", new.title.as_str());
        tx.commit().await?;
        Ok(id)
    }

    /// Where it is, from the nearest thing that was named.
    async fn place(
        &self,
        tx: &mut SqliteConnection,
        scope: &Scope,
        new: &NewOrder,
        opening: &mut Opening,
    ) -> DbResult<i64> {
        let mut school = new.school_id;
        if let Some(incident) = new.incident_id {
            // Of a storm, whoever reaches the school alone may name it.
            let incident = match school {
                Some(school) => part_at(tx, incident, school).await?.unwrap_or(incident),
                None => incident,
            };
            let found: Option<(Option<i64>, Option<i64>, Option<i64>)> = sqlx::query_as(
                "SELECT i.school_id, i.region_id,
                        (SELECT CASE count(*) WHEN 1 THEN max(device_no) END FROM incident_devices d WHERE d.incident_id = i.id)
                   FROM incidents i WHERE i.id = ?",
            )
            .bind(incident)
            .fetch_optional(&mut *tx)
            .await?;
            let (at, region, device) = found
                .filter(|(at, region, _)| match (at, region) {
                    (Some(at), _) => scope.has_school(*at),
                    (None, Some(region)) => scope.has_region(*region),
                    (None, None) => scope.is_everything(),
                })
                .ok_or_else(|| DbError::not_found("incident", incident))?;
            if at.is_none() && school.is_none() {
                return Err(DbError::Conflict(format!(
                    "incident {incident} is one of several schools (region {}); say which school the order is for",
                    region.unwrap_or_default()
                )));
            }
            if let Some(at) = at {
                school = Some(at);
                opening.device_no = device;
            }
            if let Some(device) = device {
                opening.classroom_id =
                    sqlx::query_scalar("SELECT classroom_id FROM devices WHERE device_no = ?")
                        .bind(device)
                        .fetch_optional(&mut *tx)
                        .await?;
            }
        }
        if let Some(asset) = new.asset_id {
            let found: Option<(i64, Option<i64>, Option<i64>)> =
                sqlx::query_as("SELECT school_id, classroom_id, device_no FROM assets WHERE id = ?")
                    .bind(asset)
                    .fetch_optional(&mut *tx)
                    .await?;
            let (at, room, device) = found
                .filter(|(at, _, _)| scope.has_school(*at))
                .ok_or_else(|| DbError::not_found("asset", asset))?;
            (school, opening.classroom_id, opening.device_no) = (Some(at), room, device);
            opening.asset_id = Some(asset);
        }
        if let Some(room) = new.classroom_id {
            let at: Option<i64> = sqlx::query_scalar("SELECT school_id FROM classrooms WHERE id = ?")
                .bind(room)
                .fetch_optional(&mut *tx)
                .await?;
            school = Some(
                at.filter(|at| scope.has_school(*at))
                    .ok_or_else(|| DbError::not_found("classroom", room))?,
            );
            opening.classroom_id = Some(room);
        }
        if let Some(device) = &new.device_id {
            let (no, at, room) = board(tx, scope, device.as_str()).await?;
            (school, opening.classroom_id, opening.device_no) = (Some(at), Some(room), Some(no));
        }
        let school = school.ok_or_else(|| {
            DbError::Conflict("say where: a school, classroom, device or piece of equipment".to_owned())
        })?;
        scope.need_school(school)?;
        // What is named beside must be of the same school.
        if let Some(named) = new.school_id.filter(|named| *named != school) {
            scope.need_school(named)?;
            return Err(DbError::Conflict(format!(
                "school {named} is not where the rest is, which is school {school}; leave it out"
            )));
        }
        if let Some(asset) = new.asset_id {
            let at: i64 = sqlx::query_scalar("SELECT school_id FROM assets WHERE id = ?")
                .bind(asset)
                .fetch_one(&mut *tx)
                .await?;
            if at != school {
                return Err(DbError::Conflict(format!(
                    "the equipment {asset} is of another school; leave out where it is"
                )));
            }
        }
        let there: Option<i64> = sqlx::query_scalar("SELECT id FROM schools WHERE id = ?")
            .bind(school)
            .fetch_optional(tx)
            .await?;
        there.ok_or_else(|| DbError::not_found("school", school))
    }

    /// Opens a rectification (网络安全整改).
    ///
    /// # Errors
    /// [`DbError::NotFound`] for school or device, also where out of reach.
    pub async fn open_rectification(
        &self,
        scope: &Scope,
        new: &NewRectification,
        by: &str,
        now: Timestamp,
    ) -> DbResult<i64> {
        let mut tx = self.0.begin().await?;
        let mut opening = Opening::at(new.school_id, OrderSource::Hand, (OrderBy::User, by.to_owned()));
        let place = NewOrder {
            school_id: Some(new.school_id),
            device_id: new.device_id.clone(),
            ..NewOrder::default()
        };
        opening.school_id = self.place(&mut tx, scope, &place, &mut opening).await?;
        opening.kind = OrderKind::Rectification;
        opening.class = OrderClass::Application;
        opening.title.clone_from(&new.title);
        opening.text.clone_from(&new.text);
        opening.due_on = Some(new.due_on);
        let id = insert(&mut tx, &opening, now).await?;
        crate::audit::object("order", id);
        crate::audit::node(Node::School(opening.school_id));
        crate::audit::note("title", new.title.as_str());
        tx.commit().await?;
        Ok(id)
    }

    /// A report from the code on a wall. The same reported again joins the order that is open; answers it, and whether it is
    /// new. `None`: the code is unknown, or the classroom has its fill of reports.
    ///
    /// # Errors
    /// The database's.
    pub async fn from_wall(
        &self,
        code: &str,
        fault: FaultClass,
        symptom: &str,
        now: Timestamp,
    ) -> DbResult<Option<(i64, bool)>> {
        let mut tx = self.0.begin_quiet().await?;
        let room: Option<(i64, i64)> = sqlx::query_as(
            "SELECT c.id, c.school_id FROM classroom_codes k JOIN classrooms c ON c.id = k.classroom_id
              WHERE k.code = ? AND k.revoked_at IS NULL",
        )
        .bind(code)
        .fetch_optional(&mut *tx)
        .await?;
        let Some((room, school)) = room else {
            return Ok(None);
        };
        let same: Option<(i64, String)> = sqlx::query_as(
            "SELECT id, state FROM orders WHERE classroom_id = ?1 AND fault_class = ?2 AND kind = 'repair'
                AND state IN ('new', 'accepted', 'on_site', 'reopened') ORDER BY id LIMIT 1",
        )
        .bind(room)
        .bind(faults::class_word(fault))
        .fetch_optional(&mut *tx)
        .await?;
        let by = acts::By {
            kind: OrderBy::Qr,
            name: "",
            user: None,
        };
        if let Some((order, state)) = same {
            let told: i64 =
                sqlx::query_scalar("SELECT count(*) FROM order_events WHERE order_id = ? AND act = 'again'")
                    .bind(order)
                    .fetch_one(&mut *tx)
                    .await?;
            if told < MOST_AGAIN {
                let state = rules::state_of(&state).unwrap_or(OrderState::New);
                acts::log(&mut tx, order, OrderAct::Again, state, &by, "", now).await?;
                tx.commit().await?;
            }
            return Ok(Some((order, false)));
        }
        let open: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM orders WHERE classroom_id = ? AND source = 'qr' AND state NOT IN ('closed', 'cancelled')",
        )
        .bind(room)
        .fetch_one(&mut *tx)
        .await?;
        if open >= MOST_OPEN_BY_QR {
            return Ok(None);
        }
        let mut opening = Opening::at(school, OrderSource::Qr, (OrderBy::Qr, String::new()));
        opening.classroom_id = Some(room);
        opening.fault_class = Some(fault);
        opening.class = rules::class_for(fault);
        opening.symptom = faults::symptom(symptom).to_owned();
        // The one board of the room, where there is one.
        let boards: Vec<i64> = sqlx::query_scalar(
            "SELECT device_no FROM devices WHERE classroom_id = ? AND replaced_at IS NULL LIMIT 2",
        )
        .bind(room)
        .fetch_all(&mut *tx)
        .await?;
        if let [one] = boards.as_slice() {
            opening.device_no = Some(*one);
        }
        let id = insert(&mut tx, &opening, now).await?;
        tx.commit().await?;
        Ok(Some((id, true)))
    }

    /// Orders for incidents that need somebody to come: those that stand for at least `old` and have none yet. Answers how
    /// many were opened.
    ///
    /// # Errors
    /// The database's.
    pub async fn open_for_incidents(&self, now: Timestamp, old: jiff::SignedDuration) -> DbResult<usize> {
        let before = ms(now.checked_sub(old).unwrap_or(Timestamp::MIN));
        // A line is the carrier's, power the grid's: what needs somebody to come are boards, and what a storm broke.
        const DUE: &str = "SELECT i.id FROM incidents i
              WHERE i.school_id IS NOT NULL AND i.resolved_at IS NULL AND i.cleared_at IS NULL AND i.quiet = 0
                AND i.began_at <= ? AND i.severity IN ('critical', 'warning')
                AND (i.cause = 'device' OR EXISTS (SELECT 1 FROM incident_devices d
                                                    WHERE d.incident_id = i.id AND d.damage <> '[]'))
                AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.incident_id = i.id)
                AND NOT EXISTS (SELECT 1 FROM incident_devices d JOIN orders o ON o.device_no = d.device_no
                                 WHERE d.incident_id = i.id AND o.state IN ('new', 'accepted', 'on_site', 'reopened'))
              ORDER BY i.id LIMIT 100";
        let waiting: Vec<i64> = sqlx::query_scalar(DUE)
            .bind(before)
            .fetch_all(&self.0.read)
            .await?;
        let mut opened = 0;
        for incident in waiting {
            let mut tx = self.0.begin_quiet().await?;
            let mut opening = Opening::at(0, OrderSource::Incident, (OrderBy::Console, String::new()));
            let new = NewOrder {
                incident_id: Some(incident),
                ..NewOrder::default()
            };
            opening.school_id = self
                .place(&mut tx, &Scope::everything(), &new, &mut opening)
                .await?;
            let name = own_name("i.topic", "i.school_id", "i.region_id");
            let about: Option<(String, String, Option<String>)> = sqlx::query_as(AssertSqlSafe(format!(
                "SELECT i.topic, i.severity, {name} FROM incidents i WHERE i.id = ?"
            )))
            .bind(incident)
            .fetch_optional(&mut *tx)
            .await?;
            let (topic, severity, name) = about.unwrap_or_default();
            // A rule of one's own is called by the name that people gave it, not by its key.
            opening.title = name.unwrap_or_default();
            opening.incident_id = Some(incident);
            opening.symptom = faults::symptom(&topic).to_owned();
            opening.fault_class = Some(if topic == "connectivity" {
                FaultClass::Network
            } else {
                FaultClass::Other
            });
            opening.urgent = severity == "critical";
            insert(&mut tx, &opening, now).await?;
            tx.commit().await?;
            opened += 1;
        }
        Ok(opened)
    }
}

/// The incident at this school: of one of several schools the part there, so that each school can have its order. `None`: it has
/// nothing to do with the school.
async fn part_at(tx: &mut SqliteConnection, incident: i64, school: i64) -> DbResult<Option<i64>> {
    Ok(sqlx::query_scalar(
        "SELECT id FROM incidents WHERE (id = ?1 OR parent_id = ?1) AND school_id = ?2
          ORDER BY id <> ?1, resolved_at IS NOT NULL, id LIMIT 1",
    )
    .bind(incident)
    .bind(school)
    .fetch_optional(tx)
    .await?)
}

/// Row, school and classroom of a board within reach.
async fn board(tx: &mut SqliteConnection, scope: &Scope, id: &str) -> DbResult<(i64, i64, i64)> {
    let found: Option<(i64, i64, i64)> = sqlx::query_as(
        "SELECT d.device_no, c.school_id, c.id FROM devices d JOIN classrooms c ON c.id = d.classroom_id WHERE d.id = ?",
    )
    .bind(id)
    .fetch_optional(tx)
    .await?;
    found
        .filter(|(_, at, _)| scope.has_school(*at))
        .ok_or_else(|| DbError::not_found("device", id))
}
