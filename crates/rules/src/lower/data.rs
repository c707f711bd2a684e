//! Data files: from text to what expressions consult (spec §7).
//!
//! The first declaration of a name and type counts. A file that cannot be used is reported and left
//! out; expressions then see an unknown file.

use crate::codes;
use crate::item::{DataFile, DataKind};
use engine::builtins::json::Json;
use engine::data::{DataFiles, ListFile, MapFile, RegexFile};
use re2::{Regex, RegexSet};
use std::collections::HashSet;
use syntax::{Diagnostic, Diagnostics};

/// Reads the text of a data file; `None` when there is none.
pub type ReadData<'a> = &'a mut dyn FnMut(&DataFile) -> Option<String>;

/// Loads every declared file once.
pub(super) fn load<'a>(
    declared: impl Iterator<Item = &'a DataFile>,
    read: ReadData<'_>,
    diagnostics: &mut Diagnostics,
) -> DataFiles {
    let mut files = DataFiles::default();
    let mut seen: HashSet<(&str, DataKind)> = HashSet::new();
    for file in declared {
        let Some(kind) = file.kind else { continue };
        if !seen.insert((&file.dest_file, kind)) {
            continue;
        }
        let Some(text) = read(file) else {
            let message = format!("data file `{}` is missing", file.dest_file);
            diagnostics.push(
                Diagnostic::warning(codes::MISSING_DATA, message)
                    .at(file.span, "declared here")
                    .note("expressions that consult it find nothing"),
            );
            continue;
        };
        let lines: Vec<&str> =
            text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        let loaded = match kind {
            DataKind::String => {
                files.lists.push(ListFile::new(&file.dest_file, &lines));
                Ok(())
            }
            DataKind::Regexp => regexes(&file.dest_file, &lines).map(|f| files.regexes.push(f)),
            DataKind::Map => map(&file.dest_file, &lines).map(|f| files.maps.push(f)),
            // Read where requests are inspected; here only its existence is checked.
            DataKind::Bots => Ok(()),
        };
        if let Err(error) = loaded {
            let message = format!("data file `{}` cannot be used", file.dest_file);
            diagnostics.push(
                Diagnostic::error(codes::BAD_DATA, message)
                    .at(file.span, "declared here")
                    .note(error),
            );
        }
    }
    files
}

fn regexes(name: &str, lines: &[&str]) -> Result<RegexFile, String> {
    let set = RegexSet::new(lines).map_err(|error| error.to_string())?;
    Ok(RegexFile { name: name.into(), set })
}

fn map(name: &str, lines: &[&str]) -> Result<MapFile, String> {
    let mut file = MapFile { name: name.into(), ..MapFile::default() };
    for (index, line) in lines.iter().enumerate() {
        row(&mut file, line).map_err(|error| format!("entry {}: {error}", index + 1))?;
    }
    Ok(file)
}

fn row(file: &mut MapFile, line: &str) -> Result<(), String> {
    let Json::Map(pairs) = Json::parse(line)? else {
        return Err(String::from("not a JSON object"));
    };
    let texts: Vec<(&str, &str)> = pairs
        .iter()
        .map(|(key, value)| match value {
            Json::Text(text) => Ok((key.as_str(), text.as_str())),
            _ => Err(format!("`{key}` is not a text")),
        })
        .collect::<Result<_, _>>()?;
    let text = |wanted: &str| {
        texts
            .iter()
            .find(|(key, value)| *key == wanted && !value.is_empty())
            .map(|(_, value)| *value)
            .ok_or_else(|| format!("`{wanted}` is missing"))
    };
    let (pattern, tag) = (text("pattern")?, text("tag")?);
    match text("type")? {
        "equals" => {
            file.equals.insert(pattern.into(), tag.into());
        }
        "contains" => file.contains.push((pattern.into(), tag.into())),
        "regex" => {
            let regex = Regex::new(pattern).map_err(|error| error.to_string())?;
            file.regexes.push((regex, tag.into()));
        }
        other => return Err(format!("`{other}` is no type: use equals, contains or regex")),
    }
    file.add_row(&texts);
    Ok(())
}
