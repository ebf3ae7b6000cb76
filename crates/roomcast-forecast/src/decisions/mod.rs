//! Decisions: when a room is to be on, and what that is worth.
//!
//! A forecast gives chances. A decision adds what the building needs: a probability from which an hour counts as
//! occupied, time to become warm, and a promise of comfort. The command line, the server and the backtest decide with
//! the functions of this module.
//!
//! | file | what it does |
//! |---|---|
//! | [`blocks`] | hours in use become times to begin and to stop |
//! | [`outcomes`] | keeps forecast probabilities and what happened, by day |
//! | [`promise`] | finds the threshold that keeps a promise, and says how well it was kept |
//! | [`plan`] | the blocks of all rooms for the hours of a forecast |
//! | [`timetable`] | reads fixed hours such as `mon-fri 06:00-19:00` |
//! | [`policies`] | counts hours on, empty hours on, hours missed and starts of any way to decide |
//! | [`live`] | the savings ledger of a running site, from schedules stored before their hours |
//! | [`ics`], [`write`](mod@write) | a plan as iCalendar, text, CSV and JSON |

pub mod blocks;
pub mod ics;
pub mod live;
pub mod outcomes;
pub mod plan;
pub mod policies;
pub mod promise;
pub mod timetable;
pub mod write;
