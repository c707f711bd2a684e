//! File name patterns: `*`, `?` and `[…]`, as Go's `filepath.Glob` understands them.
//!
//! No pattern element crosses a `/`, there is no `**`, a leading dot is not special, and matches
//! come sorted. Besides the matches a walk reports the directories it looked into: these are the
//! ones to watch, since a new match can only appear there.
//!
//! Matching a name takes time linear in name × pattern, and a walk looks at a bounded number of
//! entries, so no directory an attacker fills can stall the source (I5).

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    fs,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

/// Directory entries one walk looks at before it gives up on the rest.
const MAX_ENTRIES: usize = 200_000;

/// A pattern for whole paths.
#[derive(Clone, Debug)]
pub(super) struct Glob {
    root: PathBuf,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Name(OsString),
    Pattern(Vec<Token>),
}

/// What a walk found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Matching paths of regular files, sorted. Opening a pipe or a device could block for ever.
    pub(super) files: BTreeSet<PathBuf>,
    /// Existing directories in which a match may appear.
    pub(super) dirs: BTreeSet<PathBuf>,
    /// Whether the walk was cut short.
    pub(super) cut: bool,
}

impl Glob {
    /// Reads a pattern; `None` if a bracket or escape in it has no end.
    pub(super) fn parse(pattern: &str) -> Option<Self> {
        let mut root = PathBuf::new();
        let mut parts = Vec::new();
        for component in Path::new(pattern).components() {
            match component {
                Component::Normal(name) => {
                    let tokens = tokens(name.to_str()?)?;
                    parts.push(literal(&tokens).map_or_else(|| Part::Pattern(tokens), Part::Name));
                }
                Component::ParentDir if !parts.is_empty() => {
                    parts.push(Part::Name(OsString::from("..")));
                }
                Component::ParentDir
                | Component::RootDir
                | Component::CurDir
                | Component::Prefix(_) => root.push(component),
            }
        }
        (!parts.is_empty()).then_some(Self { root, parts })
    }

    /// Lists what matches now, adding to `found`.
    pub(super) fn walk(&self, found: &mut Found) {
        let mut n_left = MAX_ENTRIES;
        self.descend(&self.root, &self.parts, found, &mut n_left);
        found.cut |= n_left == 0;
    }

    /// Whether `path`, spelled as [`walk`](Self::walk) spells it, matches.
    pub(super) fn matches(&self, path: &Path) -> bool {
        let Ok(rest) = path.strip_prefix(&self.root) else { return false };
        let mut names = rest.components();
        let all = self.parts.iter().all(|part| {
            names.next().is_some_and(|name| match part {
                Part::Name(own) => own == name.as_os_str(),
                Part::Pattern(tokens) => matches(tokens, name.as_os_str().as_bytes()),
            })
        });
        all && names.next().is_none()
    }

    /// Depth is bounded by the number of parts in the pattern.
    fn descend(&self, dir: &Path, parts: &[Part], found: &mut Found, n_left: &mut usize) {
        let Some((part, rest)) = parts.split_first() else { return };
        let listed = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        if !listed.is_dir() {
            return;
        }
        match part {
            Part::Name(name) => {
                let path = dir.join(name);
                // The directories above a pattern are of no interest as long as they lead there.
                if rest.is_empty() || !path.is_dir() {
                    found.dirs.insert(listed.to_path_buf());
                }
                self.enter(&path, rest, found, n_left);
            }
            Part::Pattern(tokens) => {
                found.dirs.insert(listed.to_path_buf());
                let Ok(entries) = fs::read_dir(listed) else { return };
                for entry in entries.flatten() {
                    let Some(left) = n_left.checked_sub(1) else { return };
                    *n_left = left;
                    if matches(tokens, entry.file_name().as_bytes()) {
                        self.enter(&dir.join(entry.file_name()), rest, found, n_left);
                    }
                }
            }
        }
    }

    fn enter(&self, path: &Path, rest: &[Part], found: &mut Found, n_left: &mut usize) {
        if !rest.is_empty() {
            self.descend(path, rest, found, n_left);
        } else if fs::metadata(path).is_ok_and(|metadata| metadata.is_file()) {
            found.files.insert(path.to_path_buf());
        }
    }
}

#[derive(Clone, Debug)]
enum Token {
    Char(char),
    Any,
    Star,
    Class { negated: bool, ranges: Vec<(char, char)> },
}

fn tokens(pattern: &str) -> Option<Vec<Token>> {
    let mut chars = pattern.chars().peekable();
    let mut tokens = Vec::new();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '*' => Token::Star,
            '?' => Token::Any,
            '\\' => Token::Char(chars.next()?),
            '[' => {
                let negated = chars.next_if_eq(&'^').is_some();
                let mut ranges = Vec::new();
                // A `]` right after the opening bracket is a mistake in Go too.
                while ranges.is_empty() || chars.peek() != Some(&']') {
                    let low = class_char(&mut chars)?;
                    let high = if chars.next_if_eq(&'-').is_some() {
                        class_char(&mut chars)?
                    } else {
                        low
                    };
                    ranges.push((low, high));
                }
                chars.next();
                Token::Class { negated, ranges }
            }
            c => Token::Char(c),
        });
    }
    Some(tokens)
}

fn class_char(chars: &mut impl Iterator<Item = char>) -> Option<char> {
    match chars.next()? {
        '\\' => chars.next(),
        '-' | ']' => None,
        c => Some(c),
    }
}

fn literal(tokens: &[Token]) -> Option<OsString> {
    let text: Option<String> = tokens
        .iter()
        .map(|token| match token {
            Token::Char(c) => Some(*c),
            Token::Any | Token::Star | Token::Class { .. } => None,
        })
        .collect();
    text.map(OsString::from)
}

/// Greedy matching with one point to come back to: the last star. Linear in name × pattern.
fn matches(tokens: &[Token], name: &[u8]) -> bool {
    let name = String::from_utf8_lossy(name);
    let name: Vec<char> = name.chars().collect();
    let (mut t, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        match tokens.get(t) {
            Some(Token::Star) => {
                star = Some((t, n));
                t += 1;
                continue;
            }
            Some(token) if token.accepts(name[n]) => {
                (t, n) = (t + 1, n + 1);
                continue;
            }
            Some(_) | None => {}
        }
        let Some((star_t, star_n)) = star else { return false };
        star = Some((star_t, star_n + 1));
        (t, n) = (star_t + 1, star_n + 1);
    }
    tokens[t..].iter().all(|token| matches!(token, Token::Star))
}

impl Token {
    fn accepts(&self, c: char) -> bool {
        match self {
            Self::Char(own) => *own == c,
            Self::Any => true,
            Self::Star => false,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
        }
    }
}

/// Whether `path` looks like a compressed log, which following would only turn into garbage.
pub(super) fn is_compressed(path: &Path) -> bool {
    const ENDINGS: [&str; 7] = ["gz", "bz2", "xz", "zst", "lz4", "Z", "zip"];
    path.extension().and_then(OsStr::to_str).is_some_and(|ending| ENDINGS.contains(&ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, name: &str, expect: bool) {
        assert_eq!(matches(&tokens(pattern).unwrap(), name.as_bytes()), expect, "{pattern} {name}");
    }

    #[test]
    fn names_match_as_in_go() {
        check("*.log", "access.log", true);
        check("*.log", ".log", true);
        check("*.log", "access.log.1", false);
        check("*a*b*c*", "xxaxxbxxcxx", true);
        check("*a*b*c*", "xxaxxcxxbxx", false);
        check("acc?ss", "accéss", true);
        check("x[0-9][^a]", "x5b", true);
        check("x[0-9][^a]", "x5a", false);
        check("x[!a]", "x!", true);
        check("\\*", "*", true);
        check("\\*", "a", false);
        check("", "", true);
        check("*", "", true);
        check("a**", "abc", true);
        let pattern = "*a".repeat(100) + "b";
        check(&pattern, &"a".repeat(5000), false);
    }

    #[test]
    fn broken_patterns_are_refused() {
        for pattern in ["/log/[", "/log/[]", "/log/[a", "/log/[-x]", "/log/a\\", "", "/"] {
            assert!(Glob::parse(pattern).is_none(), "{pattern}");
        }
    }

    #[test]
    fn walks_directories() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["a", "b", "b/deep"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        for name in ["a/access.log", "b/access.log", "b/other", "b/deep/access.log", "top"] {
            fs::write(at(name), "").unwrap();
        }
        let walk = |pattern: &str| {
            let mut found = Found::default();
            let pattern = format!("{}/{pattern}", dir.path().display());
            let glob = Glob::parse(&pattern).unwrap();
            glob.walk(&mut found);
            assert!(found.files.iter().all(|path| glob.matches(path)));
            assert!(!glob.matches(&at("elsewhere/deeper/still")));
            let names = |paths: &BTreeSet<PathBuf>| -> Vec<String> {
                let name = |path: &PathBuf| path.strip_prefix(dir.path()).ok().map(PathBuf::from);
                paths.iter().filter_map(name).map(|path| path.display().to_string()).collect()
            };
            (names(&found.files), names(&found.dirs))
        };
        let (files, dirs) = walk("*/access.log");
        assert_eq!(files, ["a/access.log", "b/access.log"]);
        assert_eq!(dirs, ["", "a", "b"]);
        assert_eq!(walk("*").0, ["top"]);
        assert_eq!(walk("b/../top").0, ["b/../top"]);
        assert_eq!(walk("missing/x*"), (vec![], vec![String::new()]));
    }
}
