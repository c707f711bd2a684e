//! `shieldwall completion`: what shells need to complete our command line.
//!
//! The scripts for bash, fish and zsh know nothing: they ask the program itself (`complete`), which
//! also knows the names of machines and bouncers. Other shells get a list of the words there are.

use anyhow::Result;
use clap::{Args, Command};
use clap_complete::Shell;
use std::{
    io::{self, Write as _},
    process::ExitCode,
};

/// Prints a completion script for a shell.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  shieldwall completion bash > /usr/share/bash-completion/completions/shieldwall
  shieldwall completion fish > ~/.config/fish/completions/shieldwall.fish
  shieldwall completion zsh > \"${fpath[1]}/_shieldwall\"")]
pub(super) struct CompletionArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script for the program under a name.
pub(super) fn run(args: &CompletionArgs, name: &str, mut command: Command) -> Result<ExitCode> {
    let script = match args.shell {
        Shell::Bash => BASH.replace("NAME", name).into_bytes(),
        Shell::Fish => FISH.replace("NAME", name).into_bytes(),
        Shell::Zsh => ZSH.replace("NAME", name).into_bytes(),
        other => {
            // COMPAT(crowdsec): the first line says what it is.
            let mut script = format!("# {other} completion for {name}\n").into_bytes();
            clap_complete::generate(other, &mut command, name, &mut script);
            script
        }
    };
    io::stdout().lock().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

const BASH: &str = r#"# bash completion for NAME
_NAME_complete() {
    local line files=yes
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
            :0) ;;
            :*) files=no ;;
            *) COMPREPLY+=("$line") ;;
        esac
    done < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    if [[ $files == yes ]]; then
        compopt -o default 2>/dev/null
    fi
}
complete -F _NAME_complete NAME
"#;

const FISH: &str = r"# fish completion for NAME
function __NAME_complete
    set -l words (commandline -opc)
    set -l files yes
    for line in ($words[1] __complete $words[2..-1] (commandline -ct) 2>/dev/null)
        switch $line
            case ':0'
            case ':*'
                set files no
            case '*'
                echo $line
        end
    end
    if test $files = yes
        __fish_complete_path (commandline -ct)
    end
end
complete -c NAME -f -a '(__NAME_complete)'
";

const ZSH: &str = r#"#compdef NAME
# zsh completion for NAME
_NAME() {
    local line files=yes
    local -a found
    for line in "${(@f)$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        case $line in
            :0) ;;
            :*) files=no ;;
            ?*) found+=("$line") ;;
        esac
    done
    (( $#found )) && compadd -a found
    [[ $files == yes ]] && _files
}
if [ "$funcstack[1]" = "_NAME" ]; then
    _NAME "$@"
else
    compdef _NAME NAME
fi
"#;
