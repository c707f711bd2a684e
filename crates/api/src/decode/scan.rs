//! The grammar of JSON, with the words of Go's scanner for every way to break it.
//!
//! One loop over the bytes with a stack of what is open: no recursion, so no depth is too much.

/// Checks the first JSON value of `body`.
///
/// # Errors
/// What is wrong with it.
pub(super) fn scan(body: &[u8]) -> Result<(), String> {
    Scanner { rest: body, open: Vec::new() }.run()
}

/// What may come next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Value,
    /// A value, or the end of an array that has just begun.
    FirstValue,
    Key,
    /// A key, or the end of an object that has just begun.
    FirstKey,
    Colon,
    /// A comma, or the end of what is open.
    More,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Array,
    Object,
}

struct Scanner<'a> {
    rest: &'a [u8],
    open: Vec<Open>,
}

impl Scanner<'_> {
    fn run(mut self) -> Result<(), String> {
        let mut next = Next::Value;
        let mut is_first = true;
        loop {
            let Some(byte) = self.take_visible() else {
                // Nothing at all is the end of a stream, half of something is not.
                return Err(if is_first { "EOF" } else { "unexpected EOF" }.to_owned());
            };
            is_first = false;
            next = match (next, byte) {
                (Next::FirstValue, b']') | (Next::FirstKey, b'}') => {
                    self.open.pop();
                    Next::More
                }
                (Next::Value | Next::FirstValue, byte) => self.value(byte)?,
                (Next::Key | Next::FirstKey, b'"') => {
                    self.string()?;
                    Next::Colon
                }
                (Next::Key | Next::FirstKey, byte) => {
                    return Err(invalid(byte, "looking for beginning of object key string"));
                }
                (Next::Colon, b':') => Next::Value,
                (Next::Colon, byte) => return Err(invalid(byte, "after object key")),
                (Next::More, byte) => self.more(byte)?,
            };
            if self.open.is_empty() {
                return Ok(());
            }
        }
    }

    fn take(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn take_visible(&mut self) -> Option<u8> {
        loop {
            let byte = self.take()?;
            if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                return Some(byte);
            }
        }
    }

    fn need(&mut self) -> Result<u8, String> {
        self.take().ok_or_else(|| "unexpected EOF".to_owned())
    }

    fn value(&mut self, byte: u8) -> Result<Next, String> {
        match byte {
            b'[' => {
                self.open.push(Open::Array);
                return Ok(Next::FirstValue);
            }
            b'{' => {
                self.open.push(Open::Object);
                return Ok(Next::FirstKey);
            }
            b'"' => self.string()?,
            b't' => self.literal("true")?,
            b'f' => self.literal("false")?,
            b'n' => self.literal("null")?,
            b'-' | b'0'..=b'9' => self.number(byte)?,
            _ => return Err(invalid(byte, "looking for beginning of value")),
        }
        Ok(Next::More)
    }

    fn more(&mut self, byte: u8) -> Result<Next, String> {
        match (self.open.last(), byte) {
            (Some(Open::Array), b',') => Ok(Next::Value),
            (Some(Open::Object), b',') => Ok(Next::Key),
            (Some(Open::Array), b']') | (Some(Open::Object), b'}') => {
                self.open.pop();
                Ok(Next::More)
            }
            (Some(Open::Array), _) => Err(invalid(byte, "after array element")),
            (Some(Open::Object) | None, _) => Err(invalid(byte, "after object key:value pair")),
        }
    }

    /// What follows the first letter of a word.
    fn literal(&mut self, word: &str) -> Result<(), String> {
        for want in word.bytes().skip(1) {
            let byte = self.need()?;
            if byte != want {
                let context = format!("in literal {word} (expecting {})", quoted(want));
                return Err(invalid(byte, &context));
            }
        }
        Ok(())
    }

    /// What follows a quotation mark, to the next.
    fn string(&mut self) -> Result<(), String> {
        loop {
            match self.need()? {
                b'"' => return Ok(()),
                b'\\' => match self.need()? {
                    b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => {}
                    b'u' => {
                        for _ in 0..4 {
                            let byte = self.need()?;
                            if !byte.is_ascii_hexdigit() {
                                return Err(invalid(byte, r"in \u hexadecimal character escape"));
                            }
                        }
                    }
                    byte => return Err(invalid(byte, "in string escape code")),
                },
                byte if byte < b' ' => return Err(invalid(byte, "in string literal")),
                _ => {}
            }
        }
    }

    /// What follows the first byte of a number.
    fn number(&mut self, first: u8) -> Result<(), String> {
        let first = if first == b'-' { self.digit("in numeric literal")? } else { first };
        if first != b'0' {
            self.digits();
        }
        if self.rest.first() == Some(&b'.') {
            self.take();
            self.digit("after decimal point in numeric literal")?;
            self.digits();
        }
        if matches!(self.rest.first(), Some(b'e' | b'E')) {
            self.take();
            if matches!(self.rest.first(), Some(b'+' | b'-')) {
                self.take();
            }
            self.digit("in exponent of numeric literal")?;
            self.digits();
        }
        Ok(())
    }

    fn digit(&mut self, context: &str) -> Result<u8, String> {
        let byte = self.need()?;
        if byte.is_ascii_digit() { Ok(byte) } else { Err(invalid(byte, context)) }
    }

    fn digits(&mut self) {
        while self.rest.first().is_some_and(u8::is_ascii_digit) {
            self.take();
        }
    }
}

fn invalid(byte: u8, context: &str) -> String {
    format!("invalid character {} {context}", quoted(byte))
}

/// A byte as Go shows it: taken for the character of that number.
fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".to_owned(),
        b'\\' => r"'\\'".to_owned(),
        0x07 => r"'\a'".to_owned(),
        0x08 => r"'\b'".to_owned(),
        0x0b => r"'\v'".to_owned(),
        0x0c => r"'\f'".to_owned(),
        b'\n' => r"'\n'".to_owned(),
        b'\r' => r"'\r'".to_owned(),
        b'\t' => r"'\t'".to_owned(),
        0x00..=0x1f | 0x7f => format!(r"'\x{byte:02x}'"),
        0x80..=0xa0 | 0xad => format!(r"'\u{byte:04x}'"),
        _ => format!("'{}'", char::from(byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_break_it_has_its_words() {
        for (text, want) in [
            ("", "EOF"),
            (" \n\t", "EOF"),
            ("{", "unexpected EOF"),
            ("[1,", "unexpected EOF"),
            ("\"a", "unexpected EOF"),
            ("tru", "unexpected EOF"),
            ("-", "unexpected EOF"),
            ("x", "invalid character 'x' looking for beginning of value"),
            ("[1,]", "invalid character ']' looking for beginning of value"),
            ("[1 2]", "invalid character '2' after array element"),
            ("{1:2}", "invalid character '1' looking for beginning of object key string"),
            (r#"{"a":1,}"#, "invalid character '}' looking for beginning of object key string"),
            (r#"{"a" 1}"#, "invalid character '1' after object key"),
            (r#"{"a":1]"#, "invalid character ']' after object key:value pair"),
            ("[\"\n\"]", r"invalid character '\n' in string literal"),
            (r#"["\x"]"#, "invalid character 'x' in string escape code"),
            (r#"["\u00g0"]"#, r"invalid character 'g' in \u hexadecimal character escape"),
            ("[-a]", "invalid character 'a' in numeric literal"),
            ("[1.]", "invalid character ']' after decimal point in numeric literal"),
            ("[1e+]", "invalid character ']' in exponent of numeric literal"),
            ("[01]", "invalid character '1' after array element"),
            ("nul!", "invalid character '!' in literal null (expecting 'l')"),
            ("'", r"invalid character '\'' looking for beginning of value"),
            ("\u{e9}", "invalid character 'Ã' looking for beginning of value"),
        ] {
            assert_eq!(scan(text.as_bytes()).err().as_deref(), Some(want), "{text:?}");
        }
    }

    #[test]
    fn what_is_json_is_fine() {
        for text in
            ["{}", "[]", " [ ] x", r#"{"a":[1,-2.5e-3,true,false,null,"\u00e9\\"],"b":{}}"#, "0"]
        {
            assert_eq!(scan(text.as_bytes()), Ok(()), "{text}");
        }
    }
}
