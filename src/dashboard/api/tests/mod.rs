//! The interface as a whole, behind a run that is played.
