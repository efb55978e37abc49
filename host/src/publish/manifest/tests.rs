//! What is a manifest, and what of it is kept.

use serde_json::{Value, json};

use super::{INDEX, MEDIA_TYPES, NEEDS_MAX, read};
use crate::publish::digest::{Algorithm, Digest};

const IMAGE: &str = MEDIA_TYPES[0].0;

fn descriptor(bytes: &[u8]) -> Value {
    json!({ "mediaType": "text/plain", "digest": Digest::of(Algorithm::Sha256, bytes).as_str(), "size": bytes.len() })
}

fn image() -> Value {
    json!({ "schemaVersion": 2, "config": descriptor(b"{}"), "layers": [descriptor(b"a"), descriptor(b"a")] })
}

#[track_caller]
fn refused(media_type: &str, document: &Value, why: &str) {
    let error = read(media_type, document.to_string().as_bytes()).unwrap_err().to_string();
    assert!(error.contains(why), "{why:?} is not in {error:?}");
}

#[test]
fn an_image_and_an_index() {
    let mut document = image();
    let record = read(&format!("{IMAGE}; charset=utf-8"), document.to_string().as_bytes()).unwrap();
    assert_eq!((record.media_type.as_str(), record.size), (IMAGE, document.to_string().len() as u64));
    assert_eq!(record.needs.iter().map(|need| need.size).collect::<Vec<_>>().len(), 2, "nothing twice");
    assert_eq!((record.artifact_type.as_deref(), record.subject), (Some("text/plain"), None));

    document["subject"] = descriptor(b"other");
    document["artifactType"] = json!("application/x");
    document["annotations"] = json!({ "a": "b" });
    let record = read(IMAGE, document.to_string().as_bytes()).unwrap();
    assert_eq!(record.artifact_type.as_deref(), Some("application/x"));
    assert_eq!(record.annotations.unwrap().get(), r#"{"a":"b"}"#);
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor(b"m")] });
    let record = read(INDEX, index.to_string().as_bytes()).unwrap();
    assert!(record.needs[0].is_manifest && record.artifact_type.is_none());
}

#[test]
fn what_is_no_manifest() {
    assert!(read(IMAGE, b"").is_err() && read(IMAGE, b"\xff").is_err() && read(IMAGE, b"[]").is_err());
    let deep = format!(r#"{{"schemaVersion":2,"x":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let error = read(IMAGE, deep.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("has a `config`"), "what is not looked at is passed over without a stack: {error}");

    let with = |key: &str, value: Value| {
        let mut document = image();
        document[key] = value;
        document
    };
    refused("application/json", &image(), "`content-type` is one of");
    refused("", &image(), "`content-type` is one of");
    refused(INDEX, &image(), "neither `config` nor `layers`");
    refused(IMAGE, &with("manifests", json!([])), "is it an index?");
    refused(IMAGE, &with("config", Value::Null), "has a `config`");
    refused(IMAGE, &with("schemaVersion", json!(1)), "`schemaVersion` is 2");
    refused(IMAGE, &with("mediaType", json!(INDEX)), "`mediaType` something else");
    refused(INDEX, &json!({ "schemaVersion": 2 }), "an index has `manifests`");
    let long = vec![descriptor(b"a"); NEEDS_MAX + 1];
    refused(IMAGE, &with("layers", json!(long)), "more than 1000 descriptors");
    let mut wrong = descriptor(b"a");
    wrong["digest"] = json!("sha256:../../etc");
    refused(IMAGE, &with("layers", json!([wrong])), "a digest is");
    let mut about = with("subject", descriptor(b"m"));
    about["annotations"] = json!({ "a": 1 });
    refused(IMAGE, &about, "`annotations` are texts by name");
    about["annotations"] = json!({ "a": "x".repeat(70_000) });
    refused(IMAGE, &about, "at most 65536");
    refused(IMAGE, &with("artifactType", json!("x".repeat(256))), "at most 255 bytes");
    let twice = r#"{"schemaVersion":2,"schemaVersion":2}"#;
    assert!(read(IMAGE, twice.as_bytes()).unwrap_err().to_string().contains("duplicate"));
}
