//! Programs in the kernel.
//!
//! Owns loading (with the verifier's reasons) and test runs. Knows no interface. Its one invariant: a program
//! keeps the maps it was loaded with.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use netscope_bpf::xdp::{Indexed, XdpParts, XdpProgram, context};
use netscope_bpf::{MapId, Program};

use super::{BpfError, Map, btf, sys};

/// `BPF_F_XDP_HAS_FRAGS`
const HAS_FRAGS: u32 = 1 << 5;
/// `BPF_F_XDP_DEV_BOUND_ONLY`
const DEVICE_BOUND: u32 = 1 << 6;
/// `BPF_F_TEST_XDP_LIVE_FRAMES`
const LIVE_FRAMES: u32 = 1 << 1;
/// Bytes kept of what the verifier says; it keeps the end, where the reason is (Linux 6.4), before that it
/// refuses to say more.
const LOG_LEN: usize = 1 << 20;
/// Largest frame a test run gives back.
const FRAME_LEN_MAX: usize = 1 << 16;

/// A program that passed the verifier, and its maps.
#[derive(Debug)]
pub struct Loaded {
    descriptor: OwnedFd,
    maps: Vec<Map>,
    name: String,
}

/// What came of a test run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestRun {
    /// What the program returned, see [`netscope_bpf::xdp::verdict`].
    pub verdict: u32,
    /// The frame as the program left it, from the first byte of its metadata.
    pub data: Vec<u8>,
    /// Bytes of metadata at the start of `data`.
    pub metadata_len: usize,
    /// Average of one run.
    pub duration: Duration,
}

/// Puts NetScope's program together and loads it. Where the verifier wants CAP_PERFMON for the filter's
/// pointers and we lack it, the filter calls a helper instead ([`Indexed::ByHelper`]).
///
/// # Errors
/// What the kernel refuses; a filter too long to be translated is [`BpfError::Filter`].
pub fn load_xdp(parts: &XdpParts<'_>) -> Result<(XdpProgram, Loaded), BpfError> {
    let program = XdpProgram::new(parts)?;
    match Loaded::load(program.program()) {
        Ok(loaded) => Ok((program, loaded)),
        Err(BpfError::Verifier { .. }) if parts.filter.is_some() && parts.indexed == Indexed::ByPointer => {
            let program = XdpProgram::new(&XdpParts { indexed: Indexed::ByHelper, ..*parts })?;
            Loaded::load(program.program()).map(|loaded| (program, loaded))
        }
        Err(error) => Err(error),
    }
}

/// Where a frame of a live run seems to come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ingress {
    /// An interface that is up; `XDP_PASS` hands the frame to the stack as if received there, `XDP_TX` sends
    /// it from there.
    pub ifindex: u32,
    /// One of its receive queues.
    pub queue: u32,
}

impl Loaded {
    /// Makes the maps of `program` and loads it.
    ///
    /// # Errors
    /// What a map or the verifier refuses.
    pub fn load(program: &Program) -> Result<Self, BpfError> {
        Self::load_with(program, make_maps(program)?)
    }

    /// [`Self::load`] for the interface `ifindex` of this network namespace alone, so that the program can
    /// ask its driver ([`Program::kfuncs`]). It runs there in native mode only and cannot be test-run.
    ///
    /// # Errors
    /// As [`Self::load`]; a driver that can be asked nothing, a kernel without BTF or without one of the
    /// functions.
    pub fn load_for(program: &Program, ifindex: u32) -> Result<Self, BpfError> {
        Self::load_bound(program, make_maps(program)?, Some(ifindex))
    }

    /// Loads `program` with maps that are there already, in the order of [`Program::maps`].
    ///
    /// # Errors
    /// [`BpfError::Verifier`] with the verifier's reason, [`BpfError::Call`] for missing rights or memory.
    pub fn load_with(program: &Program, maps: Vec<Map>) -> Result<Self, BpfError> {
        Self::load_bound(program, maps, None)
    }

    fn load_bound(program: &Program, maps: Vec<Map>, ifindex: Option<u32>) -> Result<Self, BpfError> {
        let name = program.name().to_owned();
        let descriptors: Vec<i32> = maps.iter().map(AsRawFd::as_raw_fd).collect();
        let kfuncs = btf::kfunc_ids(&program.kfuncs())?;
        let words =
            program.resolve(&descriptors, &kfuncs).map_err(|source| BpfError::Assemble { program: name.clone(), source })?;
        let frags = if program.takes_frags() { HAS_FRAGS } else { 0 };
        let bound = if ifindex.is_some() { DEVICE_BOUND } else { 0 };
        let load = sys::ProgLoadIn { name: &name, flags: frags | bound, ifindex: ifindex.unwrap_or(0) };
        let descriptor = match sys::prog_load_xdp(&words, &load, &mut []) {
            Ok(descriptor) => descriptor,
            Err(error) => {
                // Once more, for the reason: the log costs time and memory that a good program need not pay.
                let mut log = vec![0; LOG_LEN];
                match sys::prog_load_xdp(&words, &load, &mut log) {
                    Ok(descriptor) => descriptor,
                    Err(_) => return Err(refusal(name, &log, error)),
                }
            }
        };
        Ok(Self { descriptor, maps, name })
    }

    /// The program's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A map of the program; `None` for one it does not have.
    pub fn map(&self, map: MapId) -> Option<&Map> {
        self.maps.get(map.0)
    }

    /// Runs the program `repeat` times on one frame (14 bytes at least); what it returns is the last run's.
    /// Maps are really written, nothing is sent: the redirect itself does not happen.
    ///
    /// `queue` is where the frame seems to come from; a queue other than 0 needs an interface that has it.
    ///
    /// # Errors
    /// A frame that is too short or too long, an interface or queue that is not there.
    pub fn test_run(&self, frame: &[u8], ingress: Option<Ingress>, repeat: u32) -> Result<TestRun, BpfError> {
        let fail = |error| BpfError::call("BPF_PROG_TEST_RUN", self.name.clone(), error);
        let mut data = vec![0; FRAME_LEN_MAX + 256];
        let mut context_out = [0; context::SIZE];
        let context_in = xdp_context(frame.len(), ingress);
        let run = sys::TestRunIn {
            data: frame,
            context: &context_in,
            data_out: &mut data,
            context_out: &mut context_out,
            repeat,
            flags: 0,
            batch_size: 0,
        };
        let out = sys::test_run(self.descriptor.as_fd(), run).map_err(fail)?;
        data.truncate(out.data_len as usize);
        let field =
            |at: i16| context_out.get(at as usize..).and_then(<[u8]>::first_chunk).map_or(0, |word| u32::from_ne_bytes(*word));
        let metadata_len = field(context::DATA).saturating_sub(field(context::DATA_META)) as usize;
        Ok(TestRun { verdict: out.verdict, data, metadata_len, duration: Duration::from_nanos(u64::from(out.duration_ns)) })
    }

    /// Runs the program `repeat` times on copies of one frame and does what it says (`XDP_TX`,
    /// `XDP_REDIRECT`, `XDP_PASS`): a generator inside the kernel (Linux 5.18). The frame's memory is reused:
    /// what the program writes into it may be there next time.
    ///
    /// `batch_size` frames are handled in one go, 1 to 256; 0 means 64. A signal interrupts between two
    /// batches (`EINTR`): then only the program's own counters know how many were sent. Returns how long one
    /// frame took on average.
    ///
    /// # Errors
    /// An interface that is not there, a frame longer than a page takes, or a signal (part of the frames are
    /// sent then).
    pub fn run_live(&self, frame: &[u8], ingress: Ingress, repeat: u32, batch_size: u32) -> Result<Duration, BpfError> {
        let context_in = xdp_context(frame.len(), Some(ingress));
        let run = sys::TestRunIn {
            data: frame,
            context: &context_in,
            data_out: &mut [],
            context_out: &mut [],
            repeat,
            flags: LIVE_FRAMES,
            batch_size,
        };
        let out = sys::test_run(self.descriptor.as_fd(), run)
            .map_err(|error| BpfError::call("BPF_PROG_TEST_RUN with live frames", self.name.clone(), error))?;
        Ok(Duration::from_nanos(u64::from(out.duration_ns)))
    }
}

fn make_maps(program: &Program) -> Result<Vec<Map>, BpfError> {
    program.maps().iter().map(Map::create).collect()
}

impl AsFd for Loaded {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// `struct xdp_md` for a frame of `len` bytes without metadata.
fn xdp_context(len: usize, ingress: Option<Ingress>) -> [u8; context::SIZE] {
    let mut bytes = [0; context::SIZE];
    let mut put = |at: i16, word: u32| {
        if let Some(field) = bytes.get_mut(at as usize..at as usize + 4) {
            field.copy_from_slice(&word.to_ne_bytes());
        }
    };
    put(context::DATA_END, u32::try_from(len).unwrap_or(u32::MAX));
    if let Some(Ingress { ifindex, queue }) = ingress {
        put(context::INGRESS_IFINDEX, ifindex);
        put(context::RX_QUEUE_INDEX, queue);
    }
    bytes
}

fn refusal(program: String, log: &[u8], source: std::io::Error) -> BpfError {
    let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
    let log = String::from_utf8_lossy(log.get(..end).unwrap_or_default()).into_owned();
    // The last lines are statistics; what is wrong stands before them, unless the log is empty (rights,
    // memory, flags).
    let is_statistics =
        |line: &&str| line.starts_with("processed ") || line.starts_with("verification time") || line.starts_with("stack depth");
    match log.lines().rev().find(|line| !line.trim().is_empty() && !is_statistics(line)) {
        Some(reason) => BpfError::Verifier { program, reason: reason.to_owned(), log, source },
        None => BpfError::call("loading an XDP program", program, source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_last_line_before_the_statistics() {
        let log =
            b"0: R1=ctx() R10=fp0\n0: (95) exit\nR0 !read_ok\nprocessed 1 insns (limit 1000000) max_states_per_insn 0\n\0\0";
        let error = refusal("x".into(), log, std::io::Error::from_raw_os_error(libc::EACCES));
        assert_eq!(error.to_string(), "the kernel's verifier refuses program x: R0 !read_ok");
        let error = refusal("x".into(), &[0; 8], std::io::Error::from_raw_os_error(libc::EPERM));
        assert!(error.to_string().contains("CAP_BPF"), "{error}");
    }
}
