//! `lapi context`: what alerts tell besides their events, by expressions over events.
//!
//! Contexts come from the hub and from a file of the operator's own; only the latter is written
//! here, whole, at once or not at all.

use crate::{
    cli::tool::{Tool, say},
    config::Desk,
    hub::installed::{self, with_suffix},
};
use anyhow::{Context as _, Result, bail, ensure};
use clap::Subcommand;
use rules::{
    FileKind, Options, SourceFile,
    grok::{Registry, pattern_lines},
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Write as _},
    path::Path,
};
use syntax::yaml::Yaml;

/// Nodes below nodes below nodes; the compiler takes no deeper ones either.
const MAX_DEPTH: usize = 20;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ContextCommand {
    /// Adds expressions whose values alerts are to tell.
    #[command(after_help = "Examples:
  shieldwall lapi context add --key user --value evt.Meta.target_user
  shieldwall lapi context add --value evt.Meta.source_ip --value evt.Meta.target_user")]
    Add {
        /// What the values are called in the alert (default: the last word of each expression).
        #[arg(long, short)]
        key: Option<String>,
        /// An expression over an event; may be given several times.
        #[arg(long, value_name = "EXPRESSION", required = true)]
        value: Vec<String>,
    },
    /// Shows what alerts tell.
    Status,
    /// Shows what the installed parsers find out, and alerts could tell.
    Detect {
        /// Parsers.
        #[arg(value_name = "PARSER")]
        parsers: Vec<String>,
        /// All installed parsers.
        #[arg(long, short)]
        all: bool,
    },
    /// Was removed: edit the file.
    #[command(hide = true)]
    Delete {
        /// What nobody reads any more.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
        rest: Vec<String>,
    },
}

/// Names, and the expressions whose values they stand for.
type Context = BTreeMap<String, Vec<String>>;

pub(super) fn run(command: &ContextCommand, tool: &Tool) -> Result<()> {
    if !tool.settings.engine_enabled {
        bail!("log processor is disabled -- this command cannot run on a LAPI-only instance");
    }
    match command {
        ContextCommand::Add { key, value } => add(key.as_deref(), value, tool),
        ContextCommand::Status => status(tool),
        ContextCommand::Detect { parsers, all } => detect(parsers, *all, tool),
        ContextCommand::Delete { .. } => bail!(
            "command 'delete' has been removed, please manually edit the context file '{}'",
            tool.settings.places.context.display()
        ),
    }
}

fn add(key: Option<&str>, values: &[String], tool: &Tool) -> Result<()> {
    let path = &tool.settings.places.context;
    let mut own = Context::new();
    if path.is_file() {
        let text = crate::hub::files::read_rule(path)?;
        collect(&text, &path.display().to_string(), false, &mut own)?;
    }
    let mut news = Vec::new();
    for value in values {
        let last = value.rsplit('.').next().unwrap_or(value).trim();
        let key = key.unwrap_or(last);
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        ensure!(
            !key.is_empty() && key.chars().all(is_name),
            "unable to tell what {value:?} is to be called; name it with --key"
        );
        check(key, value)?;
        let known = own.entry(key.to_owned()).or_default();
        if known.contains(value) {
            tool.tell(&format!("value '{value}' is in the context '{key}' already"));
        } else {
            known.push(value.clone());
            news.push(format!("value '{value}' added to the context '{key}'"));
        }
    }
    if news.is_empty() {
        return Ok(());
    }
    write(&own, path)?;
    news.iter().for_each(|news| tool.tell(news));
    tool.tell("Run 'sudo systemctl reload crowdsec' for the new configuration to be effective.");
    Ok(())
}

/// Whether an expression can be evaluated, as the rules' compiler sees it.
fn check(key: &str, value: &str) -> Result<()> {
    let context = Context::from([(key.to_owned(), vec![value.to_owned()])]);
    let file = SourceFile {
        kind: FileKind::ConsoleContext,
        name: "--value".to_owned(),
        text: text_of(&context),
        origin: rules::Origin::default(),
    };
    let compiled = rules::compile(vec![file], &mut |_| None, &Options::default());
    let reasons: Vec<String> =
        compiled.diagnostics.iter().map(|diagnostic| diagnostic.message.clone()).collect();
    ensure!(reasons.is_empty(), "the expression '{value}': {}", reasons.join("; "));
    Ok(())
}

/// The file. Lists and texts in the form of JSON are YAML as well.
fn text_of(context: &Context) -> String {
    context
        .iter()
        .map(|(key, values)| {
            let values =
                values.iter().map(|value| format!("  - {}\n", Value::from(value.as_str())));
            format!("{}:\n{}", Value::from(key.as_str()), values.collect::<String>())
        })
        .collect()
}

fn write(context: &Context, path: &Path) -> Result<()> {
    let fresh = with_suffix(path, ".new");
    let result = (|| -> io::Result<()> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        let mut file = fs::File::create(&fresh)?;
        file.write_all(text_of(context).as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    })();
    result.with_context(|| format!("unable to write the context file '{}'", path.display()))
}

/// Adds what a file says. A file of the hub has it below a key of its own.
fn collect(text: &str, name: &str, of_hub: bool, into: &mut Context) -> Result<()> {
    let mut desk = Desk::default();
    for tree in desk.parse(name, text) {
        let map = if of_hub { tree.get("context") } else { Some(&tree) };
        for (key, values) in map.and_then(Yaml::as_map).into_iter().flatten() {
            let Some(key) = key.as_str() else { continue };
            let known = into.entry(key.to_owned()).or_default();
            for value in values.as_seq().into_iter().flatten().filter_map(Yaml::as_str) {
                if !known.iter().any(|known| known == value) {
                    known.push(value.to_owned());
                }
            }
        }
    }
    if desk.diagnostics.has_errors() {
        crate::terminal::diagnostics(&desk.diagnostics, &desk.sources);
        bail!("{name} has mistakes, shown above");
    }
    Ok(())
}

fn status(tool: &Tool) -> Result<()> {
    let mut context = Context::new();
    for file in installed::read(&tool.settings.places)?.files {
        let of_hub = file.kind == FileKind::Context;
        if of_hub || file.kind == FileKind::ConsoleContext {
            collect(&file.text, &file.name, of_hub, &mut context)?;
        }
    }
    if context.is_empty() {
        return say("No context found on this agent.");
    }
    print(&context)
}

fn print(context: &Context) -> Result<()> {
    let json = serde_json::to_value(context)?;
    say(crate::cli::text::yaml(&json).trim_end())
}

fn detect(wanted: &[String], all: bool, tool: &Tool) -> Result<()> {
    ensure!(all || !wanted.is_empty(), "please provide parsers to detect context on, or --all");
    let files = installed::read(&tool.settings.places)?.files;
    let mut registry = Registry::with_stand_ins();
    let mut sources = syntax::Sources::default();
    for file in files.iter().filter(|file| file.kind == FileKind::Patterns) {
        let id = sources.add(file.name.clone(), file.text.clone());
        for line in pattern_lines(&file.text) {
            let at = syntax::Span::new(id, line.name.start, line.regex.end);
            let (name, regex) = (&file.text[line.name], &file.text[line.regex]);
            // Two definitions of a name are the compiler's concern; the first one counts.
            let _defined = registry.define(name, regex, at);
        }
    }
    let mut found = BTreeMap::new();
    for file in &files {
        if !matches!(file.kind, FileKind::Parser { .. }) {
            continue;
        }
        for tree in Desk::default().parse(&file.name, &file.text) {
            let name = tree.get("name").and_then(Yaml::as_str).unwrap_or(&file.name).to_owned();
            if all || wanted.contains(&name) {
                let mut registry = registry.clone();
                let fields: &mut BTreeSet<String> = found.entry(name).or_default();
                fields_of(&tree, &mut registry, fields, 0);
            }
        }
    }
    if let Some(missing) = wanted.iter().find(|name| !found.contains_key(*name)) {
        bail!("parser '{missing}' is not installed");
    }
    let found: Context = found
        .into_iter()
        .filter(|(_, fields)| !fields.is_empty())
        .map(|(name, fields)| (name, fields.into_iter().collect()))
        .collect();
    print(&found)
}

/// The fields that a node, and the nodes below it, fill in.
fn fields_of(node: &Yaml, registry: &mut Registry, found: &mut BTreeSet<String>, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    for (key, pattern) in node.get("pattern_syntax").and_then(Yaml::as_map).into_iter().flatten() {
        if let (Some(name), Some(text)) = (key.as_str(), pattern.as_str()) {
            let _defined = registry.define(name, text, pattern.span);
        }
    }
    if let Some(grok) = node.get("grok") {
        let pattern = grok.get("pattern").and_then(Yaml::as_str).map(str::to_owned);
        let named = || Some(format!("%{{{}}}", grok.get("name")?.as_str()?));
        // Whoever refers to a definition by name gets the fields of its text.
        let defined = grok.get("name").and_then(Yaml::as_str);
        let defined = defined.and_then(|name| registry.definition(name)).map(str::to_owned);
        let pattern = pattern.or(defined).or_else(named);
        if let Some(expanded) = pattern.and_then(|pattern| registry.expand(&pattern).ok()) {
            found.extend(expanded.fields.iter().map(|(field, _)| format!("evt.Parsed.{field}")));
        }
        statics(grok, found);
    }
    statics(node, found);
    for below in node.get("nodes").and_then(Yaml::as_seq).into_iter().flatten() {
        fields_of(below, registry, found, depth + 1);
    }
}

fn statics(node: &Yaml, found: &mut BTreeSet<String>) {
    for entry in node.get("statics").and_then(Yaml::as_seq).into_iter().flatten() {
        let text = |key: &str| entry.get(key).and_then(Yaml::as_str);
        if let Some(meta) = text("meta") {
            found.insert(format!("evt.Meta.{meta}"));
        }
        if let Some(parsed) = text("parsed") {
            found.insert(format!("evt.Parsed.{parsed}"));
        }
        if let Some(enriched) = text("enriched") {
            found.insert(format!("evt.Enriched.{enriched}"));
        }
        if let Some(target) = text("target") {
            let target = target.strip_prefix("evt.").unwrap_or(target);
            found.insert(format!("evt.{target}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_parser_finds_is_told() {
        let text = "name: a/b\npattern_syntax: {WHO: 'user=%{WORD:user}'}\ngrok: {name: WHO, apply_on: message}\n\
                    statics: [{meta: kind, value: x}]\nnodes:\n- grok: {pattern: '^(?P<code>\\d+) %{WORD:what}$', apply_on: message}\n  \
                    statics: [{target: evt.StrTime, value: x}, {parsed: p, value: y}]\n";
        let tree = Desk::default().parse("x", text).remove(0);
        let mut found = BTreeSet::new();
        fields_of(&tree, &mut Registry::with_stand_ins(), &mut found, 0);
        let found: Vec<&str> = found.iter().map(String::as_str).collect();
        for field in
            ["evt.Meta.kind", "evt.Parsed.p", "evt.Parsed.user", "evt.Parsed.what", "evt.StrTime"]
        {
            assert!(found.contains(&field), "{field} in {found:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_again_and_checked() {
        let context = Context::from([("yes".to_owned(), vec!["evt.Meta.x + \": #\"".to_owned()])]);
        let mut again = Context::new();
        collect(&text_of(&context), "x", false, &mut again).unwrap();
        assert_eq!(again, context);
        check("user", "evt.Meta.target_user").unwrap();
        assert!(check("user", "evt.Meta.").is_err());
    }
}
