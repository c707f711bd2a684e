//! Escapes that stand for one character, inside a class and outside: `\n`, `\x41`, `\101`, `\.`.

use alloc::format;

use super::SyntaxError;
use super::scan::{self, Scanner};

/// Reads an escape at the scanner's backslash. The code point may be a surrogate, never more than
/// `char::MAX`.
pub(super) fn code_point(scanner: &mut Scanner<'_>) -> Result<u32, SyntaxError> {
    let start = scanner.at();
    scanner.skip(1);
    let Some(c) = scanner.bump() else {
        return Err(scan::error("trailing backslash", start..scanner.at()));
    };
    match c {
        'a' => Ok(0x07),
        'f' => Ok(0x0C),
        'n' => Ok(0x0A),
        'r' => Ok(0x0D),
        't' => Ok(0x09),
        'v' => Ok(0x0B),
        'x' => hexadecimal(scanner, start),
        '0' => Ok(octal(scanner, 0)),
        // One digit alone would be a back-reference elsewhere; two are octal.
        '1'..='7' if scanner.peek().is_some_and(|c| c.is_digit(8)) => {
            Ok(octal(scanner, c.to_digit(8).unwrap_or_default()))
        }
        '1'..='9' | 'k' | 'g' => {
            let message = format!("back-references are not supported: `\\{c}`");
            Err(scan::error(message, start..scanner.at()))
        }
        _ if c.is_ascii() && !c.is_ascii_alphanumeric() => Ok(u32::from(c)),
        _ => Err(invalid(scanner, start)),
    }
}

/// Reads up to two octal digits after the first.
fn octal(scanner: &mut Scanner<'_>, first: u32) -> u32 {
    let mut code = first;
    for _ in 0..2 {
        let Some(digit) = scanner.eat_digit(8) else { break };
        code = code * 8 + digit;
    }
    code
}

/// Reads two hexadecimal digits, or any number of them in braces.
fn hexadecimal(scanner: &mut Scanner<'_>, start: usize) -> Result<u32, SyntaxError> {
    if !scanner.eat('{') {
        let (Some(high), Some(low)) = (scanner.eat_digit(16), scanner.eat_digit(16)) else {
            return Err(invalid(scanner, start));
        };
        return Ok(high * 16 + low);
    }
    let mut code = scanner.eat_digit(16).ok_or_else(|| invalid(scanner, start))?;
    while let Some(digit) = scanner.eat_digit(16) {
        code = code * 16 + digit;
        if code > u32::from(char::MAX) {
            let message = "the code point is above 10FFFF";
            return Err(scan::error(message, start..scanner.at()));
        }
    }
    if !scanner.eat('}') {
        return Err(invalid(scanner, start));
    }
    Ok(code)
}

fn invalid(scanner: &Scanner<'_>, start: usize) -> SyntaxError {
    let message = format!("invalid escape sequence `{}`", scan::cut(scanner.since(start)));
    scan::error(message, start..scanner.at())
}
