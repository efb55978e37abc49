//! `stockade token`: a fresh token for its bearer, and the lines for the manifest, which knows only its hash.

use std::fmt::Write as _;
use std::sync::Arc;

use super::{Stop, say};
use crate::access::Token;
use crate::manifest::{NamePattern, TokenHash, parse_token_name};

const EXAMPLES: &str = "\
Examples:
  stockade token ann                        somebody who calls
  stockade token ci --role publisher --names demo,team-*";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// Who will bear it, such as `ann` or `ci`
    #[arg(value_parser = parse_token_name)]
    name: Arc<str>,
    /// What its bearer may do
    #[arg(long, value_name = "ROLE", default_value = "reader")]
    role: Role,
    /// Agents a publisher may publish, such as demo,team-*
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = NamePattern::parse)]
    names: Vec<NamePattern>,
    /// Percent of every limit on things at once that its bearer may take
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(1..=100))]
    share: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Role {
    /// Calls agents
    Reader,
    /// Also publishes agents
    Publisher,
    /// May do everything
    Operator,
}

pub(super) fn token(options: &Options) -> Result<(), Stop> {
    report_names(options)?;
    let token = Token::fresh()?;
    // Alone on standard output, so that a script can take it; what is for the manifest is no secret.
    say(&format!("{}\n", token.reveal()));
    eprint!("{}", explanation(options, &token.sha256()));
    Ok(())
}

/// The manifest would refuse it later.
fn report_names(options: &Options) -> Result<(), Stop> {
    match (options.role, options.names.is_empty()) {
        (Role::Publisher, true) => {
            Err(Stop::Usage("a publisher needs --names, the agents it may publish, such as --names demo,team-*".into()))
        }
        (Role::Reader | Role::Operator, false) => {
            Err(Stop::Usage("--names are a publisher's: add --role publisher, or leave them out".into()))
        }
        _ => Ok(()),
    }
}

/// What to do with the token.
pub(super) fn explanation(options: &Options, sha256: &TokenHash) -> String {
    let Options { name, role, names, share } = options;
    let mut line = format!("  {name}: {{ sha256: ");
    // Writing to a String cannot fail.
    for byte in sha256 {
        let _ = write!(line, "{byte:02x}");
    }
    let role = match role {
        Role::Reader => "reader",
        Role::Publisher => "publisher",
        Role::Operator => "operator",
    };
    let _ = write!(line, ", role: {role}");
    if !names.is_empty() {
        // Quoted, since a bare `*` at a beginning means something else in YAML.
        let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
        let _ = write!(line, ", names: [{}]", names.join(", "));
    }
    if let Some(share) = share {
        let _ = write!(line, ", share: {share}");
    }
    format!(
        "\nThis is shown once. Its bearer sends it as `Authorization: Bearer TOKEN`. Add to the manifest, and start the \
         host anew:\n\ntokens:\n{line} }}\n"
    )
}
