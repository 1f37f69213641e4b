//! A command that is run for each alert, with the alert on its standard input.
//!
//! Owns what the command is told. Invariants: no shell sees an argument; so many commands run at once at most; one that takes too long is killed with all that
//! it started; it is run once for each alert, whatever its exit code.

use super::{AlertFormat, AlertMessage, AlertReceiver, AlertTransport, DeliverySettings, NotSent, OnDeliveryNotice};
use crate::detect::Alert;
use crate::output::OutputError;
use crate::output::child::{self, ChildEnd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// `[analysis.alerts.command]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookSettings {
    /// The program, without a shell.
    pub program: PathBuf,
    /// Its arguments, as they are.
    pub args: Vec<String>,
    /// What is on its standard input.
    pub format: AlertFormat,
    /// Commands that run at once.
    pub concurrency: usize,
    /// Time after which one is killed.
    pub timeout: Duration,
    /// How alerts are delivered. There is one attempt.
    pub delivery: DeliverySettings,
}

/// Opens the receiver.
pub struct HookCommand;

impl HookCommand {
    /// A receiver with these settings.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn open(
        settings: &HookSettings,
        community_id_seed: u16,
        notice: Arc<OnDeliveryNotice>,
    ) -> Result<AlertReceiver, OutputError> {
        let name = format!("command {}", settings.program.display());
        let format = settings.format;
        let encode = move |alert: &Alert, number| {
            let body = format!("{}\n", format.line(alert, community_id_seed)).into_bytes();
            AlertMessage { number, body, facts: environment(alert) }
        };
        let way = || -> Box<dyn AlertTransport> {
            Box::new(HookTransport { program: settings.program.clone(), args: settings.args.clone(), timeout: settings.timeout })
        };
        let ways = (0..settings.concurrency).map(|_| way()).collect();
        AlertReceiver::start(name.clone(), Box::new(encode), ways, settings.delivery, notice)
            .map_err(|source| OutputError::new("open", Path::new(&name), source))
    }
}

/// What a script wants to know without reading JSON. What is not known is empty.
fn environment(alert: &Alert) -> Vec<(&'static str, String)> {
    let text = |text: &str| text.replace('\0', " ");
    let subject = |subject: Option<&crate::detect::AlertSubject>| subject.map(ToString::to_string).unwrap_or_default();
    vec![
        ("NETSCOPE_ALERT_KIND", alert.kind.to_owned()),
        ("NETSCOPE_ALERT_PHASE", alert.phase.name().to_owned()),
        ("NETSCOPE_ALERT_SEVERITY", alert.severity.name().to_owned()),
        ("NETSCOPE_ALERT_KEY", text(&alert.key)),
        ("NETSCOPE_ALERT_ATTACKER", subject(alert.attacker.as_ref())),
        ("NETSCOPE_ALERT_VICTIM", subject(alert.victim.as_ref())),
        ("NETSCOPE_ALERT_DESCRIPTION", text(&alert.description)),
    ]
}

struct HookTransport {
    program: PathBuf,
    args: Vec<String>,
    timeout: Duration,
}

impl AlertTransport for HookTransport {
    fn send(&mut self, message: &AlertMessage, is_over: &dyn Fn() -> bool) -> Result<(), NotSent> {
        let mut command = child::command(&self.program);
        command.args(&self.args).envs(message.facts.iter().map(|(name, value)| (name, value)));
        let done = match child::run(command, &message.body, self.timeout, is_over) {
            Ok(ChildEnd::Exited(status)) => Ok(status),
            Ok(ChildEnd::TimedOut) => return Err(NotSent::Refused(format!("killed after {:?}", self.timeout))),
            Ok(ChildEnd::Stopped) => return Err(NotSent::Refused("killed at the end of the run".to_owned())),
            Err(error) => Err(error),
        };
        // It was run; what it did before it failed is not known, so it is not run again.
        child::fault(&done).map_or(Ok(()), |fault| Err(NotSent::Refused(fault)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_alerts::{alert, hostile};
    use super::*;
    use crate::aggregate::{Output as _, Summary, Table};
    use std::fs;

    fn settings(script: &Path, directory: &Path) -> HookSettings {
        HookSettings {
            program: "sh".into(),
            args: vec![script.display().to_string(), directory.display().to_string(), "$(touch $0.bad); 'a b'".to_owned()],
            format: AlertFormat::Json,
            concurrency: 2,
            timeout: Duration::from_secs(20),
            delivery: DeliverySettings {
                queue_count_max: 100,
                attempts_max: 1,
                age_max: Duration::from_secs(60),
                drain: Duration::from_secs(30),
            },
        }
    }

    #[test]
    fn a_command_is_told_all_of_an_alert_and_no_shell_reads_it() {
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("hook.sh");
        let text = "cat > \"$1/input\"\nprintf '%s|%s|%s|%s' \"$NETSCOPE_ALERT_KIND\" \"$NETSCOPE_ALERT_VICTIM\" \
                    \"$NETSCOPE_ALERT_DESCRIPTION\" \"$2\" > \"$1/told\"\n";
        fs::write(&script, text).unwrap();
        let settings = settings(&script, directory.path());
        let mut hook = HookCommand::open(&settings, 0, Arc::new(|text: &str| panic!("{text}"))).unwrap();
        hook.alert(&hostile("`touch bad`\0$(touch bad)")).unwrap();
        hook.finish(&Table::default(), &Summary::default()).unwrap();
        let counts = hook.deliveries().unwrap();
        assert_eq!((counts.delivered, counts.lost()), (1, 0));
        let told = fs::read_to_string(directory.path().join("told")).unwrap();
        assert_eq!(told, "syn_flood|192.0.2.80:443|`touch bad` $(touch bad)|$(touch $0.bad); 'a b'");
        let input = fs::read_to_string(directory.path().join("input")).unwrap();
        let value: serde_json::Value = serde_json::from_str(&input).unwrap();
        assert_eq!(value["kind"], "syn_flood");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3, "nothing was touched");
    }

    #[test]
    fn exit_codes_and_hanging_commands_are_counted() {
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("hook.sh");
        fs::write(&script, "case $NETSCOPE_ALERT_KEY in fails) exit 7;; hangs) sleep 60;; esac\n").unwrap();
        let settings = HookSettings { timeout: Duration::from_millis(300), ..settings(&script, directory.path()) };
        let told = Arc::new(std::sync::Mutex::new(Vec::new()));
        let notes = Arc::clone(&told);
        let notice = Arc::new(move |text: &str| notes.lock().unwrap().push(text.to_owned()));
        let mut hook = HookCommand::open(&settings, 0, notice).unwrap();
        hook.alert(&hostile("fails")).unwrap();
        hook.alert(&hostile("hangs")).unwrap();
        hook.alert(&alert()).unwrap();
        hook.finish(&Table::default(), &Summary::default()).unwrap();
        let counts = hook.deliveries().unwrap();
        assert_eq!((counts.delivered, counts.refused, counts.lost()), (1, 2, 2));
        let told = told.lock().unwrap();
        assert!(told[0].starts_with("command sh failed for an alert, which is not sent again: exit status: 7"), "{told:?}");
    }
}
