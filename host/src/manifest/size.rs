//! Sizes as operators write them: `64M` is 64 × 1,048,576 bytes.
//!
//! Units are binary and have one letter; a number alone is bytes. Never rounds what it reads.

/// Units from the largest; each is 1,024 of the next.
const UNITS: [(char, u64); 3] = [('G', 1 << 30), ('M', 1 << 20), ('K', 1 << 10)];

/// Reads a size, or says how it should have been written.
///
/// # Errors
/// The suggestion to show with the text.
pub fn parse(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "" => Some(1),
        unit => UNITS.iter().find(|(letter, _)| unit == letter.encode_utf8(&mut [0; 4])).map(|(_, factor)| *factor),
    };
    if let Some(factor) = factor
        && !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
    {
        let bytes = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
        return bytes.ok_or_else(|| "that is more than any machine has".to_owned());
    }
    Err(suggest(text))
}

/// The shortest exact way to write a size, such as `64M`.
pub fn show(bytes: u64) -> String {
    match UNITS.iter().find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor)) {
        Some((letter, factor)) => format!("{}{letter}", bytes / factor),
        None => bytes.to_string(),
    }
}

/// A size for people to read, to a tenth of its unit, such as `358.4M`.
pub fn round(bytes: u64) -> String {
    match UNITS.iter().find(|(_, factor)| bytes >= *factor) {
        Some((letter, factor)) => {
            let tenths = (u128::from(bytes) * 10 + u128::from(factor / 2)) / u128::from(*factor);
            match tenths % 10 {
                0 => format!("{}{letter}", tenths / 10),
                tenth => format!("{}.{tenth}{letter}", tenths / 10),
            }
        }
        None => bytes.to_string(),
    }
}

/// What the writer of a wrong size probably meant: `64 MiB`, `64mb` and `1.5G` have one reading each.
fn suggest(text: &str) -> String {
    const FORM: &str = "a size is a number of bytes, or one with K, M or G, such as 64M";
    let number = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic() || letter == ' ');
    let unit = text[number.len()..].trim().to_ascii_uppercase();
    let letter = unit.trim_end_matches("IB").trim_end_matches('B');
    let factor = UNITS.iter().find(|(name, _)| letter == name.to_string()).map_or(1, |(_, factor)| *factor);
    let known = letter.is_empty() || factor > 1;
    // Far below 2^53, so the product is exact enough to be shown again.
    match number.parse::<f64>() {
        Ok(number) if known && number > 0.0 && number < 1e6 => {
            format!("write {}: {FORM}", show((number * factor as f64).round() as u64))
        }
        _ => FORM.to_owned(),
    }
}
