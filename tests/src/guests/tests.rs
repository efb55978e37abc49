//! The guests that are made here are what they claim to be: valid where they should be, and hostile in one way only.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::LazyLock;

use wasmparser::{Parser, Payload, Validator, WasmFeatures};
use wit_component::DecodedWasm;
use wit_parser::{Resolve, SizeAlign, Type, WorldId};

use super::contract::Contract;
use super::image::CONTENT_WORDS;
use super::{ALL, Act, Case, End, Source};

/// Cases that no validator lets pass, and those that only an engine with the async ABI does.
const INVALID: [&str; 4] = ["core-module", "noise", "empty-file", "truncated"];
const ASYNC: [&str; 2] = ["async-component", "async-intrinsic"];

/// Cases whose point is to export or import something else.
const MISFITS: [&str; 5] =
    ["other-contract", "missing-describe", "unknown-import", "wrong-signature", "async-component"];

#[test]
fn no_two_cases_have_the_same_name() {
    let names: BTreeSet<_> = ALL.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), ALL.len());
}

/// The sources of the built guest name each tool and resource in one way, so that none can be left without a case.
#[test]
fn everything_the_built_guest_can_do_has_a_case() {
    let mut tried = BTreeSet::new();
    for case in ALL.iter().filter(|case| matches!(case.source, Source::Built)) {
        match case.act {
            Act::Call(tool) => tried.insert(format!("Trick {tool}")),
            Act::Read(uri) => tried.insert(format!("Trap {}", uri.trim_start_matches("hostile:///"))),
            Act::List(_) | Act::Load => false,
        };
    }
    let mut written = BTreeSet::new();
    for file in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/guests/src")).expect("the sources are there") {
        let text = fs::read_to_string(file.expect("a file has a name").path()).expect("a source is text");
        for kind in ["Trick", "Trap"] {
            let opening = format!("{kind} {{ name: \"");
            written.extend(
                text.split(&opening).skip(1).filter_map(|rest| Some(format!("{kind} {}", rest.split_once('"')?.0))),
            );
        }
    }
    assert_eq!(tried, written);
}

#[test]
fn components_are_valid_unless_that_is_their_point() {
    for (case, bytes) in made() {
        let accepted = |features| Validator::new_with_features(features).validate_all(bytes).map(|_| ());
        let without_async = accepted(WasmFeatures::default().difference(WasmFeatures::CM_ASYNC));
        let valid = Parser::is_component(bytes) && without_async.is_ok();
        let expected = !INVALID.contains(&case.name) && !ASYNC.contains(&case.name);
        assert_eq!(valid, expected, "{}: {without_async:?}", case.name);
        if ASYNC.contains(&case.name) {
            accepted(WasmFeatures::default()).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        }
    }
    assert!(Validator::new().validate_all(case_bytes("core-module")).is_ok(), "the core module is valid as a module");
}

#[test]
fn components_fit_the_contract_unless_that_is_their_point() {
    for (case, bytes) in made().filter(|(case, _)| !INVALID.contains(&case.name)) {
        let (resolve, world) = decode(bytes);
        let (imports, exports) = interfaces(&resolve, world);
        // What a compiler keeps for itself is in no package, and nobody's business.
        let exports: Vec<_> = exports.into_iter().filter(|name| name.contains(':')).collect();
        let fits = exports == ["stockade:agent/describe@0.1.0", "stockade:agent/tools@0.1.0"]
            && imports == ["stockade:agent/types@0.1.0"]
            && functions(&resolve) == functions(&Contract::exporting(&[]).resolve());
        assert_eq!(fits, !MISFITS.contains(&case.name), "{}: imports {imports:?}, exports {exports:?}", case.name);
    }
}

#[test]
fn what_does_not_fit_says_so_by_name() {
    for (case, bytes) in made().filter(|(case, _)| MISFITS.contains(&case.name)) {
        let (resolve, world) = decode(bytes);
        let (imports, exports) = interfaces(&resolve, world);
        let End::NotLoaded(word) = case.end else { panic!("{} must not load", case.name) };
        let named = imports.iter().chain(&exports).any(|name| name == word);
        match case.name {
            "other-contract" | "unknown-import" => assert!(named, "{}: {imports:?} {exports:?}", case.name),
            "missing-describe" => assert!(!named && exports == ["stockade:agent/tools@0.1.0"]),
            _ => assert_eq!(exports, ["stockade:agent/describe@0.1.0", "stockade:agent/tools@0.1.0"]),
        }
    }
}

/// The images are laid out by hand: their sizes must be those of the contract's types.
#[test]
fn images_have_the_sizes_of_the_contract() {
    let resolve = Contract::exporting(&[]).resolve();
    let mut sizes = SizeAlign::default();
    sizes.fill(&resolve);
    let size_words = |name: &str| {
        let (id, _) = resolve.types.iter().find(|(_, ty)| ty.name.as_deref() == Some(name)).expect("the type is there");
        sizes.size(&Type::Id(id)).size_wasm32() / 4
    };
    let mut image = super::image::Image::default();
    let mut laid_out = |record: &dyn Fn(&mut super::image::Image) -> u32| {
        let at = record(&mut image);
        (image.end_aligned() - at) as usize / 4
    };
    let rounded_up = |words: usize| words.next_multiple_of(2);
    assert_eq!(size_words("content"), CONTENT_WORDS);
    assert_eq!(laid_out(&|image| image.description("")), rounded_up(size_words("description")));
    let success = 1;
    assert_eq!(laid_out(&|image| image.tool_result([0, 0])), rounded_up(success + size_words("tool-result")));
    let page = rounded_up(success + size_words("tool-page"));
    assert_eq!(laid_out(&|image| image.tool_page(&[], "")), page);
}

#[test]
fn memories_are_as_many_and_as_big_as_said() {
    let pages = |name| memories_pages(case_bytes(name));
    assert_eq!(pages("two-memories"), [640, 640]);
    assert_eq!(pages("big-initial-memory"), [16_384]);
    for many in ["many-memories-in-one-module", "many-memories-in-many-modules"] {
        assert_eq!(pages(many).len(), 32, "{many}");
        assert!(pages(many).iter().sum::<u64>() > 1024, "{many}: together more than 64 MiB");
    }
}

#[test]
fn bombs_are_small_files() {
    let memory = case_bytes("compile-bomb-memory").len();
    let time = case_bytes("compile-bomb-time").len();
    assert!((2 << 20..4 << 20).contains(&memory), "{memory} bytes");
    assert!((100 << 10..1 << 20).contains(&time), "{time} bytes");
}

/// What is said to be doubled or too long is so in the bytes.
#[test]
fn names_break_the_rule_they_are_made_for() {
    let long = case_bytes("long-name");
    assert!(long.windows(65).any(|window| window.iter().all(|&byte| byte == b'x')));
    let doubled = case_bytes("doubled-name");
    assert_eq!(doubled.windows(5).filter(|window| window == b"twice").count(), 2);
}

/// Every component that is made here, once: the bombs take their time.
static MADE: LazyLock<Vec<(&Case, Vec<u8>)>> = LazyLock::new(|| {
    let made = ALL.iter().filter_map(|case| match case.source {
        Source::Made(component) => Some((case, component())),
        Source::Built => None,
    });
    made.collect()
});

fn made() -> impl Iterator<Item = (&'static Case, &'static [u8])> {
    MADE.iter().map(|(case, bytes)| (*case, bytes.as_slice()))
}

fn case_bytes(name: &str) -> &'static [u8] {
    let (_, bytes) = made().find(|(case, _)| case.name == name).expect("the case is made here");
    bytes
}

fn decode(bytes: &[u8]) -> (Resolve, WorldId) {
    match wit_component::decode(bytes).expect("a valid component can be decoded") {
        DecodedWasm::Component(resolve, world) => (resolve, world),
        DecodedWasm::WitPackage(..) => panic!("a component, not a package"),
    }
}

/// Names of what the world imports and exports.
fn interfaces(resolve: &Resolve, world: WorldId) -> (Vec<String>, Vec<String>) {
    let world = &resolve.worlds[world];
    let names = |keys: Vec<_>| keys.into_iter().map(|key| resolve.name_world_key(key)).collect();
    (names(world.imports.keys().collect()), names(world.exports.keys().collect()))
}

/// How many parameters each function has, and what kind it is: enough to tell a bent contract from ours.
fn functions(resolve: &Resolve) -> BTreeMap<String, String> {
    let mut functions = BTreeMap::new();
    for (_, interface) in &resolve.interfaces {
        if !matches!(interface.name.as_deref(), Some("describe" | "tools")) {
            continue;
        }
        for (name, function) in &interface.functions {
            let parameters: Vec<_> = function.params.iter().map(|param| param_kind(resolve, param.ty)).collect();
            functions.insert(name.clone(), format!("{:?} {parameters:?}", function.kind));
        }
    }
    functions
}

fn param_kind(resolve: &Resolve, ty: Type) -> String {
    match ty {
        Type::Id(id) => match &resolve.types[id].kind {
            wit_parser::TypeDefKind::Type(inner) => param_kind(resolve, *inner),
            kind => kind.as_str().to_owned(),
        },
        ty => format!("{ty:?}"),
    }
}

fn memories_pages(component: &[u8]) -> Vec<u64> {
    let mut pages = vec![];
    for payload in Parser::new(0).parse_all(component) {
        if let Payload::MemorySection(section) = payload.expect("the component is well formed") {
            pages.extend(section.into_iter().map(|memory| memory.expect("a memory is well formed").initial));
        }
    }
    pages
}
