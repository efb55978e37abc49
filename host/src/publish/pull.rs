//! Components that lie elsewhere: pulled from a registry or a web server, capped while they come, and kept only if they are
//! what was pinned.
//!
//! Blocks; whoever serves calls it on a thread that may. Speaks to registries without credentials: as whoever may pull without
//! any.

use std::fs::File;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use http::header::{ACCEPT, AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, Request, Response, StatusCode};
use serde::Deserialize;
use ureq::{Agent, Body, SendBody};

use super::digest::{Algorithm, Digest};
use super::wasm::Layout;
use crate::agent::Agents;
use crate::manifest::{Address, AgentName, AgentSpec, Component, Manifest, PULLED, Remote};

/// Time to connect, and for everything.
const CONNECT_WAIT: Duration = Duration::from_secs(10);
const WAIT: Duration = Duration::from_secs(300);

/// Registries send clients to where the bytes are.
const REDIRECTS_MAX: u32 = 5;

/// Bytes of a manifest, and of what a token server says.
const MANIFEST_BYTES_MAX: u64 = 4 << 20;
const TOKEN_BYTES_MAX: u64 = 64 << 10;

/// Bytes that are written at a time.
const PIECE_BYTES: usize = 64 << 10;

const MANIFEST_TYPES: &str =
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";

/// How often a start tries, and the pause before the next try.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(2);

/// Components of a manifest that lie elsewhere.
#[derive(Debug)]
pub struct Missing {
    agents: Vec<(AgentName, Remote)>,
    bytes_max: u64,
    data: PathBuf,
}

impl Missing {
    /// Those that were not pulled yet.
    pub fn of(manifest: &Manifest) -> Self {
        let missing = |(agent, spec): (&AgentName, &AgentSpec)| match &spec.component {
            Component::Remote(remote, file) if !file.is_file() => Some((agent.clone(), remote.clone())),
            _ => None,
        };
        let agents = manifest.agents.iter().filter_map(missing).collect();
        Self { agents, bytes_max: manifest.compile.component, data: manifest.data.clone() }
    }

    /// Pulls them, one after the other, and has each loaded once it is here, while others are served already. An agent whose
    /// component cannot be pulled is refused, and says why.
    pub async fn pull(self, agents: Agents) {
        for (agent, remote) in &self.agents {
            match self.pull_one(agent, remote).await {
                Ok(()) => agents.reload(agent.as_str()).await,
                Err(error) => agents.refuse(agent.as_str(), &format!("{remote} cannot be pulled: {error:#}")),
            }
        }
    }

    async fn pull_one(&self, agent: &AgentName, remote: &Remote) -> anyhow::Result<()> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let (from, bytes_max, data) = (remote.clone(), self.bytes_max, self.data.clone());
            let pulled = tokio::task::spawn_blocking(move || pull_into(&from, bytes_max, &data)).await;
            match pulled.map_err(anyhow::Error::new).flatten() {
                Ok(bytes) => {
                    tracing::info!(agent = agent.as_str(), component = %remote, bytes, "pulled");
                    return Ok(());
                }
                Err(error) if attempt == TRIES => return Err(error),
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::warn!(agent = agent.as_str(), component = %remote, error, attempt, "cannot be pulled yet");
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Pulls a component into the host's data, under the name that the manifest expects.
fn pull_into(remote: &Remote, bytes_max: u64, data: &Path) -> anyhow::Result<u64> {
    let dir = crate::data::below(data, PULLED)?;
    let (name, draft) = (Remote::file_name(&remote.sha256), format!("{}.draft", remote.sha256));
    let mut file = dir.open_with(&draft, crate::data::writable().create(true).truncate(true))?.into_std();
    let pulled = pull(remote, bytes_max, &mut file).and_then(|bytes| {
        file.sync_all()?;
        dir.rename(&draft, &dir, &name)?;
        Ok(bytes)
    });
    if pulled.is_err() {
        // Nothing of it stays; the next try would write over it anyway.
        let _ = dir.remove_file(&draft);
    }
    pulled
}

/// Pulls a component into a file, and says how many bytes it has. After an error the file holds anything.
///
/// # Errors
///
/// When it is not there, too large, or not what was pinned.
pub fn pull(remote: &Remote, bytes_max: u64, file: &mut File) -> anyhow::Result<u64> {
    let agent = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(REDIRECTS_MAX)
        .timeout_connect(Some(CONNECT_WAIT))
        .timeout_global(Some(WAIT))
        .tls_config(ureq::tls::TlsConfig::builder().root_certs(ureq::tls::RootCerts::PlatformVerifier).build())
        .build()
        .new_agent();
    let pinned: Digest = format!("sha256:{}", remote.sha256).parse()?;
    match &remote.address {
        Address::Web(url) => {
            let response = get(&agent, url, &HeaderMap::new())?;
            keep(found(response, url)?, &pinned, bytes_max, file)
        }
        Address::Registry { host, repository } => Registry::new(agent, host, repository).pull(&pinned, bytes_max, file),
    }
}

/// A repository in a registry.
struct Registry {
    agent: Agent,
    url: String,
    headers: HeaderMap,
}

impl Registry {
    fn new(agent: Agent, host: &str, repository: &str) -> Self {
        // As Docker does: registries on this machine have no certificates.
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let is_local = matches!(name, "localhost" | "127.0.0.1" | "[::1]");
        let scheme = if is_local { "http" } else { "https" };
        Self { agent, url: format!("{scheme}://{host}/v2/{repository}"), headers: HeaderMap::new() }
    }

    fn pull(mut self, pinned: &Digest, bytes_max: u64, file: &mut File) -> anyhow::Result<u64> {
        self.headers.insert(ACCEPT, MANIFEST_TYPES.parse()?);
        let url = format!("{}/manifests/{pinned}", self.url);
        let mut response = get(&self.agent, &url, &self.headers)?;
        if response.status() == StatusCode::UNAUTHORIZED {
            self.log_in(response.headers())?;
            response = get(&self.agent, &url, &self.headers)?;
        }
        let mut manifest = Vec::new();
        found(response, &url)?.into_body().into_reader().take(MANIFEST_BYTES_MAX).read_to_end(&mut manifest)?;
        let counted = Digest::of(Algorithm::Sha256, &manifest);
        ensure!(counted == *pinned, "the manifest at {url} is {counted}");
        let layout = Layout::read(&manifest)?;
        ensure!(layout.bytes <= bytes_max, "the component has {} bytes, at most {bytes_max} are allowed", layout.bytes);
        let url = format!("{}/blobs/{}", self.url, layout.component);
        let response = get(&self.agent, &url, &self.headers)?;
        keep(found(response, &url)?, &layout.component, bytes_max, file)
    }

    /// Gets the token that registries give to whoever asks (OCI distribution's token flow, as Docker specifies it).
    fn log_in(&mut self, headers: &HeaderMap) -> anyhow::Result<()> {
        #[derive(Deserialize)]
        struct Given {
            token: Option<String>,
            access_token: Option<String>,
        }
        let challenge = headers.get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let Some(parameters) = challenge.strip_prefix("Bearer ") else {
            bail!("{} wants a password, and this host has none for it", self.url);
        };
        let parameter = |name: &str| {
            let (_, rest) = parameters.split_once(&format!("{name}=\""))?;
            rest.split_once('"').map(|(value, _)| value)
        };
        let realm = parameter("realm").filter(|realm| realm.starts_with("https://")).context("no realm for a token")?;
        let mut query = form_urlencoded::Serializer::new(String::new());
        for name in ["service", "scope"] {
            query.extend_pairs(parameter(name).map(|value| (name, value)));
        }
        let url = format!("{realm}?{}", query.finish());
        let mut text = Vec::new();
        let response = get(&self.agent, &url, &HeaderMap::new())?;
        found(response, realm)?.into_body().into_reader().take(TOKEN_BYTES_MAX).read_to_end(&mut text)?;
        let Given { token, access_token } = serde_json::from_slice(&text).context("the token server gives no token")?;
        let token = token.or(access_token).context("the token server gives no token")?;
        let mut bearer: http::HeaderValue = format!("Bearer {token}").parse()?;
        bearer.set_sensitive(true);
        self.headers.insert(AUTHORIZATION, bearer);
        Ok(())
    }
}

fn get(agent: &Agent, url: &str, headers: &HeaderMap) -> anyhow::Result<Response<Body>> {
    let mut request = Request::get(url).body(SendBody::none())?;
    *request.headers_mut() = headers.clone();
    agent.run(request).with_context(|| format!("cannot get {}", shown(url)))
}

fn found(response: Response<Body>, url: &str) -> anyhow::Result<Response<Body>> {
    ensure!(response.status().is_success(), "{} answers {}", shown(url), response.status());
    Ok(response)
}

/// An address without what may be a key.
fn shown(url: &str) -> &str {
    url.split_once('?').map_or(url, |(address, _)| address)
}

/// Writes a body into a file, if it is what was meant.
fn keep(response: Response<Body>, meant: &Digest, bytes_max: u64, file: &mut File) -> anyhow::Result<u64> {
    // One more than may come, to see that more does.
    let mut body = response.into_body().into_reader().take(bytes_max + 1);
    let (mut hasher, mut bytes, mut piece) = (meant.algorithm().hasher(), 0, vec![0; PIECE_BYTES]);
    loop {
        let read = body.read(&mut piece).context("the component broke off")?;
        if read == 0 {
            break;
        }
        bytes += read as u64;
        ensure!(bytes <= bytes_max, "the component has more than the {bytes_max} bytes that are allowed");
        hasher.update(&piece[..read]);
        file.write_all(&piece[..read]).context("cannot write the component")?;
    }
    let counted = hasher.finish();
    ensure!(counted == *meant, "what came is {counted}, and {meant} was pinned");
    Ok(bytes)
}
