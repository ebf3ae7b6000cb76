//! One statement over many rows of integers. A statement for every row would spend more on the way to
//! SQLite's thread and back than on the row.

use std::sync::Arc;

use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, AssertSqlSafe, Sqlite};

/// Rows of one statement: the smallest that holds what is left is taken, so that SQLite has to parse each
/// statement three times and no more.
const SIZES: [usize; 3] = [8, 64, 512];

/// A statement over rows of `width` integers.
pub(super) struct Bulk {
    width: usize,
    sql: [Arc<str>; SIZES.len()],
}

impl Bulk {
    /// A statement made of a text before the rows and one behind them. The rows are a table `given` with the columns
    /// `column1`, `column2` …; where `column1` is null there is no row.
    pub fn new(width: usize, before: &str, behind: &str) -> Self {
        let row = format!("({})", vec!["?"; width].join(","));
        let sql = SIZES.map(|size| {
            let rows = vec![row.as_str(); size].join(",");
            format!("{before} (VALUES {rows}) AS given {behind}").into()
        });
        Self { width, sql }
    }

    /// The statements that do it for all rows, in order.
    pub fn over<'a>(
        &'a self,
        rows: &'a [i64],
    ) -> impl Iterator<Item = Result<Query<'static, Sqlite, SqliteArguments>, sqlx::Error>> + Send + 'a {
        let largest = SIZES[SIZES.len() - 1];
        rows.chunks(largest * self.width).map(|rows| {
            let size = SIZES.iter().position(|size| rows.len() <= size * self.width).unwrap_or(SIZES.len() - 1);
            let mut arguments = SqliteArguments::default();
            arguments.reserve(rows.len(), 0);
            for &value in rows {
                arguments.add(value).map_err(sqlx::Error::Encode)?;
            }
            // Places without an argument are null. The text has no data in it.
            Ok(sqlx::query_with(AssertSqlSafe(self.sql[size].clone()), arguments))
        })
    }
}
