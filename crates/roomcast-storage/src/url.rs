//! Addresses of databases and object stores.

/// Returns whether a text names a PostgreSQL database.
pub fn is_postgres(text: &str) -> bool {
    text.starts_with("postgres://") || text.starts_with("postgresql://")
}

/// Returns an address to show: without the password and without options, which may contain one too. A text that is no
/// address on a network is shown as it is.
pub fn redacted(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://").filter(|&(scheme, _)| scheme != "sqlite") else {
        return text.to_owned();
    };
    let rest = rest.split('?').next().unwrap_or_default();
    let (user, host) = rest.rsplit_once('@').unwrap_or(("", rest));
    match user.split(':').next().unwrap_or_default() {
        // The user of anything but a database may be a secret.
        user if is_postgres(text) && !user.is_empty() => format!("{scheme}://{user}@{host}"),
        _ => format!("{scheme}://{host}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(redacted("postgres://me:s3cret@db:5432/site?sslmode=require"), "postgres://me@db:5432/site");
        assert_eq!(redacted("postgres://me:a@b@db/site"), "postgres://me@db/site");
        assert_eq!(redacted("postgresql://db/site?password=x"), "postgresql://db/site");
        assert_eq!(redacted("s3://key:s3cret@models/site"), "s3://models/site");
        assert_eq!(redacted("sqlite:///var/lib/roomcast/readings.db"), "sqlite:///var/lib/roomcast/readings.db");
    }
}
