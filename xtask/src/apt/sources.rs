//! Derives package sources from the machine's own, in the paragraph format, with source packages.
//!
//! Reads `sources.list` and `sources.list.d/*.{list,sources}`. Only the distribution's archives are
//! kept: vendors' archives hold nothing we need, and one that is down must not stop us.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

/// Reads every entry below `etc` (usually `/etc/apt`) and returns the derived paragraphs.
pub(super) fn of_machine(etc: &Path) -> Result<String> {
    let mut files = vec![etc.join("sources.list")];
    if let Ok(entries) = fs::read_dir(etc.join("sources.list.d")) {
        for entry in entries {
            files.push(entry?.path());
        }
    }
    files.sort();
    let mut paragraphs = Vec::new();
    for file in files {
        let extension = file.extension().and_then(|extension| extension.to_str());
        if !matches!(extension, Some("list" | "sources")) || !file.is_file() {
            continue;
        }
        let text =
            fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
        match extension {
            Some("list") => paragraphs.extend(text.lines().filter_map(from_line)),
            _ => paragraphs.extend(split(&text).iter().filter_map(|text| from_paragraph(text))),
        }
    }
    let ours: Vec<String> =
        paragraphs.iter().filter(|paragraph| is_distribution(paragraph)).cloned().collect();
    let kept = if ours.is_empty() { paragraphs } else { ours };
    if kept.is_empty() {
        bail!("{} names no package archive", etc.display());
    }
    Ok(kept.join("\n"))
}

/// Turns `deb [options] uri suite component…` into a paragraph.
fn from_line(line: &str) -> Option<String> {
    let line = line.split('#').next()?.trim();
    let rest = line.strip_prefix("deb ").or_else(|| line.strip_prefix("deb\t"))?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace();
    let (uri, suite) = (words.next()?, words.next()?);
    let components: Vec<&str> = words.collect();
    let mut paragraph = format!("Types: deb deb-src\nURIs: {uri}\nSuites: {suite}\n");
    if !components.is_empty() {
        paragraph.push_str(&format!("Components: {}\n", components.join(" ")));
    }
    for option in options.split_whitespace() {
        let Some((key, value)) = option.split_once('=') else { continue };
        let field = match key {
            "arch" => "Architectures",
            "signed-by" => "Signed-By",
            "trusted" => "Trusted",
            "check-valid-until" => "Check-Valid-Until",
            _ => continue,
        };
        paragraph.push_str(&format!("{field}: {}\n", value.replace(',', " ")));
    }
    Some(paragraph)
}

/// Paragraphs are separated by blank lines; lines that start with `#` are comments.
fn split(text: &str) -> Vec<String> {
    let mut paragraphs = vec![String::new()];
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if line.trim().is_empty() {
            paragraphs.push(String::new());
        } else if let Some(last) = paragraphs.last_mut() {
            last.push_str(line);
            last.push('\n');
        }
    }
    paragraphs
}

/// Keeps a paragraph of binary packages and adds source packages to it.
fn from_paragraph(text: &str) -> Option<String> {
    let field = |line: &str, name: &str| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    };
    if text.lines().any(|line| field(line, "Enabled").is_some_and(|value| value == "no")) {
        return None;
    }
    let types = text.lines().find_map(|line| field(line, "Types"))?;
    if !types.split_whitespace().any(|kind| kind == "deb") {
        return None;
    }
    let mut paragraph = "Types: deb deb-src\n".to_owned();
    for line in text.lines().filter(|line| field(line, "Types").is_none()) {
        paragraph.push_str(line);
        paragraph.push('\n');
    }
    Some(paragraph)
}

fn is_distribution(paragraph: &str) -> bool {
    let uris = paragraph.lines().find(|line| line.to_ascii_lowercase().starts_with("uris:"));
    uris.is_some_and(|uris| {
        let uris = uris.to_ascii_lowercase();
        uris.contains("debian") || uris.contains("ubuntu")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_are_read_and_vendors_left_out() {
        let etc = tempfile::tempdir().expect("a directory");
        let parts = etc.path().join("sources.list.d");
        fs::create_dir(&parts).expect("a directory");
        fs::write(
            etc.path().join("sources.list"),
            "# comment\ndeb [arch=amd64,arm64 signed-by=/k.gpg] http://mirror.test/debian stable main contrib # x\n\
             deb-src http://mirror.test/debian stable main\n",
        )
        .expect("written");
        fs::write(parts.join("vendor.list"), "deb https://vendor.test/apt any main\n")
            .expect("written");
        fs::write(
            parts.join("base.sources"),
            "Types: deb\n# a comment\nURIs: http://mirror.test/debian-security\nSuites: stable-security\n\
             Components: main\nSigned-By:\n -----BEGIN-----\n .\n abc\n\n\
             Types: deb\nURIs: http://mirror.test/debian\nSuites: old\nEnabled: no\n\n\
             Types: deb-src\nURIs: http://mirror.test/debian\nSuites: old\n",
        )
        .expect("written");
        fs::write(parts.join("ignored.save"), "deb http://mirror.test/debian x y\n")
            .expect("written");
        assert_eq!(
            of_machine(etc.path()).expect("sources"),
            "Types: deb deb-src\nURIs: http://mirror.test/debian\nSuites: stable\n\
             Components: main contrib\nArchitectures: amd64 arm64\nSigned-By: /k.gpg\n\n\
             Types: deb deb-src\nURIs: http://mirror.test/debian-security\n\
             Suites: stable-security\nComponents: main\nSigned-By:\n -----BEGIN-----\n .\n abc\n"
        );
    }

    #[test]
    fn no_source_is_an_error() {
        let etc = tempfile::tempdir().expect("a directory");
        assert!(of_machine(etc.path()).is_err());
    }
}
