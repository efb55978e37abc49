//! What an agent written by hand has in its memory from the start: its answers, laid out as the canonical ABI wants them.
//!
//! Every record here is a row of 32-bit words. Where a field is narrower (a discriminant, a flag) its padding is zero, so
//! that the word is the field.

/// Discriminants that mean absence, success or the first case.
pub(super) const ZERO: u32 = 0;

/// `none` of an `option<string>` or of an `option<cache>`: a discriminant and room for two words.
pub(super) const NONE: [u32; 3] = [0; 3];

/// An empty list.
pub(super) const EMPTY: [u32; 2] = [0; 2];

/// Below it stands nothing, so that a null pointer points at nothing.
const BASE: u32 = 1024;

/// The largest alignment of any type.
const ALIGNMENT: usize = 8;

/// Size of `content` in words: a discriminant, padding, and room for the largest case, a resource.
pub(super) const CONTENT_WORDS: usize = 38;

/// Initial memory under construction. Pointers are absolute.
#[derive(Default)]
pub(super) struct Image {
    bytes: Vec<u8>,
}

impl Image {
    /// A string or a list of bytes: where it stands and how long it is.
    pub(super) fn string(&mut self, text: &[u8]) -> [u32; 2] {
        let at = self.end();
        self.bytes.extend_from_slice(text);
        [at, word(text.len())]
    }

    /// A record, or several in a row; where it stands.
    pub(super) fn record(&mut self, words: &[u32]) -> u32 {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
        let at = self.end();
        self.bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        at
    }

    /// `description` of an agent with this title.
    pub(super) fn description(&mut self, title: &str) -> u32 {
        let title = self.string(title.as_bytes());
        let description = self.string(b"Made by hand.");
        let version = self.string(b"0.1.0");
        let [instructions, website_url, poll_ms] = [NONE, NONE, NONE];
        let changes = [ZERO];
        self.record(&join(&[
            &title,
            &description,
            &version,
            &instructions,
            &website_url,
            &EMPTY,
            &changes,
            &poll_ms[..2],
        ]))
    }

    /// `ok(tool-page)` with tools of these names, and of one schema.
    pub(super) fn tool_page(&mut self, names: &[String], schema: &str) -> u32 {
        let schema = self.string(schema.as_bytes());
        let mut tools = vec![];
        for name in names {
            let name = self.string(name.as_bytes());
            let [title, description, output_schema, hints] = [NONE; 4];
            tools.extend(join(&[&name, &title, &description, &schema, &output_schema, &hints, &EMPTY]));
        }
        let tools = [self.record(&tools), word(names.len())];
        let [next, cache] = [NONE; 2];
        self.record(&join(&[&[ZERO], &tools, &next, &cache]))
    }

    /// `ok(tool-result)` with this list of content.
    pub(super) fn tool_result(&mut self, content: [u32; 2]) -> u32 {
        let (structured, is_error) = (NONE, [ZERO]);
        self.record(&join(&[&[ZERO], &content, &structured, &is_error]))
    }

    /// One `content` that is this text.
    pub(super) fn text(&mut self, text: [u32; 2]) -> [u32; 2] {
        [self.record(&text_content(text)), 1]
    }

    /// The first address after the image, aligned.
    pub(super) fn end_aligned(&self) -> u32 {
        self.end().next_multiple_of(word(ALIGNMENT))
    }

    /// The image as a data segment in WAT.
    pub(super) fn segment(&self) -> String {
        let bytes: String = self.bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
        format!("(data (i32.const {BASE}) \"{bytes}\")")
    }

    fn end(&self) -> u32 {
        BASE + word(self.bytes.len())
    }
}

/// The words of a `content` that is this text.
pub(super) fn text_content([at, length]: [u32; 2]) -> [u32; CONTENT_WORDS] {
    let mut words = [ZERO; CONTENT_WORDS];
    [words[2], words[3]] = [at, length];
    words
}

/// Fields in a row. Takes slices, since fields differ in length.
fn join(fields: &[&[u32]]) -> Vec<u32> {
    fields.concat()
}

fn word(count: usize) -> u32 {
    u32::try_from(count).expect("an image is small")
}
