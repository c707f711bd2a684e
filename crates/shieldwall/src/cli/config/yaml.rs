//! YAML trees as text.

use syntax::yaml::{Node, ScalarStyle, Yaml};

/// The tree in block style, its comments gone.
pub(super) fn print(yaml: &Yaml) -> String {
    let mut out = String::new();
    write(yaml, 0, &mut out);
    out
}

/// Trees are of bounded depth, so recursion is too.
fn write(yaml: &Yaml, indent: usize, out: &mut String) {
    let margin = "    ".repeat(indent);
    match &yaml.node {
        Node::Map(entries) => {
            for (key, value) in entries {
                out.push_str(&margin);
                out.push_str(&scalar(key));
                out.push(':');
                below(value, indent, out);
            }
        }
        Node::Seq(items) => {
            for item in items {
                out.push_str(&margin);
                out.push('-');
                below(item, indent, out);
            }
        }
        Node::Scalar(_) => {
            out.push_str(&margin);
            out.push_str(&scalar(yaml));
            out.push('\n');
        }
    }
}

fn below(value: &Yaml, indent: usize, out: &mut String) {
    match &value.node {
        Node::Scalar(_) => {
            let text = scalar(value);
            if !text.is_empty() {
                out.push(' ');
                out.push_str(&text);
            }
            out.push('\n');
        }
        Node::Map(entries) if entries.is_empty() => out.push_str(" {}\n"),
        Node::Seq(items) if items.is_empty() => out.push_str(" []\n"),
        Node::Map(_) | Node::Seq(_) => {
            out.push('\n');
            write(value, indent + 1, out);
        }
    }
}

/// A scalar on one line: plain where it was plain, else in double quotes.
fn scalar(yaml: &Yaml) -> String {
    let Some(scalar) = yaml.as_scalar() else { return "\"\"".to_owned() };
    let text = &scalar.text;
    let is_line = !text.contains(|c: char| c.is_control());
    if scalar.style == ScalarStyle::Plain && is_line {
        return text.clone();
    }
    // A JSON text is a YAML scalar.
    serde_json::Value::from(text.as_str()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Desk;

    #[test]
    fn what_is_printed_is_read_as_the_same() {
        let text = "a: 1\nb:\n  - x\n  - {c: 'yes', d: \"q\\n\"}\n  - []\ne: {}\nf:\ng: |\n  two\n  lines\n";
        let mut desk = Desk::default();
        let tree = desk.parse("a", text).remove(0);
        let printed = print(&tree);
        let again = desk.parse("b", &printed).remove(0);
        assert!(!desk.diagnostics.has_errors());
        assert_eq!(print(&again), printed);
        assert_eq!(
            printed,
            "a: 1\nb:\n    - x\n    -\n        c: \"yes\"\n        d: \"q\\n\"\n    - []\ne: {}\nf:\n\
             g: \"two\\nlines\\n\"\n"
        );
    }
}
