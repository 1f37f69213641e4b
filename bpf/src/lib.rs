//! eBPF programs as values.
//!
//! Owns instructions and how they are put together. Knows no system call: `netscope-backends` loads what is
//! made here. Its one invariant: nothing here is `unsafe`, and nothing depends on the machine it runs on.
#![forbid(unsafe_code)]

pub mod assembler;
pub mod classic;
pub mod instruction;
pub mod interpreter;
pub mod program;
pub mod xdp;

pub use assembler::{AssembleError, Assembler, Label};
pub use instruction::{Alu, Cond, Helper, Instruction, Kfunc, Operand, Reg, Size};
pub use program::{MapId, MapKind, MapSpec, Program};
