//! Reading the text of a document into its tables, in one pass.

use super::{Attribute, Element, Span, XmlDoc};
use alloc::{borrow::ToOwned, format, string::String};

/// Reads `document.buffer`, which holds the text, into the empty tables.
pub(super) fn read(document: &mut XmlDoc) -> Result<(), String> {
    // Decoded texts are appended to the buffer, and are never longer than what they are decoded
    // from; a third of what 32 bits can number leaves room for them.
    if document.text_len > (u32::MAX / 3) as usize {
        return Err("XML document is too large".to_owned());
    }
    let mut reader = Reader { end: document.text_len, document, at: 0, open: 0 };
    while reader.at < reader.end {
        if reader.bytes()[0] == b'<' {
            reader.markup()?;
        } else {
            reader.text()?;
        }
    }
    if reader.open != 0 { Err(reader.wrong("ends inside an element")) } else { Ok(()) }
}

struct Reader<'d> {
    document: &'d mut XmlDoc,
    at: usize,
    end: usize,
    /// The innermost element that is open.
    open: u32,
}

/// The ends of a qualified name.
struct NameSpans {
    prefix: Span,
    local: Span,
}

impl Reader<'_> {
    /// Returns the text from here on.
    fn rest(&self) -> &str {
        &self.document.buffer[self.at..self.end]
    }

    fn bytes(&self) -> &[u8] {
        &self.document.buffer.as_bytes()[self.at..self.end]
    }

    fn markup(&mut self) -> Result<(), String> {
        let rest = self.rest();
        if rest.starts_with("</") {
            return self.close_tag();
        }
        if rest.starts_with("<!--") {
            return self.comment();
        }
        if rest.starts_with("<![CDATA[") {
            self.at += "<![CDATA[".len();
            let length = self.find("]]>")?;
            self.push_text(self.at, self.at + length, false)?;
            self.at += length + 3;
            return Ok(());
        }
        match rest.as_bytes().get(1) {
            Some(b'?') => self.end_text().instruction(),
            Some(b'!') => self.end_text().directive(),
            _ => self.end_text().open_tag(),
        }
    }

    /// Notes that what comes next ends the text at the open element's beginning.
    fn end_text(&mut self) -> &mut Self {
        self.document.elements[self.open as usize].text_ended = true;
        self
    }

    fn comment(&mut self) -> Result<(), String> {
        self.at += "<!--".len();
        let length = self.find("--")?;
        self.at += length + 2;
        if self.bytes().first() != Some(&b'>') {
            return Err(self.wrong("has `--` inside a comment"));
        }
        self.at += 1;
        Ok(())
    }

    fn instruction(&mut self) -> Result<(), String> {
        let length = self.find("?>")?;
        let inside = &self.rest()[2..length.max(2)];
        if let Some(declaration) = inside.strip_prefix("xml")
            && declaration.starts_with([' ', '\t', '\r', '\n'])
            && let Some((_, version)) = declaration.split_once("version=")
            && !version.get(1..).is_some_and(|version| version.starts_with("1.0"))
        {
            return Err(self.wrong("is not of version 1.0"));
        }
        self.at += length + 2;
        Ok(())
    }

    /// Passes over `<!DOCTYPE …>`, which may have quotes, comments and other directives inside.
    fn directive(&mut self) -> Result<(), String> {
        let bytes = self.bytes();
        let (mut at, mut depth, mut quote) = (2, 1_usize, None);
        while depth > 0 {
            let Some(&byte) = bytes.get(at) else {
                return Err(self.wrong("ends inside a directive"));
            };
            if quote.is_none() && bytes[at..].starts_with(b"<!--") {
                match memchr::memmem::find(&bytes[at + 4..], b"-->") {
                    Some(length) => at += 4 + length + 3,
                    None => return Err(self.wrong("ends inside a comment")),
                }
                continue;
            }
            match (quote, byte) {
                (Some(open), _) if open == byte => quote = None,
                (None, b'"' | b'\'') => quote = Some(byte),
                (None, b'<') => depth += 1,
                (None, b'>') => depth -= 1,
                _ => {}
            }
            at += 1;
        }
        self.at += at;
        Ok(())
    }

    fn close_tag(&mut self) -> Result<(), String> {
        self.at += 2;
        let name = self.name()?;
        self.skip_blanks();
        if !self.eat(b'>') {
            return Err(self.wrong("has a closing tag without an end"));
        }
        let element = self.document.element(self.open);
        let same = |a: &Span, b: &Span| self.document.slice(a) == self.document.slice(b);
        if self.open == 0
            || !same(&element.name, &name.local)
            || !same(&element.prefix, &name.prefix)
        {
            return Err(self.wrong("closes an element that is not open"));
        }
        self.open = element.parent;
        Ok(())
    }

    fn open_tag(&mut self) -> Result<(), String> {
        self.at += 1;
        let name = self.name()?;
        let first_attribute = index(self.document.attributes.len())?;
        loop {
            self.skip_blanks();
            match self.bytes().first() {
                Some(b'>' | b'/') => break,
                Some(_) => self.attribute(first_attribute as usize)?,
                None => return Err(self.wrong("ends inside a tag")),
            }
        }
        let id = self.push_element(Element {
            prefix: name.prefix,
            name: name.local,
            parent: self.open,
            attributes: first_attribute..index(self.document.attributes.len())?,
            ..Element::default()
        })?;
        if !self.eat(b'/') {
            self.open = id;
        }
        if !self.eat(b'>') {
            return Err(self.wrong("has a tag without an end"));
        }
        Ok(())
    }

    fn push_element(&mut self, element: Element) -> Result<u32, String> {
        let elements = &mut self.document.elements;
        let id = index(elements.len())?;
        let parent = &mut elements[element.parent as usize];
        parent.n_children += 1;
        let previous = core::mem::replace(&mut parent.last_child, id);
        if previous == 0 {
            parent.first_child = id;
        } else {
            elements[previous as usize].next_sibling = id;
        }
        elements.push(element);
        Ok(id)
    }

    /// Reads `name="value"`. The last of several attributes with one name counts.
    fn attribute(&mut self, first: usize) -> Result<(), String> {
        let NameSpans { prefix, local } = self.name()?;
        self.skip_blanks();
        if !self.eat(b'=') {
            return Err(self.wrong("has an attribute without a value"));
        }
        self.skip_blanks();
        let quote = match self.bytes().first() {
            Some(quote @ (b'"' | b'\'')) => *quote,
            _ => return Err(self.wrong("has an attribute value without quotes")),
        };
        self.at += 1;
        let Some(length) = memchr::memchr(quote, self.bytes()) else {
            return Err(self.wrong("ends inside an attribute value"));
        };
        if memchr::memchr(b'<', &self.bytes()[..length]).is_some() {
            return Err(self.wrong("has `<` inside an attribute value"));
        }
        let value = self.decode(self.at, self.at + length)?;
        self.at += length + 1;
        let document = &mut *self.document;
        // Attributes are few; sixteen is where looking for duplicates would begin to cost.
        let same = |attribute: &Attribute| {
            document.slice(&attribute.name) == document.slice(&local)
                && document.slice(&attribute.prefix) == document.slice(&prefix)
        };
        let n_known = document.attributes.len() - first;
        let known = (n_known <= 16).then(|| document.attributes[first..].iter().position(same));
        match known.flatten() {
            Some(at) => document.attributes[first + at].value = value,
            None => document.attributes.push(Attribute { prefix, name: local, value }),
        }
        Ok(())
    }

    /// Reads a name, which may have one prefix.
    fn name(&mut self) -> Result<NameSpans, String> {
        let is_name = |byte: &u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'.' | b'-' | 0x80..)
        };
        let bytes = self.bytes();
        let length = bytes.iter().take_while(|byte| is_name(byte)).count();
        let name = &bytes[..length];
        let colons = name.iter().filter(|byte| **byte == b':').count();
        if matches!(name.first(), None | Some(b'0'..=b'9' | b'.' | b'-')) || colons > 1 {
            return Err(self.wrong("has something that is no name"));
        }
        let colon = memchr::memchr(b':', name).filter(|at| (1..length - 1).contains(at));
        let (start, end) = (index(self.at)?, index(self.at + length)?);
        self.at += length;
        Ok(match colon {
            Some(at) => {
                let colon = start + index(at)?;
                NameSpans { prefix: start..colon, local: colon + 1..end }
            }
            None => NameSpans { prefix: start..start, local: start..end },
        })
    }

    /// Reads text up to the next markup.
    fn text(&mut self) -> Result<(), String> {
        let length = memchr::memchr(b'<', self.bytes()).unwrap_or(self.end - self.at);
        let text = &self.bytes()[..length];
        // Brackets are rare, and building a searcher for three bytes costs more than reading most
        // texts does.
        if memchr::memchr(b']', text).is_some_and(|at| text[at..].windows(3).any(|w| w == b"]]>")) {
            return Err(self.wrong("has `]]>` outside of CDATA"));
        }
        self.push_text(self.at, self.at + length, true)?;
        self.at += length;
        Ok(())
    }

    /// Adds text to the open element, if it still is the text at its beginning.
    fn push_text(&mut self, start: usize, end: usize, entities: bool) -> Result<(), String> {
        // Text that nobody can ask for is decoded all the same: a bad entity anywhere is an error.
        let kept = self.document.buffer.len();
        let span = if entities { self.decode(start, end)? } else { self.new_lines(start, end)? };
        let document = &mut *self.document;
        let element = &document.elements[self.open as usize];
        if element.text_ended || self.open == 0 {
            document.buffer.truncate(kept);
            return Ok(());
        }
        let old = element.text.clone();
        let text = if old.is_empty() {
            span
        } else {
            // The second and later pieces of one text are joined at the end of the buffer. An old
            // part that is there already stays; otherwise it is copied, once per element.
            let piece = document.slice(&span).to_owned();
            document.buffer.truncate(kept);
            let start = if old.end as usize == kept && kept > document.text_len {
                old.start
            } else {
                let old = document.slice(&old).to_owned();
                document.buffer.push_str(&old);
                index(kept)?
            };
            document.buffer.push_str(&piece);
            start..index(document.buffer.len())?
        };
        document.elements[self.open as usize].text = text;
        Ok(())
    }

    /// Returns the span of a literal with its entities resolved and its line ends made `\n`.
    fn decode(&mut self, start: usize, end: usize) -> Result<Span, String> {
        if memchr::memchr(b'&', &self.document.buffer.as_bytes()[start..end]).is_none() {
            return self.new_lines(start, end);
        }
        let from = self.document.buffer.len();
        let mut at = start;
        while let Some(length) = memchr::memchr(b'&', &self.document.buffer.as_bytes()[at..end]) {
            self.new_lines_into(at, at + length);
            at += length + 1;
            let rest = &self.document.buffer[at..end];
            // No entity is longer than this; a lone `&` must not search the whole document.
            let close = rest.bytes().take(16).position(|byte| byte == b';');
            let entity = close.and_then(|close| entity(&rest[..close]));
            let (Some(c), Some(close)) = (entity, close) else {
                return Err(self.wrong("has an unknown entity"));
            };
            self.document.buffer.push(c);
            at += close + 1;
        }
        self.new_lines_into(at, end);
        Ok(index(from)?..index(self.document.buffer.len())?)
    }

    /// Returns the span of a literal with its line ends made `\n`.
    fn new_lines(&mut self, start: usize, end: usize) -> Result<Span, String> {
        if memchr::memchr(b'\r', &self.document.buffer.as_bytes()[start..end]).is_none() {
            return Ok(index(start)?..index(end)?);
        }
        let from = self.document.buffer.len();
        self.new_lines_into(start, end);
        Ok(index(from)?..index(self.document.buffer.len())?)
    }

    fn new_lines_into(&mut self, start: usize, end: usize) {
        let buffer = &mut self.document.buffer;
        let piece = buffer[start..end].to_owned();
        if piece.contains('\r') {
            buffer.push_str(&piece.replace("\r\n", "\n").replace('\r', "\n"));
        } else {
            buffer.push_str(&piece);
        }
    }

    fn find(&self, wanted: &str) -> Result<usize, String> {
        memchr::memmem::find(self.bytes(), wanted.as_bytes())
            .ok_or_else(|| self.wrong("ends too early"))
    }

    fn skip_blanks(&mut self) {
        let blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        self.at += self.bytes().iter().take_while(blank).count();
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.bytes().first() == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn wrong(&self, what: &str) -> String {
        format!("XML {what}, near byte {}", self.at)
    }
}

/// Resolves what stands between `&` and `;`.
fn entity(name: &str) -> Option<char> {
    let code = match name {
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "amp" => return Some('&'),
        "apos" => return Some('\''),
        "quot" => return Some('"'),
        _ => name.strip_prefix('#')?,
    };
    let code = match code.strip_prefix('x') {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => code.parse(),
    };
    let c = char::from_u32(code.ok()?)?;
    // XML allows no other control characters, not even spelled out.
    (c >= ' ' || matches!(c, '\t' | '\n' | '\r')).then_some(c)
}

fn index(at: usize) -> Result<u32, String> {
    u32::try_from(at).map_err(|_| "XML document is too large".to_owned())
}
