use stockade_ledger::{Ledger, Spec};

use super::{Buffer, PieceError, StringWriter};
use crate::agent::contract::Form;

/// Writes `bytes` in pieces that end at each of `cuts`.
fn written(form: Form, bytes: &[u8], cuts: &[usize]) -> Result<String, PieceError> {
    let account = Ledger::new(1 << 20).account(Spec { name: "replies".into(), ceiling: 1 << 20, floor: 0 }).unwrap();
    let (mut out, mut writer, mut start) = (Buffer::new(&account, 1 << 20), StringWriter::new(form), 0);
    for &cut in cuts.iter().chain([&bytes.len()]) {
        writer.write(&bytes[start..cut], &mut out)?;
        start = cut;
    }
    if let Some(last) = writer.finish()? {
        out.extend(&last)?;
    }
    Ok(format!("\"{}\"", std::str::from_utf8(out.as_ref()).unwrap()))
}

#[test]
fn text_is_the_same_however_it_is_cut() {
    let text = "a\"\\\n\r\t\u{1}\u{1f} é € 😀 \u{7f}\u{2028}/";
    for first in 0..=text.len() {
        for second in first..=text.len() {
            let json = written(Form::Text, text.as_bytes(), &[first, second]).unwrap();
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
    let bytewise: Vec<usize> = (0..text.len()).collect();
    assert_eq!(
        written(Form::Text, text.as_bytes(), &bytewise).unwrap(),
        written(Form::Text, text.as_bytes(), &[]).unwrap()
    );
}

#[test]
fn binary_is_the_same_however_it_is_cut() {
    use base64::Engine as _;
    let bytes: Vec<u8> = (0..10_000u32).map(|n| (n * 7) as u8).collect();
    for length in [0, 1, 2, 3, 4, 5, 6, 3072, 3073, 10_000] {
        let whole = format!("\"{}\"", base64::engine::general_purpose::STANDARD.encode(&bytes[..length]));
        for cut in (0..=length).step_by(length / 7 + 1) {
            assert_eq!(written(Form::Binary, &bytes[..length], &[cut, cut, length]).unwrap(), whole);
        }
    }
    let bytewise: Vec<usize> = (0..20).collect();
    assert_eq!(
        written(Form::Binary, &bytes[..20], &bytewise).unwrap(),
        written(Form::Binary, &bytes[..20], &[]).unwrap()
    );
}

#[test]
fn what_is_not_utf_8_is_found_wherever_it_is_cut() {
    let wrong: [&[u8]; 6] = [b"\xff", b"a\xc3", b"\xe2\x82", b"\xe2\x82a", b"\xf0\x9f\x98", b"\xed\xa0\x80"];
    for bytes in wrong {
        for cut in 0..=bytes.len() {
            assert!(matches!(written(Form::Text, bytes, &[cut]), Err(PieceError::NotText)), "{bytes:?} cut at {cut}");
        }
    }
}
