//! `cscli doc`: a page of Markdown for each command, made from the command line's own help.

use anyhow::{Context as _, Result, ensure};
use clap::{Args, Command};
use std::{fmt::Write as _, fs, path::PathBuf, process::ExitCode};

/// Writes a page of Markdown for each command.
#[derive(Args, Debug)]
pub(super) struct DocArgs {
    /// The directory, which must be there.
    #[arg(long, value_name = "DIR", default_value = "./doc")]
    target: PathBuf,
}

pub(super) fn run(args: &DocArgs, mut command: Command) -> Result<ExitCode> {
    let target = &args.target;
    ensure!(
        target.is_dir(),
        "failed to generate cscli documentation: no directory {}",
        target.display()
    );
    command.build();
    let mut pages = Vec::new();
    collect(&command, &[], &mut pages);
    for (name, text) in pages {
        let path = target.join(name);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    super::tool::say(&format!("Documentation generated in {}", target.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// A page for a command, then those of the commands below it. Commands are nested as our own types
/// are, so recursion is bounded.
fn collect(command: &Command, above: &[&str], pages: &mut Vec<(String, String)>) {
    let path: Vec<&str> = above.iter().copied().chain([command.get_name()]).collect();
    let title = path.join(" ");
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut text =
        format!("# {title}\n\n{about}\n\n```\n{}\n```\n", command.clone().render_usage());
    let flags: Vec<_> = command.get_arguments().filter(|arg| !arg.is_hide_set()).collect();
    if !flags.is_empty() {
        text += "\n## Options\n\n";
        for arg in flags {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(text, "- `{arg}`: {help}");
        }
    }
    let below: Vec<&Command> = command
        .get_subcommands()
        .filter(|it| !it.is_hide_set() && it.get_name() != "help")
        .collect();
    if !below.is_empty() {
        text += "\n## Commands\n\n";
        for command in &below {
            let name = command.get_name();
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(text, "- [{title} {name}]({}_{name}.md): {about}", path.join("_"));
        }
    }
    pages.push((format!("{}.md", path.join("_")), text));
    for command in below {
        collect(command, &path, pages);
    }
}
