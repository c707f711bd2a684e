//! Running programs: say what for, fail with what they said.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// Tells the person at the terminal what happens.
#[expect(clippy::print_stderr, reason = "a development task speaks to its terminal")]
pub(crate) fn progress(text: &str) {
    eprintln!("{text}");
}

/// Prints a line of a result.
#[expect(clippy::print_stdout, reason = "results go to standard output")]
pub(crate) fn print(text: &str) {
    println!("{text}");
}

/// Runs a program whose output the person should see.
pub(crate) fn run(command: &mut Command, doing: &str) -> Result<()> {
    let status = command.stdin(Stdio::null()).status().with_context(|| starting(command, doing))?;
    if !status.success() {
        bail!("{doing}: {} ended with {status}", command.get_program().display());
    }
    Ok(())
}

/// Runs a program and returns what it printed; on failure its complaints become the error.
pub(crate) fn output(command: &mut Command, doing: &str) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| starting(command, doing))?;
    if !output.status.success() {
        let program = command.get_program().display();
        let said = last_lines(&String::from_utf8_lossy(&output.stderr), 12);
        bail!("{doing}: {program} ended with {}\n{said}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Is true when a program by this name is on the path.
pub(crate) fn is_installed(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

/// The last lines of a text, for error messages.
pub(crate) fn last_lines(text: &str, n_lines: usize) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(n_lines)..].join("\n")
}

fn starting(command: &Command, doing: &str) -> String {
    format!("{doing}: starting {}", command.get_program().display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_carry_what_the_program_said() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo one >&2; echo two >&2; exit 3"]);
        let error = output(&mut command, "trying").expect_err("a failure").to_string();
        assert!(error.contains("trying") && error.contains("one\ntwo"), "{error}");
        let error = run(&mut Command::new("no-such-program-here"), "trying").expect_err("none");
        assert!(format!("{error:#}").contains("no-such-program-here"));
    }

    #[test]
    fn the_shell_is_installed() {
        assert!(is_installed("sh"));
        assert!(!is_installed("no-such-program-here"));
    }
}
