//! Leases in SQLite.

use super::SqliteStore;

impl SqliteStore {
    /// Uses the machine's clock, which all processes that share the file have in common. A lease counts whole seconds, rounded
    /// down: another process takes it from the second after its last on, when its holder has stopped for certain.
    pub async fn lease(&self, name: &str, holder: &str, seconds: i64) -> Result<bool, sqlx::Error> {
        let now = self.machine.utc_now();
        let mut writing = self.begin().await?;
        let result = sqlx::query(
            "INSERT INTO leases (name, holder, until) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET holder = excluded.holder, until = excluded.until
         WHERE leases.holder = excluded.holder OR leases.until < ?4",
        )
        .bind(name)
        .bind(holder)
        .bind(now.saturating_add(seconds))
        .bind(now)
        .execute(&mut writing.connection)
        .await?;
        writing.commit().await?;
        Ok(result.rows_affected() > 0)
    }

    pub async fn unlease(&self, name: &str, holder: &str) -> Result<(), sqlx::Error> {
        let mut writing = self.begin().await?;
        let query = sqlx::query("DELETE FROM leases WHERE name = ? AND holder = ?").bind(name).bind(holder);
        query.execute(&mut writing.connection).await?;
        writing.commit().await
    }
}
