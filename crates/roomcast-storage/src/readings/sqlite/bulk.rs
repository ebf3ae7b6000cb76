//! One statement over many rows, and several statements as one. A statement for every row would spend more on the way
//! to SQLite's thread and back than on the row.

use std::sync::Arc;

use sqlx::error::BoxDynError;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, AssertSqlSafe, Sqlite, SqliteConnection};

/// Rows of one statement. The smallest size that holds the remaining rows is used, so SQLite parses each statement at
/// most four times.
const SIZES: [usize; 4] = [8, 64, 256, 1024];
const MAX_ROWS: usize = SIZES[SIZES.len() - 1];

/// A statement over rows.
pub(super) struct Bulk([Arc<str>; SIZES.len()]);

/// The arguments of a statement for one row.
pub(super) trait Row: Sync {
    /// Number of columns.
    const WIDTH: usize;

    fn add(&self, arguments: &mut SqliteArguments) -> Result<(), BoxDynError>;
}

impl<const N: usize> Row for [i64; N] {
    const WIDTH: usize = N;

    fn add(&self, arguments: &mut SqliteArguments) -> Result<(), BoxDynError> {
        self.iter().try_for_each(|&value| arguments.add(value))
    }
}

/// A key and bytes.
impl<const N: usize> Row for ([i64; N], Vec<u8>) {
    const WIDTH: usize = N + 1;

    fn add(&self, arguments: &mut SqliteArguments) -> Result<(), BoxDynError> {
        self.0.add(arguments)?;
        arguments.add(&self.1)
    }
}

type Prepared = Query<'static, Sqlite, SqliteArguments>;

impl Bulk {
    /// Makes a statement of a text before the rows and one after them. The rows are a table `given` with `width`
    /// columns named `column1`, `column2` …. A row whose `column1` is null only fills the statement up.
    pub fn new(width: usize, before: &str, behind: &str) -> Self {
        let row = format!("({})", vec!["?"; width].join(","));
        Self(SIZES.map(|size| {
            let rows = vec![row.as_str(); size].join(",");
            format!("{before} (VALUES {rows}) AS given {behind}").into()
        }))
    }

    /// Returns the statements for all rows, in order.
    pub fn over<'a, R: Row>(
        &'a self,
        rows: &'a [R],
    ) -> impl Iterator<Item = Result<Prepared, sqlx::Error>> + Send + 'a {
        rows.chunks(MAX_ROWS).map(move |rows| {
            let mut arguments = SqliteArguments::default();
            let text = self.fill(rows, &mut arguments).map_err(sqlx::Error::Encode)?;
            // The text contains no data.
            Ok(sqlx::query_with(AssertSqlSafe(text.clone()), arguments))
        })
    }

    /// Runs the statements for all rows. Returns the number of rows changed.
    pub async fn run<R: Row>(&self, connection: &mut SqliteConnection, rows: &[R]) -> Result<u64, sqlx::Error> {
        let mut changed = 0;
        for query in self.over(rows) {
            changed += query?.execute(&mut *connection).await?.rows_affected();
        }
        Ok(changed)
    }

    /// Returns the statement for at most [`MAX_ROWS`] rows, and adds all its arguments.
    fn fill<R: Row>(&self, rows: &[R], arguments: &mut SqliteArguments) -> Result<&Arc<str>, BoxDynError> {
        let at = SIZES.iter().position(|&size| rows.len() <= size).unwrap_or(SIZES.len() - 1);
        arguments.reserve(SIZES[at] * R::WIDTH, 0);
        rows.iter().try_for_each(|row| row.add(arguments))?;
        for _ in rows.len() * R::WIDTH..SIZES[at] * R::WIDTH {
            arguments.add(None::<i64>)?;
        }
        Ok(&self.0[at])
    }
}

/// Statements that are sent to SQLite's thread together.
#[derive(Default)]
pub(super) struct Script {
    text: String,
    arguments: SqliteArguments,
}

impl Script {
    /// Appends a statement.
    pub fn then(mut self, statement: &str) -> Self {
        self.text.push_str(statement);
        self.text.push(';');
        self
    }

    /// Appends a statement over rows, as often as the rows need.
    pub fn over<R: Row>(mut self, statement: &Bulk, rows: &[R]) -> Result<Self, sqlx::Error> {
        for rows in rows.chunks(MAX_ROWS) {
            let text = statement.fill(rows, &mut self.arguments).map_err(sqlx::Error::Encode)?;
            self = self.then(text);
        }
        Ok(self)
    }

    /// Returns the whole script as one query. Its text is one of few and contains no data.
    pub fn query(self) -> Prepared {
        sqlx::query_with(AssertSqlSafe(self.text), self.arguments)
    }
}
