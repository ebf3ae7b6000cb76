//! Leases in PostgreSQL.

use super::PostgresStore;

impl PostgresStore {
    /// Uses the database's clock, which all servers share, in whole seconds as SQLite's leases do.
    pub async fn lease(&self, name: &str, holder: &str, seconds: i64) -> Result<bool, sqlx::Error> {
        let result = sqlx::query(
            "INSERT INTO leases (name, holder, until) VALUES ($1, $2, floor(extract(epoch FROM now()))::bigint + $3)
         ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
         WHERE leases.holder = excluded.holder OR leases.until < floor(extract(epoch FROM clock_timestamp()))::bigint",
        )
        .bind(name)
        .bind(holder)
        .bind(seconds)
        .execute(&self.pool)
        .await?;
        Ok(result.rows_affected() > 0)
    }

    pub async fn unlease(&self, name: &str, holder: &str) -> Result<(), sqlx::Error> {
        let query = sqlx::query("DELETE FROM leases WHERE name = $1 AND holder = $2").bind(name).bind(holder);
        query.execute(&self.pool).await?;
        Ok(())
    }
}
