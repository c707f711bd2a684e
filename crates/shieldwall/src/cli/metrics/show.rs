//! Sections as tables.

use super::{
    section::Section,
    tree::{Node, whole},
};
use crate::cli::table::table;

/// A section as a table, one row for each innermost group.
pub(super) fn section(section: &Section, node: &Node, short: bool) -> String {
    let mut header: Vec<String> = section.groups.iter().map(|it| (*it).to_owned()).collect();
    if section.leaves.is_empty() {
        header.push("Count".to_owned());
    }
    header.extend(section.leaves.iter().map(|leaf| title(leaf)));
    let mut rows = Vec::new();
    collect(section, node, &mut Vec::new(), short, &mut rows);
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    format!("{}:\n{}", section.title, table(&header, &rows))
}

fn collect(
    section: &Section,
    node: &Node,
    path: &mut Vec<String>,
    short: bool,
    rows: &mut Vec<Vec<String>>,
) {
    if path.len() < section.groups.len() {
        for (name, child) in node.children() {
            path.push(name.clone());
            collect(section, child, path, short, rows);
            path.pop();
        }
        return;
    }
    let mut row = path.clone();
    if section.leaves.is_empty() {
        row.push(cell(node, short));
    }
    for leaf in section.leaves {
        row.push(node.get(leaf).map_or_else(|| "-".to_owned(), |node| cell(node, short)));
    }
    rows.push(row);
}

/// The heading of a number.
fn title(leaf: &str) -> String {
    match leaf {
        "reads" => "Lines read",
        "parsed" => "Parsed",
        "unparsed" => "Unparsed",
        "pour" => "Poured",
        "whitelisted" => "Whitelisted",
        "hits" => "Hits",
        "curr_count" => "Current",
        "overflow" => "Overflows",
        "instantiation" => "Instantiated",
        "underflow" => "Expired",
        "NonEmpty" => "Non-empty answers",
        "Empty" => "Empty answers",
        "processed" => "Processed",
        "blocked" => "Blocked",
        "triggered" => "Triggered",
        "challenge_requested" => "Challenged",
        "challenge_submitted" => "Submitted",
        "challenge_accepted" => "Accepted",
        "challenge_rejected" => "Rejected",
        "challenge_exempt" => "Exempt",
        other => other,
    }
    .to_owned()
}

/// A number for people, `3.80k`, or whole.
pub(super) fn cell(node: &Node, short: bool) -> String {
    let number = match node {
        Node::Number(number) => *number,
        Node::Text(text) => return text.clone(),
        Node::Map(_) => return "-".to_owned(),
    };
    if !short || number.abs() < 1000.0 {
        return whole(number).to_string();
    }
    let scales = [(1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let found = scales.iter().find(|(scale, _)| number.abs() >= *scale);
    let (scale, unit) = found.copied().unwrap_or((1.0, ""));
    format!("{:.2}{unit}", number / scale)
}

#[cfg(test)]
mod tests {
    use super::{super::section::SECTIONS, *};

    #[test]
    fn numbers_are_short() {
        let check =
            |number: f64, expect: &str| assert_eq!(cell(&Node::Number(number), true), expect);
        check(0.0, "0");
        check(999.9, "999");
        check(3800.0, "3.80k");
        check(1_234_567.0, "1.23M");
        check(f64::INFINITY, "infE");
        assert_eq!(cell(&Node::Number(3800.0), false), "3800");
    }

    #[test]
    fn every_group_is_a_column() {
        let mut node = Node::default();
        node.add(&["a/ssh", "crowdsec", "ban"], 3.0);
        node.add(&["a/ssh", "cscli", "ban"], 1.0);
        let decisions = SECTIONS.iter().find(|it| it.key == "decisions").unwrap();
        let text = section(decisions, &node, true);
        assert!(text.starts_with("Local API Decisions:\n"), "{text}");
        assert_eq!(text.matches("a/ssh").count(), 2, "{text}");
        let mut node = Node::default();
        node.add(&["file:/a", "reads"], 3.0);
        let acquisition = SECTIONS.iter().find(|it| it.key == "acquisition").unwrap();
        assert!(section(acquisition, &node, true).contains(" - "));
    }
}
