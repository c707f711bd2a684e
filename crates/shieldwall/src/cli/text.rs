//! Lengths of time for people, CSV read, YAML written.

use serde_json::Value;
use std::fmt::Write as _;

const SECOND: i64 = 1_000_000_000;

/// A length of time for people: its two largest units, `3h 12m`. The sign is left out.
pub(super) fn span(nanos: i64) -> String {
    let seconds = nanos.unsigned_abs() / SECOND.unsigned_abs();
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let first = parts.iter().position(|(n, _)| *n > 0).unwrap_or(3);
    let shown = parts.iter().skip(first).take(2).filter(|(n, _)| *n > 0);
    let shown: Vec<String> = shown.map(|(n, unit)| format!("{n}{unit}")).collect();
    if shown.is_empty() { "0s".to_owned() } else { shown.join(" ") }
}

/// What remains, or how long ago it ended: `3h 12m`, `ended 5m ago`.
pub(super) fn remaining(nanos: i64) -> String {
    if nanos > 0 { span(nanos.max(SECOND)) } else { format!("ended {} ago", span(nanos)) }
}

/// A length of time as the wire writes it, in nanoseconds. What cannot be read has ended.
pub(super) fn wire_nanos(text: Option<&str>) -> i64 {
    text.and_then(|text| api::duration::parse(text).ok()).unwrap_or(0)
}

/// The rows of a CSV text; quoted cells may hold commas, quotes and line ends. Empty lines are
/// left out.
///
/// # Errors
/// With the number of the line whose quotes do not end.
pub(super) fn csv_rows(text: &str) -> Result<Vec<Vec<String>>, usize> {
    let mut rows = Vec::new();
    let (mut row, mut cell) = (Vec::new(), String::new());
    let (mut is_quoted, mut was_quoted) = (false, false);
    let (mut line, mut opened) = (1usize, 1usize);
    let mut chars = text.strip_prefix('\u{feff}').unwrap_or(text).chars().peekable();
    loop {
        let next = chars.next();
        match next {
            Some('"') if is_quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            Some('"') if is_quoted => is_quoted = false,
            Some('"') if cell.trim().is_empty() && !was_quoted => {
                cell.clear();
                (is_quoted, was_quoted, opened) = (true, true, line);
            }
            Some(c) if is_quoted => {
                line += usize::from(c == '\n');
                cell.push(c);
            }
            Some(',') => {
                row.push(std::mem::take(&mut cell));
                was_quoted = false;
            }
            Some('\r') if chars.peek() == Some(&'\n') => {}
            Some('\n') | None => {
                if is_quoted {
                    return Err(opened);
                }
                line += 1;
                if !(row.is_empty() && cell.trim().is_empty() && !was_quoted) {
                    row.push(std::mem::take(&mut cell));
                    rows.push(std::mem::take(&mut row));
                }
                cell.clear();
                was_quoted = false;
                if next.is_none() {
                    return Ok(rows);
                }
            }
            Some(c) => cell.push(c),
        }
    }
}

/// JSON as YAML, with texts in double quotes where they could be misread.
pub(super) fn yaml(value: &Value) -> String {
    let mut out = String::new();
    yaml_below(value, 0, &mut out);
    out
}

fn yaml_below(value: &Value, indent: usize, out: &mut String) {
    let pad = " ".repeat(indent);
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                let _ = write!(out, "{pad}{}:", yaml_text(key));
                yaml_value(value, indent, out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let mut inner = String::new();
                yaml_below(item, indent + 2, &mut inner);
                // The first line of the item stands behind its dash.
                let _ = write!(out, "{pad}- {}", inner.trim_start());
            }
        }
        other => {
            let _ = writeln!(out, "{pad}{}", yaml_scalar(other));
        }
    }
}

fn yaml_value(value: &Value, indent: usize, out: &mut String) {
    let is_empty = match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    };
    if is_empty {
        let _ = writeln!(out, " {}", yaml_scalar(value));
    } else {
        out.push('\n');
        yaml_below(value, indent + 4, out);
    }
}

fn yaml_scalar(value: &Value) -> String {
    match value {
        Value::String(text) => yaml_text(text),
        Value::Array(_) => "[]".to_owned(),
        Value::Object(_) => "{}".to_owned(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

fn yaml_text(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let is_word = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"]
        .contains(&text.to_ascii_lowercase().as_str());
    if text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(is_plain) && !is_word
    {
        return text.to_owned();
    }
    // A JSON string is a YAML string in double quotes.
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lengths_of_time_are_short() {
        for (seconds, expect) in [
            (0, "0s"),
            (45, "45s"),
            (60, "1m"),
            (11_520, "3h 12m"),
            (3605, "1h"),
            (187_200, "2d 4h"),
            (-90, "1m 30s"),
        ] {
            assert_eq!(span(seconds * SECOND), expect);
        }
        assert_eq!(remaining(1), "1s");
        assert_eq!(remaining(-300 * SECOND), "ended 5m ago");
        assert_eq!(span(i64::MIN), "106751d 23h");
    }

    #[test]
    fn quoted_cells_may_hold_anything() {
        let text = "a,\"b,c\",\"d\"\"e\",\"f\ng\",,\" h\"\n";
        let cells = ["a", "b,c", "d\"e", "f\ng", "", " h"];
        assert_eq!(csv_rows(text), Ok(vec![cells.map(str::to_owned).to_vec()]));
    }

    #[test]
    fn csv_of_others_is_read_too() {
        let rows = csv_rows("\u{feff}value, x\r\n\r\n1.2.3.4,\n,\n \"\"\nlast").unwrap();
        let texts: Vec<String> = rows.iter().map(|row| row.join("|")).collect();
        assert_eq!(texts, ["value| x", "1.2.3.4|", "|", "", "last"]);
        assert_eq!(csv_rows("a\nb,\"c\nd"), Err(2));
        assert_eq!(csv_rows(""), Ok(vec![]));
    }

    #[test]
    fn yaml_can_be_read_again() {
        let value = json!({
            "a": "x/y", "b": {"c": [1, {"d": "yes", "e": null}, []]}, "f": "a: b\n\"c\"", "g": {},
            "h": ["1", "-x"]
        });
        let expect = concat!(
            "a: x/y\nb:\n    c:\n        - 1\n        - d: \"yes\"\n          e: null\n",
            "        - []\nf: \"a: b\\n\\\"c\\\"\"\ng: {}\nh:\n    - \"1\"\n    - \"-x\"\n"
        );
        assert_eq!(yaml(&value), expect);
    }
}
