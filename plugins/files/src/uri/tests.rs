use super::*;

#[test]
fn every_path_survives_the_way_there_and_back() {
    for path in
        ["/docs/a.md", "/docs/Grüße aus Köln.txt", "/d/100%/a?b#c;d=e+f&g", "/d/~x_-.y", "/d/a\\b:c@d", "/d/日本"]
    {
        let uri = of_path(path);
        assert!(uri.is_ascii() && uri.starts_with("file:///"), "{uri}");
        assert_eq!(to_path(&uri).unwrap(), path);
    }
    assert_eq!(of_path("/docs/ä b.md"), "file:///docs/%C3%A4%20b.md");
}

#[test]
fn other_spellings_of_the_same_file_are_understood() {
    for uri in ["file:/docs/a b.md", "FILE:///docs/a%20b.md", "file://localhost/docs/a b.md", "file:///%64ocs/a%20b.md"]
    {
        assert_eq!(to_path(uri).unwrap(), "/docs/a b.md", "{uri}");
    }
}

#[test]
fn what_is_no_plain_path_is_refused_with_the_reason() {
    for (uri, why) in [
        ("docs/a.md", "not a URI"),
        ("file:docs/a.md", "must begin with /"),
        ("file://server/share/a", "another host"),
        ("file:///docs/../etc/passwd", ".."),
        ("file:///docs/%2e%2e/etc/passwd", ".."),
        ("file:///docs/%2E./x", ".."),
        ("file:///docs/./a", ". or .."),
        ("file:///docs/..%2fetc", "escaped /"),
        ("file:///docs/a%00.md", "NUL"),
        ("file:////etc/passwd", "empty segment"),
        ("file:///docs/", "empty segment"),
        ("file:///docs/a?x", "query"),
        ("file:///docs/a#x", "fragment"),
        ("file:///docs/100%", "hexadecimal"),
        ("file:///docs/%zz", "hexadecimal"),
        ("file:///docs/%+1", "hexadecimal"),
        ("file:///docs/%ff", "UTF-8"),
    ] {
        let Err(Error::InvalidInput(message)) = to_path(uri) else { panic!("{uri} was accepted") };
        assert!(message.contains(why), "{uri}: {message}");
    }
    assert!(matches!(to_path("http://example.org/a"), Err(Error::NotFound(_))));
}

#[test]
fn a_message_repeats_only_the_beginning_of_a_long_uri() {
    let uri = format!("file:///docs/{}", "ä".repeat(100_000));
    let Err(Error::InvalidInput(message)) = to_path(&uri) else { panic!("it was accepted") };
    assert!(message.len() < 500 && message.contains("longer than 4096"), "{message}");
}
