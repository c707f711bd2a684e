//! The nearest known name to a misspelt one.
//!
//! Hides the measure and its threshold. A wrong suggestion costs more trust than a missing one, so
//! short names must be nearly right.

/// Returns the known name that `wanted` most likely stands for, if any comes near enough.
///
/// A name that differs in case alone always wins. Otherwise one mistake is allowed for every three
/// characters (an exchange of neighbors counts as one). Ties go to the name that is nearer when
/// case is ignored, then to the one known first, so the answer never depends on anything else.
///
/// ```
/// assert_eq!(syntax::nearest("fliter", ["filter", "format", "name"]), Some("filter"));
/// assert_eq!(syntax::nearest("banana", ["filter", "format", "name"]), None);
/// ```
pub fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Comparing is quadratic in the length; nobody misspells a name this long by accident.
    const LONGEST: usize = 128;
    let n_wanted = wanted.chars().count();
    if n_wanted > LONGEST {
        return None;
    }
    let folded = wanted.to_lowercase();
    let mut best: Option<(usize, usize, &'a str)> = None;
    for name in known {
        let n_name = name.chars().count();
        let allowed = n_wanted.max(n_name).div_ceil(3);
        if n_name > LONGEST || n_wanted.abs_diff(n_name) > allowed {
            continue;
        }
        let without_case = strsim::damerau_levenshtein(&folded, &name.to_lowercase());
        let with_case = strsim::damerau_levenshtein(wanted, name);
        let distance = if without_case == 0 { 0 } else { with_case };
        // One letter is never a misspelling of another one.
        let is_near = distance <= allowed && distance < n_wanted.max(n_name);
        if is_near && best.is_none_or(|(far, tie, _)| (distance, without_case) < (far, tie)) {
            best = Some((distance, without_case, name));
        }
    }
    best.map(|(_, _, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found() {
        let known = [
            "filter",
            "format",
            "groupby",
            "leakspeed",
            "on_success",
            "onsuccess",
            "evt.Meta.source_ip",
        ];
        let check = |wanted: &str, expect: Option<&str>| {
            assert_eq!(nearest(wanted, known), expect, "{wanted}")
        };
        check("fliter", Some("filter"));
        check("group_by", Some("groupby"));
        check("leekspeed", Some("leakspeed"));
        check("onsucces", Some("onsuccess"));
        check("evt.Meta.sourceip", Some("evt.Meta.source_ip"));
        check("FILTER", Some("filter"));
        check("capacity", None);
        check("", None);
    }

    #[test]
    fn case_breaks_ties() {
        assert_eq!(nearest("Name", ["Nape", "name"]), Some("name"));
        assert_eq!(nearest("Lowr", ["Upper", "Lower", "LowR"]), Some("LowR"));
        assert_eq!(nearest("a", ["b", "c"]), None);
    }

    #[test]
    fn huge_names_cost_nothing() {
        let huge = "x".repeat(1 << 20);
        assert_eq!(nearest(&huge, ["filter"]), None);
        assert_eq!(nearest("filter", [huge.as_str()]), None);
    }
}
