//! How long an expression may be, and how much is done to make its program shorter.
//!
//! Owns the limits. Runs no compiler. Its one invariant: the time that compiling takes is bounded, whatever the expression.

/// Most terms that `and` and `or` may join. The time that libpcap takes grows with the square of their number: a second for about 600
/// hosts, 3 s for so many, 15 s for so many ports.
pub const TERMS_MAX: usize = 1_024;
/// Most bytes of an expression.
const BYTES_MAX: usize = 64 << 10;
/// Longest program, as it comes from the compiler, that goes through its optimizer, whose time grows faster than with the square: half a
/// second for so many instructions of `host` terms (200 of them), 2.4 s for twice as many, 44 s for five times as many. It makes a sixth
/// of them.
pub(super) const OPTIMIZED_LEN_MAX: usize = 6_000;

/// What is wrong with the length of an expression.
pub(super) fn too_long(expression: &str) -> Option<String> {
    let terms = term_count(expression);
    if terms > TERMS_MAX {
        return Some(format!(
            "it joins {terms} terms, and {TERMS_MAX} are the limit: a list of addresses and networks is given by --filter-file, one a line"
        ));
    }
    (expression.len() > BYTES_MAX).then(|| format!("it has {} bytes, and {BYTES_MAX} are the limit", expression.len()))
}

/// Terms that are joined by `and`, `or`, `&&` and `||`.
fn term_count(expression: &str) -> usize {
    let words = expression.split(|c: char| c.is_ascii_whitespace() || matches!(c, '(' | ')' | '!'));
    let symbols = expression.matches("&&").count() + expression.matches("||").count();
    1 + symbols + words.filter(|word| matches!(*word, "and" | "or")).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_counted_however_they_are_joined() {
        assert_eq!(["", "tcp", "tcp or(udp)", "tcp||udp&&port 5", "not (arp) and\nport 1 or 2"].map(term_count), [1, 1, 2, 3, 3]);
        assert_eq!(term_count("port orange"), 1);
    }

    #[test]
    fn what_is_too_long_says_what_to_do() {
        let joined = |count: usize| vec!["port 1"; count].join(" or ");
        assert_eq!(too_long(&joined(TERMS_MAX)), None);
        let said = too_long(&joined(TERMS_MAX + 1)).expect("too many");
        assert!(said.contains("1025 terms") && said.contains("--filter-file"), "{said}");
        assert!(too_long(&" ".repeat(BYTES_MAX + 1)).is_some());
    }
}
