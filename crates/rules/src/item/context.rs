//! Alert context: what alerts tell about their events.

use super::ExprSource;
use crate::reader::{Fields, Reader, texts};
use hashbrown::HashMap;
use syntax::yaml::Yaml;

/// What is collected from the events of each alert, by key; keys in order of first appearance.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// Each key with its expressions, over all files.
    pub entries: Vec<(String, Vec<ExprSource>)>,
    by_key: HashMap<String, usize>,
}

impl Context {
    /// Reads a document of the hub, whose pairs are below `context`.
    pub(super) fn add_hub_document(&mut self, yaml: &Yaml, reader: &mut Reader) {
        // The hub's index describes items by the other keys; they have no effect here.
        let known = &["context", "name", "author", "description", "references", "format"];
        let Some(fields) = Fields::open("an alert context", yaml, known, reader) else { return };
        match fields.value("context") {
            Some(context) => self.add_pairs(context, reader),
            None => fields.missing("context", reader),
        }
    }

    /// Reads pairs of a key and a list of expressions, adding to those of the same key.
    pub(super) fn add_pairs(&mut self, yaml: &Yaml, reader: &mut Reader) {
        let Some(pairs) = yaml.as_map() else {
            reader.wrong_type("an alert context", "a map of keys and lists of expressions", yaml);
            return;
        };
        for (key, value) in pairs {
            let (Some(name), Some(list)) = (key.as_str(), value.as_seq()) else {
                let subject = format!("`{}`", key.as_str().unwrap_or("a key"));
                reader.wrong_type(&subject, "a list of expressions", value);
                continue;
            };
            let expressions = texts(name, list, reader).into_iter().map(ExprSource::new);
            let n_entries = self.entries.len();
            let entry = *self.by_key.entry_ref(name).or_insert(n_entries);
            match self.entries.get_mut(entry) {
                Some((_, known)) => known.extend(expressions),
                None => self.entries.push((name.to_owned(), expressions.collect())),
            }
        }
    }
}
