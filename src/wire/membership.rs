//! Records of multicast membership reports: IGMPv3 and MLDv2 (RFC 3376 section 4.2, RFC 3810 section 5.2).
//!
//! Owns where each record ends. Its invariant: each moves forward, so a report is read in one pass.

/// A group in a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupRecord<const N: usize> {
    /// Kind of record.
    pub kind: u8,
    /// Sources it names.
    pub source_count: u16,
    /// Group address, of N bytes.
    pub group: [u8; N],
}

/// Name of a kind of record (RFC 3376 section 4.2.12).
pub const fn group_record_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        1 => "is_in",
        2 => "is_ex",
        3 => "to_in",
        4 => "to_ex",
        5 => "allow",
        6 => "block",
        _ => return None,
    })
}

/// The records in `bytes`, addresses of N bytes each, up to the first that is cut.
pub fn group_records<const N: usize>(mut bytes: &[u8]) -> impl Iterator<Item = GroupRecord<N>> {
    std::iter::from_fn(move || {
        let (&[kind, aux_words, high, low], rest) = bytes.split_first_chunk()?;
        let (&group, rest) = rest.split_first_chunk::<N>()?;
        let source_count = u16::from_be_bytes([high, low]);
        bytes = rest.get(usize::from(source_count) * N + usize::from(aux_words) * 4..).unwrap_or_default();
        Some(GroupRecord { kind, source_count, group })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_with_sources_and_cut_ones() {
        let all = [4, 0, 0, 0, 224, 0, 0, 251, 1, 1, 0, 1, 239, 1, 2, 3, 10, 0, 0, 1, 9, 9, 9, 9, 3, 0, 0, 0, 239, 0, 0, 1];
        let groups = |len: usize| group_records::<4>(&all[..len]).map(|r| (r.kind, r.source_count, r.group)).collect::<Vec<_>>();
        assert_eq!(groups(32), [(4, 0, [224, 0, 0, 251]), (1, 1, [239, 1, 2, 3]), (3, 0, [239, 0, 0, 1])]);
        assert_eq!(groups(31).len(), 2);
        assert_eq!(groups(18).len(), 2, "sources that are cut are counted");
        assert_eq!(groups(7).len(), 0);
    }
}
