//! Diagnostics as text, in the manner of rustc.
//!
//! Hides `annotate-snippets`. It is only ever given short excerpts: the lines that are spoken of,
//! very long ones cut around the place that matters, so showing a mistake costs the same in a small
//! file and in a hostile one. Characters that would act on a terminal instead of appearing on it are
//! written out as escapes, wherever they come from (I12).

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Patch, Renderer, Snippet};

use crate::diagnostic::{Diagnostic, Help, Label, Severity};
use crate::source::{FileId, Sources, Span};

/// How a diagnostic is to look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Style {
    /// Whether to color it with ANSI escapes.
    pub color: bool,
    /// How many columns there are; excerpts are trimmed to it, messages are not.
    pub width: usize,
}

/// Renders a diagnostic with excerpts of what it speaks of. The text ends with a line feed.
pub fn render(diagnostic: &Diagnostic, sources: &Sources, style: Style) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let excerpts = excerpts(diagnostic, sources);
    let title = level.primary_title(visible(&diagnostic.message)).id(diagnostic.code.0);
    let main = Group::with_title(title).elements(excerpts.iter().map(Excerpt::snippet));
    let help = diagnostic.help.iter().map(|help| help_group(help, sources));
    let groups: Vec<Group<'_>> = std::iter::once(main).chain(help).collect();

    let renderer = if style.color { Renderer::styled() } else { Renderer::plain() };
    // Narrower than this, trimming leaves nothing to look at.
    let mut text = renderer.term_width(style.width.max(40)).render(&groups);
    for excerpt in &excerpts {
        if let Some((shown, real)) = &excerpt.place {
            text = text.replacen(shown, real, 1);
        }
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// A run of lines of one file with the labels that belong under them.
struct Excerpt<'a> {
    name: Cow<'a, str>,
    first_line: usize,
    text: String,
    marks: Vec<(Range<usize>, AnnotationKind, Cow<'a, str>)>,
    /// What the renderer will take for the place of the first label and what it really is, if the
    /// two differ because something before it was cut or written out.
    place: Option<(String, String)>,
}

impl Excerpt<'_> {
    fn snippet(&self) -> Snippet<'_, annotate_snippets::Annotation<'_>> {
        let marks = self.marks.iter().map(|(range, kind, label)| {
            let mark = kind.span(range.clone());
            if label.is_empty() { mark } else { mark.label(&**label) }
        });
        Snippet::source(&*self.text)
            .line_start(self.first_line + 1)
            .path(&*self.name)
            .annotations(marks)
    }
}

/// A label with the lines it covers.
struct Placed<'a> {
    label: &'a Label,
    kind: AnnotationKind,
    range: Range<usize>,
    lines: Range<usize>,
}

/// Cuts out the lines that the labels speak of. Labels that lie far apart get excerpts of their own.
fn excerpts<'a>(diagnostic: &'a Diagnostic, sources: &'a Sources) -> Vec<Excerpt<'a>> {
    const FAR: usize = 12;
    let at = diagnostic.at.iter().map(|label| (label, AnnotationKind::Primary));
    let see = diagnostic.see.iter().map(|label| (label, AnnotationKind::Context));
    let mut clusters: Vec<(FileId, Range<usize>, Vec<Placed<'a>>)> = Vec::new();
    for (label, kind) in at.chain(see) {
        let placed = place(label, kind, sources);
        let file = label.span.file;
        let near = clusters.iter_mut().find(|(other, lines, _)| {
            *other == file
                && placed.lines.start < lines.end + FAR
                && lines.start < placed.lines.end + FAR
        });
        match near {
            Some((_, lines, cluster)) => {
                *lines = lines.start.min(placed.lines.start)..lines.end.max(placed.lines.end);
                cluster.push(placed);
            }
            None => clusters.push((file, placed.lines.clone(), vec![placed])),
        }
    }
    clusters
        .into_iter()
        .map(|(file, lines, labels)| excerpt(file, lines, &labels, sources))
        .collect()
}

fn place<'a>(label: &'a Label, kind: AnnotationKind, sources: &Sources) -> Placed<'a> {
    // A place of more lines than this is shown by its first one.
    const TALL: usize = 6;
    let file = label.span.file;
    let mut range = sources.fit(label.span);
    let first = sources.line_of(file, range.start);
    let mut last = sources.line_of(file, range.end.saturating_sub(1).max(range.start));
    if last - first >= TALL {
        last = first;
    }
    let end = sources.line_range(file, last).end;
    // What is wrong with a line feed is shown behind the line's last character.
    range.start = range.start.min(sources.line_range(file, first).end);
    range.end = range.end.clamp(range.start, end.max(range.start));
    Placed { label, kind, range, lines: first..last + 1 }
}

fn excerpt<'a>(
    file: FileId,
    lines: Range<usize>,
    labels: &[Placed<'a>],
    sources: &'a Sources,
) -> Excerpt<'a> {
    let mut copy = Copy { text: String::new(), stretches: Vec::new() };
    for line in lines.clone() {
        let touching = labels.iter().filter(|placed| placed.lines.contains(&line));
        if line > lines.start {
            copy.text.push('\n');
        }
        copy.line(
            sources.text(file),
            sources.line_range(file, line),
            touching.map(|placed| placed.range.clone()),
        );
    }
    let marks = labels.iter().map(|placed| {
        let range = copy.offset(placed.range.start)..copy.offset(placed.range.end);
        (range, placed.kind, visible(&placed.label.text))
    });
    let marks: Vec<_> = marks.collect();
    let place = labels.first().zip(marks.first()).and_then(|(placed, (range, ..))| {
        let (line, column) =
            sources.line_col(Span::new(file, placed.range.start, placed.range.end));
        let before = &copy.text[..range.start];
        let shown = before.chars().rev().take_while(|&char| char != '\n').count() + 1;
        let name = visible(sources.name(file));
        (shown != column)
            .then(|| (format!("{name}:{line}:{shown}"), format!("{name}:{line}:{column}")))
    });
    Excerpt {
        name: visible(sources.name(file)),
        first_line: lines.start,
        text: copy.text,
        marks,
        place,
    }
}

fn help_group<'a>(help: &'a Help, sources: &'a Sources) -> Group<'a> {
    match help {
        Help::Advice(text) => Group::with_title(Level::HELP.secondary_title(visible(text))),
        Help::Note(text) => Group::with_title(Level::NOTE.secondary_title(visible(text))),
        Help::Fix { text, span, replacement } => {
            let title = Level::HELP.secondary_title(visible(text));
            let range = sources.fit(*span);
            let first = sources.line_of(span.file, range.start);
            let last = sources.line_of(span.file, range.end);
            let mut copy = Copy { text: String::new(), stretches: Vec::new() };
            for line in first..=last {
                if line > first {
                    copy.text.push('\n');
                }
                let whole = sources.line_range(span.file, line);
                if whole.len() > Copy::LONG || last - first > 20 {
                    // A change that cannot be shown whole would be pasted wrong.
                    return Group::with_title(title);
                }
                copy.line(sources.text(span.file), whole, std::iter::empty());
            }
            let patch = Patch::new(
                copy.offset(range.start)..copy.offset(range.end),
                visible_lines(replacement),
            );
            let snippet = Snippet::source(copy.text)
                .line_start(first + 1)
                .path(visible(sources.name(span.file)));
            Group::with_title(title).element(snippet.patch(patch))
        }
    }
}

/// A copy of some lines that knows where its characters came from.
struct Copy {
    text: String,
    /// Offsets in the source and in the copy from where on both run in step.
    stretches: Vec<(usize, usize)>,
}

impl Copy {
    /// Lines longer than this are cut around their labels, in bytes.
    const LONG: usize = 2000;
    /// How much of a cut line stays on each side of a label.
    const AROUND: usize = 300;

    fn line(&mut self, text: &str, line: Range<usize>, labels: impl Iterator<Item = Range<usize>>) {
        let mut range = line.clone();
        if line.len() > Self::LONG {
            let start = labels
                .map(|label| label.start)
                .min()
                .unwrap_or(line.start)
                .clamp(line.start, line.end);
            range.start =
                text.floor_char_boundary(start.saturating_sub(Self::AROUND).max(line.start));
            range.end = text.floor_char_boundary((start + Self::LONG / 2).min(line.end));
        }
        if range.start > line.start {
            self.text.push('…');
        }
        self.stretches.push((range.start, self.text.len()));
        // A carriage return before the line feed is part of the line's end.
        let shown = &text[range.clone()];
        let shown =
            if range.end == line.end { shown.strip_suffix('\r').unwrap_or(shown) } else { shown };
        for (at, char) in shown.char_indices() {
            if is_visible(char) || char == '\t' {
                self.text.push(char);
            } else {
                escape(char, &mut self.text);
                self.stretches.push((range.start + at + char.len_utf8(), self.text.len()));
            }
        }
        if range.end < line.end {
            self.text.push('…');
        }
        // What was cut off or stripped all lies at the end of the copy.
        self.stretches.push((range.start + shown.len(), self.text.len()));
    }

    /// Returns where the character at `offset` of the source is in the copy.
    fn offset(&self, offset: usize) -> usize {
        let next = self.stretches.partition_point(|&(source, _)| source <= offset);
        let Some(&(source, copy)) = next.checked_sub(1).and_then(|at| self.stretches.get(at))
        else {
            return 0;
        };
        let limit = self.stretches.get(next).map_or(self.text.len(), |&(_, copy)| copy);
        let at = (copy + (offset - source)).min(limit);
        self.text.floor_char_boundary(at)
    }
}

/// Writes out whatever would act on a terminal or hide from the reader.
fn visible(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_visible) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        if is_visible(char) { shown.push(char) } else { escape(char, &mut shown) }
    }
    Cow::Owned(shown)
}

/// As [`visible`], for a text that may have several lines.
fn visible_lines(text: &str) -> String {
    text.split('\n').map(visible).collect::<Vec<_>>().join("\n")
}

fn escape(char: char, out: &mut String) {
    match char {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        _ => {
            write!(out, "\\u{{{:x}}}", u32::from(char)).expect("writing to a string does not fail")
        }
    }
}

fn is_visible(char: char) -> bool {
    let is_hidden = matches!(
        char,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    );
    !char.is_control() && !is_hidden
}

#[cfg(test)]
mod tests;
