//! What users of tcpdump, tshark and dumpcap type by habit: words that are a filter, files and flags under other names.
//!
//! Owns the tips. Opens nothing. Its one invariant: what is refused is refused with the words that would have worked.

use super::error::ConfigError;
use super::resolve::combination;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use netscope_backends::pcap::list_interfaces;
use std::path::Path;

/// Most edits between a word and the subcommand that was probably meant.
const EDITS_MAX: usize = 2;

/// Flags of tcpdump (1), tshark and dumpcap (2) that are said otherwise here.
const TIPS: [(&str, &str); 28] = [
    ("-e", "link headers are shown by --link"),
    ("-d", "a filter's program is not shown; netscope doctor --show-xdp lists that of AF_XDP"),
    ("-A", "payload is shown by --hex-dump"),
    ("-X", "payload is shown by --hex-dump"),
    ("-x", "payload is shown by --hex-dump"),
    ("-XX", "payload is shown by --hex-dump"),
    ("-n", "addresses and ports are always shown as numbers: leave it out"),
    ("-nn", "addresses and ports are always shown as numbers: leave it out"),
    ("-D", "interfaces are listed by -l (--list-interfaces)"),
    ("-B", "the kernel's buffer is set by --buffer-size-mb"),
    ("-C", "files rotate by size with --write-pcap-rotate-mb"),
    ("-G", "files rotate by time with --write-pcap-rotate-s"),
    ("-W", "the number of files is set by --write-pcap-max-files"),
    ("-b", "files rotate with --write-pcap-rotate-mb, --write-pcap-rotate-s and --write-pcap-max-files"),
    ("-a", "a run ends by itself with --duration, --stop-after-bytes or --count"),
    ("-Z", "root is given up by --user"),
    ("-F", "a filter is given as the last words, or by --filter"),
    ("-U", "packets are written as they come: leave it out"),
    ("-L", "each interface's link type is said when a capture starts"),
    ("-I", "monitor mode is set with iw(8) before the capture"),
    ("-y", "an interface has one link type here: leave it out"),
    ("-j", "times are set with --xdp-timestamps for AF_XDP; the others have the kernel's"),
    ("-Q", "a direction is a filter: inbound or outbound (Linux)"),
    ("-Y", "display filters are not known; a capture filter is given as the last words, or by --filter"),
    ("-R", "display filters are not known; a capture filter is given as the last words, or by --filter"),
    ("-T", "flows are written as JSON or CSV by --export-json and --export-csv"),
    ("-z", "flows are shown by --flow-table N, statistics by --stats"),
    ("-o", "settings are given by flags, or in a file by --config"),
];

/// A usage error with a tip, where the flag is one of another program's.
pub(super) fn with_tip(mut error: clap::Error) -> clap::Error {
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else { return error };
    let tip = match error.kind() {
        ErrorKind::UnknownArgument => TIPS.iter().find(|(flag, _)| flag == argument).map(|(_, tip)| (*tip).to_owned()),
        ErrorKind::ValueValidation if argument.starts_with("--timeout-ms") => {
            Some("-t is the read timeout here; leave it out if another form of times was meant".to_owned())
        }
        _ => None,
    };
    if let Some(tip) = tip {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

/// The filter that the words at the end of a command line are. `reads_file`: a capture file was named before.
///
/// # Errors
/// When they are no filter but a file, an interface or a misspelled subcommand: what would have worked.
pub(super) fn filter_of(words: &[String], reads_file: bool) -> Result<Option<String>, ConfigError> {
    let [first, rest @ ..] = words else { return Ok(None) };
    if let Some(file) = words.iter().find(|word| Path::new(word).is_file()) {
        let how = if reads_file {
            "each file needs its own --read-pcap (-r); a directory of files needs one".to_owned()
        } else {
            format!("to read it: netscope --read-pcap {file}")
        };
        return Err(combination(format!("{file} is a file, and the last words of a command line are a filter; {how}")));
    }
    if rest.is_empty() {
        if strsim::damerau_levenshtein(first, "doctor") <= EDITS_MAX {
            return Err(combination(format!("{first} is no subcommand and no filter; did you mean: netscope doctor")));
        }
        // Without a list of interfaces there is no better word than libpcap's on the filter.
        if list_interfaces().is_ok_and(|known| known.iter().any(|interface| interface.name == *first)) {
            return Err(combination(format!(
                "{first} is an interface, and the last words of a command line are a filter; to capture on it: netscope --interface {first}"
            )));
        }
        let looks_like_a_file = [".pcap", ".pcapng", ".cap", ".gz", ".zst"].iter().any(|end| first.ends_with(end));
        if looks_like_a_file {
            return Err(combination(format!(
                "there is no file {first}, and it is no filter either; files are read by --read-pcap"
            )));
        }
    }
    Ok(Some(words.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn words_are_a_filter() {
        assert_eq!(filter_of(&[], false).unwrap(), None);
        assert_eq!(filter_of(&words("tcp port 80"), false).unwrap().as_deref(), Some("tcp port 80"));
        assert_eq!(filter_of(&["tcp port 80".to_owned()], true).unwrap().as_deref(), Some("tcp port 80"));
        assert_eq!(filter_of(&words("icmp"), false).unwrap().as_deref(), Some("icmp"));
    }

    #[test]
    fn what_is_no_filter_gets_a_tip() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let name = file.path().to_str().unwrap().to_owned();
        let tip = |words: &[String], reads| filter_of(words, reads).unwrap_err().to_string();
        assert!(tip(std::slice::from_ref(&name), false).contains(&format!("netscope --read-pcap {name}")));
        assert!(tip(&["tcp".to_owned(), name], true).contains("each file needs its own --read-pcap"));
        assert!(tip(&words("docter"), false).contains("netscope doctor"));
        assert!(tip(&words("missing.pcap"), false).contains("no file missing.pcap"));
    }

    #[test]
    fn a_tip_is_for_one_flag() {
        assert_eq!(TIPS.iter().map(|(flag, _)| flag).collect::<HashSet<_>>().len(), TIPS.len());
    }
}
