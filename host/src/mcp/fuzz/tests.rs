//! A short run for every day: seeds of both eras, changed token by token, the same ones each time.

use std::path::Path;

use super::message;

/// Inputs of one run; some seconds.
const INPUTS: u64 = 200_000;

/// Changes of one input, at most.
const CHANGES_MAX: u64 = 4;

/// Tokens that one change removes or repeats, at most.
const RUN_MAX: u64 = 8;

/// How often a token is repeated where it is repeated a lot: beyond the bound on values, and on depth.
const MANY: usize = 300;

/// Pieces that stand for what a parser may take the wrong way.
const ODD: [&str; 40] = [
    "null",
    "true",
    "-0",
    "1e999",
    "9007199254740993",
    "01",
    "-",
    "\"\"",
    r#""\u0000""#,
    r#""\ud800""#,
    r#""\u0061""#,
    r#""\"#,
    "\"\u{7f}\"",
    "\"é\u{2028}\"",
    "{}",
    "[]",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\n",
    "\n\n",
    "\r\n",
    "\u{feff}",
    "\"id\":7,",
    "\"method\":\"ping\",",
    "\"_meta\":{},",
    "\"name\":\"run\",",
    "\"io.modelcontextprotocol/logLevel\":1,",
    "\"x-mcp-header\":\"A\",",
    "mcp-name: run\n",
    "mcp-param-retries: 9007199254740992\n",
    "mcp-protocol-version: 2026-07-28\n",
    "mcp-protocol-version: 2025-03-26\n",
    "=?base64?cnVu?=",
    "=?base64??=",
    "2026-07-28",
    "MXRhK2I",
];

/// Xorshift: few lines, and the same numbers everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound.max(1)
    }

    fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    fn one_of<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.index(from.len())]
    }
}

/// Says which input it was if a check fails.
struct Input {
    number: u64,
    bytes: Vec<u8>,
}

impl Drop for Input {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("input {} of the run: {}", self.number, self.bytes.escape_ascii());
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus/message");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries.collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Strings, words, and single bytes of everything else.
fn tokens(text: &[u8]) -> Vec<&[u8]> {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_/.+".contains(byte);
    let (mut tokens, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.first() {
        let length = match first {
            b'"' => rest[1..].iter().position(|byte| *byte == b'"').map_or(rest.len(), |end| end + 2),
            byte if is_word(byte) => rest.iter().position(|byte| !is_word(byte)).unwrap_or(rest.len()),
            _ => 1,
        };
        let (token, more) = rest.split_at(length);
        tokens.push(token);
        rest = more;
    }
    tokens
}

/// One of the seeds after some changes.
fn input<'a>(number: u64, seeds: &[Vec<&'a [u8]>], long: &'a [u8]) -> Input {
    // Far apart, so that neighbours do not begin alike.
    let mut random = Random((number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut tokens = seeds[random.index(seeds.len())].clone();
    for _ in 0..=random.below(CHANGES_MAX) {
        change(&mut tokens, &mut random, seeds, long);
    }
    let mut bytes = tokens.concat();
    if random.below(4) == 0 && !bytes.is_empty() {
        let at = random.index(bytes.len());
        bytes[at] = random.below(256) as u8;
    }
    Input { number, bytes }
}

fn change<'a>(tokens: &mut Vec<&'a [u8]>, random: &mut Random, seeds: &[Vec<&'a [u8]>], long: &'a [u8]) {
    let at = random.index(tokens.len());
    let end = tokens.len().min(at + 1 + random.below(RUN_MAX) as usize);
    let odd = random.one_of(&ODD).as_bytes();
    let other = &seeds[random.index(seeds.len())];
    let theirs = random.one_of(other);
    if tokens.is_empty() {
        return tokens.push(odd);
    }
    match random.below(10) {
        0 => tokens[at] = odd,
        1 => tokens.insert(at, odd),
        2 => tokens[at] = theirs,
        3 => drop(tokens.drain(at..end)),
        4 => {
            let run = tokens[at..end].to_vec();
            drop(tokens.splice(at..at, run));
        }
        5 => {
            let with = random.index(tokens.len());
            tokens.swap(at, with);
        }
        6 => drop(tokens.splice(at.., other[random.index(other.len())..].iter().copied())),
        7 => {
            let (open, close): (&[u8], &[u8]) = random.one_of(&[(b"[", b"]"), (b"{\"a\":", b"}")]);
            let depth = random.index(20);
            drop(tokens.splice(end..end, std::iter::repeat_n(close, depth)));
            drop(tokens.splice(at..at, std::iter::repeat_n(open, depth)));
        }
        8 => {
            let run = tokens[at..end].repeat(1 + random.index(MANY) / (end - at));
            drop(tokens.splice(at..end, run));
        }
        _ => tokens[at] = long,
    }
}

#[test]
fn seeds_hold() {
    for seed in seeds() {
        message(&Input { number: 0, bytes: seed }.bytes);
    }
}

#[test]
fn changed_seeds_hold() {
    let seeds = seeds();
    // A string that makes everything that quotes it long; what is printed escaped, much longer.
    let long = format!("\"{}\"", "\u{7f}".repeat(600));
    let seeds: Vec<Vec<&[u8]>> = seeds.iter().map(|seed| tokens(seed)).collect();
    for number in 0..INPUTS {
        message(&input(number, &seeds, long.as_bytes()).bytes);
    }
}
