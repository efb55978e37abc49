//! A component as an OCI artifact, and the signature that refers to it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use ureq::SendBody;

use super::progress::Progress;
use super::{Client, MANIFEST_TYPE, Question};
use crate::cli::Stop;
use crate::cli::remote::read_small;
use crate::publish::digest::{Algorithm, Digest};
use crate::publish::name::Repository;
use crate::publish::signature::{ARTIFACT_TYPE, Statement};
use crate::publish::wasm::{CONFIG_TYPE, LAYER_TYPE};

/// Bytes that are read and sent at a time.
const PIECE_BYTES: usize = 64 << 10;

/// An empty config, for what has none (OCI image specification, "Guidance for an empty descriptor").
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";

/// A component that is to be pushed.
pub struct Artifact {
    file: PathBuf,
    pub repository: String,
    pub version: String,
    component: Digest,
    bytes: u64,
    pub config: Vec<u8>,
    pub manifest: Vec<u8>,
}

impl Artifact {
    pub fn of(file: &Path, repository: &str, version: &str) -> Result<Self, Stop> {
        repository.parse::<Repository>().map_err(|error| Stop::Usage(error.to_string()))?;
        let unreadable = || format!("cannot read {}", file.display());
        let mut open = File::open(file).with_context(unreadable)?;
        let bytes = open.metadata().with_context(unreadable)?.len();
        let mut hasher = Algorithm::Sha256.hasher();
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            match open.read(&mut piece).with_context(unreadable)? {
                0 => break,
                read => hasher.update(&piece[..read]),
            }
        }
        let component = hasher.finish();
        let config = json!({ "architecture": "wasm", "os": "wasip2", "layerDigests": [component.as_str()] });
        let config = config.to_string().into_bytes();
        let layer = json!({ "mediaType": LAYER_TYPE, "digest": component.as_str(), "size": bytes });
        let mut manifest = image(&descriptor(CONFIG_TYPE, &config), &layer);
        // The same component as two versions is two manifests, so that an alias can tell which is meant.
        manifest["annotations"] = json!({ "org.opencontainers.image.version": version });
        let manifest = manifest.to_string().into_bytes();
        let (repository, version) = (repository.to_owned(), version.to_owned());
        Ok(Self { file: file.to_owned(), repository, version, component, bytes, config, manifest })
    }

    /// What a signature has to be of.
    pub fn statement(&self) -> anyhow::Result<String> {
        let repository: Repository = self.repository.parse()?;
        let manifest = Digest::of(Algorithm::Sha256, &self.manifest);
        let statement = Statement {
            repository: &repository,
            version: &self.version,
            manifest: &manifest,
            component: &self.component,
        };
        Ok(statement.text())
    }

    /// Signs it with a minisign key, whose password is asked for in the terminal if it has one.
    pub fn sign(&self, key: &Path) -> anyhow::Result<String> {
        let shown = key.display();
        let text = read_small(key)?;
        let parsed = || minisign::SecretKeyBox::from_string(&text);
        let secret = match parsed()?.into_unencrypted_secret_key() {
            Ok(secret) => secret,
            Err(_) => {
                let secret = parsed()?.into_secret_key(None);
                secret.map_err(|error| anyhow!("{shown} cannot be used: {error}"))?
            }
        };
        let statement = self.statement()?;
        let comment = format!("{} {}", self.repository, self.version);
        let signed = minisign::sign(None, &secret, std::io::Cursor::new(statement), Some(&comment), None)?;
        Ok(signed.to_string())
    }

    /// Pushes the component, unless the host has it.
    pub fn push_component(&self, client: &Client, progress: &Progress) -> anyhow::Result<()> {
        if self.is_there(client, &self.component)? {
            return Ok(());
        }
        progress.begins(self.bytes);
        let file = File::open(&self.file).with_context(|| format!("cannot read {}", self.file.display()))?;
        self.upload(client, &self.component, &mut progress.of(file), self.bytes)
    }

    /// Pushes a small blob.
    pub fn push_blob(&self, client: &Client, bytes: &[u8]) -> anyhow::Result<()> {
        let digest = Digest::of(Algorithm::Sha256, bytes);
        if self.is_there(client, &digest)? {
            return Ok(());
        }
        self.upload(client, &digest, &mut &*bytes, bytes.len() as u64)
    }

    /// Pushes a signature as a referrer of the version's manifest, which is not there yet.
    pub fn push_signature(&self, client: &Client, signature: &str) -> anyhow::Result<()> {
        self.push_blob(client, b"{}")?;
        self.push_blob(client, signature.as_bytes())?;
        let mut manifest = image(&descriptor(EMPTY_TYPE, b"{}"), &descriptor(ARTIFACT_TYPE, signature.as_bytes()));
        manifest["artifactType"] = ARTIFACT_TYPE.into();
        manifest["subject"] = descriptor(MANIFEST_TYPE, &self.manifest);
        let manifest = manifest.to_string();
        let digest = Digest::of(Algorithm::Sha256, manifest.as_bytes());
        let path = format!("/v2/{}/manifests/{digest}", self.repository);
        let put = Question::new(Method::PUT, &path).of(MANIFEST_TYPE);
        client.ask(&put, SendBody::from_reader(&mut manifest.as_bytes())).map(drop)
    }

    fn is_there(&self, client: &Client, digest: &Digest) -> anyhow::Result<bool> {
        let path = format!("/v2/{}/blobs/{digest}", self.repository);
        let response = client.send(&Question::new(Method::HEAD, &path), SendBody::none())?;
        Ok(response.status() == StatusCode::OK)
    }

    fn upload(&self, client: &Client, digest: &Digest, body: &mut dyn Read, bytes: u64) -> anyhow::Result<()> {
        let path = format!("/v2/{}/blobs/uploads/?digest={digest}", self.repository);
        let post =
            Question { length: Some(bytes), ..Question::new(Method::POST, &path).of("application/octet-stream") };
        client.ask(&post, SendBody::from_reader(body)).map(drop)
    }
}

fn image(config: &Value, layer: &Value) -> Value {
    json!({ "schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": [layer] })
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    let digest = Digest::of(Algorithm::Sha256, bytes);
    json!({ "mediaType": media_type, "digest": digest.as_str(), "size": bytes.len() })
}
