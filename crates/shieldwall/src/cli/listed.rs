//! Things of the database that are listed and pruned: machines and bouncers.

use super::{
    table::table,
    tool::{Form, Tool},
};
use anyhow::Result;
use model::Timestamp;
use serde::Serialize;
use std::time::Duration;

/// Something that is listed: how it looks in each form of output.
pub(super) trait Listed {
    /// As scripts read it in JSON.
    type Wire: Serialize;

    /// What several of them are called.
    const MANY: &'static str;

    /// The columns of raw output.
    const RAW: &'static [&'static str];

    /// The columns of a table.
    const TABLE: &'static [&'static str];

    /// By what one is told from the others.
    fn name(&self) -> &str;

    /// When it was last heard of; if never, when it was made.
    fn heard(&self) -> Timestamp;

    /// As scripts read it.
    fn wire(&self) -> Self::Wire;

    /// A row of raw output.
    fn raw(&self) -> Vec<String>;

    /// A row of a table.
    fn row(&self, now: Timestamp) -> Vec<String>;

    /// Whether it was not heard of for longer than that.
    fn is_silent(&self, longest: Duration, now: Timestamp) -> bool {
        let longest = i64::try_from(longest.as_nanos()).unwrap_or(i64::MAX);
        now.nanos_since(self.heard()) > longest
    }
}

/// Lists them in the form that was asked for.
pub(super) fn show<T: Listed>(items: &[T], tool: &Tool) -> Result<()> {
    match tool.form {
        Form::Json => tool.json(&items.iter().map(T::wire).collect::<Vec<_>>()),
        Form::Raw => tool.raw(T::RAW, &items.iter().map(T::raw).collect::<Vec<_>>()),
        Form::Human if items.is_empty() => tool.line(&format!("No {}.", T::MANY)),
        Form::Human => {
            let now = tool.now();
            let rows: Vec<Vec<String>> = items.iter().map(|item| item.row(now)).collect();
            tool.line(&table(T::TABLE, &rows))
        }
    }
}

/// Shows them, asks, and deletes them.
pub(super) fn prune<T: Listed>(
    doomed: &[T],
    force: bool,
    tool: &Tool,
    delete: impl FnOnce(Vec<String>) -> Result<usize>,
) -> Result<()> {
    if doomed.is_empty() {
        return tool.line(&format!("No {} to prune.", T::MANY));
    }
    show(doomed, tool)?;
    let question = format!("You are about to delete the {} above for good. Continue?", T::MANY);
    if !force && !tool.confirm(&question)? {
        return tool.line("User aborted prune. No changes were made.");
    }
    let deleted = delete(doomed.iter().map(|item| item.name().to_owned()).collect())?;
    tool.tell(&format!("successfully deleted {deleted} {}", T::MANY));
    Ok(())
}
