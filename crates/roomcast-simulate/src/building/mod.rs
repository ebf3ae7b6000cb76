//! One building with rooms of many uses. Its readings depend on the seed, the device and the date alone, so that they
//! stay the same for any span.

pub(crate) mod meetings;
pub(crate) mod people;
pub(crate) mod room;
pub(crate) mod site;
