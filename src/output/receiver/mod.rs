//! Receivers of alerts: syslog, a webhook, a command. Each is an [`Output`] in front of a [`Courier`], which has a queue and threads of its own.
//!
//! Owns what they share: what is sent, when it is sent again, how names of fields are chosen. Knows no detector. Invariant: nothing waits for a receiver but, at
//! the end and for a bounded time, the run; what one does not get is counted.

mod cef;
mod command;
mod courier;
mod ecs;
mod format;
mod retry;
mod syslog;
mod syslog_message;
mod syslog_target;
mod tls;
mod webhook;

use self::courier::Courier;
use crate::aggregate::{AlertDeliveries, Output, Summary, Table};
use crate::detect::Alert;
use std::io;
use std::sync::Arc;

pub use command::{HookCommand, HookSettings};
pub use courier::DeliverySettings;
pub use format::AlertFormat;
pub use syslog::{Syslog, SyslogSettings};
pub use syslog_message::{SyslogFacility, is_sd_id};
pub use syslog_target::{NoSyslogTarget, SyslogTarget};
pub use tls::TlsSettings;
pub use webhook::{Webhook, WebhookSettings};

/// Told when a receiver stops taking alerts, and when it takes them again.
pub type OnDeliveryNotice = dyn Fn(&str) + Send + Sync;

/// An alert as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertMessage {
    /// From 0, by receiver.
    pub number: u64,
    /// What is sent.
    pub body: Vec<u8>,
    /// What goes beside it: a command's environment.
    pub facts: Vec<(&'static str, String)>,
}

/// Why a message was not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// It may be delivered later.
    Again {
        /// What went wrong.
        why: String,
        /// The receiver asked to wait so many seconds.
        after_secs: Option<u64>,
    },
    /// It will never be.
    Refused(String),
}

impl NotSent {
    /// Later, perhaps.
    pub fn again(why: impl ToString) -> Self {
        Self::Again { why: why.to_string(), after_secs: None }
    }
}

/// The way to a receiver. Each thread of a courier has one.
pub trait AlertTransport: Send {
    /// Delivers a message, in bounded time. `is_over`: true as soon as nobody waits for it any more.
    ///
    /// # Errors
    /// Whether it makes sense to try again.
    fn send(&mut self, message: &AlertMessage, is_over: &dyn Fn() -> bool) -> Result<(), NotSent>;
}

/// What a receiver makes of an alert, with its number.
type Encode = dyn Fn(&Alert, u64) -> AlertMessage + Send;

/// A receiver of alerts.
pub struct AlertReceiver {
    name: String,
    encode: Box<Encode>,
    courier: Courier,
    number: u64,
    counts: Option<AlertDeliveries>,
}

impl AlertReceiver {
    /// A receiver with these ways to it. `name`: as it is told, without anything secret.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(
        name: String,
        encode: Box<Encode>,
        transports: Vec<Box<dyn AlertTransport>>,
        settings: DeliverySettings,
        notice: Arc<OnDeliveryNotice>,
    ) -> io::Result<Self> {
        let courier = Courier::start(name.clone(), transports, settings, notice)?;
        Ok(Self { name, encode, courier, number: 0, counts: None })
    }
}

impl Output for AlertReceiver {
    fn name(&self) -> &str {
        &self.name
    }

    fn wants_alerts(&self) -> bool {
        true
    }

    fn deliveries(&self) -> Option<AlertDeliveries> {
        let counts = self.counts.clone().unwrap_or_else(|| self.courier.counts());
        Some(AlertDeliveries { output: self.name.clone(), ..counts })
    }

    fn alert(&mut self, alert: &Alert) -> io::Result<()> {
        self.courier.take(|| (self.encode)(alert, self.number));
        self.number += 1;
        Ok(())
    }

    fn finish(&mut self, _table: &Table, _summary: &Summary) -> io::Result<()> {
        self.counts = Some(self.courier.finish());
        Ok(())
    }
}

#[cfg(test)]
mod test_alerts;
