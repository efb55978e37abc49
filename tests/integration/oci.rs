//! Pushing and pulling as clients of registries do: the cases of the official conformance suite, by its categories, and who may.

use reqwest::Method;
use serde_json::json;
use stockade::access::Token;
use stockade::publish::digest::{Algorithm, Digest};
use stockade_tests::TestHost;
use stockade_tests::oci::{IMAGE, INDEX, Registry, descriptor, digest, image};

use crate::access::tokens;

const NONE: &str = "agents: {}";

#[tokio::test(flavor = "multi_thread")]
async fn blobs_are_pulled_whole_and_in_parts() {
    let host = TestHost::start(NONE);
    let (registry, reader) = (Registry::new(&host), Registry::anonymous(&host));
    let bytes: Vec<u8> = (0..300_000u32).map(|number| number.to_le_bytes()[1]).collect();
    let digest = registry.push("team/one", &bytes).await;
    let path = format!("/v2/team/one/blobs/{digest}");
    let whole = reader.get(&path).await;
    assert_eq!((whole.status, whole.body == bytes), (200, true));
    assert_eq!((whole.header("docker-content-digest"), whole.header("accept-ranges")), (digest.as_str(), "bytes"));
    let head = reader.head(&path).await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, "300000", 0));

    let part = async |range: &str| reader.send(Method::GET, &path, &[("range", range)], "").await.expect("an answer");
    for (range, from, to) in [
        ("bytes=0-9", 0, 10),
        ("bytes=131071-131073", 131_071, 131_074),
        ("bytes=299990-", 299_990, 300_000),
        ("bytes=-5", 299_995, 300_000),
        ("bytes=10-999999", 10, 300_000),
    ] {
        let part = part(range).await;
        let said = format!("bytes {from}-{}/300000", to - 1);
        assert_eq!((part.status, part.header("content-range")), (206, said.as_str()), "{range}");
        assert!(part.body == bytes[from..to], "{range}");
    }
    let beyond = part("bytes=300000-").await;
    assert_eq!((beyond.status, beyond.header("content-range")), (416, "bytes */300000"), "{}", beyond.text());
    let known = [("if-none-match", whole.header("etag"))];
    assert_eq!(reader.send(Method::GET, &path, &known, "").await.expect("an answer").status, 304);

    let empty = registry.push("team/one", b"").await;
    let empty = reader.get(&format!("/v2/team/one/blobs/{empty}")).await;
    assert_eq!((empty.status, empty.body.len()), (200, 0));
    host.eventually_idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_said_by_name() {
    let host = TestHost::start(NONE);
    let registry = Registry::new(&host);
    let absent = digest(b"absent");
    let code = async |path: &str| registry.get(path).await.refusal();
    assert_eq!(code(&format!("/v2/team/one/blobs/{absent}")).await, (404, "NAME_UNKNOWN".into()));
    registry.push_image("team/one", "latest", b"layer").await;
    let layer = digest(b"layer");
    for (path, expected) in [
        (format!("/v2/team/one/blobs/{absent}"), "BLOB_UNKNOWN"),
        (format!("/v2/team/two/blobs/{layer}"), "NAME_UNKNOWN"),
        (format!("/v2/team/one/manifests/{absent}"), "MANIFEST_UNKNOWN"),
        (format!("/v2/team/one/manifests/{layer}"), "MANIFEST_UNKNOWN"),
        ("/v2/team/one/manifests/other".into(), "MANIFEST_UNKNOWN"),
        ("/v2/team/one/manifests/.INVALID_MANIFEST_NAME".into(), "MANIFEST_UNKNOWN"),
        ("/v2/team/one/blobs/uploads/0".into(), "BLOB_UPLOAD_UNKNOWN"),
        ("/v2/_catalog".into(), "NAME_UNKNOWN"),
    ] {
        assert_eq!(code(&path).await, (404, expected.into()), "{path}");
    }
    assert_eq!(registry.head("/v2/team/one/manifests/other").await.status, 404);
    let wrong = registry.post("/v2/team/one/tags/list", "").await;
    assert_eq!((wrong.refusal(), wrong.header("allow")), ((405, "UNSUPPORTED".into()), "GET"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_is_pushed_in_every_way() {
    let host = TestHost::start(NONE);
    let registry = Registry::new(&host);
    let bytes = [b"first ".as_slice(), b"second ", b"third"].concat();
    let digest = digest(&bytes);
    let has = async |repository: &str| registry.get(&format!("/v2/{repository}/blobs/{digest}")).await.body == bytes;
    let ended = |location: &str| format!("{location}?digest={digest}");

    // POST then PUT; the digest may come percent-encoded.
    let location = registry.begin("a/put").await;
    let put = registry.put(&format!("{location}?digest={}", digest.replace(':', "%3A")), bytes.clone()).await;
    assert_eq!((put.status, put.location()), (201, format!("/v2/a/put/blobs/{digest}").as_str()), "{}", put.text());
    assert_eq!(put.header("docker-content-digest"), digest);
    assert!(has("a/put").await);
    registry.push("a/post", &bytes).await;
    assert!(has("a/post").await);

    // In parts that say where they belong, and in one stream that does not.
    let location = registry.begin("a/parts").await;
    let first = registry.patch(&location, Some(0), b"first ").await;
    assert_eq!((first.status, first.header("range")), (202, "0-5"), "{}", first.text());
    assert!(location.ends_with(first.header("docker-upload-uuid")));
    let standing = registry.get(first.location()).await;
    assert_eq!((standing.status, standing.header("range")), (204, "0-5"));
    let second = registry.patch(first.location(), Some(6), b"second ").await;
    assert_eq!((second.status, second.header("range")), (202, "0-12"));
    let headers = [("content-range", "13-17")];
    let last = registry.send(Method::PUT, &ended(second.location()), &headers, "third").await.expect("an answer");
    assert_eq!((last.status, has("a/parts").await), (201, true), "{}", last.text());

    let location = registry.begin("a/stream").await;
    assert_eq!(registry.patch(&location, None, &bytes).await.status, 202);
    assert_eq!((registry.put(&ended(&location), "").await.status, has("a/stream").await), (201, true));
    assert_eq!(registry.put(&ended(&location), "").await.refusal(), (404, "BLOB_UPLOAD_UNKNOWN".into()), "it is over");

    let sha512 = Digest::of(Algorithm::Sha512, &bytes);
    let location = registry.begin("a/other").await;
    registry.patch(&location, Some(0), &bytes[..9]).await;
    let put = registry.put(&format!("{location}?digest={sha512}"), bytes[9..].to_vec()).await;
    assert_eq!((put.status, put.header("docker-content-digest")), (201, sha512.as_str()));
    assert_eq!(registry.get(put.location()).await.body, bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_out_of_order_are_refused_and_the_upload_goes_on() {
    let host = TestHost::start(NONE);
    let registry = Registry::new(&host);
    let location = registry.begin("team/one").await;
    let early = registry.patch(&location, Some(3), b"def").await;
    assert_eq!((early.refusal(), early.header("range")), ((416, "BLOB_UPLOAD_INVALID".into()), "0-0"));
    assert_eq!(registry.patch(&location, Some(0), b"abc").await.status, 202);
    let again = registry.patch(&location, Some(0), b"abc").await;
    assert_eq!((again.status, again.header("range"), again.location()), (416, "0-2", location.as_str()));
    for range in ["3-2", "x", "3-"] {
        let headers = [("content-range", range)];
        let wrong = registry.send(Method::PATCH, &location, &headers, "def").await.expect("an answer");
        assert_eq!(wrong.refusal(), (400, "BLOB_UPLOAD_INVALID".into()), "{range}");
    }
    let wrong = registry.send(Method::PATCH, &location, &[("content-range", "3-9")], "def").await.expect("an answer");
    assert_eq!(wrong.refusal(), (400, "SIZE_INVALID".into()));
    assert_eq!(registry.patch(&location, Some(3), b"def").await.status, 202);
    let done = registry.put(&format!("{location}?digest={}", digest(b"abcdef")), "").await;
    assert_eq!(done.status, 201, "{}", done.text());
    let cancelled = registry.begin("team/one").await;
    registry.patch(&cancelled, None, b"abc").await;
    assert_eq!(registry.delete(&cancelled).await.status, 204);
    assert_eq!(registry.get(&cancelled).await.status, 404);
    host.eventually_idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_is_mounted_from_where_it_is() {
    let host = TestHost::start(NONE);
    let registry = Registry::new(&host);
    let blob = registry.push("team/one", b"blob").await;
    let mount = async |blob: &str, from: &str| {
        registry.post(&format!("/v2/team/two/blobs/uploads/?mount={blob}{from}"), "").await
    };
    for from in ["", "&from=team/three", "&from=../one"] {
        let begun = mount(&blob, from).await;
        assert_eq!(begun.status, 202, "{from}");
        registry.delete(begun.location()).await;
    }
    assert_eq!(registry.get(&format!("/v2/team/two/blobs/{blob}")).await.status, 404);
    let mounted = mount(&blob, "&from=team/one").await;
    assert_eq!((mounted.status, mounted.location()), (201, format!("/v2/team/two/blobs/{blob}").as_str()));
    assert_eq!(registry.get(mounted.location()).await.body, b"blob");
    assert_eq!(mount("sha256:1", "&from=team/one").await.refusal(), (400, "DIGEST_INVALID".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_is_pushed_and_pulled_by_tag_and_digest() {
    let host = TestHost::start(NONE);
    let registry = Registry::new(&host);
    let early = registry.put_manifest("team/one", "latest", IMAGE, &image(b"{}", &[b"layer"])).await;
    assert_eq!(early.refusal(), (404, "MANIFEST_BLOB_UNKNOWN".into()));
    let digest = registry.push_image("team/one", "latest", b"layer").await;
    let manifest = image(b"{}", &[b"layer"]).to_string();
    for reference in ["latest", &digest] {
        let path = format!("/v2/team/one/manifests/{reference}");
        let got = Registry::anonymous(&host).get(&path).await;
        assert_eq!((got.status, got.text(), got.header("content-type")), (200, manifest.clone(), IMAGE));
        assert_eq!(got.header("docker-content-digest"), digest);
        let head = registry.head(&path).await;
        assert_eq!((head.status, head.header("content-length")), (200, manifest.len().to_string().as_str()));
    }
    let index = json!({ "schemaVersion": 2, "manifests": [{
        "mediaType": IMAGE, "digest": digest, "size": manifest.len() }] });
    let put = registry.put_manifest("team/one", "all", INDEX, &index).await;
    assert_eq!((put.status, put.header("oci-subject")), (201, ""), "{}", put.text());
    assert_eq!(put.location(), format!("/v2/team/one/manifests/{}", put.header("docker-content-digest")));

    let other = Digest::of(Algorithm::Sha512, manifest.as_bytes());
    let put = registry.put_manifest("team/one", other.as_str(), IMAGE, &image(b"{}", &[b"layer"])).await;
    assert_eq!((put.status, put.header("docker-content-digest")), (201, other.as_str()));
    let put = registry.put_manifest("team/one", &digest, IMAGE, &image(b"{}", &[])).await;
    assert_eq!(put.refusal(), (400, "DIGEST_INVALID".into()));
    let version = registry.put_manifest("team/one", "1.2.3", IMAGE, &image(b"{}", &[b"layer"])).await;
    assert_eq!(version.refusal(), (400, "MANIFEST_INVALID".into()), "a version is a component");
    let deeper = registry.push_image("team/one/more", "1.2.3", b"layer").await;
    assert_eq!(registry.get("/v2/team/one/more/manifests/1.2.3").await.header("docker-content-digest"), deeper);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_pull_and_who_may_push() {
    let [ann, ci] = [(); 2].map(|()| Token::fresh().expect("random bytes"));
    let known = tokens(&[("ann", &ann, "reader"), ("ci", &ci, "publisher, names: [one, my-*]")]);
    let host = TestHost::start(&format!("hosts: [mcp.example.org]\n{known}{NONE}"));
    let anonymous = Registry::anonymous(&host);
    let [reader, publisher] = [&ann, &ci].map(|token| anonymous.clone().with_token(token.reveal()));

    let hello = anonymous.get("/v2/").await;
    assert_eq!((hello.status, hello.header("docker-distribution-api-version")), (200, "registry/2.0"));
    assert_eq!(hello.header("www-authenticate"), r#"Basic realm="stockade""#, "some clients ask for no other hint");
    assert_eq!((reader.get("/v2/").await.status, reader.get("/v2").await.header("www-authenticate")), (200, ""));
    let elsewhere = anonymous.send(Method::GET, "/v2/", &[("host", "mcp.example.org")], "").await.expect("an answer");
    assert_eq!(elsewhere.refusal(), (401, "UNAUTHORIZED".into()));
    assert_eq!(elsewhere.header("www-authenticate"), r#"Basic realm="stockade""#);
    let wrong = anonymous.clone().with_token("wrong").get("/v2/").await;
    assert_eq!(wrong.refusal(), (401, "UNAUTHORIZED".into()));
    for (name, value) in [("host", "evil.example"), ("origin", "https://evil.example")] {
        let denied = anonymous.send(Method::GET, "/v2/", &[(name, value)], "").await.expect("an answer");
        assert_eq!(denied.refusal(), (403, "DENIED".into()), "{name}");
    }

    let begin = async |registry: &Registry, repository: &str| {
        registry.post(&format!("/v2/{repository}/blobs/uploads/"), "").await
    };
    let refused = begin(&anonymous, "team/one").await;
    assert_eq!(
        (refused.refusal(), refused.header("www-authenticate")),
        ((401, "UNAUTHORIZED".into()), r#"Basic realm="stockade""#)
    );
    assert_eq!(begin(&reader, "team/one").await.refusal(), (403, "DENIED".into()));
    assert_eq!(begin(&publisher, "team/other").await.refusal(), (403, "DENIED".into()));
    let begun = begin(&publisher, "team/my-agent").await;
    assert_eq!(begun.status, 202);
    let theirs = Registry::new(&host).patch(begun.location(), None, b"abc").await;
    assert_eq!(theirs.refusal(), (404, "BLOB_UPLOAD_UNKNOWN".into()), "an upload is its owner's");
    assert_eq!(publisher.delete(begun.location()).await.status, 204);

    let digest = publisher.push_image("team/one", "latest", b"layer").await;
    for registry in [&anonymous, &reader, &publisher] {
        assert_eq!(registry.get("/v2/team/one/manifests/latest").await.status, 200);
    }
    for path in [
        "manifests/latest",
        &format!("manifests/{digest}"),
        &format!("blobs/{}", stockade_tests::oci::digest(b"layer")),
    ] {
        let path = format!("/v2/team/one/{path}");
        assert_eq!((anonymous.delete(&path).await.status, reader.delete(&path).await.status), (401, 403), "{path}");
    }
    let put = reader.put_manifest("team/one", "mine", IMAGE, &image(b"{}", &[])).await;
    assert_eq!(put.refusal(), (403, "DENIED".into()));
    let mut subject = image(b"{}", &[]);
    subject["subject"] = descriptor(b"not there");
    assert_eq!(publisher.put_manifest("team/one", "about", IMAGE, &subject).await.status, 201);
}
