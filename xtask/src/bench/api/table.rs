//! What was measured beside what was to be reached.

use crate::child;

/// What a number must be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    AtMost(f64),
    AtLeast(f64),
    /// It is shown for comparison.
    None,
}

impl Target {
    fn is_met(self, value: f64) -> Option<bool> {
        match self {
            Self::AtMost(most) => Some(value <= most),
            Self::AtLeast(least) => Some(value >= least),
            Self::None => None,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtMost(most) => format!("<= {}", number(most)),
            Self::AtLeast(least) => format!(">= {}", number(least)),
            Self::None => "-".to_owned(),
        }
    }

    /// How many times better ours is, where better has a direction.
    fn ratio(self, ours: f64, theirs: f64) -> Option<f64> {
        let ratio = match self {
            Self::AtMost(_) | Self::None => theirs / ours,
            Self::AtLeast(_) => ours / theirs,
        };
        ratio.is_finite().then_some(ratio)
    }
}

struct Row {
    name: String,
    unit: &'static str,
    target: Target,
    ours: Option<f64>,
    theirs: Option<f64>,
}

/// Whose number it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    Ours,
    Theirs,
}

/// The numbers, in the order in which they were first measured.
#[derive(Default)]
pub(super) struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// Notes a number. The same name for both sides makes one row.
    pub(super) fn note(
        &mut self,
        whose: Whose,
        name: &str,
        unit: &'static str,
        target: Target,
        value: f64,
    ) {
        child::progress(&format!("  {name}: {} {unit}", number(value)));
        let at = self.rows.iter().position(|row| row.name == name).unwrap_or_else(|| {
            let name = name.to_owned();
            self.rows.push(Row { name, unit, target, ours: None, theirs: None });
            self.rows.len() - 1
        });
        match whose {
            Whose::Ours => self.rows[at].ours = Some(value),
            Whose::Theirs => self.rows[at].theirs = Some(value),
        }
    }

    /// Prints all rows; tells how many targets were missed.
    pub(super) fn print(&self) -> usize {
        let mut n_missed = 0;
        child::print(&format!(
            "\n{:<46} {:>10} {:<6} {:>12} {:>6} {:>10} {:>8}",
            "measured", "ours", "", "target", "met", "crowdsec", "better"
        ));
        for row in &self.rows {
            let met = row.ours.and_then(|ours| row.target.is_met(ours));
            n_missed += usize::from(met == Some(false));
            let ratio = row.ours.zip(row.theirs);
            let ratio = ratio.and_then(|(ours, theirs)| row.target.ratio(ours, theirs));
            let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), number);
            child::print(&format!(
                "{:<46} {:>10} {:<6} {:>12} {:>6} {:>10} {:>8}",
                row.name,
                shown(row.ours),
                row.unit,
                row.target.text(),
                met.map_or("", |met| if met { "yes" } else { "NO" }),
                shown(row.theirs),
                ratio.map_or_else(String::new, |ratio| format!("{} x", number(ratio))),
            ));
        }
        n_missed
    }
}

/// A number with as many digits as it deserves.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        small if small < 1.0 => format!("{value:.3}"),
        small if small < 10.0 => format!("{value:.2}"),
        small if small < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_have_directions() {
        let mut table = Table::default();
        let (most, least) = (Target::AtMost(100.0), Target::AtLeast(30_000.0));
        table.note(Whose::Ours, "slow", "ms", most, 101.0);
        table.note(Whose::Ours, "fast", "/s", least, 30_000.0);
        table.note(Whose::Theirs, "fast", "/s", least, 1.0);
        table.note(Whose::Theirs, "theirs alone", "/s", least, 1.0);
        assert_eq!(table.print(), 1);
        assert_eq!(table.rows.len(), 3);
        assert_eq!(most.ratio(2.0, 10.0), Some(5.0));
        assert_eq!(least.ratio(10.0, 2.0), Some(5.0));
        assert_eq!(least.ratio(10.0, 0.0), None);
        assert_eq!(
            [0.0, 0.1234, 1.234, 12.34, 1234.5].map(number).join(" "),
            "0 0.123 1.23 12.3 1234"
        );
    }
}
