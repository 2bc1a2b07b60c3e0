//! Rows of the tables that other programs get.

use futures_util::TryStreamExt;
use jiff::civil::Date;
use sqlx::{Row as _, ValueRef as _};

use super::Reports;
use crate::{
    db::{DbError, DbResult, ms, scope::Scope, to_json},
    domain::timetables,
    reports::export::{ColumnType, Table, Value},
};

impl Reports<'_> {
    /// All rows of a table within `scope`, at most `most` of them.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for a place out of reach; [`DbError::Conflict`]: there are more than `most`.
    pub async fn export(
        &self,
        scope: &Scope,
        table: &Table,
        places: (Option<i64>, Option<i64>),
        days: (Date, Date),
        most: usize,
    ) -> DbResult<Vec<Vec<Value>>> {
        let mut rows = Vec::new();
        self.export_each(scope, table, places, days, |row| {
            if rows.len() >= most {
                return Err(DbError::Conflict(format!(
                    "the table has more than {most} rows there; ask for fewer days or one school"
                )));
            }
            rows.push(row);
            Ok(())
        })
        .await?;
        Ok(rows)
    }

    /// The same, row by row as they are read, so that no memory holds them all.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for a place out of reach; what `each` answers ends it.
    pub async fn export_each(
        &self,
        scope: &Scope,
        table: &Table,
        (region, school): (Option<i64>, Option<i64>),
        (from, to): (Date, Date),
        mut each: impl FnMut(Vec<Value>) -> DbResult<()>,
    ) -> DbResult<()> {
        self.0.need_places(scope, region, school).await?;
        let schools: Vec<i64> = sqlx::query_scalar(
            "SELECT id FROM schools
              WHERE (?1 IS NULL OR region_id IN (SELECT descendant FROM region_closure WHERE ancestor = ?1))
                AND (?2 IS NULL OR id = ?2) AND (?3 IS NULL OR id IN (SELECT value FROM json_each(?3)))",
        )
        .bind(region)
        .bind(school)
        .bind(scope.schools())
        .fetch_all(&self.0.read)
        .await?;
        let cell = |row: &sqlx::sqlite::SqliteRow, at: usize, kind: ColumnType| -> DbResult<Value> {
            if row.try_get_raw(at)?.is_null() {
                return Ok(Value::Null);
            }
            Ok(match kind {
                ColumnType::Integer => Value::Integer(row.try_get(at)?),
                ColumnType::Text => Value::Text(row.try_get(at)?),
            })
        };
        let mut rows = sqlx::query(table.sql)
            .bind(to_json(&schools)?)
            .bind(from.to_string())
            .bind(to.to_string())
            .bind(ms(timetables::at(from, 0)))
            .bind(ms(timetables::at(timetables::later(to, 1), 0)))
            .fetch(&self.0.read);
        while let Some(row) = rows.try_next().await? {
            let columns = table.columns.iter().enumerate();
            each(
                columns
                    .map(|(at, column)| cell(&row, at, column.kind))
                    .collect::<DbResult<_>>()?,
            )?;
        }
        Ok(())
    }
}
