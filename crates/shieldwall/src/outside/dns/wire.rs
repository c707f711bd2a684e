//! Questions and answers of the domain name system, as little of them as reverse look-ups need.
//!
//! Answers come from strangers: every length is checked, and a name that points into itself ends.

use std::net::IpAddr;

const TYPE_PTR: u16 = 12;
const CLASS_IN: u16 = 1;
const HEADER: usize = 12;

/// The longest name there is.
const MAX_NAME: usize = 255;

/// What a server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The first name, with its final dot.
    Name(String),
    /// There is none.
    NoName,
    /// It did not fit into the packet.
    Truncated,
    /// The server cannot or will not say.
    Refused,
}

/// Asks for the names of an address.
pub(super) fn question(ip: IpAddr, id: u16) -> Vec<u8> {
    let mut message = Vec::with_capacity(HEADER + 80);
    // Recursion is desired; one question, no records.
    for word in [id, 0x0100, 1, 0, 0, 0] {
        message.extend(word.to_be_bytes());
    }
    let mut label = |text: &str| {
        message.push(u8::try_from(text.len()).unwrap_or(0));
        message.extend(text.as_bytes());
    };
    match ip {
        IpAddr::V4(ip) => {
            for octet in ip.octets().iter().rev() {
                label(&octet.to_string());
            }
            label("in-addr");
        }
        IpAddr::V6(ip) => {
            for octet in ip.octets().iter().rev() {
                label(&format!("{:x}", octet & 0xf));
                label(&format!("{:x}", octet >> 4));
            }
            label("ip6");
        }
    }
    label("arpa");
    message.push(0);
    message.extend(TYPE_PTR.to_be_bytes());
    message.extend(CLASS_IN.to_be_bytes());
    message
}

/// Reads an answer to `question`; `None` when it is none.
pub(super) fn answer(message: &[u8], question: &[u8]) -> Option<Answer> {
    let asked = question.get(HEADER..)?;
    let is_answer = message.get(..2)? == question.get(..2)?
        && message.get(2)? & 0x80 != 0
        && word(message, 4)? == 1
        && message.get(HEADER..HEADER + asked.len())?.eq_ignore_ascii_case(asked);
    if !is_answer {
        return None;
    }
    if message.get(2)? & 0x02 != 0 {
        return Some(Answer::Truncated);
    }
    match message.get(3)? & 0x0f {
        0 => {}
        3 => return Some(Answer::NoName),
        _ => return Some(Answer::Refused),
    }
    let n_answers = word(message, 6)?;
    let mut at = HEADER + asked.len();
    for _ in 0..n_answers {
        // Behind a truncated or broken record there is nothing to be read.
        let Some(record) = record(message, &mut at) else { break };
        if let Some(name) = record {
            return Some(Answer::Name(name));
        }
    }
    Some(Answer::NoName)
}

/// Reads the record at `at` and moves behind it. The inner `None`: it is no usable name.
#[expect(clippy::option_option, reason = "a broken record and another record are two things")]
fn record(message: &[u8], at: &mut usize) -> Option<Option<String>> {
    name(message, at)?;
    let (kind, class) = (word(message, *at)?, word(message, *at + 2)?);
    let length = usize::from(word(message, *at + 8)?);
    let start = *at + 10;
    *at = start + length;
    message.get(start..*at)?;
    if (kind, class) != (TYPE_PTR, CLASS_IN) {
        return Some(None);
    }
    let mut inside = start;
    Some(name(message, &mut inside).filter(|name| name.len() > 1))
}

/// Reads the name at `at` and moves behind it. Labels hold letters, digits, `-` and `_`; a name
/// with others is given as empty, since its text would be read as something else.
fn name(message: &[u8], at: &mut usize) -> Option<String> {
    let mut text = String::new();
    let mut odd = false;
    let mut position = *at;
    let mut end = None;
    // Pointers must lead backwards, so that there are no circles.
    let mut floor = *at;
    loop {
        let length = usize::from(*message.get(position)?);
        match length {
            0 => {
                *at = end.unwrap_or(position + 1);
                if text.is_empty() {
                    text.push('.');
                }
                return Some(if odd { String::new() } else { text });
            }
            1..=63 => {
                let label = message.get(position + 1..position + 1 + length)?;
                for byte in label {
                    odd |= !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
                    text.push(char::from(*byte));
                }
                text.push('.');
                if text.len() > 2 * MAX_NAME {
                    return None;
                }
                position += 1 + length;
            }
            0xc0.. => {
                let target = usize::from(word(message, position)? & 0x3fff);
                end.get_or_insert(position + 2);
                if target >= floor {
                    return None;
                }
                floor = target;
                position = target;
            }
            _ => return None,
        }
    }
}

fn word(message: &[u8], at: usize) -> Option<u16> {
    let bytes = message.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes([*bytes.first()?, *bytes.last()?]))
}

/// An answer as a server would give it, for tests.
#[cfg(test)]
pub(super) fn reply(question: &[u8], name: Option<&str>) -> Vec<u8> {
    let mut message = question.to_vec();
    message[2] |= 0x80;
    if let Some(name) = name {
        message[7] = 1;
        // The owner, by a pointer to the question.
        message.extend([0xc0, 12]);
        message.extend(TYPE_PTR.to_be_bytes());
        message.extend(CLASS_IN.to_be_bytes());
        message.extend(60_u32.to_be_bytes());
        let mut data = Vec::new();
        for label in name.trim_end_matches('.').split('.') {
            data.push(u8::try_from(label.len()).unwrap());
            data.extend(label.as_bytes());
        }
        data.push(0);
        message.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        message.extend(data);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4() -> Vec<u8> {
        question("192.0.2.7".parse().unwrap(), 0x1234)
    }

    #[test]
    fn questions_name_the_address_backwards() {
        let mut at = HEADER;
        assert_eq!(name(&v4(), &mut at).unwrap(), "7.2.0.192.in-addr.arpa.");
        assert_eq!(at, v4().len() - 4);
        let v6 = question("2001:db8::1".parse().unwrap(), 1);
        let name = name(&v6, &mut { HEADER }).unwrap();
        assert!(name.starts_with("1.0.0.0.") && name.ends_with(".8.b.d.0.1.0.0.2.ip6.arpa."));
    }

    #[test]
    fn answers_are_told_apart() {
        let ok = reply(&v4(), Some("a-1.example."));
        assert_eq!(answer(&ok, &v4()), Some(Answer::Name("a-1.example.".into())));
        assert_eq!(answer(&reply(&v4(), None), &v4()), Some(Answer::NoName));
        let mut refused = ok.clone();
        refused[3] |= 5;
        assert_eq!(answer(&refused, &v4()), Some(Answer::Refused));
        let mut truncated = ok.clone();
        truncated[2] |= 2;
        assert_eq!(answer(&truncated, &v4()), Some(Answer::Truncated));
        let mut other = ok;
        other[HEADER + 1] = b'9';
        assert_eq!(answer(&other, &v4()), None);
        let odd = reply(&v4(), Some("a b.example."));
        assert_eq!(answer(&odd, &v4()), Some(Answer::NoName));
    }

    #[test]
    fn no_bytes_are_trusted() {
        let good = reply(&v4(), Some("a.example."));
        for end in 0..good.len() {
            let _any = answer(&good[..end], &v4());
        }
        for at in 0..good.len() {
            for byte in 0..=255 {
                let mut message = good.clone();
                message[at] = byte;
                let _any = answer(&message, &v4());
            }
        }
        // A name that points at itself.
        let mut circle = good;
        let at = v4().len();
        let target = u16::try_from(at).unwrap() | 0xc000;
        circle[at..at + 2].copy_from_slice(&target.to_be_bytes());
        assert_eq!(answer(&circle, &v4()), Some(Answer::NoName));
    }
}
