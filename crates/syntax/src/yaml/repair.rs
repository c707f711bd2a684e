//! What upstream's YAML reader lets pass and ours does not.
//!
//! COMPAT(crowdsec): upstream follows YAML 1.1, where indentation has no meaning within brackets and
//! quotes, a tab may follow a colon and a comment may touch a closing quote. Files in the field rely
//! on it, most of all on lists whose closing bracket stands in the first column. The library follows
//! YAML 1.2 and stops at each of these. So where it complains of one, blanks are added to a copy of
//! the text, in places where blanks mean nothing, and the copy is read instead; offsets into it are
//! translated back before anyone sees them.
//!
//! Repairing reads the text again from the start. INVARIANT: how often is bounded by `BUDGET`, so a
//! large hostile text gets few repairs and small ones as many as they need.

use std::borrow::Cow;

/// How many bytes repairs may read again, all in all.
const BUDGET: usize = 8 << 20;

/// A text and the blanks that were added to it.
pub(super) struct Repaired<'a> {
    original: &'a str,
    text: Cow<'a, str>,
    /// In order.
    added: Vec<Added>,
    budget: usize,
}

/// Blanks that were added.
struct Added {
    /// Their place in the original.
    original: usize,
    /// The place of the first of them in the repaired text.
    repaired: usize,
    length: usize,
}

impl<'a> Repaired<'a> {
    pub(super) fn new(original: &'a str) -> Self {
        Self { original, text: Cow::Borrowed(original), added: Vec::new(), budget: BUDGET }
    }

    /// Returns the text to be read.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Translates an offset in the repaired text into one in the original.
    pub(super) fn original_offset(&self, offset: usize) -> usize {
        let next = self.added.partition_point(|added| added.repaired <= offset);
        match next.checked_sub(1).and_then(|last| self.added.get(last)) {
            Some(last) => last.original + (offset - last.repaired).saturating_sub(last.length),
            None => offset,
        }
    }

    /// Tries to satisfy the library, which said `words` about the place `at` of the original. Says
    /// whether anything was changed, that is, whether reading again makes sense.
    pub(super) fn repair(&mut self, words: &str, at: usize) -> bool {
        let Some(budget) = self.budget.checked_sub(self.text.len().max(1)) else { return false };
        self.budget = budget;
        match words {
            "invalid indentation" | "invalid indentation in flow construct" => {
                self.add(&self.lines_in_brackets(at), self.deep())
            }
            "tab cannot be used as indentation" => self.add(&[self.line_of(at)], self.deep()),
            "invalid indentation in quoted scalar" => {
                self.add(&self.lines_of_quoted(at), self.deep())
            }
            "comments must be separated from other tokens by whitespace" => self.add(&[at], 1),
            "':' must be followed by a valid YAML whitespace" => {
                // The place is that of the value; the tabs stand before it.
                let before = self.original[..at].trim_end_matches('\t');
                before.ends_with(':') && self.add(&[before.len()], 1)
            }
            _ => false,
        }
    }

    /// Adds `length` blanks at each of the places; says whether that was new.
    fn add(&mut self, places: &[usize], length: usize) -> bool {
        let is_known = |&place: &usize| {
            self.added.binary_search_by_key(&place, |added| added.original).is_ok()
        };
        let new: Vec<usize> = places.iter().copied().filter(|place| !is_known(place)).collect();
        let grown = new.len().saturating_mul(length).saturating_add(self.text.len());
        if new.is_empty() || grown > self.budget {
            return false;
        }
        self.added.extend(new.into_iter().map(|original| Added { original, repaired: 0, length }));
        self.added.sort_unstable_by_key(|added| added.original);
        let mut text = String::with_capacity(grown);
        let mut from = 0;
        for added in &mut self.added {
            text.push_str(&self.original[from..added.original]);
            added.repaired = text.len();
            text.extend(std::iter::repeat_n(' ', added.length));
            from = added.original;
        }
        text.push_str(&self.original[from..]);
        self.text = Cow::Owned(text);
        true
    }

    /// Returns how many blanks are deeper than any line of the text.
    fn deep(&self) -> usize {
        let blanks = |line: &str| line.len() - line.trim_start_matches([' ', '-', '?']).len();
        self.original.lines().map(blanks).max().unwrap_or(0) + 1
    }

    /// Returns the start of the line that holds the byte at `at`.
    fn line_of(&self, at: usize) -> usize {
        self.original[..at].rfind('\n').map_or(0, |at| at + 1)
    }

    /// Returns the starts of the lines that stand in brackets for certain: that of `at`, and those
    /// after it up to the first one that could close them.
    fn lines_in_brackets(&self, at: usize) -> Vec<usize> {
        let mut lines = vec![self.line_of(at)];
        let rest = &self.original[at..];
        let open = &rest[..rest.find([']', '}']).unwrap_or(rest.len())];
        lines.extend(open.match_indices('\n').map(|(line, _)| at + line + 1));
        lines
    }

    /// Returns the starts of the lines that continue the quoted text at `at`.
    fn lines_of_quoted(&self, at: usize) -> Vec<usize> {
        let bytes = self.original.as_bytes();
        let quote = bytes.get(at).copied();
        let mut lines = Vec::new();
        let mut at = at + 1;
        while let Some(&byte) = bytes.get(at) {
            match byte {
                // An escaped line break still ends its line.
                b'\\' if quote == Some(b'"') && bytes.get(at + 1) != Some(&b'\n') => at += 1,
                b'\'' if quote == Some(b'\'') && bytes.get(at + 1) == Some(&b'\'') => at += 1,
                byte if Some(byte) == quote => break,
                b'\n' => {
                    let rest = &self.original[at + 1..];
                    if !rest.starts_with("---") && !rest.starts_with("...") {
                        lines.push(at + 1);
                    }
                }
                _ => {}
            }
            at += 1;
        }
        lines
    }
}
