use super::*;

/// Gives its bytes in pieces of one, so that every character is split.
struct Dripping<'a>(&'a [u8]);

impl Read for Dripping<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
        buffer[0] = *first;
        self.0 = rest;
        Ok(1)
    }
}

#[test]
fn types_go_by_extension_whatever_its_case() {
    assert_eq!(by_name("/docs/README.MD"), Some("text/markdown"));
    assert_eq!(by_name("/docs/a.tar.gz"), Some("application/gzip"));
    assert_eq!(by_name("/docs.md/LICENSE"), None);
    assert_eq!(by_name("/docs/.env"), None);
    assert_eq!(by_name("/docs/a.unheard-of"), None);
}

#[test]
fn text_is_utf8_without_nul_even_when_characters_are_split() {
    for (content, expected) in [
        (&b""[..], true),
        ("Grüße, 世界 🙂".as_bytes(), true),
        (b"a\0b", false),
        (b"caf\xe9 au lait", false),
        // Ends inside a character.
        (b"caf\xc3", false),
        (b"\x89PNG\r\n\x1a\n", false),
    ] {
        assert_eq!(is_text(&mut &content[..]).unwrap(), expected, "{content:?}");
        assert_eq!(is_text(&mut Dripping(content)).unwrap(), expected, "dripping {content:?}");
    }
}

#[test]
fn a_late_foreign_byte_is_found_and_looking_ends_at_the_bound() {
    let text = io::repeat(b'a').take(SNIFFED_BYTES_MAX - 1);
    assert!(!is_text(&mut text.chain(&b"\xff"[..])).unwrap());
    // The bound falls inside the two bytes of a character: that is no fault of the text.
    let text = io::repeat(b'a').take(SNIFFED_BYTES_MAX - 1);
    assert!(is_text(&mut text.chain("ü and \u{0} beyond".as_bytes())).unwrap());
}
