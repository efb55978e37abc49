//! What may not be published, and what is done about it: refused by name, with what to do, and nothing left behind.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use stockade_tests::editor::Editor;
use stockade_tests::guests::{Source, case};
use stockade_tests::publisher::stamped;
use stockade_tests::{Setup, TestHost};
use yrs::Any;

use super::publish::{component, greeting, hello, publisher, version};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_fit_is_refused_with_what_to_do() {
    let setup = Setup::default();
    let manifest = "uploads: { component_bytes_max: 4M }\nagents:\n  \
                    small: { component: published, memory: 1M, reserve: 1M }\n  hello: { component: '{agents}/hello.wasm' }\n";
    let host = setup.start(manifest);
    let publisher = publisher(&host);
    let made = |name: &str| match case(name).source {
        Source::Made(make) => make(),
        Source::Built => panic!("`{name}` is built"),
    };
    let refused = async |repository: &str, version: &str, component: &[u8]| {
        let said = publisher.publish(repository, version, component).await;
        assert!(said.status >= 400, "{said:?}");
        said.refusal()
    };
    let none = refused("demo", "1.0.0", b"no component").await;
    assert!(none.starts_with("400 MANIFEST_INVALID") && none.contains("not a component that can run here"), "{none}");
    let core = refused("demo", "1.0.0", &made("core-module")).await;
    assert!(core.contains("component"), "{core}");
    let misfit = refused("demo", "1.0.0", &made("missing-describe")).await;
    assert!(misfit.contains("stockade:agent/describe"), "{misfit}");
    let schemas = refused("demo", "1.0.0", &made("long-schemas")).await;
    assert!(schemas.contains("the schemas of its tools have more than 1048576 bytes together"), "{schemas}");
    let large = refused("small", "1.0.0", &made("large-initial-memory")).await;
    assert!(large.contains("10485760") && large.contains("1048576"), "{large}");
    let fixed = refused("hello", "1.0.0", &hello()).await;
    assert!(fixed.contains("`component: published`"), "{fixed}");
    let huge = refused("demo", "1.0.0", &vec![0; (4 << 20) + 1]).await;
    assert!(huge.starts_with("413 SIZE_INVALID") && huge.contains("uploads.component_bytes_max"), "{huge}");
    // Nothing is left of any of them.
    let found = host.client().list("tools/list", None).await;
    assert!(!found.body.to_string().contains("demo"), "{}", found.body);
    let tags = publisher.ask(reqwest::Method::GET, "/v2/demo/tags/list", "", "").await;
    assert_eq!(tags.body["tags"].as_array().map(Vec::len), Some(0), "{tags:?}");
    host.assert_nothing_remains().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_callers_needs_a_major_version_or_force() {
    let host = TestHost::start("agents: {}");
    let publisher = publisher(&host);
    assert_eq!(publisher.publish("demo", "1.0.0", &hello()).await.status, 201);
    let other = component("everything");
    let refused = publisher.publish("demo", "1.1.0", &other).await;
    assert!(refused.refusal().contains("the tool `greet` is gone; publish it as 2.0.0"), "{}", refused.refusal());
    assert_eq!(version(&host, "demo").await, "1.0.0");
    let manifest = publisher.manifest("demo", &other).await;
    let forced = publisher.put("demo", "1.1.0?force=true", &manifest).await;
    assert_eq!(forced.status, 201, "{forced:?}");
    assert_eq!(publisher.publish("demo", "2.0.0", &hello()).await.status, 201);
    assert_eq!(version(&host, "demo").await, "2.0.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_are_asked_for_where_the_manifest_wants_them() {
    let signer = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
    let manifest =
        format!("signatures: {{ mode: enforce, keys: {{ default: [\"{}\"] }} }}\nagents: {{}}", signer.pk.to_base64());
    let host = TestHost::start(&manifest);
    let publisher = publisher(&host);
    let unsigned = publisher.publish("demo", "1.0.0", &hello()).await;
    assert!(unsigned.refusal().starts_with("403 DENIED: it is not signed"), "{}", unsigned.refusal());
    let sign = async |repository: &str, version: &str, component: &[u8]| {
        let manifest = publisher.manifest(repository, component).await;
        publisher.sign((repository, version), component, &manifest, &signer).await;
        manifest
    };
    let manifest = sign("demo", "1.0.0", &hello()).await;
    // The same signature under another version, and another name.
    let replayed = publisher.put("demo", "1.0.1", &manifest).await;
    assert!(replayed.refusal().contains("on this very version"), "{}", replayed.refusal());
    let elsewhere = publisher.publish("other", "1.0.0", &hello()).await;
    assert!(elsewhere.refusal().contains("not signed"), "{}", elsewhere.refusal());
    let said = publisher.put("demo", "1.0.0", &manifest).await;
    assert_eq!((said.status, &said.body["signed"]), (201, &true.into()), "{said:?}");
    assert_eq!(greeting(&host, "demo").await.unwrap(), "Hello, Ann!");

    // A key that nobody trusts any more vouches for nothing at the next start.
    let other = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
    let host = host.again_on(&format!(
        "signatures: {{ mode: enforce, keys: {{ default: [\"{}\"] }} }}\nagents: {{}}",
        other.pk.to_base64()
    ));
    let listed = host.client().list("tools/list", None).await;
    assert!(!listed.body.to_string().contains("demo__greet"), "{}", listed.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_and_packed_components_are_refused_by_name() {
    let host = TestHost::start("memory: 512M\ncompile: { cpu: 2s }\nagents: {}");
    let publisher = publisher(&host);
    for (bomb, word) in [
        ("compile-bomb-memory", "the compiler was stopped: more than"),
        ("big-table", "table"),
        ("doubled-name", "twice"),
    ] {
        let Source::Made(make) = case(bomb).source else { panic!("it is made") };
        let refused = publisher.publish("demo", "1.0.0", &make()).await;
        assert!(refused.status == 400 && refused.refusal().contains(word), "{bomb}: {}", refused.refusal());
    }
    // Nothing is ever unpacked: what comes packed is no component.
    let layer = publisher.blob("demo", "application/vnd.oci.image.layer.v1.tar+gzip", &[0x1f, 0x8b, 8, 0]).await;
    let config = publisher.blob("demo", "application/vnd.wasm.config.v0+json", b"{}").await;
    let packed = json!({ "schemaVersion": 2, "config": config, "layers": [layer] }).to_string();
    let refused = publisher.put("demo", "1.0.0", &packed).await;
    assert!(refused.refusal().contains("its layer has the type application/wasm"), "{}", refused.refusal());
    let tags = publisher.ask(reqwest::Method::GET, "/v2/demo/tags/list", "", "").await;
    assert_eq!(tags.body["tags"].as_array().map(Vec::len), Some(0), "{tags:?}");
    host.assert_nothing_remains().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_and_aliases_are_bounded() {
    let host = TestHost::start("uploads: { versions: 2 }\nagents: {}");
    let publisher = publisher(&host);
    for number in ["1.0.0", "1.0.1"] {
        assert_eq!(publisher.publish("demo", number, &stamped(&hello(), number)).await.status, 201);
    }
    let third = publisher.publish("demo", "1.0.2", &stamped(&hello(), "1.0.2")).await;
    assert!(third.refusal().starts_with("403 DENIED: limit `uploads.versions` of 2"), "{}", third.refusal());
    assert_eq!(version(&host, "demo").await, "1.0.1");
    assert!(greeting(&host, "demo@1.0.2").await.is_err(), "nothing is left of it");
    let manifest = publisher.manifest("demo", &stamped(&hello(), "1.0.0")).await;
    for number in 0..64 {
        assert_eq!(publisher.put("demo", &format!("alias-{number}"), &manifest).await.status, 201);
    }
    let beyond = publisher.put("demo", "alias-64", &manifest).await;
    assert!(beyond.refusal().contains("limit `aliases` of 64"), "{}", beyond.refusal());
    // A tag of the same name elsewhere is another matter.
    let plain = publisher.manifest("team/demo", b"plain").await;
    assert_eq!(publisher.put("team/demo", "alias-0", &plain).await.status, 201);
    let deleted = publisher.ask(reqwest::Method::DELETE, "/v2/team/demo/manifests/alias-0", "", "").await;
    assert_eq!((deleted.status, version(&host, "demo@alias-0").await), (202, "1.0.0".into()));
    let deleted = publisher.ask(reqwest::Method::DELETE, "/v2/demo/manifests/alias-0", "", "").await;
    assert_eq!(deleted.status, 202, "{deleted:?}");
    assert!(greeting(&host, "demo@alias-0").await.is_err());
    // Without the tag `latest`, what is served can still be taken away.
    publisher.ask(reqwest::Method::DELETE, "/v2/demo/manifests/latest", "", "").await;
    for number in ["1.0.1", "1.0.0"] {
        let yanked = publisher.yank("demo", number, true).await;
        assert_eq!(yanked.status, 200, "{yanked:?}");
    }
    assert_eq!(publisher.live("demo").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_takes_no_code_from_who_is_on_trial() {
    let host = TestHost::start("agents: {}");
    let publisher = publisher(&host);
    assert_eq!(publisher.publish("demo", "1.0.0", &hello()).await.status, 201);
    for round in 0..4 {
        // One component for both, at the same moment: the one has lost a tool, the other is new.
        let both = stamped(&component("everything"), &round.to_string());
        let (agent, number) = (format!("new-{round}"), format!("1.{}.0", round + 1));
        let (refused, taken) =
            tokio::join!(publisher.publish("demo", &number, &both), publisher.publish(&agent, "1.0.0", &both));
        assert!(refused.refusal().contains("is gone"), "{}", refused.refusal());
        assert_eq!(taken.status, 201, "{taken:?}");
    }
    // By the digests that the names begin with.
    let files = std::fs::read_dir(host.data().join("compiled")).unwrap();
    let compiled: BTreeSet<String> =
        files.map(|file| file.unwrap().file_name().to_string_lossy()[..64].to_owned()).collect();
    assert_eq!(compiled.len(), 5, "that of each agent");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_publishes_what_is_not_served_is_told() {
    let host = TestHost::start("agents: {}");
    let said = publisher(&host).publish("demo", "1.0.0", &hello()).await;
    assert!(said.status == 201 && !said.body["warnings"].to_string().contains("not served"), "{said:?}");
    let mut editor = Editor::connect(host.address, Some(&host.operator_token())).await.unwrap();
    let edits = [("1.0.1", "enabled", Any::from(false), "disabled"), ("1.0.2", "retired", Any::from(1), "retired")];
    for (number, field, value, state) in edits {
        editor.set([("demo", field, value)]).await.unwrap();
        editor.settle().await.unwrap();
        let said = publisher(&host).publish("demo", number, &stamped(&hello(), number)).await;
        let told = format!("`demo` is {state} in the registry, and not served: `stockade enable demo`");
        assert!(said.status == 201 && said.body["warnings"].to_string().contains(&told), "{said:?}");
        let refused = greeting(&host, "demo").await.unwrap_err();
        assert!(refused.contains(&format!("it is {state}")) && refused.contains("`stockade enable demo`"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_tries_few_versions() {
    let mut host = TestHost::start("agents: {}");
    let component = |number| stamped(&hello(), &format!("1.0.{number}"));
    for number in 0..=5 {
        let said = publisher(&host).publish("demo", &format!("1.0.{number}"), &component(number)).await;
        assert_eq!(said.status, 201, "{said:?}");
    }
    host.stop();
    let files = |directory| std::fs::read_dir(host.data().join(directory)).unwrap().map(|file| file.unwrap().path());
    files("compiled").for_each(|file| std::fs::remove_file(file).unwrap());
    for number in 1..=4 {
        let found = files("oci/blobs/sha256").find(|file| std::fs::read(file).unwrap() == component(number));
        std::fs::write(found.expect("it was pushed"), "damaged").unwrap();
    }
    let host = host.again();
    assert_eq!(greeting(&host, "demo").await.unwrap(), "Hello, Ann!");
    let refused = publisher(&host).roll_back("demo").await;
    assert!(refused.refusal().contains("none of the 4 versions of `demo` served last"), "{}", refused.refusal());
    assert_eq!(version(&host, "demo").await, "1.0.5");
}

/// The version that `hello` says it has.
const OWN_VERSION: &str = "0.1.0";

/// What the entry of `demo` says is served, as clients read it, and what they are told by it.
async fn said_and_served(host: &TestHost) -> [String; 2] {
    let read = host.client().read("urn:mcp:agent/demo").await;
    let text = read.result()["contents"][0]["text"].as_str().unwrap_or_else(|| panic!("{}", read.body));
    let entry: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    [entry["version"].as_str().unwrap_or_default().to_owned(), version(host, "demo").await]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_names_what_is_served_again_once_the_manifest_lets_go() {
    let host = TestHost::start("agents: {}");
    // Called as the manifest's file calls itself, and another.
    assert_eq!(publisher(&host).publish("demo", OWN_VERSION, &stamped(&hello(), "other")).await.status, 201);
    assert_eq!(publisher(&host).publish("demo", "7.0.0", &hello()).await.status, 201);
    assert_eq!(said_and_served(&host).await, ["7.0.0", "7.0.0"]);
    let host = host.again_on("agents: { demo: { component: '{agents}/hello.wasm' } }");
    assert_eq!(said_and_served(&host).await, [OWN_VERSION, OWN_VERSION]);
    let host = host.again_on("agents: {}");
    assert_eq!(said_and_served(&host).await, ["7.0.0", "7.0.0"]);
    assert_eq!(publisher(&host).publish("demo", "7.0.1", &stamped(&hello(), "7.0.1")).await.status, 201);
    assert_eq!(said_and_served(&host).await, ["7.0.1", "7.0.1"]);
}
