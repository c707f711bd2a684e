//! What needs Unicode tables: `\p{…}` and case folding. The tables are those of `regex_syntax`.
//!
//! Names are matched exactly, as RE2 does: a general category by its short name (`L`, `Lu`), a script
//! by its long one (`Greek`, `Old_Italic`), or `Any`. Spellings that only some engines know, such as
//! `\p{Letter}` or `\p{greek}`, are errors.

use alloc::format;
use alloc::string::String;
use core::ops::Range;

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind, Literal};

use super::SyntaxError;
use super::scan::{self, Budget, Scanner};

/// The first and the last character that folds to another one.
const FOLDING: (char, char) = ('A', '\u{1E943}');

/// Folding a range visits each of its characters; so many of them cost as much as moving one node.
const FOLDS_PER_UNIT: usize = 4;

/// Reads `\pN`, `\p{Name}`, `\p{^Name}` or one of these with `P`, and whether it is negated.
pub(super) fn property(scanner: &mut Scanner<'_>) -> Result<(ClassUnicode, bool), SyntaxError> {
    let start = scanner.at();
    scanner.skip(1);
    let mut negated = scanner.bump() == Some('P');
    let mut name = scanner.rest();
    if scanner.eat('{') {
        let Some(len) = scanner.rest().find('}') else {
            return Err(scan::error("missing `}` after a Unicode class", start..scanner.at()));
        };
        name = &scanner.rest()[..len];
        scanner.skip(len + 1);
    } else {
        name = &name[..scanner.bump().map_or(0, char::len_utf8)];
    }
    if let Some(rest) = name.strip_prefix('^') {
        negated = !negated;
        name = rest;
    }
    let Some(class) = named(name) else {
        let message = format!("unknown Unicode class `{}`", scan::cut(name));
        return Err(scan::error(message, start..scanner.at()));
    };
    Ok((class, negated))
}

/// The class of a general category or a script.
fn named(name: &str) -> Option<ClassUnicode> {
    if name == "Any" {
        return Some(ClassUnicode::new([ClassUnicodeRange::new('\0', char::MAX)]));
    }
    // Surrogates are no characters: the class exists and is empty.
    if name == "Cs" {
        return Some(ClassUnicode::empty());
    }
    // Here unassigned code points are not in `C`, which they are for the Rust engines.
    if name == "C" {
        let mut class = query("gc", "Cc")?;
        class.union(&query("gc", "Cf")?);
        class.union(&query("gc", "Co")?);
        return Some(class);
    }
    if CATEGORIES.binary_search(&name).is_ok() {
        return query("gc", name);
    }
    SCRIPTS.binary_search(&name).ok().and_then(|_| query("sc", name))
}

/// Asks `regex_syntax` for a table. Its tables are private; its parser is the way to them.
fn query(property: &str, value: &str) -> Option<ClassUnicode> {
    let pattern: String = format!(r"\p{{{property}={value}}}");
    let hir = regex_syntax::parse(&pattern).ok()?;
    match hir.kind() {
        HirKind::Class(Class::Unicode(class)) => Some(class.clone()),
        // Categories of a single character, such as `Zl`, arrive as that character.
        HirKind::Literal(Literal(bytes)) => {
            let c = core::str::from_utf8(bytes).ok()?.chars().next()?;
            Some(ClassUnicode::new([ClassUnicodeRange::new(c, c)]))
        }
        _ => None,
    }
}

/// Adds to `class` every character that differs from one of its own in case alone.
///
/// Folding is simple folding, as in RE2: `k` brings the Kelvin sign and `s` the long s.
pub(super) fn fold(
    mut class: ClassUnicode,
    budget: &mut Budget,
    span: Range<usize>,
) -> Result<ClassUnicode, SyntaxError> {
    let (first, last) = FOLDING;
    let window = |range: &ClassUnicodeRange| {
        let (start, end) = (range.start().max(first), range.end().min(last));
        (start <= end).then(|| ClassUnicodeRange::new(start, end))
    };
    let mut folded = ClassUnicode::new(class.ranges().iter().filter_map(window));
    let n_chars = folded.ranges().iter().map(ClassUnicodeRange::len).sum::<usize>();
    budget.spend(n_chars / FOLDS_PER_UNIT, span)?;
    fold_tables(&mut folded);
    class.union(&folded);
    Ok(class)
}

/// The class of `c` in every case, or nothing if it has one only.
pub(super) fn fold_char(c: char) -> Option<ClassUnicode> {
    if c.is_ascii() && !c.is_ascii_alphabetic() {
        return None;
    }
    let mut class = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
    fold_tables(&mut class);
    (class.literal().is_none()).then_some(class)
}

fn fold_tables(class: &mut ClassUnicode) {
    class.try_case_fold_simple().expect("this crate asks for the feature `unicode-case`");
}

/// General categories, sorted.
const CATEGORIES: [&str; 34] = [
    "Cc", "Cf", "Co", "L", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn", "N", "Nd", "Nl",
    "No", "P", "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc", "Sk", "Sm", "So", "Z", "Zl",
    "Zp", "Zs",
];

/// Scripts, sorted.
#[rustfmt::skip]
const SCRIPTS: [&str; 170] = [
    "Adlam", "Ahom", "Anatolian_Hieroglyphs", "Arabic", "Armenian", "Avestan", "Balinese",
    "Bamum", "Bassa_Vah", "Batak", "Bengali", "Bhaiksuki", "Bopomofo", "Brahmi", "Braille",
    "Buginese", "Buhid", "Canadian_Aboriginal", "Carian", "Caucasian_Albanian", "Chakma",
    "Cham", "Cherokee", "Chorasmian", "Common", "Coptic", "Cuneiform", "Cypriot",
    "Cypro_Minoan", "Cyrillic", "Deseret", "Devanagari", "Dives_Akuru", "Dogra", "Duployan",
    "Egyptian_Hieroglyphs", "Elbasan", "Elymaic", "Ethiopic", "Garay", "Georgian",
    "Glagolitic", "Gothic", "Grantha", "Greek", "Gujarati", "Gunjala_Gondi", "Gurmukhi",
    "Gurung_Khema", "Han", "Hangul", "Hanifi_Rohingya", "Hanunoo", "Hatran", "Hebrew",
    "Hiragana", "Imperial_Aramaic", "Inherited", "Inscriptional_Pahlavi",
    "Inscriptional_Parthian", "Javanese", "Kaithi", "Kannada", "Katakana", "Kawi", "Kayah_Li",
    "Kharoshthi", "Khitan_Small_Script", "Khmer", "Khojki", "Khudawadi", "Kirat_Rai", "Lao",
    "Latin", "Lepcha", "Limbu", "Linear_A", "Linear_B", "Lisu", "Lycian", "Lydian", "Mahajani",
    "Makasar", "Malayalam", "Mandaic", "Manichaean", "Marchen", "Masaram_Gondi", "Medefaidrin",
    "Meetei_Mayek", "Mende_Kikakui", "Meroitic_Cursive", "Meroitic_Hieroglyphs", "Miao",
    "Modi", "Mongolian", "Mro", "Multani", "Myanmar", "Nabataean", "Nag_Mundari",
    "Nandinagari", "New_Tai_Lue", "Newa", "Nko", "Nushu", "Nyiakeng_Puachue_Hmong", "Ogham",
    "Ol_Chiki", "Ol_Onal", "Old_Hungarian", "Old_Italic", "Old_North_Arabian", "Old_Permic",
    "Old_Persian", "Old_Sogdian", "Old_South_Arabian", "Old_Turkic", "Old_Uyghur", "Oriya",
    "Osage", "Osmanya", "Pahawh_Hmong", "Palmyrene", "Pau_Cin_Hau", "Phags_Pa", "Phoenician",
    "Psalter_Pahlavi", "Rejang", "Runic", "Samaritan", "Saurashtra", "Sharada", "Shavian",
    "Siddham", "SignWriting", "Sinhala", "Sogdian", "Sora_Sompeng", "Soyombo", "Sundanese",
    "Sunuwar", "Syloti_Nagri", "Syriac", "Tagalog", "Tagbanwa", "Tai_Le", "Tai_Tham",
    "Tai_Viet", "Takri", "Tamil", "Tangsa", "Tangut", "Telugu", "Thaana", "Thai", "Tibetan",
    "Tifinagh", "Tirhuta", "Todhri", "Toto", "Tulu_Tigalari", "Ugaritic", "Vai", "Vithkuqi",
    "Wancho", "Warang_Citi", "Yezidi", "Yi", "Zanabazar_Square",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_table() {
        assert!(CATEGORIES.is_sorted() && SCRIPTS.is_sorted());
        for name in CATEGORIES.iter().chain(&SCRIPTS) {
            let class = named(name).unwrap_or_else(|| panic!("{name}"));
            assert!(!class.ranges().is_empty(), "{name}");
        }
    }

    #[test]
    fn nothing_folds_outside_the_window() {
        let (first, last) = FOLDING;
        for edge in [first, last] {
            assert!(fold_char(edge).is_some());
        }
        let mut outside = ClassUnicode::new([ClassUnicodeRange::new(first, last)]);
        outside.negate();
        let before = outside.clone();
        fold_tables(&mut outside);
        assert_eq!(outside, before);
    }
}
