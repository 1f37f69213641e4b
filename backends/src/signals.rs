//! What the process was told about signals before it began.
//!
//! Owns the question. Changes nothing.

/// True when whoever started this process had it ignore the signal, as nohup(1) does with SIGHUP.
pub fn is_ignored(signal: i32) -> bool {
    // JUSTIFICATION: the standard library and safe crates can set an action and not ask for it. SAFETY: zero is a valid value of all of its
    // fields, which the call overwrites.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // JUSTIFICATION: as above. SAFETY: no new action is given, and the old one is written to memory of ours.
    let asked = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) };
    asked == 0 && action.sa_sigaction == libc::SIG_IGN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_not_ignored_by_itself() {
        assert!(!is_ignored(libc::SIGUSR2));
        assert!(!is_ignored(-1), "there is no such signal");
    }
}
