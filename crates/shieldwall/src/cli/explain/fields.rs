//! The texts of an event by name, and how two states of it differ.

use engine::{
    eval::Cx,
    pool::{Pool, Space, known, spell},
};
use model::LineSource;
use serde::Serialize;
use std::collections::BTreeMap;

/// Fields as rules spell them, with their texts.
pub(super) type Fields = BTreeMap<String, String>;

/// How one state of an event differs from an earlier one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Changes {
    /// Fields that are new.
    pub(super) created: BTreeMap<String, String>,
    /// Fields that have another text now: before and after.
    pub(super) updated: BTreeMap<String, (String, String)>,
    /// Fields that are gone, with the text they had.
    pub(super) deleted: BTreeMap<String, String>,
}

impl Changes {
    /// What happened between two states.
    pub(super) fn between(before: &Fields, after: &Fields) -> Self {
        let mut changes = Self::default();
        for (field, text) in after {
            match before.get(field) {
                None => drop(changes.created.insert(field.clone(), text.clone())),
                Some(old) if old != text => {
                    changes.updated.insert(field.clone(), (old.clone(), text.clone()));
                }
                Some(_) => {}
            }
        }
        let gone = before.iter().filter(|(field, _)| !after.contains_key(*field));
        changes.deleted = gone.map(|(field, text)| (field.clone(), text.clone())).collect();
        changes
    }

    /// Whether nothing happened.
    pub(super) fn is_empty(&self) -> bool {
        self.created.is_empty() && self.updated.is_empty() && self.deleted.is_empty()
    }
}

/// The fields of the event at hand.
pub(super) fn of_event(cx: &Cx<'_>) -> Fields {
    let mut fields = Fields::new();
    for space in [Space::Event, Space::Label, Space::Parsed, Space::Meta, Space::Enriched] {
        for (key, text) in cx.event.pairs(space, cx.pool) {
            fields.insert(spell(space, key), text.to_owned());
        }
    }
    for (key, value) in &cx.event.unmarshaled.entries {
        fields.insert(format!("evt.Unmarshaled.{key}"), cx.print(value));
    }
    if let Some(overflow) = &cx.event.overflow {
        let source = &overflow.alert.source;
        let at = "evt.Overflow.Alert.Source";
        fields.insert(format!("{at}.Scope"), source.scope.name().to_owned());
        fields.insert(format!("{at}.Value"), source.value.clone());
    }
    fields
}

/// The fields a line starts with.
pub(super) fn of_line(text: &str, source: &LineSource, stage: &str, pool: &Pool) -> Fields {
    let mut fields = Fields::new();
    let mut add = |field, text: &str| {
        let (space, key) = pool.field_name(field);
        fields.insert(spell(space, key), text.to_owned());
    };
    add(known::LINE_RAW, text);
    add(known::LINE_SRC, &source.src);
    add(known::LINE_MODULE, &source.module);
    add(known::STAGE, stage);
    for (key, value) in &source.labels {
        // Labels that no rule reads are not carried along.
        if let Some(field) = pool.find_field(Space::Label, key) {
            add(field, value);
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_apart() {
        let fields = |pairs: &[(&str, &str)]| -> Fields {
            pairs.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect()
        };
        let before = fields(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let after = fields(&[("a", "1"), ("b", "9"), ("d", "4")]);
        let changes = Changes::between(&before, &after);
        assert_eq!(changes.created, fields(&[("d", "4")]));
        assert_eq!(changes.updated["b"], ("2".to_owned(), "9".to_owned()));
        assert_eq!(changes.deleted, fields(&[("c", "3")]));
        assert!(Changes::between(&before, &before).is_empty());
    }
}
