//! What was last known good, on disk: a host that starts without its API is protected by it.
//!
//! A text file, one decision a line, written beside and renamed, so a crash leaves the old one or
//! the new one. Ends are absolute: what ended meanwhile is not read back.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _},
    path::Path,
    sync::Arc,
};

use model::{DecisionId, Timestamp, parse_target};

use crate::set::{Decision, DecisionSet, Delta};

const HEAD: &str = "shieldwall decisions 1";
/// Lines are shorter; a file with longer ones is none of ours.
const MAX_LINE: u64 = 1024;
/// Decisions that are handed to the set at once.
const PAGE: usize = 10_000;

/// Writes all decisions of the set.
///
/// # Errors
/// When the directory of `path` cannot be written to; the old file is then still there.
pub fn save(set: &DecisionSet, path: &Path) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut out = BufWriter::new(File::create(&beside)?);
    writeln!(out, "{HEAD}")?;
    let labels = set.labels();
    for (id, net, effect) in set.decisions() {
        let until = effect.until.timestamp().unix().0;
        let remediation = escape(labels.remediation(effect.remediation));
        let origin = escape(labels.origin(effect.origin));
        writeln!(out, "{id}\t{net}\t{until}\t{remediation}\t{origin}")?;
    }
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    // The new name, too, must survive a loss of power.
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

/// What was read back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Decisions that still hold.
    pub n_taken: usize,
    /// Lines that could not be read.
    pub n_unreadable: usize,
}

/// Adds what was kept to a set. A file that is not there holds nothing.
///
/// # Errors
/// When the file cannot be read, or is something else.
pub fn load(set: &mut DecisionSet, path: &Path, now: Timestamp) -> io::Result<Loaded> {
    let mut file = match File::open(path) {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Loaded::default()),
        Err(error) => return Err(error),
    };
    let (mut loaded, mut page) = (Loaded::default(), Vec::new());
    let mut names: HashMap<String, Arc<str>> = HashMap::new();
    let mut line = Vec::new();
    let mut is_first = true;
    loop {
        line.clear();
        let n = file.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
        let text = str::from_utf8(&line).unwrap_or_default().trim_end_matches('\n');
        if std::mem::take(&mut is_first) {
            if text != HEAD {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "no file of decisions"));
            }
            continue;
        }
        if n == 0 || page.len() >= PAGE {
            loaded.n_taken += page.len();
            let change =
                set.apply(&Delta { add: std::mem::take(&mut page), ..Delta::default() }, now);
            loaded.n_taken -= change.n_refused;
        }
        if n == 0 {
            return Ok(loaded);
        }
        match decision(text, &mut names) {
            Some(decision) if decision.until > now => page.push(decision),
            Some(_) => {}
            None => loaded.n_unreadable += 1,
        }
    }
}

fn decision(line: &str, names: &mut HashMap<String, Arc<str>>) -> Option<Decision> {
    let mut fields = line.split('\t');
    let id = fields.next()?.parse().ok()?;
    let net = parse_target(fields.next()?).ok()?;
    let until = Timestamp::from_unix(fields.next()?.parse().ok()?, 0);
    let mut name = |text: &str| {
        if names.len() > 10_000 {
            names.clear();
        }
        Arc::clone(names.entry(text.to_owned()).or_insert_with(|| unescape(text).into()))
    };
    let remediation = name(fields.next()?);
    let origin = name(fields.next()?);
    fields.next().is_none().then_some(Decision {
        id: DecisionId(id),
        net,
        remediation,
        origin,
        until,
    })
}

/// Names come from outside, and may hold what parts fields and lines.
fn escape(name: &str) -> String {
    name.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n")
}

fn unescape(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => name.push(match letters.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some(other) => other,
                None => '\\',
            }),
            letter => name.push(letter),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::set::Settings;

    #[test]
    fn what_was_kept_comes_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("decisions");
        let at = |seconds| Timestamp::from_unix(seconds, 0);
        let decision = |id, value: &str, origin: &str, until| Decision {
            id: DecisionId(id),
            net: parse_target(value).unwrap(),
            remediation: "ban".into(),
            origin: origin.into(),
            until: at(until),
        };
        let mut set = DecisionSet::new(&Settings::default());
        let add = vec![
            decision(1, "192.0.2.1", "crowdsec", 500),
            decision(2, "192.0.2.1", "lists:odd\tname\\n\n", 900),
            decision(3, "2001:db8::/32", "CAPI", 900),
            decision(4, "192.0.2.4", "CAPI", 100),
        ];
        drop(set.apply(&Delta { add, ..Delta::default() }, at(0)));
        save(&set, &path).unwrap();
        let mut other = DecisionSet::new(&Settings::default());
        let loaded = load(&mut other, &path, at(200)).unwrap();
        assert_eq!(loaded, Loaded { n_taken: 3, n_unreadable: 0 });
        drop(set.expire(at(200)));
        let all = |set: &DecisionSet| {
            let name = |effect: crate::set::Effect| set.labels().origin(effect.origin).to_owned();
            let mut all: Vec<_> = set
                .decisions()
                .map(|(id, net, effect)| (id, net, effect.until, name(effect)))
                .collect();
            all.sort();
            all
        };
        assert_eq!(all(&other), all(&set));
        assert_eq!(other.wanted(at(200)).entries.len(), set.wanted(at(200)).entries.len());
        // Damage costs the lines it hits.
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str("7\tnonsense\t900\tban\tx\n8\t192.0.2.8\t900\tban\tx\n");
        text.push_str(&"9".repeat(5000));
        fs::write(&path, text).unwrap();
        let mut other = DecisionSet::new(&Settings::default());
        let loaded = load(&mut other, &path, at(200)).unwrap();
        assert_eq!((loaded.n_taken, loaded.n_unreadable), (4, 6));
        fs::write(&path, "something else").unwrap();
        assert!(load(&mut other, &path, at(200)).is_err());
        fs::remove_file(&path).unwrap();
        assert_eq!(load(&mut other, &path, at(200)).unwrap(), Loaded::default());
    }
}
