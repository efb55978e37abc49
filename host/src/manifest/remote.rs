//! A component that lies elsewhere: where, and which bytes are meant.

use std::fmt;

/// Schemes of addresses that components are pulled from.
const OCI: &str = "oci://";
const HTTPS: &str = "https://";

/// How an address names the bytes that are meant, at its end.
const PIN: &str = "@sha256:";

/// What is said of an address without a pin.
const FORM: &str = "write oci://registry/repository:tag@sha256:… or https://…@sha256:…, with the 64 hex digits of what is meant: \
                    of the manifest in a registry, of the file elsewhere";

const NO_SECRETS: &str = "an address stands in logs and lists: leave the name and password before `@` out; what is pulled is \
                          pinned, so it need not be secret where it lies";

/// A component in a registry or on a web server. What is pulled is what was pinned, or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// The address, without its pin.
    pub address: Address,
    /// sha256 in hex: of the manifest in a registry, of the file elsewhere.
    pub sha256: String,
}

/// Where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// In a registry: its host and port, and the repository there.
    Registry { host: String, repository: String },
    /// On a web server.
    Web(String),
}

impl Remote {
    /// Whether a text is meant as an address.
    pub fn is_meant(text: &str) -> bool {
        text.contains("://")
    }

    /// The repository, or the address of the file: its last part is what it is called.
    pub fn path(&self) -> &str {
        match &self.address {
            Address::Registry { repository, .. } => repository,
            Address::Web(url) => url.split(['?', '#']).next().unwrap_or_default(),
        }
    }

    /// Name of the file that is pulled.
    pub fn file_name(sha256: &str) -> String {
        format!("{sha256}.wasm")
    }

    /// Reads an address.
    ///
    /// # Errors
    ///
    /// What to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (address, sha256) = text.rsplit_once(PIN).ok_or(FORM)?;
        if sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)) {
            return Err(FORM.to_owned());
        }
        let address = if let Some(rest) = address.strip_prefix(OCI) {
            let (host, named) = rest.split_once('/').ok_or(FORM)?;
            // The tag is for people: the pin says what is meant.
            let repository = match named.rsplit_once(':') {
                Some((repository, tag)) if !tag.contains('/') => repository,
                _ => named,
            };
            if host.is_empty() || repository.is_empty() || host.contains('@') {
                return Err(FORM.to_owned());
            }
            Address::Registry { host: host.to_owned(), repository: repository.to_owned() }
        } else if let Some(rest) = address.strip_prefix(HTTPS).filter(|rest| !rest.is_empty()) {
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            if authority.contains('@') {
                return Err(NO_SECRETS.to_owned());
            }
            Address::Web(address.to_owned())
        } else {
            return Err(FORM.to_owned());
        };
        Ok(Self { address, sha256: sha256.to_owned() })
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Registry { host, repository } => write!(out, "{OCI}{host}/{repository}")?,
            // What follows a question mark may be a key.
            Address::Web(url) => match url.split_once('?') {
                Some((url, _)) => write!(out, "{url}?…")?,
                None => out.write_str(url)?,
            },
        }
        write!(out, "{PIN}{}", self.sha256)
    }
}
