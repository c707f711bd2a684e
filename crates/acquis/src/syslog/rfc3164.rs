//! The classic syslog message: `<34>Oct 11 22:14:15 host su[12]: text`.
//!
//! Accepts what CrowdSec's parser accepts, and two things it refuses: RFC 3339 times of any
//! precision (what rsyslog forwards by default), and names of programs with `-`, `_`, `/` or `.` in
//! them where a pid or colon follows, which CrowdSec splits into a wrong program and a wrong text.

use super::decode::{Message, Moment, priority};

/// The parts of `text`, or `None` if it has another form.
pub(super) fn parse(text: &[u8]) -> Option<Message<'_>> {
    let rest = priority(text)?;
    let (at, rest) = moment(rest)?;
    // One byte of separation, whatever it is.
    let rest = rest.get(1..)?;
    let blank = rest.iter().position(|byte| *byte == b' ')?;
    let (host, rest) = rest.split_at(blank);
    let (tag, rest) = tag(&rest[1..]);
    if host.is_empty() || tag.is_empty() {
        return None;
    }
    let (pid, rest) = pid(rest)?;
    let rest = rest.strip_prefix(b":").unwrap_or(rest);
    let text = rest.trim_ascii_start_blanks();
    if text.is_empty() {
        return None;
    }
    Some(Message { at: Some(at), host: Some(host), tag: Some(tag), pid, text })
}

fn moment(text: &[u8]) -> Option<(Moment, &[u8])> {
    if let Some(found) = Moment::rfc3339(text) {
        return Some(found);
    }
    let (at, rest) = Moment::month_day_time(text)?;
    // A year may follow, if it is one and not the beginning of the host's name.
    let year = rest.split_at_checked(5).filter(|(year, after)| {
        year[0] == b' ' && year[1..].iter().all(u8::is_ascii_digit) && after.first() == Some(&b' ')
    });
    Some((at, year.map_or(rest, |(_, after)| after)))
}

/// Splits off the name of the program.
fn tag(text: &[u8]) -> (&[u8], &[u8]) {
    let count = |allowed: fn(&u8) -> bool| text.iter().take_while(|byte| allowed(byte)).count();
    let plain = count(u8::is_ascii_alphanumeric);
    let long = count(|byte| byte.is_ascii_alphanumeric() || b"-_/.".contains(byte));
    let names_program = plain > 0 && matches!(text.get(long), Some(b'[' | b':'));
    text.split_at(if names_program { long } else { plain })
}

/// Splits off `[digits]`. An unclosed bracket or something else in it makes the message invalid.
fn pid(text: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let Some(inside) = text.strip_prefix(b"[") else { return Some((None, text)) };
    let end = inside.iter().position(|byte| !byte.is_ascii_digit())?;
    (inside[end] == b']' && end > 0).then(|| (Some(&inside[..end]), &inside[end + 1..]))
}

trait Blanks {
    fn trim_ascii_start_blanks(&self) -> &Self;
}

impl Blanks for [u8] {
    fn trim_ascii_start_blanks(&self) -> &Self {
        let n_blank = self.iter().take_while(|byte| **byte == b' ').count();
        &self[n_blank..]
    }
}
