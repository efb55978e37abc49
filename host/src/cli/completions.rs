//! `stockade completions`: what a shell needs to complete this program's arguments.

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;

use super::{Arguments, Stop, say};

const EXAMPLES: &str = "\
Examples:
  stockade completions bash > ~/.local/share/bash-completion/completions/stockade
  stockade completions zsh > ~/.zfunc/_stockade
  stockade completions fish > ~/.config/fish/completions/stockade.fish";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// The shell
    shell: Shell,
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of every command")]
pub(super) fn completions(options: &Options) -> Result<(), Stop> {
    say(&script(options.shell));
    Ok(())
}

/// The script, which a shell reads once.
pub(super) fn script(shell: Shell) -> String {
    let whole = Arguments::command();
    // Hidden ones would be completed, too, and `compile-child` is nobody's to type.
    let visible = whole.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let mut shown = Command::new("stockade").version(env!("CARGO_PKG_VERSION")).subcommands(visible);
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut shown, "stockade", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
