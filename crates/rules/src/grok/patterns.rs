//! Files of definitions: `NAME regex` on each line.

use core::ops::Range;

/// A definition as a line of a pattern file gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternLine {
    /// Where the name is, in bytes of the file.
    pub name: Range<usize>,
    /// Where its regular expression is: the rest of the line, trailing blanks included.
    pub regex: Range<usize>,
}

/// The definitions of a pattern file, in order. Lines of any other form are comments.
pub fn pattern_lines(text: &str) -> impl Iterator<Item = PatternLine> {
    let mut start = 0;
    text.split_inclusive('\n').filter_map(move |line| {
        let line_start = start;
        start += line.len();
        let line = line.strip_suffix('\n').unwrap_or(line);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let name_end = line.find(|c: char| !is_word(c))?;
        let rest = &line[name_end..];
        let regex = rest.trim_start_matches([' ', '\t']);
        let regex_start = line_start + line.len() - regex.len();
        let has_both = name_end > 0 && regex.len() < rest.len() && !regex.is_empty();
        has_both.then(|| PatternLine {
            name: line_start..line_start + name_end,
            regex: regex_start..line_start + line.len(),
        })
    })
}

/// Whether names of definitions and fields may hold `c`.
pub(super) const fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &[(&str, &str)]) {
        let lines: Vec<_> =
            pattern_lines(text).map(|line| (&text[line.name], &text[line.regex])).collect();
        assert_eq!(lines, expect, "{text:?}");
    }

    #[test]
    fn a_line_is_a_name_blanks_and_a_regex() {
        check("A x\nB_2 \t y z \n", &[("A", "x"), ("B_2", "y z ")]);
        check("LAST [a-z]+", &[("LAST", "[a-z]+")]);
        check("A x\r\nB y\r\n", &[("A", "x"), ("B", "y")]);
    }

    #[test]
    fn other_lines_are_comments() {
        check("# A x\n\n  A x\nA\nA \n-A x\nA-B x\nÄ x\n", &[]);
    }
}
