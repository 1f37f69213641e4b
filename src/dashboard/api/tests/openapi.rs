//! The description of the interface against the interface.
