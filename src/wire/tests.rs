//! Tests of the whole way through packets.
