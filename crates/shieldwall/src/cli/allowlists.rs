//! `shieldwall allowlists`: addresses and networks about which nothing is decided.
//!
//! Looking goes through the local API; changes go to the database of this host, because the API
//! has no call for them. A server that runs on that database notices at once.
//!
//! COMPAT(crowdsec): results go to standard output, also those that only say what was done.

use super::{
    query::{Span, ask, client},
    table::{facts, table},
    text::{csv_rows, span},
    tool::{Form, Tool, ToolArgs},
};
use crate::terminal;
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use api::{Allowlist, AllowlistItem};
use clap::{Args, Subcommand};
use model::{Timestamp, parse_target};
use std::{
    collections::HashSet,
    fs,
    io::{self, Read as _},
    process::ExitCode,
};
use store::{NewAllowlist, NewAllowlistItem, Store};

/// More than this is no list of addresses.
const LONGEST_FILE: u64 = 256 << 20;

/// Manages allowlists: what they cover is never decided about.
#[derive(Args, Debug)]
#[command(
    visible_alias = "allowlist",
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:
  shieldwall allowlists create office -d 'our networks'
  shieldwall allowlists add office 192.0.2.0/24 198.51.100.7 -d 'Berlin'
  shieldwall allowlists check 192.0.2.7"
)]
pub(super) struct AllowlistsArgs {
    #[command(subcommand)]
    pub(super) command: AllowlistsCommand,
    #[command(flatten)]
    pub(super) tool: ToolArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum AllowlistsCommand {
    /// Makes an empty allowlist.
    Create {
        /// Its name.
        name: String,
        /// What it is for.
        #[arg(short, long, value_name = "TEXT", required = true)]
        description: String,
    },
    /// Lists the allowlists.
    List,
    /// Deletes an allowlist with everything on it.
    #[command(alias = "remove-list")]
    Delete {
        /// Its name.
        name: String,
    },
    /// Puts addresses and networks on an allowlist, and ends decisions about them.
    Add {
        /// The allowlist.
        name: String,
        /// Addresses and networks.
        #[arg(value_name = "VALUE", required = true)]
        values: Vec<String>,
        /// For how long: 12h, 7d (default: for ever).
        #[arg(short, long, value_name = "TIME")]
        expiration: Option<Span>,
        /// Why.
        #[arg(short = 'd', long, value_name = "TEXT", default_value = "")]
        comment: String,
    },
    /// Puts addresses and networks from a CSV file on an allowlist.
    Import {
        /// The allowlist.
        name: String,
        /// The file, with columns value and perhaps expiration and comment; - for standard input.
        #[arg(short, long, value_name = "FILE")]
        input: String,
    },
    /// Takes addresses and networks off an allowlist.
    Remove {
        /// The allowlist.
        name: String,
        /// Addresses and networks, as they are on the list.
        #[arg(value_name = "VALUE", required = true)]
        values: Vec<String>,
    },
    /// Shows what is on an allowlist.
    Inspect {
        /// Its name.
        name: String,
    },
    /// Tells whether addresses and networks are allowlisted, and by what.
    Check {
        /// Addresses and networks.
        #[arg(value_name = "VALUE", required = true)]
        values: Vec<String>,
    },
}

pub(super) fn run(command: &AllowlistsCommand, args: &ToolArgs) -> Result<ExitCode> {
    let tool = Tool::open(args)?;
    match command {
        AllowlistsCommand::Create { name, description } => create(name, description, &tool)?,
        AllowlistsCommand::List => list(&tool)?,
        AllowlistsCommand::Delete { name } => delete(name, &tool)?,
        AllowlistsCommand::Add { name, values, expiration, comment } => {
            let entry = |value: &String| Entry {
                value: value.clone(),
                expiration: *expiration,
                comment: comment.clone(),
            };
            let entries: Vec<Entry> = values.iter().map(entry).collect();
            add(name, &entries, &tool)?;
        }
        AllowlistsCommand::Import { name, input } => {
            let entries = entries(&read(input)?)?;
            ensure!(!entries.is_empty(), "no values to import");
            add(name, &entries, &tool)?;
        }
        AllowlistsCommand::Remove { name, values } => remove(name, values, &tool)?,
        AllowlistsCommand::Inspect { name } => inspect(name, &tool)?,
        AllowlistsCommand::Check { values } => check(values, &tool)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn create(name: &str, description: &str, tool: &Tool) -> Result<()> {
    let list = NewAllowlist {
        name: name.to_owned(),
        description: description.to_owned(),
        ..NewAllowlist::default()
    };
    let store = tool.store()?;
    match tool.wait(store.add_allowlist(list, tool.now()))? {
        Ok(()) => tool.line(&format!("allowlist '{name}' created successfully")),
        Err(store::Error::Exists { .. }) => bail!("allowlist '{name}' already exists"),
        Err(error) => Err(error.into()),
    }
}

/// A list that may be changed here.
fn own(name: &str, store: &Store, tool: &Tool) -> Result<store::Allowlist> {
    let list = match tool.wait(store.allowlist(name))? {
        Ok(list) => list,
        Err(store::Error::NotFound { .. }) => bail!("allowlist '{name}' not found"),
        Err(error) => return Err(error.into()),
    };
    ensure!(!list.from_console, "allowlist '{name}' is managed by the console, not here");
    Ok(list)
}

fn delete(name: &str, tool: &Tool) -> Result<()> {
    let store = tool.store()?;
    own(name, &store, tool)?;
    tool.wait(store.delete_allowlist(name))??;
    tool.line(&format!("allowlist '{name}' deleted successfully"))
}

/// What is to be put on a list.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    value: String,
    expiration: Option<Span>,
    comment: String,
}

fn add(name: &str, entries: &[Entry], tool: &Tool) -> Result<()> {
    let store = tool.store()?;
    let list = own(name, &store, tool)?;
    let now = tool.now();
    let mut known: HashSet<String> = list.items.into_iter().map(|item| item.value).collect();
    let mut items = Vec::new();
    for entry in entries {
        // COMPAT(crowdsec): what is no address is told and does not stop the rest.
        let net = match parse_target(&entry.value) {
            Ok(net) => net,
            Err(error) => {
                terminal::complain(&format!("unable to parse value {}: {error}", entry.value));
                continue;
            }
        };
        // Written as it was read: one spelling for each network, or it could be there twice.
        let value =
            if entry.value.contains('/') { net.to_string() } else { net.addr().to_string() };
        if !known.insert(value.clone()) {
            tool.tell(&format!("value {value} already in allowlist"));
            continue;
        }
        let expires_at = entry.expiration.map(|expiration| now.plus_nanos(expiration.nanos));
        items.push(NewAllowlistItem { net, value, comment: entry.comment.clone(), expires_at });
    }
    if items.is_empty() {
        return tool.line("no new values for allowlist");
    }
    let (n_added, n_ended) = tool.wait(store.add_allowlist_items(name, items, now))??;
    tool.line(&format!("added {n_added} values to allowlist {name}"))?;
    if n_ended > 0 {
        tool.line(&format!("{n_ended} decisions deleted by allowlists"))?;
    }
    Ok(())
}

fn read(input: &str) -> Result<String> {
    let mut text = String::new();
    let doing = || format!("unable to read '{input}'");
    let n = if input == "-" {
        io::stdin().lock().take(LONGEST_FILE + 1).read_to_string(&mut text).with_context(doing)?
    } else {
        let file = fs::File::open(input).with_context(|| format!("unable to open {input}"))?;
        file.take(LONGEST_FILE + 1).read_to_string(&mut text).with_context(doing)?
    };
    ensure!(u64::try_from(n).unwrap_or(u64::MAX) <= LONGEST_FILE, "{input} is too long");
    Ok(text)
}

/// Reads CSV whose first line names the columns.
fn entries(text: &str) -> Result<Vec<Entry>> {
    let mut rows = csv_rows(text)
        .map_err(|line| anyhow!("the quote on line {line} does not end"))?
        .into_iter();
    let Some(header) = rows.next() else { return Ok(Vec::new()) };
    let header: Vec<String> = header.iter().map(|name| name.trim().to_lowercase()).collect();
    ensure!(header.iter().any(|name| name == "value"), "the first line must name a column 'value'");
    let mut entries = Vec::new();
    for (index, row) in rows.enumerate() {
        let cell = |wanted: &str| {
            let found = header.iter().zip(&row).find(|(name, _)| name.as_str() == wanted);
            found.map_or("", |(_, cell)| cell.trim())
        };
        let row_number = index + 1;
        ensure!(!cell("value").is_empty(), "row {row_number}: missing 'value'");
        let expiration = match cell("expiration") {
            "" => None,
            text => Some(
                text.parse::<Span>()
                    .map_err(|_| anyhow!("row {row_number}: invalid expiration {text:?}"))?,
            ),
        };
        let (value, comment) = (cell("value").to_owned(), cell("comment").to_owned());
        entries.push(Entry { value, expiration, comment });
    }
    Ok(entries)
}

fn remove(name: &str, values: &[String], tool: &Tool) -> Result<()> {
    let store = tool.store()?;
    own(name, &store, tool)?;
    let removed = tool.wait(store.remove_allowlist_items(name, values.to_vec(), tool.now()))??;
    if removed == 0 {
        return tool.line("no value to remove from allowlist");
    }
    tool.line(&format!("removed {removed} values from allowlist {name}"))
}

fn all(tool: &Tool) -> Result<Vec<Allowlist>> {
    let client = client(tool)?;
    ask(tool, client.allowlists())
}

fn list(tool: &Tool) -> Result<()> {
    let lists = all(tool)?;
    let managed = |list: &Allowlist| list.console_managed.unwrap_or(false);
    match tool.form {
        Form::Json => tool.json(&lists),
        Form::Raw => {
            let header =
                ["name", "description", "created_at", "updated_at", "console_managed", "size"];
            let row = |list: &Allowlist| {
                vec![
                    list.name.clone(),
                    list.description.clone(),
                    list.created_at.clone(),
                    list.updated_at.clone(),
                    managed(list).to_string(),
                    list.items.len().to_string(),
                ]
            };
            tool.raw(&header, &lists.iter().map(row).collect::<Vec<_>>())
        }
        Form::Human => {
            if lists.is_empty() {
                return tool.line("No allowlists");
            }
            let header =
                ["Name", "Description", "Created at", "Updated at", "Managed by Console", "Size"];
            let row = |list: &Allowlist| {
                vec![
                    list.name.clone(),
                    list.description.clone(),
                    list.created_at.clone(),
                    list.updated_at.clone(),
                    if managed(list) { "yes" } else { "no" }.to_owned(),
                    list.items.len().to_string(),
                ]
            };
            tool.line(&table(&header, &lists.iter().map(row).collect::<Vec<_>>()))
        }
    }
}

fn inspect(name: &str, tool: &Tool) -> Result<()> {
    let lists = all(tool)?;
    let list = lists.iter().find(|list| list.name == name);
    let list = list.with_context(|| format!("allowlist '{name}' not found"))?;
    let managed = list.console_managed.unwrap_or(false);
    let comment = |item: &AllowlistItem| item.description.clone().unwrap_or_default();
    match tool.form {
        Form::Json => tool.json(list),
        Form::Raw => {
            let header = [
                "name",
                "description",
                "value",
                "comment",
                "expiration",
                "created_at",
                "console_managed",
            ];
            let row = |item: &AllowlistItem| {
                vec![
                    list.name.clone(),
                    list.description.clone(),
                    item.value.clone(),
                    comment(item),
                    ends(item).map_or_else(|| "never".to_owned(), |_| item.expiration.clone()),
                    item.created_at.clone(),
                    managed.to_string(),
                ]
            };
            tool.raw(&header, &list.items.iter().map(row).collect::<Vec<_>>())
        }
        Form::Human => {
            tool.line(&facts(&[
                ("Name", list.name.clone()),
                ("Description", list.description.clone()),
                ("Created at", list.created_at.clone()),
                ("Updated at", list.updated_at.clone()),
                ("Managed by Console", if managed { "yes" } else { "no" }.to_owned()),
            ]))?;
            if list.items.is_empty() {
                return tool.line("\nNothing is on it.");
            }
            let now = tool.now();
            let row = |item: &AllowlistItem| {
                let left = ends(item).map(|end| end.nanos_since(now));
                vec![
                    item.value.clone(),
                    comment(item),
                    left.map_or_else(
                        || "never".to_owned(),
                        |left| format!("in {}", span(left.max(0))),
                    ),
                    item.created_at.clone(),
                ]
            };
            let rows: Vec<Vec<String>> = list.items.iter().map(row).collect();
            tool.line(&format!("\n{}", table(&["Value", "Comment", "Expires", "Added"], &rows)))
        }
    }
}

/// When an entry ends; `None` means never.
fn ends(item: &AllowlistItem) -> Option<Timestamp> {
    // Never is a date before all that a timestamp can hold.
    if item.expiration.starts_with("0001-") {
        return None;
    }
    api::date::parse(&item.expiration).map(|time| time.at)
}

fn check(values: &[String], tool: &Tool) -> Result<()> {
    let client = client(tool)?;
    for value in values {
        let reply = ask(tool, client.check_allowlists(std::slice::from_ref(value)))?;
        let found: Vec<String> =
            reply.results.into_iter().flat_map(|result| result.allowlists).collect();
        if found.is_empty() {
            // COMPAT(crowdsec): the first that is not listed ends it.
            return tool.line(&format!("{value} is not allowlisted"));
        }
        tool.line(&format!("{value} is allowlisted by item {}", found.join(", ")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_row_by_row() {
        let check = |text: &str, expect: Result<&[(&str, i64, &str)], &str>| {
            let read = entries(text).map_err(|error| error.to_string());
            let hour = 3_600_000_000_000;
            let expect = expect.map_err(str::to_owned).map(|rows| {
                let entry = |(value, hours, comment): &(&str, i64, &str)| Entry {
                    value: (*value).to_owned(),
                    expiration: (*hours > 0).then_some(Span { nanos: hours * hour }),
                    comment: (*comment).to_owned(),
                };
                rows.iter().map(entry).collect::<Vec<_>>()
            });
            assert_eq!(read, expect);
        };
        check("", Ok(&[]));
        check("value\n", Ok(&[]));
        check(
            "Comment,value,expiration\n\"a, b\",10.0.0.0/8,1d\n,::1\n",
            Ok(&[("10.0.0.0/8", 24, "a, b"), ("::1", 0, "")]),
        );
        check("value,comment\n1.2.3.4,x\n,y\n", Err("row 2: missing 'value'"));
        check("value,expiration\n1.2.3.4,toto\n", Err("row 1: invalid expiration \"toto\""));
    }

    #[test]
    fn never_is_no_date() {
        let item = |expiration: &str| AllowlistItem {
            expiration: expiration.to_owned(),
            ..AllowlistItem::default()
        };
        assert_eq!(ends(&item(AllowlistItem::NEVER)), None);
        assert_eq!(
            ends(&item("2030-01-01T00:00:00.000Z")),
            Some(Timestamp::from_unix(1_893_456_000, 0))
        );
    }
}
