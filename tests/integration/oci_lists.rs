//! Discovery and management as clients of registries do them: tags, referrers, deletion, and what becomes of what is deleted.

use serde_json::{Value, json};
use stockade_tests::TestHost;
use stockade_tests::oci::{IMAGE, INDEX, Registry, Reply, descriptor, digest, image};

const NONE: &str = "agents: {}";

/// The `next` of a list, if there is one.
fn next(reply: &Reply) -> Option<String> {
    let link = reply.header("link");
    let path = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""));
    assert!(link.is_empty() || path.is_some(), "{link}");
    path.map(str::to_owned)
}

fn tags(reply: &Reply) -> Vec<String> {
    serde_json::from_value(reply.json()["tags"].clone()).unwrap_or_else(|error| panic!("{error}: {}", reply.text()))
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_listed_in_order_and_in_pages() {
    let host = TestHost::start(NONE);
    let registry = Registry::new(&host);
    assert_eq!(registry.get("/v2/team/one/tags/list").await.refusal(), (404, "NAME_UNKNOWN".into()));
    let names = ["test3", "TEST0", "test2", "a.b", "test1"];
    for tag in names {
        registry.push_image("team/one", tag, b"layer").await;
    }
    let sorted = ["TEST0", "a.b", "test1", "test2", "test3"];
    let all = registry.get("/v2/team/one/tags/list").await;
    assert_eq!(
        (&all.json()["name"], tags(&all), next(&all)),
        (&json!("team/one"), sorted.map(String::from).into(), None)
    );
    let mut path = Some("/v2/team/one/tags/list?n=2".to_owned());
    let mut pages = Vec::new();
    while let Some(at) = path {
        let page = Registry::anonymous(&host).get(&at).await;
        pages.push(tags(&page));
        path = next(&page);
    }
    assert_eq!(pages, [&sorted[..2], &sorted[2..4], &sorted[4..]]);
    assert_eq!(tags(&registry.get("/v2/team/one/tags/list?n=2&last=b").await), ["test1", "test2"]);
    assert_eq!(tags(&registry.get("/v2/team/one/tags/list?n=0").await).len(), 0);
    assert_eq!(registry.get("/v2/team/one/tags/list?n=x").await.refusal().0, 400);
}

/// A manifest about another one.
fn about(subject: &str, size: usize, kind: &str, number: usize) -> Value {
    let mut manifest = image(b"{}", &[]);
    manifest["artifactType"] = json!(kind);
    manifest["subject"] = json!({ "mediaType": IMAGE, "digest": subject, "size": size });
    manifest["annotations"] = json!({ "number": number.to_string() });
    manifest
}

#[tokio::test(flavor = "multi_thread")]
async fn referrers_are_listed_and_filtered() {
    let host = TestHost::start(NONE);
    let registry = Registry::new(&host);
    let absent = registry.get(&format!("/v2/team/one/referrers/{}", digest(b"x"))).await;
    assert_eq!((absent.status, &absent.json()["manifests"]), (200, &json!([])), "also where there is nothing");
    assert_eq!(absent.header("content-type"), INDEX);
    registry.push("team/one", b"{}").await;
    let subject = image(b"{}", &[]);
    let named = digest(subject.to_string().as_bytes());
    let size = subject.to_string().len();
    // What is referred to may come later.
    for (number, kind) in ["application/a", "application/b", "application/a"].into_iter().enumerate() {
        let manifest = about(&named, size, kind, number);
        let put = registry.put_manifest("team/one", &digest(manifest.to_string().as_bytes()), IMAGE, &manifest).await;
        assert_eq!((put.status, put.header("oci-subject")), (201, named.as_str()), "{}", put.text());
    }
    // Without a type of its own it has its config's.
    let mut plain = about(&named, size, "", 3);
    plain.as_object_mut().expect("an object").remove("artifactType");
    assert_eq!(registry.put_manifest("team/one", "plain", IMAGE, &plain).await.status, 201);
    assert_eq!(registry.put_manifest("team/one", "subject", IMAGE, &subject).await.status, 201);

    let path = format!("/v2/team/one/referrers/{named}");
    let all = registry.get(&path).await;
    let manifests = all.json()["manifests"].as_array().expect("a list").clone();
    assert_eq!((manifests.len(), all.header("oci-filters-applied")), (4, ""));
    for manifest in &manifests {
        assert_eq!(manifest["mediaType"], IMAGE);
        let stored =
            registry.get(&format!("/v2/team/one/manifests/{}", manifest["digest"].as_str().expect("text"))).await;
        assert_eq!(
            (json!(stored.body.len()), &stored.json()["annotations"]),
            (manifest["size"].clone(), &manifest["annotations"])
        );
    }
    for (kind, count) in
        [("application/a", 2), ("application/b", 1), ("application/octet-stream", 1), ("application/c", 0)]
    {
        let some = registry.get(&format!("{path}?artifactType={}", kind.replace('/', "%2F"))).await;
        assert_eq!(some.header("oci-filters-applied"), "artifactType");
        let manifests = some.json()["manifests"].as_array().expect("a list").clone();
        assert_eq!(manifests.len(), count, "{kind}");
        assert!(manifests.iter().all(|manifest| manifest["artifactType"] == kind));
    }
    registry.delete(&format!("/v2/team/one/manifests/{}", manifests[0]["digest"].as_str().expect("text"))).await;
    assert_eq!(registry.get(&path).await.json()["manifests"].as_array().expect("a list").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_long_referrers_come_in_pages() {
    let host = TestHost::start(NONE);
    let registry = Registry::new(&host);
    registry.push("team/one", b"{}").await;
    let named = digest(b"subject");
    let count = 40;
    for number in 0..count {
        let mut manifest = about(&named, 7, "application/a", number);
        manifest["annotations"]["long"] = json!("x".repeat(60_000));
        assert_eq!(registry.put_manifest("team/one", &format!("t{number}"), IMAGE, &manifest).await.status, 201);
    }
    let mut path = Some(format!("/v2/team/one/referrers/{named}?artifactType=application/a"));
    let (mut seen, mut pages) = (std::collections::BTreeSet::new(), 0);
    while let Some(at) = path {
        let page = registry.get(&at).await;
        assert!(page.body.len() < 2 << 20, "{}", page.body.len());
        let manifests = page.json()["manifests"].as_array().expect("a list").clone();
        seen.extend(manifests.iter().map(|manifest| manifest["digest"].to_string()));
        pages += 1;
        path = next(&page);
    }
    assert_eq!((seen.len(), pages), (count, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_is_gone_and_its_bytes_after_a_while() {
    let host = TestHost::start("uploads: { grace: 300ms }\nagents: {}");
    let registry = Registry::new(&host);
    let image = registry.push_image("team/one", "latest", b"layer").await;
    registry.push_image("team/one", "newest", b"layer").await;
    let blob = format!("/v2/team/one/blobs/{}", digest(b"layer"));
    assert_eq!(registry.delete(&blob).await.refusal(), (405, "UNSUPPORTED".into()), "a manifest needs it");

    assert_eq!(registry.delete("/v2/team/one/manifests/latest").await.status, 202);
    assert_eq!(registry.delete("/v2/team/one/manifests/latest").await.status, 404);
    assert_eq!(registry.get("/v2/team/one/manifests/latest").await.status, 404, "the tag is gone");
    let by_digest = format!("/v2/team/one/manifests/{image}");
    assert_eq!(registry.get(&by_digest).await.status, 200, "what it named is not");
    assert_eq!(registry.delete(&by_digest).await.status, 202);
    assert_eq!(
        (registry.get(&by_digest).await.status, registry.get("/v2/team/one/manifests/newest").await.status),
        (404, 404)
    );
    assert_eq!((registry.delete(&blob).await.status, registry.get(&blob).await.status), (202, 404));
    assert_eq!(registry.delete(&blob).await.status, 404);
    let files = || std::fs::read_dir(host.data().join("oci/blobs/sha256")).expect("readable").count();
    assert!(stockade_tests::eventually(|| files() == 0), "{} blobs are left", files());
    assert_eq!(registry.get("/v2/team/one/tags/list").await.refusal(), (404, "NAME_UNKNOWN".into()));

    // What a tag names stays, whoever else has deleted the same.
    registry.push_image("team/two", "latest", b"layer").await;
    registry.push("team/three", b"layer").await;
    let gone = format!("/v2/team/three/blobs/{}", digest(b"layer"));
    for _ in 0..100 {
        if registry.get(&gone).await.status == 404 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(registry.get(&gone).await.status, 404, "nobody named it there");
    assert_eq!(registry.get(&format!("/v2/team/two/blobs/{}", digest(b"layer"))).await.body, b"layer");
    let wrong = registry
        .put_manifest(
            "team/two",
            "wrong",
            IMAGE,
            &json!({ "schemaVersion": 2, "config":
        { "mediaType": "a/b", "digest": digest(b"{}"), "size": 3 }, "layers": [descriptor(b"layer")] }),
        )
        .await;
    assert_eq!(wrong.refusal(), (400, "SIZE_INVALID".into()));
}
