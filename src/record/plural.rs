//! Counts with their noun, as a person reads them.

/// "1 packet", "2 packets".
pub fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn one_is_singular() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "packet")), ["0 packets", "1 packet", "2 packets"]);
    }
}
