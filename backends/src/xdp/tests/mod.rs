//! Tests that need no kernel.

mod receive;
