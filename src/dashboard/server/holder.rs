//! Which process listens on a port, by `/proc/net/tcp` and `/proc/PID/fd`.
//!
//! Owns the reading of both. Knows no settings. Invariant: what it may not look at is left out and no error.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

/// `st` of a socket that listens, as the kernel writes TCP_LISTEN.
const LISTENS: &str = "0A";

/// Name and number of a process that listens on the address' port, where the system tells.
pub(super) fn holder(address: SocketAddr) -> Option<(String, u32)> {
    let inodes: Vec<u64> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|text| listeners(&text, address.port()))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    entries(Path::new("/proc")).find_map(|process| {
        let pid = process.file_name()?.to_str()?.parse().ok()?;
        let holds = |fd: std::path::PathBuf| {
            fs::read_link(fd)
                .ok()
                .and_then(|target| inode(&target.to_string_lossy()))
                .is_some_and(|inode| inodes.contains(&inode))
        };
        entries(&process.join("fd")).any(holds).then(|| {
            let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
            (name.trim().chars().filter(|c| !c.is_control()).collect(), pid)
        })
    })
}

fn entries(directory: &Path) -> impl Iterator<Item = std::path::PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// Inodes of sockets that listen on this port, from the kernel's table.
fn listeners(table: &str, port: u16) -> Vec<u64> {
    let end = format!(":{port:04X}");
    let row = |line: &str| {
        let mut words = line.split_whitespace();
        let (local, state) = (words.nth(1)?, words.nth(1)?);
        if !local.ends_with(&end) || state != LISTENS {
            return None;
        }
        words.nth(5)?.parse().ok()
    };
    table.lines().skip(1).filter_map(row).collect()
}

/// The number in `socket:[N]`.
fn inode(target: &str) -> Option<u64> {
    target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
                     0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 20911 1 0 100 0 0 10 0\n   \
                     1: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 20912 1 0 100 0 0 10 0\n";
        assert_eq!(listeners(table, 8080), [20911]);
        assert!(listeners(table, 80).is_empty());
        assert_eq!((inode("socket:[7]"), inode("pipe:[7]")), (Some(7), None));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn finds_ourselves() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (_, pid) = holder(listener.local_addr().unwrap()).expect("it is found");
        assert_eq!(pid, std::process::id());
    }
}
