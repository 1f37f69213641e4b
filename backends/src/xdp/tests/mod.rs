//! Tests that need no kernel, and those in which a part of the kernel is missing.

mod opening;
mod receive;
