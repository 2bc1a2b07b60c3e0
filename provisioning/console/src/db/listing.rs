//! How lists are ordered and cut into pages, in SQL.

use sqlx::{QueryBuilder, Sqlite};

use crate::api::{
    Page,
    listing::{Column, Sorted},
};

/// Orders a list by what `key` pushes for the chosen column, rows without a value last either way; within the same value, and
/// where nobody chose, by `own`, so that pages neither repeat nor leave out a row.
pub(super) fn push_order<C: Column>(
    sql: &mut QueryBuilder<Sqlite>,
    sort: Option<Sorted<C>>,
    key: impl FnOnce(&mut QueryBuilder<Sqlite>, C),
    own: &str,
) {
    sql.push(" ORDER BY ");
    if let Some(sort) = sort {
        key(sql, sort.by);
        sql.push(if sort.down {
            " DESC NULLS LAST, "
        } else {
            " NULLS LAST, "
        });
    }
    sql.push(own);
}

/// Cuts one page out.
pub(super) fn push_page(sql: &mut QueryBuilder<Sqlite>, page: Page) {
    sql.push(" LIMIT ").push_bind(page.limit());
    sql.push(" OFFSET ").push_bind(page.offset());
}
