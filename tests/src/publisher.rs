//! A publisher: pushes components to a host's registry as OCI artifacts, with nothing but HTTP.

use std::net::SocketAddr;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use stockade::publish::digest::{Algorithm, Digest};
use stockade::publish::signature::{ARTIFACT_TYPE, Statement};
use stockade::publish::wasm::{CONFIG_TYPE, LAYER_TYPE};

pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// Somebody who publishes.
#[derive(Clone)]
pub struct Publisher {
    http: reqwest::Client,
    address: SocketAddr,
    token: String,
}

/// What the host says.
#[derive(Debug)]
pub struct Said {
    pub status: u16,
    pub body: Value,
}

impl Said {
    /// The code and message of a refusal.
    pub fn refusal(&self) -> String {
        let error = &self.body["errors"][0];
        format!(
            "{} {}: {}",
            self.status,
            error["code"].as_str().unwrap_or("-"),
            error["message"].as_str().unwrap_or("-")
        )
    }
}

impl Publisher {
    pub fn new(address: SocketAddr, token: &str) -> Self {
        let http = reqwest::Client::builder().tcp_nodelay(true).no_proxy().build().expect("a client");
        Self { http, address, token: token.to_owned() }
    }

    /// Sends anything to a path of the host.
    pub async fn send(&self, method: Method, path: &str, kind: &str, body: impl Into<reqwest::Body>) -> Response {
        let request = self.http.request(method, format!("http://{}{path}", self.address)).bearer_auth(&self.token);
        request.header("content-type", kind).body(body).send().await.expect("the host answers")
    }

    /// The same, and what the host says.
    pub async fn ask(&self, method: Method, path: &str, kind: &str, body: impl Into<reqwest::Body>) -> Said {
        let response = self.send(method, path, kind, body).await;
        let status = response.status().as_u16();
        let text = response.text().await.expect("a body");
        Said { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
    }

    /// Pushes a blob, and answers with its descriptor.
    pub async fn blob(&self, repository: &str, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(Algorithm::Sha256, bytes);
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        let said = self.ask(Method::POST, &path, "application/octet-stream", bytes.to_vec()).await;
        assert_eq!(said.status, 201, "{said:?}");
        json!({ "mediaType": media_type, "digest": digest.as_str(), "size": bytes.len() })
    }

    /// Pushes a component's blobs, and answers with the manifest that would make it a version.
    pub async fn manifest(&self, repository: &str, component: &[u8]) -> String {
        let layer = self.blob(repository, LAYER_TYPE, component).await;
        let config = json!({ "architecture": "wasm", "os": "wasip2", "layerDigests": [layer["digest"]] });
        let config = self.blob(repository, CONFIG_TYPE, config.to_string().as_bytes()).await;
        json!({ "schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": [layer] }).to_string()
    }

    /// Puts a manifest under a tag or digest.
    pub async fn put(&self, repository: &str, reference: &str, manifest: &str) -> Said {
        let path = format!("/v2/{repository}/manifests/{reference}");
        self.ask(Method::PUT, &path, MANIFEST_TYPE, manifest.to_owned()).await
    }

    /// Signs a version that is to be published, as a referrer of its manifest.
    pub async fn sign(
        &self,
        (repository, version): (&str, &str),
        component: &[u8],
        manifest: &str,
        signer: &minisign::KeyPair,
    ) {
        let of = Digest::of(Algorithm::Sha256, manifest.as_bytes());
        let component = Digest::of(Algorithm::Sha256, component);
        let named = repository.parse().expect("a repository");
        let statement = Statement { repository: &named, version, manifest: &of, component: &component };
        let text = statement.text();
        let signed = minisign::sign(Some(&signer.pk), &signer.sk, std::io::Cursor::new(text), None, None);
        let signed = signed.expect("it can be signed").to_string();
        let layer = self.blob(repository, ARTIFACT_TYPE, signed.as_bytes()).await;
        let config = self.blob(repository, "application/vnd.oci.empty.v1+json", b"{}").await;
        let subject = json!({ "mediaType": MANIFEST_TYPE, "digest": of.as_str(), "size": manifest.len() });
        let referrer = json!({
            "schemaVersion": 2, "mediaType": MANIFEST_TYPE, "artifactType": ARTIFACT_TYPE, "config": config,
            "layers": [layer], "subject": subject,
        });
        let referrer = referrer.to_string();
        let digest = Digest::of(Algorithm::Sha256, referrer.as_bytes());
        let said = self.put(repository, digest.as_str(), &referrer).await;
        assert_eq!(said.status, 201, "{said:?}");
    }

    /// Publishes a component as a version.
    pub async fn publish(&self, repository: &str, version: &str, component: &[u8]) -> Said {
        let manifest = self.manifest(repository, component).await;
        self.put(repository, version, &manifest).await
    }

    /// The versions of an agent, as the host lists them.
    pub async fn versions(&self, agent: &str) -> Value {
        let said = self.ask(Method::GET, &format!("/agents/{agent}/versions"), "", "").await;
        assert_eq!(said.status, 200, "{said:?}");
        said.body["versions"].clone()
    }

    /// Which version is live, if one is.
    pub async fn live(&self, agent: &str) -> Option<String> {
        let versions = self.versions(agent).await;
        let live = versions.as_array()?.iter().find(|version| version["live"] == true)?;
        live["version"].as_str().map(str::to_owned)
    }

    /// Takes a version away, or back.
    pub async fn yank(&self, agent: &str, version: &str, yanked: bool) -> Said {
        let path = format!("/agents/{agent}/versions/{version}");
        self.ask(Method::PATCH, &path, "application/json", json!({ "yanked": yanked }).to_string()).await
    }

    /// Serves what was served before.
    pub async fn roll_back(&self, agent: &str) -> Said {
        self.ask(Method::POST, &format!("/agents/{agent}/rollback"), "", "").await
    }
}

/// A component that differs from this one in nothing that runs: it has a custom section more.
pub fn stamped(component: &[u8], stamp: &str) -> Vec<u8> {
    let name = b"stamp";
    let length = 1 + name.len() + stamp.len();
    assert!(length < 128, "a length of one byte");
    let mut bytes = component.to_vec();
    bytes.extend([0, length as u8, name.len() as u8]);
    bytes.extend(name);
    bytes.extend(stamp.as_bytes());
    bytes
}
