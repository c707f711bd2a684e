//! What documents of all kinds have in common: a format version.

use crate::{codes, reader::Reader};
use syntax::{Diagnostic, yaml::Yaml};

/// The newest format known here; the oldest is 1.0.
const NEWEST: &[u64] = &[3];

/// Whether a document is of a format not known here, and is skipped for it.
///
/// COMPAT(crowdsec): that is no error, so that a hub can carry rules for newer engines. A version
/// that is none is an error.
pub(super) fn is_of_other_format(yaml: &Yaml, reader: &mut Reader) -> bool {
    let Some(scalar) = yaml.get("format").and_then(Yaml::as_scalar) else { return false };
    if scalar.is_null() || scalar.text.is_empty() {
        return false;
    }
    let Some(version) = version(&scalar.text) else {
        let message = format!("`{}` is no version number", scalar.text);
        reader.report(Diagnostic::error(codes::BAD_FORMAT, message).at(scalar.span, "").fix(
            "the format most rules have",
            scalar.span,
            "2.0",
        ));
        return false;
    };
    let known = version.first() >= Some(&1) && version.as_slice() <= NEWEST;
    if !known {
        reader.report(
            Diagnostic::warning(
                codes::OTHER_FORMAT,
                format!("this document is skipped: format {} is not known", scalar.text),
            )
            .at(scalar.span, "")
            .note("known formats are 1.0 to 3.0"),
        );
    }
    !known
}

/// The numbers of a version, without zeros at the end.
fn version(text: &str) -> Option<Vec<u64>> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let numbers = text.split('.').map(|part| part.parse().ok().filter(|_| is_number(part)));
    let mut numbers: Vec<u64> = numbers.collect::<Option<_>>()?;
    while numbers.last() == Some(&0) {
        numbers.pop();
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_with_dots() {
        assert_eq!(version("2.0"), Some(vec![2]));
        assert_eq!(version("v1.2.0.0"), Some(vec![1, 2]));
        assert_eq!(version("3"), Some(vec![3]));
        assert_eq!(version("0.0"), Some(vec![]));
        for text in ["", "two", "1.", "1..2", "+1", "1.x", "99999999999999999999"] {
            assert_eq!(version(text), None, "{text:?}");
        }
    }
}
