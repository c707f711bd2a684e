//! The newer syslog message: `<34>1 2026-10-11T22:14:15.003Z host su 12 ID47 [a b="c"] text`.

use super::decode::{Message, Moment, priority};

const MAX_HOST: usize = 255;
const MAX_APP: usize = 48;
const MAX_PROCID: usize = 128;
const MAX_MSGID: usize = 32;

/// What may stand before a text to say that it is UTF-8.
const BYTE_ORDER_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

/// The parts of `text`, or `None` if it has another form.
pub(super) fn parse(text: &[u8]) -> Option<Message<'_>> {
    let rest = priority(text)?.strip_prefix(b"1 ")?;
    let (at, rest) = match rest.strip_prefix(b"-") {
        Some(rest) => (None, rest),
        None => Moment::rfc3339(rest).map(|(at, rest)| (Some(at), rest))?,
    };
    let (host, rest) = token(rest.strip_prefix(b" ")?, MAX_HOST)?;
    let (tag, rest) = token(rest, MAX_APP)?;
    let (pid, rest) = token(rest, MAX_PROCID)?;
    let (_msgid, rest) = token(rest, MAX_MSGID)?;
    let rest = structured(rest)?.strip_prefix(b" ")?;
    let text = rest.strip_prefix(BYTE_ORDER_MARK).unwrap_or(rest);
    (!text.is_empty()).then_some(Message { at, host, tag, pid, text })
}

/// Splits off a token and the blank behind it; `-` stands for none.
fn token(text: &[u8], max_len: usize) -> Option<(Option<&[u8]>, &[u8])> {
    let end = text.iter().take(max_len.saturating_add(1)).position(|byte| *byte == b' ')?;
    let token = Some(&text[..end]).filter(|token| *token != b"-");
    (end > 0).then_some((token, &text[end + 1..]))
}

/// Skips the structured data: `-`, or elements in brackets, where a backslash escapes.
fn structured(text: &[u8]) -> Option<&[u8]> {
    if let Some(rest) = text.strip_prefix(b"-") {
        return Some(rest);
    }
    let mut rest = text;
    while let Some(inside) = rest.strip_prefix(b"[") {
        let mut escaped = false;
        let end = inside.iter().position(|byte| {
            let ends = *byte == b']' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            ends
        })?;
        rest = &inside[end + 1..];
    }
    (rest.len() < text.len()).then_some(rest)
}
