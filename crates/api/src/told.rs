//! Decisions as JSON, written straight from the noun: what the stream does a million times in a row.
//!
//! INVARIANT: byte for byte what [`Decision`](crate::Decision) with the same fields becomes
//! ([`to_json`]); a test holds the two together.

use crate::text::to_json;

/// Appends a decision with its identifier; `nanos` is how long it still holds, or since when it does
/// not (negative), in whole seconds.
pub fn write_decision(out: &mut Vec<u8>, decision: &model::Decision, nanos: i64) {
    out.extend_from_slice(b"{\"duration\":\"");
    seconds(out, nanos / 1_000_000_000);
    out.extend_from_slice(b"\",\"id\":");
    if decision.id.0 < 0 {
        out.push(b'-');
    }
    number(out, decision.id.0.unsigned_abs());
    let texts = [
        ("origin", &*decision.origin),
        ("scenario", &*decision.scenario),
        ("scope", decision.scope.name()),
        ("type", &*decision.remediation),
    ];
    for (name, value) in texts {
        member(out, name, value);
    }
    if let Some(uuid) = decision.uuid {
        out.extend_from_slice(b",\"uuid\":\"");
        for (at, shift) in (0..32u32).zip((0..128u32).step_by(4).rev()) {
            if matches!(at, 8 | 12 | 16 | 20) {
                out.push(b'-');
            }
            let digit = usize::try_from((uuid.0 >> shift) & 15).unwrap_or(0);
            out.push(b"0123456789abcdef"[digit]);
        }
        out.push(b'"');
    }
    member(out, "value", &decision.value);
    out.push(b'}');
}

fn member(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    let is_plain = |byte: u8| {
        (b' '..=b'~').contains(&byte) && !matches!(byte, b'"' | b'\\' | b'<' | b'>' | b'&')
    };
    if value.bytes().all(is_plain) {
        out.push(b'"');
        out.extend_from_slice(value.as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(&to_json(value));
    }
}

/// A length in whole seconds as Go writes it.
fn seconds(out: &mut Vec<u8>, seconds: i64) {
    if seconds < 0 {
        out.push(b'-');
    }
    let rest = seconds.unsigned_abs();
    if rest >= 3600 {
        number(out, rest / 3600);
        out.push(b'h');
    }
    if rest >= 60 {
        number(out, rest / 60 % 60);
        out.push(b'm');
    }
    number(out, rest % 60);
    out.push(b's');
}

fn number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        // A remainder by ten is a digit.
        digits[at] = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Decision, duration};
    use model::{DecisionId, Scope, Timestamp, Uuid};

    fn check(decision: &model::Decision, nanos: i64) {
        let mut out = b"[".to_vec();
        write_decision(&mut out, decision, nanos);
        let slow = Decision {
            uuid: decision.uuid.map(|uuid| uuid.to_string()),
            ..Decision::from_model(decision, duration::format(nanos))
        };
        let slow = [b"[".as_slice(), &to_json(&slow)].concat();
        assert_eq!(String::from_utf8(out).unwrap(), String::from_utf8(slow).unwrap());
    }

    #[test]
    fn both_ways_write_the_same() {
        let plain = model::Decision {
            id: DecisionId(1),
            uuid: None,
            origin: "crowdsec".into(),
            scenario: "crowdsecurity/ssh-bf".into(),
            remediation: "ban".into(),
            scope: Scope::Ip,
            value: "192.0.2.7".to_owned(),
            until: Timestamp::MIN,
            simulated: false,
        };
        let second = 1_000_000_000i64;
        let lengths = [0, 1, 59, 60, 61, 3599, 3600, 3601, 86_400, i64::MAX / second];
        for length in lengths {
            check(&plain, length * second);
            check(&plain, -length * second);
        }
        for id in [0, 9, 10, i64::MAX, -5, i64::MIN] {
            check(&model::Decision { id: DecisionId(id), ..plain.clone() }, second);
        }
        for bits in [0, 1, u128::MAX, 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef] {
            check(&model::Decision { uuid: Some(Uuid(bits)), ..plain.clone() }, second);
        }
        for text in ["", "a\"b", "<script>&", "\u{2028}", "é", "\n\t\u{7f}", "back\\slash"] {
            let odd = model::Decision {
                origin: text.into(),
                scenario: text.into(),
                remediation: text.into(),
                scope: Scope::Other(text.to_owned()),
                value: text.to_owned(),
                ..plain.clone()
            };
            check(&odd, second);
        }
    }
}
