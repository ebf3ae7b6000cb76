//! Names of the holders of leases.

/// Returns a random name for a holder of leases. No other process has the same.
pub fn holder() -> String {
    format!("{:016x}", rand::random::<u64>())
}
