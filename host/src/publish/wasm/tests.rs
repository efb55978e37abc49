//! What is a component's manifest, and what is not.

use serde_json::{Value, json};

use super::*;

fn digest(letter: &str) -> String {
    format!("sha256:{}", letter.repeat(64))
}

fn manifest(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut manifest = json!({
        "schemaVersion": 2,
        "config": { "mediaType": CONFIG_TYPE, "digest": digest("a"), "size": 2 },
        "layers": [{ "mediaType": LAYER_TYPE, "digest": digest("b"), "size": 100 }],
    });
    change(&mut manifest);
    manifest.to_string().into_bytes()
}

#[test]
fn a_component_has_one_layer_and_a_config_of_its_type() {
    let layout = Layout::read(&manifest(|_| {})).unwrap();
    assert_eq!((layout.component.as_str(), layout.bytes), (&*digest("b"), 100));
    let refused = |change: fn(&mut Value)| Layout::read(&manifest(change)).unwrap_err().to_string();
    assert!(
        refused(|it| it["config"]["mediaType"] = "application/vnd.oci.empty.v1+json".into())
            .contains("not application/vnd.oci.empty")
    );
    assert!(refused(|it| it["layers"] = json!([])).contains("one layer, not 0"));
    assert!(refused(|it| it["layers"][0]["mediaType"] = "text/plain".into()).contains("not text/plain"));
    assert!(refused(|it| it["config"]["size"] = (1 << 20).into()).contains("1048576 bytes; at most 65536"));
    assert!(refused(|it| it["layers"][0]["digest"] = format!("sha512:{}", "b".repeat(128)).into()).contains("sha256"));
    assert!(refused(|it| it["layers"] = "none".into()).contains("image manifest"));
}

#[test]
fn a_config_is_of_this_component() {
    let layout = Layout::read(&manifest(|_| {})).unwrap();
    let check = |config: Value| layout.check_config(config.to_string().as_bytes()).map_err(|error| error.to_string());
    assert_eq!(check(json!({})), Ok(()));
    assert_eq!(
        check(json!({ "os": "wasip2", "layerDigests": [digest("b")], "component": { "exports": ["lies"] } })),
        Ok(())
    );
    assert!(check(json!({ "os": "wasip1" })).unwrap_err().contains("only wasip2"));
    assert!(check(json!({ "layerDigests": [digest("c")] })).unwrap_err().contains("is not of the layer"));
    assert!(layout.check_config(b"{").is_err());
}
