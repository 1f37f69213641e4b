//! Who is attached to an interface.
//!
//! Owns asking for XDP programs by link and by number. Knows nothing of attaching. Its one invariant: it only asks.

use std::io;
use std::os::fd::AsFd;

use super::{Attached, link, sys};

/// `BPF_LINK_TYPE_XDP`
const LINK_TYPE_XDP: u32 = 6;

/// The XDP programs at an interface of this network namespace, whoever attached them.
///
/// # Errors
/// What the kernel says; listing links of others needs CAP_SYS_ADMIN.
pub fn programs_at(ifindex: u32) -> io::Result<Vec<Attached>> {
    let mut found = Vec::new();
    let mut last = 0;
    while let Some(id) = sys::link_id_after(last)? {
        last = id;
        // A link may be gone between the two calls.
        let Ok(descriptor) = sys::link_by_id(id) else { continue };
        let [(kind, _), (program, _), (at, _)] = link::link_info(descriptor.as_fd())?;
        if kind == LINK_TYPE_XDP && at == ifindex {
            found.push(Attached { id: program, name: program_name(program).unwrap_or_default(), mode: "by a BPF link" });
        }
    }
    Ok(found)
}

/// The name of the program with this number.
///
/// # Errors
/// No such program, or no right to look at it.
pub fn program_name(id: u32) -> io::Result<String> {
    let descriptor = sys::prog_by_id(id)?;
    // `struct bpf_prog_info`: the name begins at byte 64.
    let mut words = [0_u64; 10];
    sys::object_info(descriptor.as_fd(), &mut words)?;
    let bytes: Vec<u8> = words.iter().skip(8).flat_map(|word| word.to_ne_bytes()).take_while(|byte| *byte != 0).collect();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
