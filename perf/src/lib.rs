//! Traffic generators and benchmarks.
