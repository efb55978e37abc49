//! A client of the host's `/v2/`: what a test sends, and what came back, unabridged.

use reqwest::header::HeaderMap;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use stockade::publish::digest::{Algorithm, Digest};

use crate::TestHost;

/// Media types of an image manifest and an index.
pub const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Pushes and pulls.
#[derive(Clone)]
pub struct Registry {
    http: Client,
    base: String,
    token: Option<String>,
}

/// A reply as it came.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// sha256 of bytes, as OCI writes it.
pub fn digest(bytes: &[u8]) -> String {
    Digest::of(Algorithm::Sha256, bytes).to_string()
}

/// A blob as a manifest names it.
pub fn descriptor(bytes: &[u8]) -> Value {
    json!({ "mediaType": "application/octet-stream", "digest": digest(bytes), "size": bytes.len() })
}

/// An image manifest with this config and these layers.
pub fn image(config: &[u8], layers: &[&[u8]]) -> Value {
    let layers: Vec<Value> = layers.iter().map(|layer| descriptor(layer)).collect();
    json!({ "schemaVersion": 2, "mediaType": IMAGE, "config": descriptor(config), "layers": layers })
}

impl Registry {
    /// A client with the operator's token.
    pub fn new(host: &TestHost) -> Self {
        Self::anonymous(host).with_token(&host.operator_token())
    }

    /// A client without a token.
    pub fn anonymous(host: &TestHost) -> Self {
        Self::at(&host.url(""))
    }

    /// A client without a token of whatever listens there.
    pub fn at(base: &str) -> Self {
        let http = Client::builder().no_proxy().build().expect("a client");
        Self { http, base: base.to_owned(), token: None }
    }

    /// The same client with this token.
    #[must_use]
    pub fn with_token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    /// Sends anything to a path, or to a location that the host has named.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> reqwest::Result<Reply> {
        let mut request = self.http.request(method, format!("{}{path}", self.base)).body(body);
        if let Some(token) = &self.token {
            request = request.basic_auth("anybody", Some(token));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let reply = request.send().await?;
        let (status, headers) = (reply.status().as_u16(), reply.headers().clone());
        Ok(Reply { status, headers, body: reply.bytes().await?.to_vec() })
    }

    async fn ask(&self, method: &str, path: &str, body: impl Into<reqwest::Body>) -> Reply {
        let method = method.parse().expect("a method");
        self.send(method, path, &[], body).await.expect("the host answers")
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, "").await
    }

    pub async fn head(&self, path: &str) -> Reply {
        self.ask("HEAD", path, "").await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.ask("DELETE", path, "").await
    }

    pub async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Reply {
        self.ask("POST", path, body).await
    }

    pub async fn put(&self, path: &str, body: impl Into<reqwest::Body>) -> Reply {
        self.ask("PUT", path, body).await
    }

    /// Sends a part of an upload, which belongs at `from` if that is said.
    pub async fn patch(&self, location: &str, from: Option<usize>, bytes: &[u8]) -> Reply {
        let range = from.map(|from| format!("{from}-{}", from + bytes.len() - 1));
        let headers: Vec<(&str, &str)> = range.iter().map(|range| ("content-range", range.as_str())).collect();
        self.send(Method::PATCH, location, &headers, bytes.to_vec()).await.expect("the host answers")
    }

    /// Begins an upload; where it goes on.
    pub async fn begin(&self, repository: &str) -> String {
        let reply = self.post(&format!("/v2/{repository}/blobs/uploads/"), "").await;
        assert_eq!(reply.status, 202, "{}", reply.text());
        reply.location().to_owned()
    }

    /// Pushes a blob in one go; its digest.
    pub async fn push(&self, repository: &str, bytes: &[u8]) -> String {
        let digest = digest(bytes);
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        let reply = self.post(&path, bytes.to_vec()).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        digest
    }

    /// Pushes a manifest of this type.
    pub async fn put_manifest(&self, repository: &str, reference: &str, kind: &str, manifest: &Value) -> Reply {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let headers = [("content-type", kind)];
        self.send(Method::PUT, &path, &headers, manifest.to_string()).await.expect("the host answers")
    }

    /// Pushes an image of one layer under a tag; its digest.
    pub async fn push_image(&self, repository: &str, tag: &str, layer: &[u8]) -> String {
        self.push(repository, b"{}").await;
        self.push(repository, layer).await;
        let reply = self.put_manifest(repository, tag, IMAGE, &image(b"{}", &[layer])).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        reply.header("docker-content-digest").to_owned()
    }
}

impl Reply {
    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// Where it points to.
    #[track_caller]
    pub fn location(&self) -> &str {
        let location = self.header("location");
        assert!(location.starts_with("/v2/"), "no location: {} {}", self.status, self.text());
        location
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text()))
    }

    /// Status and code of a refusal.
    #[track_caller]
    pub fn refusal(&self) -> (u16, String) {
        let code = self.json()["errors"][0]["code"].as_str().expect("a code").to_owned();
        (self.status, code)
    }

    /// Status and code of a refusal by a limit, and the limit's name.
    #[track_caller]
    pub fn limit(&self) -> (u16, String, String) {
        let (status, code) = self.refusal();
        let detail = &self.json()["errors"][0]["detail"];
        for figure in ["cap", "used", "wanted"] {
            assert!(detail[figure].is_u64(), "no `{figure}` in {detail}");
        }
        (status, code, detail["limit"].as_str().unwrap_or_default().to_owned())
    }
}
