//! The headers in which a modern client repeats parts of its body, so that intermediaries can route without parsing.
//!
//! A header that is missing, comes twice or says something else than the body is refused: whoever trusted the header
//! must not be fooled by the body.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName};

use super::error::Error;
use super::request::Request;

pub const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
pub const METHOD: HeaderName = HeaderName::from_static("mcp-method");
pub const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// A header's only value, without the spaces around it. An error when there are several, or it is not visible ASCII.
pub fn value<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Error> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Error::header_mismatch(format!("header `{name}` is there more than once")));
    }
    let text = value.to_str().map_err(|_| invalid(name))?;
    Ok(Some(text.trim_matches([' ', '\t'])))
}

/// `Mcp-Method` must be the body's `method`.
pub fn check_method(headers: &HeaderMap, method: &str) -> Result<(), Error> {
    match value(headers, &METHOD)? {
        Some(said) if said == method => Ok(()),
        Some(_) => Err(Error::header_mismatch("header `mcp-method` is not the body's `method`")),
        None => Err(missing(&METHOD)),
    }
}

/// `Mcp-Name` must be the body's `params.name` or `params.uri`, where there is one.
pub fn check_name(headers: &HeaderMap, request: &Request) -> Result<(), Error> {
    let Some(name) = request.header_name() else { return Ok(()) };
    match value(headers, &NAME)? {
        Some(said) if decode(said, &NAME)? == name => Ok(()),
        Some(_) => Err(Error::header_mismatch("header `mcp-name` is not the body's `params.name` or `params.uri`")),
        None => Err(missing(&NAME)),
    }
}

/// Undoes `=?base64?...?=`; leaves all else as it is.
pub fn decode<'v>(value: &'v str, name: &HeaderName) -> Result<Cow<'v, str>, Error> {
    let Some(encoded) = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) else {
        return Ok(value.into());
    };
    let bytes = STANDARD.decode(encoded).map_err(|_| invalid(name))?;
    Ok(String::from_utf8(bytes).map_err(|_| invalid(name))?.into())
}

pub fn missing(name: &HeaderName) -> Error {
    Error::header_mismatch(format!("header `{name}` is missing"))
}

fn invalid(name: &HeaderName) -> Error {
    Error::header_mismatch(format!("header `{name}` has a value that is not valid"))
}

#[cfg(test)]
mod tests;
