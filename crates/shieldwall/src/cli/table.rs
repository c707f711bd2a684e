//! Tables for people.

use crate::terminal::quoted;
use comfy_table::{ContentArrangement, Table, presets};

/// A table as text. Cells are texts from anywhere and cannot act on the terminal.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.iter().copied());
    for row in rows {
        table.add_row(row.iter().map(|cell| quoted(cell)));
    }
    table.trim_fmt()
}

/// What is known about one thing, one line each; what is empty is left out.
pub(crate) fn facts(facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines: Vec<String> = facts
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name:width$}  {}", quoted(value)))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_cannot_act() {
        let text = table(&["name"], &[vec!["a\x1b[31m".to_owned()]]);
        assert!(text.contains("a\u{fffd}[31m") && !text.contains('\x1b'), "{text}");
        assert_eq!(
            facts(&[("a", "1".into()), ("long", "2".into()), ("no", String::new())]),
            "a     1\nlong  2"
        );
    }
}
