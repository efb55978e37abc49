//! `file:` URIs and the paths they name (RFC 3986, RFC 8089). Never touches the disk.
//!
//! What is written is canonical: every byte that is not unreserved is escaped, `/` excepted. What is read may be
//! looser: an authority `localhost`, and characters that ought to be escaped but cannot be mistaken.

#[cfg(test)]
mod tests;

use crate::stockade::agent::types::Error;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Unreserved characters (RFC 3986, 2.3) and the separator stay as they are.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Longer paths cannot be opened anyway.
const PATH_BYTES_MAX: usize = 4096;

/// The URI of an absolute path.
pub fn of_path(path: &str) -> String {
    format!("file://{}", escape(path))
}

/// A path as it stands in a URI.
pub fn escape(path: &str) -> String {
    utf8_percent_encode(path, ESCAPED).to_string()
}

/// The absolute path a URI names. It has no empty, `.` or `..` segment and no NUL.
pub fn to_path(uri: &str) -> Result<String, Error> {
    let refuse = |why: &str| Error::InvalidInput(format!("{}: {why}", shortened(uri)));
    let Some((scheme, rest)) = uri.split_once(':') else { return Err(refuse("not a URI; expected file:///path")) };
    if !scheme.eq_ignore_ascii_case("file") {
        return Err(Error::NotFound(format!("{}: only file: URIs are served here", shortened(uri))));
    }
    let path = match rest.strip_prefix("//") {
        Some(rest) if rest.starts_with('/') => rest,
        Some(rest) if rest.get(..9).is_some_and(|host| host.eq_ignore_ascii_case("localhost")) => &rest[9..],
        Some(_) => return Err(refuse("names another host; expected file:///path")),
        None => rest,
    };
    if path.contains(['?', '#']) {
        return Err(refuse("has a query or a fragment; a ? or # in a file name is written %3F or %23"));
    }
    let segments: Vec<_> = path.split('/').map(unescape).collect::<Result<_, _>>().map_err(refuse)?;
    // A separator that only appears on decoding would name another file than the URI shows.
    if segments.iter().any(|segment| segment.contains('/')) {
        return Err(refuse("has an escaped / inside a name"));
    }
    let path = segments.join("/");
    check(&path).map_err(refuse)?;
    Ok(path)
}

/// Refuses a path that is not absolute, or not in its only form.
pub fn check(path: &str) -> Result<(), &'static str> {
    let Some(names) = path.strip_prefix('/') else { return Err("the path must begin with /") };
    if path.len() > PATH_BYTES_MAX {
        return Err("the path is longer than 4096 bytes");
    }
    if path.contains('\0') {
        return Err("the path contains NUL");
    }
    if names.split('/').any(|name| name == "." || name == "..") {
        return Err("the path contains . or .. ; give it without");
    }
    if names.split('/').any(str::is_empty) {
        return Err("the path has an empty segment; files have no trailing / and no //");
    }
    Ok(())
}

/// A segment without its escapes.
pub fn unescape(segment: &str) -> Result<String, &'static str> {
    for (at, _) in segment.match_indices('%') {
        let digits = segment.as_bytes().get(at + 1..at + 3);
        if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            return Err("% is not followed by two hexadecimal digits; a % in a file name is written %25");
        }
    }
    Ok(percent_decode_str(segment).decode_utf8().map_err(|_| "its escapes are not UTF-8")?.into_owned())
}

/// Enough of what the client sent to recognise it in a message.
pub fn shortened(text: &str) -> &str {
    const SHOWN_BYTES_MAX: usize = 300;
    &text[..text.floor_char_boundary(SHOWN_BYTES_MAX)]
}
