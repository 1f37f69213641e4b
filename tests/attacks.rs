//! Generated attacks and look-alikes against the real program: every attack above its threshold is found within a second, and nobody else is accused.
//!
//! Owns the table in `docs/detectors.md`, which is held against the results. The packets and the truth are of `netscope_perf::scenario`.

mod common;

use common::engine::{run_judged, settings};
use common::{netscope, temp_dir};
use netscope::aggregate::JudgeSettings;
use netscope::detect::{
    AlertPhase, DetectionSettings, Detector, DetectorBox, DetectorParts, Evidence, EvidenceHash, JudgeContext, LocalNetworks,
    PortScanSettings, SynFloodSettings, detectors,
};
use netscope::engine::{Detection, Source};
use netscope::flow::SeenFlow;
use netscope_backends::file::{CaptureFile, FileOptions};
use netscope_perf::scenario::{Attack, AttackKind, Intensity, LOOK_ALIKES, SEC, Script};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// An attack is found at most so long after it crossed its threshold, in ns of packet time.
const FOUND_AFTER_MAX_NS: u64 = SEC;
