//! From a frame to a line: both formats become the one that hub parsers expect.
//!
//! The line is `Jan 2 15:04:05 host tag[pid]: text`, with the time as its sender wrote it. Year,
//! zone, priority and structured data are lost in it, as they are for CrowdSec.

use super::{config::Parsing, rfc3164, rfc5424};

const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// The parts of a message that its line is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    /// `None` stands for now.
    pub(super) at: Option<Moment>,
    pub(super) host: Option<&'a [u8]>,
    pub(super) tag: Option<&'a [u8]>,
    pub(super) pid: Option<&'a [u8]>,
    pub(super) text: &'a [u8],
}

/// A date without year and a time of day: all that a line shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) month: u8,
    pub(super) day: u8,
    pub(super) hour: u8,
    pub(super) minute: u8,
    pub(super) second: u8,
}

/// What a frame turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    Rfc3164,
    Rfc5424,
    Stripped,
    Malformed,
}

/// Writes the line for `frame` to `line`, which is left empty if there is none.
pub(super) fn decode(frame: &[u8], parsing: Parsing, now: Moment, line: &mut Vec<u8>) -> Decoded {
    line.clear();
    let frame = frame.strip_suffix(b"\n").unwrap_or(frame);
    match parsing {
        Parsing::StripPriority => {
            let Some(rest) = priority(frame) else { return Decoded::Malformed };
            line.extend_from_slice(rest);
            Decoded::Stripped
        }
        Parsing::Rfc => {
            let (message, decoded) = if let Some(message) = rfc3164::parse(frame) {
                (message, Decoded::Rfc3164)
            } else if let Some(message) = rfc5424::parse(frame) {
                (message, Decoded::Rfc5424)
            } else {
                return Decoded::Malformed;
            };
            message.write(now, line);
            decoded
        }
    }
}

/// Splits off `<digits>`, one to three of them.
pub(super) fn priority(text: &[u8]) -> Option<&[u8]> {
    let inside = text.strip_prefix(b"<")?;
    let end = inside.iter().take(4).position(|byte| !byte.is_ascii_digit())?;
    (end > 0 && inside[end] == b'>').then(|| &inside[end + 1..])
}

impl Message<'_> {
    fn write(&self, now: Moment, line: &mut Vec<u8>) {
        self.at.unwrap_or(now).write(line);
        line.push(b' ');
        line.extend_from_slice(self.host.unwrap_or(b"unknownhost"));
        if let Some(tag) = self.tag {
            line.push(b' ');
            line.extend_from_slice(tag);
        }
        if let Some(pid) = self.pid {
            line.push(b'[');
            line.extend_from_slice(pid);
            line.push(b']');
        }
        line.extend_from_slice(b": ");
        line.extend_from_slice(self.text);
    }
}

impl Moment {
    /// Reads `Oct 11 22:14:15`, the day with a zero or a blank in front, and returns what follows.
    pub(super) fn month_day_time(text: &[u8]) -> Option<(Self, &[u8])> {
        let (head, rest) = text.split_at_checked(15)?;
        let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(&head[..3]))?;
        let month = u8::try_from(month + 1).ok()?;
        let day = match head[4] {
            b' ' => number(&head[5..6])?,
            _ => number(&head[4..6])?,
        };
        let blanks = head[3] == b' ' && head[6] == b' ';
        let moment = Self::checked(month, day, &head[7..])?;
        blanks.then_some((moment, rest))
    }

    /// Reads `2026-10-11T22:14:15.003+02:00` and returns what follows.
    pub(super) fn rfc3339(text: &[u8]) -> Option<(Self, &[u8])> {
        let (head, rest) = text.split_at_checked(19)?;
        let (month, day) = (number(&head[5..7])?, number(&head[8..10])?);
        let has_year = head[..4].iter().all(u8::is_ascii_digit);
        if !has_year || head[4] != b'-' || head[7] != b'-' || head[10] != b'T' {
            return None;
        }
        let moment = Self::checked(month, day, &head[11..])?;
        let rest = match rest.split_first() {
            Some((b'.' | b',', fraction)) => {
                let n_digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
                (1..=9).contains(&n_digits).then(|| &fraction[n_digits..])?
            }
            Some(_) | None => rest,
        };
        let rest = match rest.split_first()? {
            (b'Z', rest) => rest,
            (b'+' | b'-', zone) => {
                let (zone, rest) = zone.split_at_checked(5)?;
                let valid =
                    number(&zone[..2])? <= 24 && zone[2] == b':' && number(&zone[3..])? < 60;
                valid.then_some(rest)?
            }
            _ => return None,
        };
        Some((moment, rest))
    }

    fn checked(month: u8, day: u8, time: &[u8]) -> Option<Self> {
        let (hour, minute, second) =
            (number(&time[..2])?, number(&time[3..5])?, number(&time[6..])?);
        // The year is unknown here, so every February has 29 days.
        let n_days = match month {
            2 => 29,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let valid = (1..=12).contains(&month)
            && (1..=n_days).contains(&day)
            && time[2] == b':'
            && time[5] == b':'
            && hour < 24
            && minute < 60
            && second < 60;
        valid.then_some(Self { month, day, hour, minute, second })
    }

    fn write(self, line: &mut Vec<u8>) {
        let month = MONTHS.get(usize::from(self.month).saturating_sub(1)).unwrap_or(&MONTHS[0]);
        line.extend_from_slice(*month);
        line.push(b' ');
        if self.day >= 10 {
            line.push(b'0' + self.day / 10);
        }
        line.push(b'0' + self.day % 10);
        for (separator, part) in [(b' ', self.hour), (b':', self.minute), (b':', self.second)] {
            line.extend_from_slice(&[separator, b'0' + part / 10, b'0' + part % 10]);
        }
    }
}

/// The value of one or two digits.
fn number(digits: &[u8]) -> Option<u8> {
    digits.iter().try_fold(0_u8, |value, byte| {
        byte.is_ascii_digit().then(|| value.saturating_mul(10).saturating_add(byte - b'0'))
    })
}
