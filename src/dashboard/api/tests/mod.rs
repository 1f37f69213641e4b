//! The interface as a whole, behind a run that is played.

mod answers;
mod bounds;
mod capture;
mod hostile;
mod openapi;
pub mod played;
