//! Metrics against the tools that read them.
