//! Numbers as Prometheus reads them: lines of text.

use std::fmt::{Display, Write as _};

/// A page of numbers under construction.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

/// What a number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It is what it is at the moment.
    Gauge,
    /// It belongs to a distribution.
    Histogram,
}

impl Exposition {
    /// Begins the numbers of one name.
    pub fn name(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// Adds a number with its labels.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(name);
        for (at, (label, text)) in labels.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{before}{label}=\"");
            for character in text.chars() {
                match character {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    other => self.text.push(other),
                }
            }
            self.text.push('"');
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{end} {value}");
    }

    /// The page.
    #[must_use]
    pub fn finish(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_cannot_break_a_line() {
        let mut page = Exposition::default();
        page.name("n", Kind::Counter, "What it is.");
        page.sample("n", &[("a", "x\"y\\z\n"), ("b", "")], 3u64);
        page.sample("m", &[], 1.5);
        assert_eq!(
            page.finish(),
            "# HELP n What it is.\n# TYPE n counter\nn{a=\"x\\\"y\\\\z\\n\",b=\"\"} 3\nm 1.5\n"
        );
    }
}
