//! The contract as a text that may be bent: what a made component says it imports and exports.

use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

/// Every text of the contract starts so.
const PACKAGE: &str = "package stockade:agent@0.1.0;";
const TEXTS: [&str; 3] = [
    include_str!("../../../wit/agent.wit"),
    include_str!("../../../wit/host.wit"),
    include_str!("../../../wit/types.wit"),
];

/// What a component declares: the package `stockade:agent`, as it is or bent, and the world it claims to be made for.
pub(super) struct Contract {
    package: String,
    world: String,
}

impl Contract {
    /// Exactly ours, of which the component exports these interfaces.
    pub(super) fn exporting(interfaces: &[&str]) -> Self {
        let items = TEXTS.map(|text| text.replacen(PACKAGE, "", 1)).concat();
        let world = interfaces.iter().map(|name| format!("export stockade:agent/{name}@0.1.0;")).collect();
        Self { package: format!("{PACKAGE}\n{items}"), world }
    }

    /// With one function or type changed.
    pub(super) fn with(self, ours: &str, theirs: &str) -> Self {
        assert!(self.package.contains(ours), "the contract no longer says {ours}");
        Self { package: self.package.replacen(ours, theirs, 1), ..self }
    }

    /// With an interface that only the component knows, and imports.
    pub(super) fn importing(mut self, name: &str, functions: &str) -> Self {
        self.package += &format!("interface {name} {{ {functions} }}\n");
        self.world += &format!("import stockade:agent/{name}@0.1.0;");
        self
    }

    /// With an interface of no package beside ours, as compilers of other languages leave one for themselves.
    pub(super) fn leaving(mut self, name: &str, functions: &str) -> Self {
        self.world += &format!("export {name}: interface {{ {functions} }}");
        self
    }

    /// The component that a core module makes of this contract.
    pub(super) fn encode(&self, module: Vec<u8>) -> Vec<u8> {
        let world = format!("package stockade:made; world made {{ {} }}", self.world);
        encode(module, &[&self.package, &world])
    }

    /// The contract as the parser sees it.
    #[cfg(test)]
    pub(super) fn resolve(&self) -> Resolve {
        parse(&[&self.package]).0
    }
}

/// The component that a core module makes of the one world in the last of these packages. A failure is a mistake in this
/// directory, so it ends the test.
pub(super) fn encode(mut module: Vec<u8>, packages: &[&str]) -> Vec<u8> {
    let (resolve, last) = parse(packages);
    let world = resolve.select_world(&[last], None).expect("the package has one world");
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .expect("the world can be encoded");
    let encoded = ComponentEncoder::default().validate(false).module(&module).and_then(|encoder| encoder.encode());
    encoded.unwrap_or_else(|error| panic!("the module does not fit its world: {error:?}"))
}

fn parse(packages: &[&str]) -> (Resolve, wit_parser::PackageId) {
    let mut resolve = Resolve::default();
    let mut last = None;
    for text in packages {
        last = Some(resolve.push_str("made.wit", text).unwrap_or_else(|error| panic!("the WIT is wrong: {error:?}")));
    }
    (resolve, last.expect("there is at least one package"))
}
