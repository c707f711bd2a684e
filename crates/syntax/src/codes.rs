//! The register of diagnostic codes, and the codes of the text layer itself.
//!
//! A code is a promise to people who search for it: once released it keeps its meaning, and a number
//! is never used again. `R0001` to `R0099` belong to this crate; each later layer keeps its own list
//! with [`registry!`](crate::registry) and its own hundred.

/// The short, stable name of one kind of mistake, like `R0004`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Code(pub &'static str);

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

/// What the register knows about a code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Explained {
    /// The code.
    pub code: Code,
    /// The name of its constant, for pages and file names.
    pub name: &'static str,
    /// What it means, in one line.
    pub meaning: &'static str,
}

/// Declares a list of codes: one constant each, and `ALL` over them.
///
/// The numbers must rise, so that no two codes of one list can be the same; a list that breaks this
/// does not compile.
///
/// ```
/// mod codes {
///     syntax::registry! {
///         FIELD_NEVER_SET = "R0107", "an expression reads a field that no parser sets";
///     }
/// }
/// assert_eq!(codes::ALL[0].code, codes::FIELD_NEVER_SET);
/// ```
#[macro_export]
macro_rules! registry {
    ($($name:ident = $code:literal, $meaning:literal;)+) => {
        $(
            #[doc = concat!("`", $code, "`: ", $meaning, ".")]
            pub const $name: $crate::Code = $crate::Code($code);
        )+

        /// Every code of this list, in order.
        pub const ALL: &[$crate::codes::Explained] = &[
            $($crate::codes::Explained { code: $name, name: stringify!($name), meaning: $meaning },)+
        ];

        const _: () = assert!($crate::codes::is_rising(ALL), "codes must be unique and in order");
    };
}

registry! {
    YAML_SYNTAX = "R0001", "the text is not YAML";
    YAML_CHARACTER = "R0002", "the text holds a character that YAML does not allow";
    YAML_TOO_BIG = "R0003", "the text is larger, deeper or expands to more than is sensible";
    YAML_DUPLICATE_KEY = "R0004", "a key is there twice in the same map";
    YAML_ALIAS = "R0005", "an alias names nothing, or something that contains it";
    YAML_MERGE = "R0006", "a merge key is given something other than maps";
}

/// Says whether each code of a list is greater than the one before it.
#[doc(hidden)]
pub const fn is_rising(list: &[Explained]) -> bool {
    let mut at = 1;
    while at < list.len() {
        if !is_less(list[at - 1].code.0.as_bytes(), list[at].code.0.as_bytes()) {
            return false;
        }
        at += 1;
    }
    true
}

const fn is_less(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() {
        if a[at] != b[at] {
            return a[at] < b[at];
        }
        at += 1;
    }
    a.len() < b.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_one_shape_and_a_meaning() {
        for entry in ALL {
            let digits = entry.code.0.strip_prefix('R').expect("codes start with R");
            assert!(
                digits.len() == 4 && digits.bytes().all(|digit| digit.is_ascii_digit()),
                "{entry:?}"
            );
            assert!(!entry.meaning.is_empty() && !entry.meaning.ends_with('.'), "{entry:?}");
        }
    }

    #[test]
    fn a_list_with_a_twin_is_refused() {
        let twin = Explained { code: Code("R0001"), name: "", meaning: "" };
        assert!(!is_rising(&[twin, twin]));
        assert!(is_rising(ALL));
    }
}
