//! Who can reach the host: addresses, host names and browser origins.
//!
//! Holds the rule that an address open to other machines needs tokens, since otherwise everybody may call, and the names
//! it is called by: without them, a web page could rebind its own name to the address and speak to the host from a
//! visitor's browser.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::Overrides;
use super::problem::{Findings, Place};
use super::table::{Setting, Table};
use super::tokens::Tokens;

const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
const ADMIN_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8081);

/// The part of the manifest that this file checks.
pub(super) struct Network {
    pub listen: SocketAddr,
    pub admin: SocketAddr,
    pub hosts: Vec<String>,
    pub origins: Vec<String>,
}

/// An address and who says so, for messages.
struct Address {
    at: SocketAddr,
    said_by: String,
    place: Option<Place>,
}

/// What an address that is open to other machines needs.
#[derive(Debug, Clone, Copy)]
struct Guards {
    hosts: bool,
    tokens: bool,
}

pub(super) fn check(top: &mut Table<'_>, overrides: &Overrides, tokens: &Tokens) -> Network {
    let written = top.scalar("listen", parse_address).unwrap_or(Setting::default(LISTEN_DEFAULT));
    let listen = match (overrides.listen, overrides.port) {
        (Some(at), _) => Address { at, said_by: format!("--listen {at}"), place: None },
        (None, Some(port)) => {
            let at = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
            Address { at, said_by: format!("PORT={port}, which means {at},"), place: None }
        }
        (None, None) => {
            Address { at: written.value, said_by: format!("`listen` {}", written.value), place: written.place }
        }
    };
    let written = top.scalar("admin", parse_address).unwrap_or(Setting::default(ADMIN_DEFAULT));
    let admin = match overrides.admin {
        Some(at) => Address { at, said_by: format!("--admin {at}"), place: None },
        None => Address { at: written.value, said_by: format!("`admin` {}", written.value), place: written.place },
    };
    let hosts: Vec<String> = top.list("hosts", parse_host).into_iter().map(|host| host.value).collect();
    let origins = top.list("origins", parse_origin).into_iter().map(|origin| origin.value).collect();
    let guards = Guards { hosts: !hosts.is_empty(), tokens: tokens.are_given };
    for address in [&listen, &admin] {
        report_exposed(address, guards, top.findings);
    }
    report_same(&listen, &admin, top.findings);
    Network { listen: listen.at, admin: admin.at, hosts, origins }
}

fn report_exposed(address: &Address, guards: Guards, findings: &Findings<'_>) {
    const HOSTS: &str = "list the names clients use, such as `hosts: [mcp.example.org]`";
    const TOKENS: &str = "say in `tokens` who may call (`stockade token NAME` makes one)";
    if address.at.ip().to_canonical().is_loopback() {
        return;
    }
    let (missing, suggestion) = match guards {
        Guards { hosts: true, tokens: true } => return,
        Guards { hosts: false, tokens: true } => ("`hosts` is empty", HOSTS.to_owned()),
        Guards { hosts: true, tokens: false } => ("`tokens` is empty", TOKENS.to_owned()),
        Guards { hosts: false, tokens: false } => ("`hosts` and `tokens` are empty", format!("{HOSTS}, and {TOKENS}")),
    };
    findings.error(
        address.place,
        format!("{} can be reached from other machines, and {missing}", address.said_by),
        format!("{suggestion}, or listen on 127.0.0.1:{}", address.at.port()),
    );
}

/// Port 0 is any free port, so two of them never meet.
fn report_same(listen: &Address, admin: &Address, findings: &Findings<'_>) {
    let everywhere = listen.at.ip().is_unspecified() || admin.at.ip().is_unspecified();
    let meet = listen.at.port() == admin.at.port() && (listen.at.ip() == admin.at.ip() || everywhere);
    if meet && listen.at.port() != 0 {
        findings.error(
            admin.place.or(listen.place),
            format!("{} and {} are the same address", listen.said_by, admin.said_by),
            "give one of them another port, in the file or with --admin 127.0.0.1:9090",
        );
    }
}

/// Reads an address such as `127.0.0.1:8080`.
///
/// # Errors
/// The suggestion to show with the text.
pub fn parse_address(text: &str) -> Result<SocketAddr, String> {
    const FORM: &str = "an address is IP:PORT, such as 127.0.0.1:8080, or [::1]:8080";
    text.parse().map_err(|_| {
        let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
        match (host, port.parse::<u16>()) {
            ("localhost" | "", Ok(port)) => format!("write 127.0.0.1:{port}: {FORM}"),
            ("*", Ok(port)) => format!("write 0.0.0.0:{port}: {FORM}"),
            (_, Err(_)) if text.parse::<IpAddr>().is_ok() => format!("the port is missing: {FORM}"),
            _ => FORM.to_owned(),
        }
    })
}

/// A name as it stands in a `Host` header, without the port; lower case, as names are compared.
fn parse_host(text: &str) -> Result<String, String> {
    const FORM: &str = "a host is a name without scheme and port, such as mcp.example.org";
    if text.contains('*') {
        return Err("patterns are not served: list every name".to_owned());
    }
    let bare = text.split_once("://").map_or(text, |(_, rest)| rest);
    let bare = bare.split('/').next().unwrap_or_default();
    let name = match bare.rsplit_once(':') {
        Some((name, port)) if !bare.ends_with(']') && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => bare,
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let legal = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => is_name(name),
    };
    match legal {
        true if name == text => Ok(name.to_ascii_lowercase()),
        true => Err(format!("write {}: {FORM}", name.to_ascii_lowercase())),
        false if text.parse::<std::net::Ipv6Addr>().is_ok() => Err(format!("write \"[{text}]\": {FORM}")),
        false => Err(FORM.to_owned()),
    }
}

/// An origin exactly as browsers send it: lower case, no path, no default port.
fn parse_origin(text: &str) -> Result<String, String> {
    const FORM: &str = "an origin is SCHEME://HOST or SCHEME://HOST:PORT, such as https://app.example.org";
    if text.contains('*') {
        return Err("patterns are not served: list every origin".to_owned());
    }
    let lower = text.to_ascii_lowercase();
    let (scheme, rest) = lower.split_once("://").ok_or(FORM)?;
    let default_port = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => return Err(format!("browsers send http or https: {FORM}")),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.strip_suffix(default_port).unwrap_or(authority);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !authority.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    if parse_host(host).is_err() || port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err(FORM.to_owned());
    }
    let origin = format!("{scheme}://{authority}");
    if origin == text { Ok(origin) } else { Err(format!("write {origin}, as browsers send it: {FORM}")) }
}

/// A DNS name or an IPv4 address.
fn is_name(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let label = |label: &str| !label.is_empty() && label.len() <= 63 && label.bytes().all(letter);
    text.len() <= 253 && text.split('.').all(label)
}
