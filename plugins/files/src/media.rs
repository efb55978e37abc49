//! What kind of content a file holds: its media type by name, text or binary by its bytes.

#[cfg(test)]
mod tests;

use std::io::{self, Read};

/// How much of a file is looked at before it is called text. A text must be UTF-8 to its end, so as much as is
/// affordable: this takes well under a tenth of a second.
const SNIFFED_BYTES_MAX: u64 = 16 * 1024 * 1024;
const BUFFER_BYTES: usize = 64 * 1024;

/// Media types by extension, lower case.
const TYPES: &[(&[&str], &str)] = &[
    (&["md", "markdown"], "text/markdown"),
    (&["txt", "log", "text", "rst", "adoc"], "text/plain"),
    (&["html", "htm"], "text/html"),
    (&["css"], "text/css"),
    (&["csv"], "text/csv"),
    (&["tsv"], "text/tab-separated-values"),
    (&["js", "mjs", "cjs"], "text/javascript"),
    (&["json", "map"], "application/json"),
    (&["jsonl", "ndjson"], "application/x-ndjson"),
    (&["xml", "xsd", "xsl"], "application/xml"),
    (&["yaml", "yml"], "application/yaml"),
    (&["toml"], "application/toml"),
    (&["ini", "cfg", "conf", "properties", "env"], "text/plain"),
    (&["rs"], "text/x-rust"),
    (&["py"], "text/x-python"),
    (&["ts", "tsx", "mts"], "text/x-typescript"),
    (&["go"], "text/x-go"),
    (&["java"], "text/x-java"),
    (&["c", "h"], "text/x-c"),
    (&["cc", "cpp", "cxx", "hpp"], "text/x-c++"),
    (&["sh", "bash"], "application/x-sh"),
    (&["sql"], "application/sql"),
    (&["wit", "proto", "graphql"], "text/plain"),
    (&["tex"], "text/x-tex"),
    (&["ics"], "text/calendar"),
    (&["eml"], "message/rfc822"),
    (&["rtf"], "application/rtf"),
    (&["png"], "image/png"),
    (&["jpg", "jpeg"], "image/jpeg"),
    (&["gif"], "image/gif"),
    (&["webp"], "image/webp"),
    (&["avif"], "image/avif"),
    (&["svg"], "image/svg+xml"),
    (&["ico"], "image/vnd.microsoft.icon"),
    (&["tif", "tiff"], "image/tiff"),
    (&["bmp"], "image/bmp"),
    (&["mp3"], "audio/mpeg"),
    (&["wav"], "audio/wav"),
    (&["ogg", "oga", "opus"], "audio/ogg"),
    (&["flac"], "audio/flac"),
    (&["m4a"], "audio/mp4"),
    (&["mp4", "m4v"], "video/mp4"),
    (&["webm"], "video/webm"),
    (&["mov"], "video/quicktime"),
    (&["pdf"], "application/pdf"),
    (&["epub"], "application/epub+zip"),
    (&["docx"], "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    (&["xlsx"], "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    (&["pptx"], "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    (&["odt"], "application/vnd.oasis.opendocument.text"),
    (&["ods"], "application/vnd.oasis.opendocument.spreadsheet"),
    (&["zip"], "application/zip"),
    (&["gz", "tgz"], "application/gzip"),
    (&["zst"], "application/zstd"),
    (&["tar"], "application/x-tar"),
    (&["wasm"], "application/wasm"),
    (&["woff"], "font/woff"),
    (&["woff2"], "font/woff2"),
    (&["ttf"], "font/ttf"),
    (&["sqlite", "db"], "application/vnd.sqlite3"),
];

/// The media type a path's extension stands for.
pub fn by_name(path: &str) -> Option<&'static str> {
    let name = path.rsplit('/').next()?;
    let (stem, extension) = name.rsplit_once('.')?;
    if stem.is_empty() {
        return None;
    }
    TYPES
        .iter()
        .find(|(known, _)| known.iter().any(|known| extension.eq_ignore_ascii_case(known)))
        .map(|(_, kind)| *kind)
}

/// Whether the content is text: UTF-8 without NUL, as far as it is looked at.
pub fn is_text(content: &mut impl Read) -> io::Result<bool> {
    let mut content = content.take(SNIFFED_BYTES_MAX);
    let mut buffer = vec![0; BUFFER_BYTES];
    // Bytes at the front of the buffer: a character whose end has not been read yet.
    let mut pending = 0;
    loop {
        let read = content.read(&mut buffer[pending..])?;
        if read == 0 {
            return Ok(pending == 0 || content.limit() == 0);
        }
        let filled = pending + read;
        if buffer[pending..filled].contains(&0) {
            return Ok(false);
        }
        pending = match std::str::from_utf8(&buffer[..filled]) {
            Ok(_) => 0,
            Err(error) if error.error_len().is_some() => return Ok(false),
            Err(error) => {
                buffer.copy_within(error.valid_up_to()..filled, 0);
                filled - error.valid_up_to()
            }
        };
    }
}
