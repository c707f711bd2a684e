//! Simulation: scenarios whose alerts do no harm.

use crate::reader::{Fields, Reader};
use syntax::yaml::Yaml;

/// Which scenarios only simulate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Simulation {
    /// Whether scenarios simulate unless excluded.
    pub by_default: bool,
    /// Scenarios that do the opposite.
    pub exclusions: Vec<String>,
}

impl Simulation {
    /// Whether the scenario called `name` only simulates.
    #[must_use]
    pub fn applies_to(&self, name: &str) -> bool {
        self.by_default != self.exclusions.iter().any(|excluded| excluded == name)
    }

    /// Reads a document. What it says replaces what earlier ones said, key by key.
    pub(super) fn amend(&mut self, yaml: &Yaml, reader: &mut Reader) {
        let known = &["simulation", "exclusions"];
        let Some(fields) = Fields::open("a simulation file", yaml, known, reader) else { return };
        if let Some(by_default) = fields.flag("simulation", reader) {
            self.by_default = by_default;
        }
        if fields.value("exclusions").is_some() {
            let names = fields.texts("exclusions", reader);
            self.exclusions = names.into_iter().map(|scalar| scalar.text.clone()).collect();
        }
    }
}
