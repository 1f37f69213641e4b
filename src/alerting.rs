//! Opens the receivers of alerts that the settings name.
//!
//! Owns nothing. Knows no format.

use crate::reporter::Reporter;
use netscope::aggregate::Output;
use netscope::config::Settings;
use netscope::output::{HookCommand, OnDeliveryNotice, OutputError, Syslog, Webhook};
use std::sync::Arc;

/// The receivers, where something is detected.
pub fn receivers(settings: &Settings, reporter: &Arc<Reporter>) -> Result<Vec<Box<dyn Output>>, OutputError> {
    let mut opened: Vec<Box<dyn Output>> = Vec::new();
    if settings.detection.is_none() {
        return Ok(opened);
    }
    let reporter = Arc::clone(reporter);
    let notice: Arc<OnDeliveryNotice> = Arc::new(move |text: &str| reporter.warn(text));
    let (receivers, seed) = (&settings.output.receivers, settings.output.record.community_id_seed);
    if let Some(syslog) = &receivers.syslog {
        opened.push(Box::new(Syslog::open(syslog, seed, Arc::clone(&notice))?));
    }
    if let Some(webhook) = &receivers.webhook {
        opened.push(Box::new(Webhook::open(webhook, seed, Arc::clone(&notice))?));
    }
    if let Some(command) = &receivers.command {
        opened.push(Box::new(HookCommand::open(command, seed, notice)?));
    }
    Ok(opened)
}
