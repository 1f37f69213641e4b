//! NetScope's XDP program in the kernel: verified, run on frames, attached, and gone again.
//!
//! Needs root; says so and passes without, except when `CI=true`.
#![cfg(target_os = "linux")]

use netscope_backends::bpf::{BpfError, Loaded};
use netscope_bpf::xdp::{Clock, Counts, Unmatched, XdpParts, XdpProgram, verdict};

mod kernel;
use kernel::{frame, has_root};

fn counts(loaded: &Loaded, program: &XdpProgram, queue: u32) -> Counts {
    Counts::from_words(&loaded.map(program.counters()).unwrap().sums(queue).unwrap())
}

#[test]
fn every_combination_of_parts_passes_the_verifier() {
    if !has_root() {
        return;
    }
    for clock in [None, Some(Clock::Tai), Some(Clock::Monotonic)] {
        for frags in [false, true] {
            for unmatched in [Unmatched::Pass, Unmatched::Drop] {
                let parts = XdpParts { queues: 4, filter: None, unmatched, clock, frags };
                let program = XdpProgram::new(&parts).unwrap();
                let loaded = Loaded::load(program.program()).unwrap_or_else(|error| panic!("{error}\n{}", program.listing()));
                let run = loaded.test_run(&frame(), None, 3).unwrap();
                assert_eq!(run.verdict, verdict::PASS as u32, "no socket");
                assert_eq!(run.data[run.metadata_len..], frame());
                let expected = Counts { no_socket: 3, ..Counts::default() };
                assert_eq!(counts(&loaded, &program, 0), expected, "{parts:?}");
            }
        }
    }
}

#[test]
fn a_refused_program_says_why() {
    if !has_root() {
        return;
    }
    let mut asm = netscope_bpf::Assembler::new();
    asm.exit("R0 holds nothing");
    let error = Loaded::load(&asm.finish("broken").unwrap()).unwrap_err();
    assert!(matches!(error, BpfError::Verifier { .. }), "{error:?}");
    assert_eq!(error.to_string(), "the kernel's verifier refuses program broken: R0 !read_ok");
}
