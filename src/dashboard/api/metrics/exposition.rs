//! Metrics as text: the Prometheus text format 0.0.4 and OpenMetrics 1.0.
//!
//! Owns syntax and escapes. Knows no metric. Invariants: a family's samples stand together under its HELP and TYPE; a counter's
//! samples end with `_total`; OpenMetrics ends with `# EOF`.

use std::fmt::Write;

/// What a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows; its name here is without `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Buckets, a sum and a count.
    Histogram,
    /// A constant 1 with labels that say something; its name here is without `_info`.
    Info,
}

/// Names and values of labels.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

/// A text that grows.
pub struct Exposition {
    out: String,
    is_open_metrics: bool,
    name: String,
    kind: MetricKind,
}

/// What stands before each name.
const PREFIX: &str = "netscope_";

impl Exposition {
    /// An empty text.
    pub const fn new(is_open_metrics: bool) -> Self {
        Self { out: String::new(), is_open_metrics, name: String::new(), kind: MetricKind::Gauge }
    }

    /// Begins a family; `name` is without the prefix.
    pub fn family(&mut self, name: &str, kind: MetricKind, help: &str) {
        self.name = format!("{PREFIX}{name}");
        self.kind = kind;
        let word = match (kind, self.is_open_metrics) {
            (MetricKind::Counter, _) => "counter",
            (MetricKind::Histogram, _) => "histogram",
            (MetricKind::Info, true) => "info",
            (MetricKind::Gauge, _) | (MetricKind::Info, false) => "gauge",
        };
        // In the older format a family has the name of its samples.
        let suffix = if self.is_open_metrics { "" } else { self.suffix() };
        let help = escaped(help, self.is_open_metrics);
        let name = &self.name;
        // Writing to a String cannot fail.
        let _ = write!(self.out, "# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {word}\n");
    }

    const fn suffix(&self) -> &'static str {
        match self.kind {
            MetricKind::Counter => "_total",
            MetricKind::Info => "_info",
            MetricKind::Gauge | MetricKind::Histogram => "",
        }
    }

    /// A sample of the family.
    pub fn sample(&mut self, labels: Labels<'_>, value: impl Into<MetricValue>) {
        let suffix = self.suffix();
        self.line(suffix, labels, value.into());
    }

    /// The samples of a histogram: upper bounds with the counts up to them, the sum of all values, and their number.
    pub fn histogram(&mut self, buckets: impl Iterator<Item = (f64, u64)>, sum: f64, count: u64) {
        for (bound, up_to) in buckets {
            let bound = MetricValue::Float(bound).text();
            self.line("_bucket", &[("le", &bound)], up_to.into());
        }
        self.line("_bucket", &[("le", "+Inf")], count.into());
        self.line("_sum", &[], sum.into());
        self.line("_count", &[], count.into());
    }

    fn line(&mut self, suffix: &str, labels: Labels<'_>, value: MetricValue) {
        self.out.push_str(&self.name);
        self.out.push_str(suffix);
        for (at, (name, value)) in labels.iter().enumerate() {
            let open = if at == 0 { '{' } else { ',' };
            let value = escaped(value, true);
            let _ = write!(self.out, "{open}{name}=\"{value}\"");
        }
        if !labels.is_empty() {
            self.out.push('}');
        }
        self.out.push(' ');
        self.out.push_str(&value.text());
        self.out.push('\n');
    }

    /// The whole text.
    pub fn finish(mut self) -> String {
        if self.is_open_metrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }
}

/// A number of a sample.
#[derive(Clone, Copy, Debug)]
pub enum MetricValue {
    /// A whole one.
    Whole(u64),
    /// Any other.
    Float(f64),
}

impl MetricValue {
    fn text(self) -> String {
        match self {
            Self::Whole(value) => value.to_string(),
            Self::Float(value) if value.is_nan() => "NaN".to_owned(),
            Self::Float(value) if value.is_infinite() => if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned(),
            // As Go and OpenMetrics write numbers: with a point or an exponent.
            Self::Float(value) => format!("{value:?}"),
        }
    }
}

impl From<u64> for MetricValue {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<f64> for MetricValue {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

/// A text with backslashes and line ends escaped, and quotes where they end it.
fn escaped(text: &str, has_quotes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if has_quotes => out.push_str("\\\""),
            // Others that end a line for some readers.
            '\r' | '\u{2028}' | '\u{2029}' | '\0' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(is_open_metrics: bool) -> String {
        let mut text = Exposition::new(is_open_metrics);
        text.family("drops", MetricKind::Counter, "Say \"why\"\\");
        text.sample(&[("layer", "a\"b\\c\nd")], 7_u64);
        text.family("build", MetricKind::Info, "Version");
        text.sample(&[("version", "1")], 1_u64);
        text.family("rtt_seconds", MetricKind::Histogram, "Round trips");
        text.histogram([(0.001, 1), (1.0, 2)].into_iter(), 1.5, 3);
        text.finish()
    }

    #[test]
    fn both_formats() {
        assert_eq!(
            text(false),
            "# HELP netscope_drops_total Say \"why\"\\\\\n# TYPE netscope_drops_total counter\n\
             netscope_drops_total{layer=\"a\\\"b\\\\c\\nd\"} 7\n\
             # HELP netscope_build_info Version\n# TYPE netscope_build_info gauge\nnetscope_build_info{version=\"1\"} 1\n\
             # HELP netscope_rtt_seconds Round trips\n# TYPE netscope_rtt_seconds histogram\n\
             netscope_rtt_seconds_bucket{le=\"0.001\"} 1\nnetscope_rtt_seconds_bucket{le=\"1.0\"} 2\n\
             netscope_rtt_seconds_bucket{le=\"+Inf\"} 3\nnetscope_rtt_seconds_sum 1.5\nnetscope_rtt_seconds_count 3\n"
        );
        let open = text(true);
        assert!(
            open.starts_with("# HELP netscope_drops Say \\\"why\\\"\\\\\n# TYPE netscope_drops counter\nnetscope_drops_total{")
        );
        assert!(open.contains("# TYPE netscope_build info\nnetscope_build_info{version=\"1\"} 1\n") && open.ends_with("# EOF\n"));
    }
}
