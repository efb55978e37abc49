//! Stock clients of OCI registries, from their own registries: `oci-client` of Rust, `oras` of Python, Debian's
//! `docker-registry` as a mirror. And what a large artifact costs the host.

use std::fmt::Display;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use futures_util::stream;
use hyper::body::Bytes;
use oci_client::client::{ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::errors::OciDistributionError;
use oci_client::manifest::{OciDescriptor, OciImageManifest};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use reqwest::Method;
use serde_json::{Value, json};
use stockade::publish::digest::Algorithm;
use stockade::publish::wasm::{CONFIG_TYPE, LAYER_TYPE};
use stockade_tests::interop::foreign_agent;
use stockade_tests::load::host::Host;
use stockade_tests::oci::digest;
use stockade_tests::publisher::{MANIFEST_TYPE, Publisher, stamped};
use stockade_tests::{TestHost, process};
use tokio::process::{Child, Command};
use tokio::time::timeout;

const NONE: &str = "agents: {}";
const PLAIN: &str = "application/octet-stream";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// A large artifact, and what a host may grow by while it goes up and down.
const LARGE_BYTES: usize = 40 << 20;
const GROWTH_BYTES_MAX: u64 = 8 << 20;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often a mirror is started before it has a port that nobody else has taken.
const PORT_TRIES: usize = 5;

fn component(name: &str) -> Vec<u8> {
    fs::read(process::component(name).expect("`make test` builds the agents first")).expect("it can be read")
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut noise = vec![0; bytes];
    fastrand::Rng::with_seed(42).fill(&mut noise);
    noise
}

fn plain(bytes: &[u8]) -> (Config, ImageLayer) {
    (Config::new(b"{}".to_vec(), EMPTY.into(), None), ImageLayer::new(bytes.to_vec(), PLAIN.into(), None))
}

async fn greets(client: &stockade_tests::Client) {
    let answer = client.call("greet", json!({ "name": "Ann" })).await;
    assert_eq!(answer.text(), "Hello, Ann!", "{}", answer.body);
}

/// `oci-client` as somebody or nobody, at one registry.
struct Stock {
    client: Client,
    auth: RegistryAuth,
    registry: String,
}

impl Stock {
    async fn new(registry: impl Display, token: Option<&str>) -> Self {
        let client = Client::new(ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() });
        let auth = token.map_or(RegistryAuth::Anonymous, |token| RegistryAuth::Basic("anybody".into(), token.into()));
        let registry = registry.to_string();
        // Some of its methods take no credentials.
        client.store_auth_if_needed(&registry, &auth).await;
        Self { client, auth, registry }
    }

    async fn operator(host: &TestHost) -> Self {
        Self::new(host.address, Some(&host.operator_token())).await
    }

    /// What a tag or digest stands for.
    fn at(&self, repository: &str, reference: &str) -> Reference {
        let named = if reference.contains(':') { Reference::with_digest } else { Reference::with_tag };
        named(self.registry.clone(), repository.into(), reference.into())
    }

    async fn digest(&self, at: &Reference) -> String {
        self.client.fetch_manifest_digest(at, &self.auth).await.expect("it is there")
    }

    /// Publishes an agent as `wkg` does; the digest of its manifest.
    async fn publish(&self, at: &Reference, component: &[u8]) -> Result<String, OciDistributionError> {
        let config = json!({
            "created": "2026-11-28T00:00:00Z", "architecture": "wasm", "os": "wasip2", "layerDigests": [digest(component)],
            "component": { "exports": ["stockade:agent/describe@0.1.0"], "imports": [], "target": null },
        });
        let config = Config::new(config.to_string(), CONFIG_TYPE.into(), None);
        let layers = [ImageLayer::new(component.to_vec(), LAYER_TYPE.into(), None)];
        let mut manifest = OciImageManifest::build(&layers, &config, None);
        manifest.media_type = Some(MANIFEST_TYPE.into());
        self.client.push(at, &layers, config, &self.auth, Some(manifest)).await?;
        self.client.fetch_manifest_digest(at, &self.auth).await
    }

    /// Pulls an artifact, which must be this layer; the digest of its manifest. The client itself checks every digest.
    async fn pulls(&self, at: &Reference, kind: &str, layer: &[u8]) -> String {
        let pulled = self.client.pull(at, &self.auth, vec![kind]).await.unwrap_or_else(|error| panic!("{at}: {error}"));
        let manifest = pulled.manifest.expect("it has a manifest");
        assert!(pulled.layers.len() == 1 && pulled.layers[0].data == layer, "{at}: {manifest}");
        pulled.digest.expect("it has a digest")
    }

    /// Copies an artifact to another registry; the digest of its manifest there.
    async fn copy(&self, to: &Stock, repository: &str, tag: &str) -> String {
        let (from, onto) = (self.at(repository, tag), to.at(repository, tag));
        let pulled = self.client.pull_manifest_raw(&from, &self.auth, &[MANIFEST_TYPE]).await;
        let (bytes, _) = pulled.unwrap_or_else(|error| panic!("{from}: {error}"));
        let manifest: OciImageManifest = serde_json::from_slice(&bytes).expect("a manifest");
        for blob in manifest.layers.iter().chain([&manifest.config]) {
            let mut copied = Vec::new();
            self.client.pull_blob(&from, blob, &mut copied).await.expect("it is pulled");
            to.client.push_blob(&onto, copied, &blob.digest).await.unwrap_or_else(|error| panic!("{onto}: {error}"));
        }
        let kind = MANIFEST_TYPE.parse().expect("a header");
        to.client.push_manifest_raw(&onto, bytes, kind).await.unwrap_or_else(|error| panic!("{onto}: {error}"));
        to.digest(&onto).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn oci_client_publishes_an_agent_and_pulls_it() {
    let host = TestHost::start(NONE);
    let (operator, reader) = (Stock::operator(&host).await, Stock::new(host.address, None).await);
    let (hello, newer) = (component("hello"), stamped(&component("hello"), "newer"));
    let (old, new) = (operator.at("team/demo", "1.0.0"), operator.at("team/demo", "1.1.0"));
    let digest = operator.publish(&old, &hello).await.expect("it is published");
    greets(&host.agent("demo")).await;
    for who in [&operator, &reader] {
        for reference in ["1.0.0", &digest] {
            assert_eq!(who.pulls(&who.at("team/demo", reference), LAYER_TYPE, &hello).await, digest);
        }
    }
    assert_ne!(operator.publish(&new, &newer).await.expect("it is published"), digest);
    reader.pulls(&new, LAYER_TYPE, &newer).await;
    let taken = operator.publish(&old, &newer).await.expect_err("a version is one thing for good").to_string();
    assert!(taken.contains("409") && taken.contains("DENIED"), "{taken}");

    let tags = async |count, last| reader.client.list_tags(&old, &reader.auth, count, last).await.expect("tags").tags;
    assert_eq!(tags(None, None).await, ["1.0.0", "1.1.0", "latest"]);
    assert_eq!(tags(Some(1), None).await, ["1.0.0"]);
    assert_eq!(tags(Some(1), Some("1.0.0")).await, ["1.1.0"]);
    host.assert_nothing_remains().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oci_client_is_told_who_may_push() {
    let host = TestHost::start(NONE);
    for token in [None, Some("wrong")] {
        let stranger = Stock::new(host.address, token).await;
        let at = stranger.at("team/demo", "1.0.0");
        let refused = stranger.publish(&at, &component("hello")).await.expect_err("nobody may");
        let OciDistributionError::ServerError { code: 401, message, .. } = refused else { panic!("{refused}") };
        assert!(message.contains("UNAUTHORIZED") && message.contains("token"), "{message}");
    }
    host.assert_nothing_remains().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oci_client_pushes_in_chunks_and_mounts() {
    let host = TestHost::start(NONE);
    let (operator, reader) = (Stock::operator(&host).await, Stock::new(host.address, None).await);
    let (one, two) = (operator.at("team/one", "plain"), operator.at("team/two", "plain"));
    let large = noise(12 << 20);
    // From a stream it always pushes chunks, of 4 MiB at most; from bytes it would fall back to one request in silence.
    let pieces: Vec<_> = large.chunks(5 << 20).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let pushed = operator.client.push_blob_stream_chunked(&one, stream::iter(pieces)).await.expect("it is pushed");
    assert_eq!((pushed.blob_digest.as_str(), pushed.size), (digest(&large).as_str(), 12 << 20));

    let exists = async |at: &Reference| reader.client.blob_exists(at, &pushed.blob_digest).await.expect("an answer");
    assert_eq!((exists(&one).await, exists(&two).await), (true, false));
    operator.client.mount_blob(&two, &one, &pushed.blob_digest).await.expect("it is mounted");
    assert!(exists(&two).await);
    // Without a manifest of the caller's it writes one that does not say what it is.
    let (config, layer) = plain(&large);
    operator.client.push(&one, &[layer], config, &operator.auth, None).await.expect("it is pushed");
    assert_eq!(reader.pulls(&one, PLAIN, &large).await, operator.digest(&one).await);
    host.assert_nothing_remains().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oci_client_finds_what_refers_to_an_agent() {
    const KIND: &str = "application/vnd.example.note";
    let host = TestHost::start(NONE);
    let (operator, reader) = (Stock::operator(&host).await, Stock::new(host.address, None).await);
    let at = operator.at("demo", "1.0.0");
    let agent = operator.publish(&at, &component("hello")).await.expect("it is published");
    let (manifest, _) = operator.client.pull_manifest_raw(&at, &operator.auth, &[MANIFEST_TYPE]).await.expect("it");
    let size = i64::try_from(manifest.len()).expect("it is small");
    let subject = OciDescriptor { media_type: MANIFEST_TYPE.into(), digest: agent.clone(), size, ..Default::default() };
    let (config, layer) = plain(b"a note");
    let mut note = OciImageManifest::build(std::slice::from_ref(&layer), &config, None);
    (note.subject, note.artifact_type) = (Some(subject), Some(KIND.into()));
    for (bytes, of) in [(layer.data, &note.layers[0].digest), (config.data, &note.config.digest)] {
        operator.client.push_blob(&at, bytes, of).await.expect("it is pushed");
    }
    let (note, kind) = (serde_json::to_vec(&note).expect("JSON"), MANIFEST_TYPE.parse().expect("a header"));
    let by = digest(&note);
    operator.client.push_manifest_raw(&operator.at("demo", &by), note, kind).await.expect("it is pushed");

    let about = reader.at("demo", &agent);
    let found = async |kind| reader.client.pull_referrers(&about, kind).await.expect("a list").manifests;
    for kind in [None, Some(KIND)] {
        let found = found(kind).await;
        assert_eq!(found.iter().map(|it| it.digest.as_str()).collect::<Vec<_>>(), [by.as_str()]);
        assert_eq!(found[0].artifact_type.as_deref(), Some(KIND));
    }
    assert_eq!(found(Some("application/vnd.example.other")).await.len(), 0);
}

/// Where registries and clients of other makes are installed: agents of other languages lie in a folder there.
async fn installed() -> PathBuf {
    let agent = foreign_agent("greeter-py").await.unwrap_or_else(|error| panic!("{error:#}"));
    agent.ancestors().nth(2).expect("it lies in a folder").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn oras_of_python_pushes_and_pulls() {
    let host = TestHost::start(NONE);
    let installed = installed().await;
    let mut oras = Command::new(installed.join("venv/bin/python"));
    oras.arg(installed.join("node/oci.py")).args([host.address.to_string(), host.operator_token()]);
    oras.arg(process::component("hello").expect("`make test` builds the agents first")).kill_on_drop(true);
    let ended = timeout(PATIENCE, oras.output()).await.expect("in time").expect("it starts");
    let seen: Value = serde_json::from_slice(&ended.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&ended.stderr)));
    for what in ["whole", "parts", "pulled"] {
        assert_eq!(seen[what], true, "{what}: {seen}");
    }
    assert_eq!(seen["tags"], json!(["parts", "whole"]), "{seen}");
    assert!(seen["wrong"].as_str().is_some_and(|wrong| wrong.contains("UNAUTHORIZED")), "{seen}");
    greets(&host.agent("demo")).await;
    let reader = Stock::new(host.address, None).await;
    let agent = reader.pulls(&reader.at("team/demo", "1.0.0"), LAYER_TYPE, &component("hello")).await;
    assert_eq!(seen["agent"], agent, "{seen}");
    host.assert_nothing_remains().await;
}

/// A `docker-registry` of Debian's; dropping it ends it.
struct Mirror {
    address: String,
    _process: Child,
    /// Its configuration, its log and all that it keeps.
    dir: tempfile::TempDir,
}

impl Mirror {
    /// A registry of its own; or with `of`, one that pulls from there what it is asked for.
    async fn start(of: Option<&str>) -> Self {
        // It takes no port but a number, so it gets one that was free a moment ago.
        for _ in 0..PORT_TRIES {
            let free = TcpListener::bind(("127.0.0.1", 0)).and_then(|free| free.local_addr()).expect("a free port");
            if let Some(mirror) = Self::start_at(free.to_string(), of).await {
                return mirror;
            }
        }
        panic!("it found no port of its own in {PORT_TRIES} tries");
    }

    /// None if the address is somebody else's by now.
    async fn start_at(address: String, of: Option<&str>) -> Option<Self> {
        let dir = tempfile::tempdir().expect("a folder");
        let mut config = json!({
            "version": "0.1", "log": { "accesslog": { "disabled": true } }, "http": { "addr": address },
            "storage": { "filesystem": { "rootdirectory": dir.path().join("kept") } },
        });
        if let Some(of) = of {
            config["proxy"] = json!({ "remoteurl": of });
        }
        let (file, log) = (dir.path().join("config.yml"), dir.path().join("log"));
        fs::write(&file, config.to_string()).expect("it is written"); // JSON is YAML
        let errors = fs::File::create(&log).expect("a file");
        let mut command = Command::new(installed().await.join("docker-registry/usr/bin/docker-registry"));
        command.arg("serve").arg(file).env_clear().stdout(Stdio::null()).stderr(errors).kill_on_drop(true);
        let mut process = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (url, began) = (format!("http://{address}/v2/"), Instant::now());
        loop {
            let answers = reqwest::get(&url).await.is_ok_and(|reply| reply.status() == 200);
            let log = || fs::read_to_string(&log).unwrap_or_default();
            match process.try_wait().expect("it can be asked") {
                None if answers => return Some(Self { address, _process: process, dir }),
                None => assert!(began.elapsed() < PATIENCE, "it does not answer: {}", log()),
                Some(_) if log().contains("address already in use") => return None,
                Some(status) => panic!("{status}: {}", log()),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Changes one byte of a blob where it is kept.
    fn spoil(&self, blob: &str) {
        let hex = blob.strip_prefix("sha256:").expect("its sha256");
        let kept = self.dir.path().join("kept/docker/registry/v2/blobs/sha256").join(&hex[..2]).join(hex).join("data");
        let mut bytes = fs::read(&kept).expect("it is kept");
        *bytes.last_mut().expect("it is not empty") ^= 1;
        fs::write(&kept, bytes).expect("it is written");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn artifacts_go_to_a_mirror_and_come_from_it() {
    let (here, there, mirror) = (TestHost::start(NONE), TestHost::start(NONE), Mirror::start(None).await);
    let (from, to) = (Stock::operator(&here).await, Stock::operator(&there).await);
    let via = Stock::new(&mirror.address, None).await;
    let (hello, large) = (component("hello"), noise(9 << 20));
    from.publish(&from.at("team/demo", "1.0.0"), &hello).await.expect("it is published");
    let (config, layer) = plain(&large);
    from.client.push(&from.at("plain", "newest"), &[layer], config, &from.auth, None).await.expect("it is pushed");
    let artifacts = [("team/demo", "1.0.0", LAYER_TYPE, &hello), ("plain", "newest", PLAIN, &large)];
    for (repository, tag, kind, layer) in artifacts {
        let digest = from.digest(&from.at(repository, tag)).await;
        assert_eq!(from.copy(&via, repository, tag).await, digest);
        assert_eq!(via.pulls(&via.at(repository, tag), kind, layer).await, digest);
        assert_eq!(via.copy(&to, repository, tag).await, digest);
        assert_eq!(to.pulls(&to.at(repository, tag), kind, layer).await, digest);
    }
    greets(&there.agent("demo")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_pulls_what_it_is_asked_for() {
    let host = TestHost::start(NONE);
    let operator = Stock::operator(&host).await;
    let (at, hello) = (operator.at("team/demo", "1.0.0"), component("hello"));
    let digest = operator.publish(&at, &hello).await.expect("it is published");
    let mirror = Mirror::start(Some(&host.url(""))).await;
    let reader = Stock::new(&mirror.address, None).await;
    assert_eq!(reader.pulls(&reader.at("team/demo", "1.0.0"), LAYER_TYPE, &hello).await, digest);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_comes_from_the_mirror_as_it_was_pinned_or_not_at_all() {
    let mirror = Mirror::start(None).await;
    let publisher = Stock::new(&mirror.address, None).await;
    let (hello, other) = (component("hello"), stamped(&component("hello"), "other"));
    let good = publisher.publish(&publisher.at("demo", "1.0.0"), &hello).await.expect("it is pushed");
    let spoilt = publisher.publish(&publisher.at("spoilt", "1.0.0"), &other).await.expect("it is pushed");
    mirror.spoil(&digest(&other));
    let absent = digest(b"nothing of this");
    let agents = [("demo", "demo", &good), ("absent", "demo", &absent), ("spoilt", "spoilt", &spoilt)];
    let line = |(agent, repository, pin): (&str, &str, &String)| {
        format!("  {agent}: {{ component: 'oci://{}/{repository}:1.0.0@{pin}' }}\n", mirror.address)
    };
    let manifest = format!("agents:\n  mine: {{ component: '{{hello}}' }}\n{}", agents.map(line).concat());
    let host = Host::start(tempfile::tempdir().expect("a folder"), &manifest).await.expect("the host starts");
    for agent in ["demo", "mine"] {
        greets(&stockade_tests::Client::new(host.address, &format!("/mcp/{agent}"))).await;
    }
    let status = host.status().await.expect("an answer").expect("a status");
    let log = host.process.log().expect("a log");
    let whole = format!("{} was pinned", digest(&other));
    for (agent, why) in [("absent", "404 Not Found"), ("spoilt", whole.as_str())] {
        let row = status["agents"].as_array().and_then(|rows| rows.iter().find(|row| row["name"] == agent));
        let row = row.unwrap_or_else(|| panic!("{status}"));
        assert!(row["standing"] == "refused" && row["reason"].is_string(), "{row}");
        let said = |line: &str| line.contains(&format!("agent=\"{agent}\"")) && line.contains(why);
        assert!(log.lines().any(said), "{agent}, {why}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_artifact_goes_up_and_down_in_little_memory() {
    let host = Host::start(tempfile::tempdir().expect("a folder"), NONE).await.expect("the host starts");
    let token = fs::read_to_string(host.dir.path().join("data/operator.token")).expect("the operator's token");
    let publisher = Publisher::new(host.address, token.trim());
    let large = noise(LARGE_BYTES);
    let blob = digest(&large);
    let before = host.resident().expect("it runs").bytes;
    let watch = host.watch().expect("it runs");
    let path = format!("/v2/team/large/blobs/uploads/?digest={blob}");
    assert_eq!(publisher.send(Method::POST, &path, PLAIN, large).await.status(), 201);
    let config = publisher.blob("team/large", EMPTY, b"{}").await;
    let layer = json!({ "mediaType": PLAIN, "digest": blob, "size": LARGE_BYTES });
    let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": [layer] });
    let said = publisher.put("team/large", "newest", &manifest.to_string()).await;
    assert_eq!(said.status, 201, "{said:?}");

    let mut pulled = publisher.send(Method::GET, &format!("/v2/team/large/blobs/{blob}"), "", "").await;
    let mut hasher = Algorithm::Sha256.hasher();
    while let Some(piece) = pulled.chunk().await.expect("it does not break off") {
        hasher.update(&piece);
    }
    assert_eq!(hasher.finish().as_str(), blob);
    let grown = watch.peak().saturating_sub(before);
    println!("the host grew by {grown} bytes, from {before}");
    assert!(grown <= GROWTH_BYTES_MAX, "the host grew by {grown} bytes, from {before}");
}
