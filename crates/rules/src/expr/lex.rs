//! Cuts the text of an expression into tokens.
//!
//! The lexer resolves escapes and numbers, so the parser sees values; words are left to the parser,
//! because whether `in` is an operator or a field depends on what stands around it.
//!
//! A mistake ends the tokens early. It is kept aside until the parser gets there, so that of two
//! mistakes the first in the text is reported, whoever finds it.

use super::ast::Span;
use super::{ExprError, codes};

/// The longest text that is looked at; the longest one in use is some hundred times shorter.
pub const MAX_TEXT: usize = 1 << 20;

/// One token and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Where it was written.
    pub span: Span,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub enum TokenKind {
    /// A name or a keyword; the text is that of its span.
    Word,
    /// An operator, bracket or other mark.
    Sign(&'static str),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A string, unescaped.
    Str(String),
    /// A byte string, unescaped.
    Bytes(Vec<u8>),
    /// The end of the text, or the place of [`Tokens::error`]. Always the last token, and only that.
    End,
}

/// What a text was cut into.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// The tokens, with a [`TokenKind::End`] last.
    pub tokens: Vec<Token>,
    /// What ended the tokens before the text did.
    pub error: Option<Box<ExprError>>,
}

/// All signs, longer before shorter, so that the first that fits is the right one.
const SIGNS: &[&str] = &[
    "==", "!=", "<=", ">=", "&&", "||", "**", "..", "??", "?.", "::", "<", ">", "!", "+", "-", "*",
    "/", "%", "^", "|", "?", ":", ",", ";", ".", "#", "(", ")", "[", "]", "{", "}", "=",
];

/// Cuts `text` into tokens.
#[must_use]
pub fn lex(text: &str) -> Tokens {
    let mut lexer = Lexer { text, at: 0, tokens: Vec::new() };
    let error = lexer.run().err();
    let end = offset(error.as_ref().map_or(text.len(), |error| error.span.start as usize));
    lexer.tokens.push(Token { kind: TokenKind::End, span: end..end });
    Tokens { tokens: lexer.tokens, error }
}

/// Narrows a byte offset into an expression.
///
/// Nothing is lost: a text longer than [`MAX_TEXT`] is refused before it is cut.
pub(crate) fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// Tells whether a name may begin with `letter`.
pub(crate) fn begins_name(letter: char) -> bool {
    letter == '_' || letter == '$' || letter.is_alphabetic()
}

fn continues_name(letter: char) -> bool {
    begins_name(letter) || letter.is_numeric()
}

/// Errors are boxed while they travel, as they are large and rare.
type Lexed<T> = Result<T, Box<ExprError>>;

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn run(&mut self) -> Lexed<()> {
        if self.text.len() > MAX_TEXT {
            let message = format!("the expression is longer than {MAX_TEXT} bytes");
            return Err(Box::new(ExprError::new(codes::TOO_BIG, 0..0, message)));
        }
        while let Some(next) = self.skip_blanks()? {
            let start = self.at;
            let kind = self.token(next)?;
            self.tokens.push(Token { kind, span: self.span_from(start) });
        }
        Ok(())
    }

    fn token(&mut self, next: char) -> Lexed<TokenKind> {
        let after = self.rest()[next.len_utf8()..].chars().next();
        match next {
            '\'' | '"' => Ok(TokenKind::Str(self.string(next)?)),
            '`' => Ok(TokenKind::Str(self.raw_string()?)),
            'b' if matches!(after, Some('"' | '\'')) => {
                self.at += 1;
                Ok(TokenKind::Bytes(self.byte_string(after.unwrap_or('"'))?))
            }
            '0'..='9' => self.number(),
            '.' if after.is_some_and(|after| after.is_ascii_digit()) => self.number(),
            letter if begins_name(letter) => {
                let rest = self.rest();
                self.at += rest.find(|letter| !continues_name(letter)).unwrap_or(rest.len());
                Ok(TokenKind::Word)
            }
            _ => self.sign(next),
        }
    }

    fn sign(&mut self, next: char) -> Lexed<TokenKind> {
        let rest = self.rest();
        let Some(mut sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)).copied() else {
            return Err(self.bad_character(next));
        };
        // `a ?.5 : b` asks a question about a number, it does not look for a member called `5`.
        if sign == "?." && rest[2..].starts_with(|digit: char| digit.is_ascii_digit()) {
            sign = "?";
        }
        self.at += sign.len();
        Ok(TokenKind::Sign(sign))
    }

    fn bad_character(&self, next: char) -> Box<ExprError> {
        let span = offset(self.at)..offset(self.at + next.len_utf8());
        let error = ExprError::new(
            codes::CHARACTER,
            span.clone(),
            format!("`{}` means nothing in an expression", next.escape_debug()),
        );
        Box::new(match next {
            '&' => error.help("did you mean `&&`?").replace(span, "&&"),
            '“' | '”' | '„' | '‘' | '’' => error.help("write strings in straight quotes"),
            '~' => error.help("use `matches` to compare with a pattern"),
            _ => error,
        })
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn span_from(&self, start: usize) -> Span {
        offset(start)..offset(self.at)
    }

    /// Moves to the next token and returns its first character.
    fn skip_blanks(&mut self) -> Lexed<Option<char>> {
        loop {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start().len();
            let rest = self.rest();
            if rest.starts_with("//") {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                let Some(length) = rest.find("*/") else {
                    let opening = offset(self.at)..offset(self.at + 2);
                    let message = "the comment is not closed by `*/`";
                    return Err(Box::new(ExprError::new(
                        codes::STRING_NOT_CLOSED,
                        opening,
                        message,
                    )));
                };
                self.at += length + 2;
            } else {
                return Ok(rest.chars().next());
            }
        }
    }

    // Numbers.

    fn number(&mut self) -> Lexed<TokenKind> {
        let start = self.at;
        let (radix, is_float) = self.skip_number();
        // A letter or digit right after a number is never meant to be a token of its own.
        let rest = self.rest();
        let trailing = rest.find(|letter| !continues_name(letter)).unwrap_or(rest.len());
        if trailing > 0 {
            self.at += trailing;
            let span = self.span_from(start);
            let message = format!("`{}` is not a number", &self.text[start..self.at]);
            return Err(Box::new(ExprError::new(codes::NUMBER, span, message)));
        }
        let span = self.span_from(start);
        let written = &self.text[start..self.at];
        let digits: String = written.chars().filter(|digit| *digit != '_').collect();
        if is_float {
            let value = digits.parse::<f64>().ok().filter(|value| value.is_finite());
            return value.map(TokenKind::Float).ok_or_else(|| bad_number(written, span));
        }
        let digits = if radix == 10 { &digits } else { &digits[2..] };
        let value = i64::from_str_radix(digits, radix).ok();
        value.map(TokenKind::Int).ok_or_else(|| bad_number(written, span))
    }

    /// Moves past a number; returns its radix and whether it has a fraction or an exponent.
    fn skip_number(&mut self) -> (u32, bool) {
        let rest = self.rest();
        let radix = match rest.as_bytes() {
            [b'0', b'x' | b'X', ..] => 16,
            [b'0', b'o' | b'O', ..] => 8,
            [b'0', b'b' | b'B', ..] => 2,
            _ => 10,
        };
        if radix != 10 {
            self.at += 2;
            self.skip_digits(radix);
            return (radix, false);
        }
        self.skip_digits(10);
        let mut is_float = false;
        // `1..5` is a range, not `1.` followed by `.5`.
        if self.rest().starts_with('.') && !self.rest().starts_with("..") {
            is_float = true;
            self.at += 1;
            self.skip_digits(10);
        }
        let rest = self.rest();
        if rest.starts_with(['e', 'E']) {
            let signed = usize::from(rest[1..].starts_with(['+', '-']));
            if rest[1 + signed..].starts_with(|digit: char| digit.is_ascii_digit()) {
                is_float = true;
                self.at += 1 + signed;
                self.skip_digits(10);
            }
        }
        (10, is_float)
    }

    fn skip_digits(&mut self, radix: u32) {
        let rest = self.rest();
        self.at +=
            rest.find(|digit: char| digit != '_' && !digit.is_digit(radix)).unwrap_or(rest.len());
    }

    // Strings.

    fn string(&mut self, quote: char) -> Lexed<String> {
        let mut value = String::new();
        self.quoted(quote, |unit| match unit {
            Unit::Char(letter) | Unit::Code(letter) => value.push(letter),
        })?;
        Ok(value)
    }

    fn byte_string(&mut self, quote: char) -> Lexed<Vec<u8>> {
        let mut value = Vec::new();
        self.quoted(quote, |unit| match unit {
            Unit::Char(letter) => {
                value.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes())
            }
            // A code above 255 can only come from `\u`, which stands for a character in any string.
            Unit::Code(letter) => match u8::try_from(letter) {
                Ok(byte) => value.push(byte),
                Err(_) => value.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            },
        })?;
        Ok(value)
    }

    fn raw_string(&mut self) -> Lexed<String> {
        let opening = self.at;
        let mut value = String::new();
        self.at += 1;
        loop {
            let rest = self.rest();
            let Some(length) = rest.find('`') else {
                return Err(self.string_not_closed(opening, '`'));
            };
            value.push_str(&rest[..length]);
            let is_doubled = rest[length + 1..].starts_with('`');
            self.at += length + 1;
            if !is_doubled {
                return Ok(value);
            }
            value.push('`');
            self.at += 1;
        }
    }

    /// Reads a string in `quote`s from its opening one on, and hands its units to `push`.
    fn quoted(&mut self, quote: char, mut push: impl FnMut(Unit)) -> Lexed<()> {
        let opening = self.at;
        self.at += 1;
        loop {
            let Some(next) = self.rest().chars().next() else {
                return Err(self.string_not_closed(opening, quote));
            };
            match next {
                '\n' => return Err(self.string_not_closed(opening, quote)),
                '\\' => push(self.escape()?),
                _ => {
                    self.at += next.len_utf8();
                    if next == quote {
                        return Ok(());
                    }
                    push(Unit::Char(next));
                }
            }
        }
    }

    fn string_not_closed(&self, opening: usize, quote: char) -> Box<ExprError> {
        let span = offset(opening)..offset(opening + 1);
        let message = format!("the string is not closed by `{quote}`");
        Box::new(ExprError::new(codes::STRING_NOT_CLOSED, span, message))
    }

    /// Reads one escape, from its backslash on.
    fn escape(&mut self) -> Lexed<Unit> {
        let start = self.at;
        self.at += 1;
        let Some(kind) = self.rest().chars().next() else {
            return Err(self.bad_escape(start));
        };
        self.at += kind.len_utf8();
        let simple = match kind {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'v' => '\u{b}',
            '\\' | '\'' | '"' | '`' | '?' => kind,
            'x' | 'X' => return self.code(start, 2, 16),
            'u' if self.rest().starts_with('{') => return self.braced_code(start),
            'u' => return self.code_or_pair(start),
            'U' => return self.code(start, 8, 16),
            '0'..='3' => {
                self.at -= 1;
                return self.code(start, 3, 8);
            }
            _ => return Err(self.bad_escape(start)),
        };
        Ok(Unit::Char(simple))
    }

    /// Reads exactly `length` digits as the code of a character.
    fn code(&mut self, start: usize, length: usize, radix: u32) -> Lexed<Unit> {
        let code = self.digits(start, length, radix)?;
        char::from_u32(code).map(Unit::Code).ok_or_else(|| self.bad_escape(start))
    }

    /// Reads `\u` and four digits; two such halves of a UTF-16 pair are one character.
    fn code_or_pair(&mut self, start: usize) -> Lexed<Unit> {
        let first = self.digits(start, 4, 16)?;
        let is_pair = (0xd800..0xdc00).contains(&first) && self.rest().starts_with("\\u");
        let code = if is_pair {
            self.at += 2;
            let second = self.digits(start, 4, 16)?;
            if !(0xdc00..0xe000).contains(&second) {
                return Err(self.bad_escape(start));
            }
            0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        // Unlike `\x80`, `\u0080` is a character in byte strings too.
        char::from_u32(code).map(Unit::Char).ok_or_else(|| self.bad_escape(start))
    }

    fn braced_code(&mut self, start: usize) -> Lexed<Unit> {
        self.at += 1;
        let length = self.rest().find(|digit: char| !digit.is_ascii_hexdigit()).unwrap_or(0);
        if !(1..=6).contains(&length) || !self.rest()[length..].starts_with('}') {
            return Err(self.bad_escape(start));
        }
        let code = self.digits(start, length, 16)?;
        self.at += 1;
        char::from_u32(code).map(Unit::Char).ok_or_else(|| self.bad_escape(start))
    }

    fn digits(&mut self, start: usize, length: usize, radix: u32) -> Lexed<u32> {
        let digits =
            self.rest().get(..length).filter(|digits| digits.chars().all(|c| c.is_digit(radix)));
        let Some(code) = digits.and_then(|digits| u32::from_str_radix(digits, radix).ok()) else {
            return Err(self.bad_escape(start));
        };
        self.at += length;
        Ok(code)
    }

    fn bad_escape(&self, start: usize) -> Box<ExprError> {
        let kind = self.text[start + 1..].chars().next();
        let end = start + 1 + kind.map_or(0, char::len_utf8);
        let span = offset(start)..offset(end);
        let written = &self.text[start..end];
        Box::new(match kind {
            Some('x' | 'X' | 'u' | 'U' | '0'..='3') => {
                let message = format!("`{written}` is not followed by the code of a character");
                ExprError::new(codes::ESCAPE, span, message)
            }
            _ => ExprError::new(codes::ESCAPE, span, format!("`{written}` is not an escape"))
                .help("write `\\\\` for a backslash, or the whole string in backquotes"),
        })
    }
}

/// A piece of a string in quotes.
enum Unit {
    /// A character, written as itself or by a name that stands for a character.
    Char(char),
    /// A number; in a byte string, a byte.
    Code(char),
}

fn bad_number(written: &str, span: Span) -> Box<ExprError> {
    let is_short = written.trim_start_matches(['0', 'x', 'X', 'o', 'O', 'b', 'B', '_']).is_empty();
    let message = if is_short {
        format!("`{written}` is not a number")
    } else {
        format!("`{written}` does not fit a 64-bit number")
    };
    Box::new(ExprError::new(codes::NUMBER, span, message))
}

#[cfg(test)]
mod tests;
