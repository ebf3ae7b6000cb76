//! Sites made like life: offices, meeting rooms, homes, schools, desks.
//!
//! Three things make them harder to forecast than [`crate::Kind::Building`], as real sites are. Each site draws its own
//! [`traits`] from wide ranges. Levels, people and rooms have a state that lasts: a room unused yesterday is more
//! likely unused today, and busy weeks follow busy weeks. And things happen: nearly empty days, absences, rooms given
//! up for weeks, sensors that fall silent or stay on.
//!
//! A state follows from the day before it, so that readings depend on the first day of the span; a later last day
//! only adds days.

pub(crate) mod days;
mod diary;
mod lasting;
mod people;
pub(crate) mod room;
mod traits;
mod visits;
pub(crate) mod wear;

#[cfg(test)]
mod tests;
