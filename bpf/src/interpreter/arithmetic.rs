//! What is calculated, as RFC 9669 says.
//!
//! Owns the two widths. Knows no machine. Its one invariant: every operand has a result.

use crate::instruction::Alu;

pub(super) fn alu64(alu: Alu, left: u64, right: u64) -> u64 {
    match alu {
        Alu::Add => left.wrapping_add(right),
        Alu::Sub => left.wrapping_sub(right),
        Alu::Mul => left.wrapping_mul(right),
        Alu::Div => left.checked_div(right).unwrap_or(0),
        Alu::Mod => left.checked_rem(right).unwrap_or(left),
        Alu::Or => left | right,
        Alu::And => left & right,
        Alu::Xor => left ^ right,
        Alu::Lsh => left.wrapping_shl(right as u32),
        Alu::Rsh => left.wrapping_shr(right as u32),
        Alu::Arsh => (left as i64).wrapping_shr(right as u32) as u64,
        Alu::Neg => left.wrapping_neg(),
        Alu::Mov => right,
    }
}

pub(super) fn alu32(alu: Alu, left: u32, right: u32) -> u32 {
    match alu {
        Alu::Lsh => left.wrapping_shl(right),
        Alu::Rsh => left.wrapping_shr(right),
        Alu::Arsh => (left as i32).wrapping_shr(right) as u32,
        // The lower half of these does not depend on the upper one; division is of the halves themselves.
        _ => alu64(alu, left.into(), right.into()) as u32,
    }
}
