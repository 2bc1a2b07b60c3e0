//! Rows of the tables that other programs get.

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
        (region, school): (Option<i64>, Option<i64>),
        (from, to): (Date, Date),
        most: usize,
    ) -> DbResult<Vec<Vec<Value>>> {
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
        let sql = format!("SELECT * FROM ({}) LIMIT {}", table.sql, most.saturating_add(1));
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(to_json(&schools)?)
            .bind(from.to_string())
            .bind(to.to_string())
            .bind(ms(timetables::at(from, 0)))
            .bind(ms(timetables::at(timetables::later(to, 1), 0)))
            .fetch_all(&self.0.read)
            .await?;
        if rows.len() > most {
            return Err(DbError::Conflict(format!(
                "the table has more than {most} rows there; ask for fewer days or one school"
            )));
        }
        let cell = |row: &sqlx::sqlite::SqliteRow, at: usize, kind: ColumnType| -> DbResult<Value> {
            if row.try_get_raw(at)?.is_null() {
                return Ok(Value::Null);
            }
            Ok(match kind {
                ColumnType::Integer => Value::Integer(row.try_get(at)?),
                ColumnType::Text => Value::Text(row.try_get(at)?),
            })
        };
        rows.iter()
            .map(|row| {
                let columns = table.columns.iter().enumerate();
                columns.map(|(at, column)| cell(row, at, column.kind)).collect()
            })
            .collect()
    }
}
