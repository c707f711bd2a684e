//! Feature flags: by the environment, or by a list in `feature.yaml` beside the settings.

use super::raw::Desk;
use std::{env, path::Path};

/// Which of the flags called `names` are switched on. What is wrong with the file is told once, on
/// standard error.
pub(crate) fn enabled(dir: &Path, names: &[&'static str]) -> Vec<&'static str> {
    let file = dir.join("feature.yaml");
    let mut desk = Desk::default();
    let listed: Vec<String> = match file.is_file().then(|| desk.read(&file)) {
        Some(Ok(documents)) => {
            let items = documents.iter().filter_map(|document| document.as_seq()).flatten();
            items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
        }
        Some(Err(error)) => {
            crate::terminal::warn(&format!("{error:#}"));
            Vec::new()
        }
        None => Vec::new(),
    };
    let is_on = |name: &&'static str| {
        let variable = format!("CROWDSEC_FEATURE_{}", name.to_ascii_uppercase());
        env::var(variable).is_ok_and(|value| value == "true") || listed.iter().any(|it| it == *name)
    };
    names.iter().copied().filter(is_on).collect()
}
