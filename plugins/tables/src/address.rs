//! `table:` URIs (RFC 3986). Never touches the disk.

#[cfg(test)]
mod tests;

use crate::catalog::shortened;
use crate::stockade::agent::types::Error;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Unreserved characters (RFC 3986, 2.3) and the separator stay as they are.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// What a URI names.
#[derive(Debug, PartialEq)]
pub enum Address {
    Schema { name: String },
    Rows { name: String, offset: Option<u64>, limit: Option<usize> },
}

/// The URI of a table's schema.
pub fn of_schema(name: &str) -> String {
    format!("table:///{}", utf8_percent_encode(name, ESCAPED))
}

/// The URI of a table's rows from the first on.
pub fn of_rows(name: &str) -> String {
    format!("{}/rows", of_schema(name))
}

/// Reads a URI. A name ends in `.csv` or `.tsv`, so that a last segment `rows` cannot be part of it.
pub fn parse(uri: &str) -> Result<Address, Error> {
    let refuse = |why: &str| Error::InvalidInput(format!("{}: {why}", shortened(uri)));
    let Some((scheme, rest)) = uri.split_once(":///") else {
        return Err(refuse("not an address here; expected table:///name or table:///name/rows?offset=0&limit=100"));
    };
    if !scheme.eq_ignore_ascii_case("table") {
        return Err(Error::NotFound(format!("{}: only table: URIs are served here", shortened(uri))));
    }
    if rest.contains('#') {
        return Err(refuse("has a fragment; a # in a file name is written %23"));
    }
    let (path, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    match path.strip_suffix("/rows") {
        None if !parameters.is_empty() => Err(refuse("only rows take offset and limit")),
        None => Ok(Address::Schema { name: unescape(path).map_err(refuse)? }),
        Some(path) => {
            let name = unescape(path).map_err(refuse)?;
            let (mut offset, mut limit) = (None, None);
            for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
                match parameter.split_once('=') {
                    Some(("offset", value)) => offset = Some(value.parse().map_err(|_| refuse("offset is no number"))?),
                    Some(("limit", value)) => limit = Some(value.parse().map_err(|_| refuse("limit is no number"))?),
                    _ => return Err(refuse("takes offset and limit, nothing else")),
                }
            }
            Ok(Address::Rows { name, offset, limit })
        }
    }
}

fn unescape(text: &str) -> Result<String, &'static str> {
    for (at, _) in text.match_indices('%') {
        let digits = text.as_bytes().get(at + 1..at + 3);
        if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            return Err("% is not followed by two hexadecimal digits; a % in a file name is written %25");
        }
    }
    Ok(percent_decode_str(text).decode_utf8().map_err(|_| "its escapes are not UTF-8")?.into_owned())
}
