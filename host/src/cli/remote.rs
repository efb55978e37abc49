//! The host that a publisher speaks to: where it is, and with which token.
//!
//! Each is said by an option, by the environment, or follows from the `manifest.yaml` that lies here or further up: who can
//! read the operator's token of a host on this machine may publish to it.

use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use http::header::{AUTHORIZATION, CONTENT_TYPE, EXPECT};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use serde_json::Value;
use ureq::{Agent, Body, SendBody};

use super::{Stop, plain};
use crate::access::{Token, operator};
use crate::manifest::{Manifest, Overrides};

/// Where a host is by default.
const URL_DEFAULT: &str = "http://127.0.0.1:8080";

/// The environment's way to say both.
const URL_VARIABLE: &str = "STOCKADE_HOST";
const TOKEN_VARIABLE: &str = "STOCKADE_TOKEN";

/// Time until a host answers at all; a version that is pushed is compiled and tried first.
const CONNECT_WAIT: Duration = Duration::from_secs(10);
const ANSWER_WAIT: Duration = Duration::from_secs(600);

/// Bytes of an answer, and of a file with a token, a key or a signature.
const ANSWER_BYTES_MAX: u64 = 16 << 20;
const SMALL_BYTES_MAX: u64 = 16 << 10;

#[derive(Debug, clap::Args)]
pub(super) struct Remote {
    /// Where the host is [default: $STOCKADE_HOST, else the nearest manifest.yaml's `listen`, else http://127.0.0.1:8080]
    #[arg(long = "host", value_name = "URL")]
    url: Option<String>,
    /// File with a publisher's token [default: the token in $STOCKADE_TOKEN, else the operator's of the nearest manifest.yaml]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Print what the host answers as JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// A host, and who speaks to it.
pub(super) struct Client {
    agent: Agent,
    /// Without a slash at its end.
    url: String,
    authorization: Option<HeaderValue>,
}

/// What is asked of a host.
pub(super) struct Question<'a> {
    pub method: Method,
    /// Below the host's address.
    pub path: &'a str,
    /// Media type of the body, or none for a question without one.
    pub media_type: &'static str,
    /// Bytes of the body, where they are not known from it.
    pub length: Option<u64>,
}

impl Remote {
    /// # Errors
    ///
    /// When what was said is no address or no token.
    pub fn client(&self) -> Result<Client, Stop> {
        let nearest = nearest_manifest();
        let said = self.url.clone().or_else(|| std::env::var(URL_VARIABLE).ok());
        let of_manifest = || nearest.as_ref().map(|manifest| format!("http://{}", manifest.listen));
        let said = said.or_else(of_manifest).unwrap_or_else(|| URL_DEFAULT.to_owned());
        let parsed = said.parse::<Uri>().ok();
        let is_url = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
        if !parsed.as_ref().is_some_and(is_url) {
            return Err(Stop::Usage(format!("`{said}` is no address of a host: such as {URL_DEFAULT}")));
        }
        let bearer = |token: Token| {
            let mut value = HeaderValue::try_from(format!("Bearer {}", token.reveal()))?;
            value.set_sensitive(true);
            anyhow::Ok(value)
        };
        let authorization = self.token(nearest.as_ref())?.map(bearer).transpose()?;
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT_WAIT))
            .timeout_recv_response(Some(ANSWER_WAIT))
            .tls_config(tls())
            .build()
            .new_agent();
        Ok(Client { agent, url: said.trim_end_matches('/').to_owned(), authorization })
    }

    fn token(&self, nearest: Option<&Manifest>) -> Result<Option<Token>, Stop> {
        let (text, said_by) = match (&self.token_file, std::env::var(TOKEN_VARIABLE)) {
            (Some(file), _) => (read_small(file)?, file.display().to_string()),
            (None, Ok(text)) => (text, format!("${TOKEN_VARIABLE}")),
            (None, Err(_)) => return Ok(nearest.and_then(|manifest| operator::read(&manifest.data).ok())),
        };
        let token = Token::parse(text.trim());
        token
            .map(Some)
            .ok_or_else(|| Stop::Usage(format!("what {said_by} holds is no token: `stockade token` makes one")))
    }
}

/// A small file of text: a token, a key, a signature.
pub(super) fn read_small(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = std::fs::File::open(file).and_then(|file| file.take(SMALL_BYTES_MAX).read_to_string(&mut text));
    read.with_context(|| format!("cannot read {}", file.display()))?;
    Ok(text)
}

/// The manifest in this directory or the nearest above it that has one.
pub(super) fn nearest_manifest() -> Option<Manifest> {
    let here = std::env::current_dir().ok()?;
    let file = here.ancestors().map(|folder| folder.join("manifest.yaml")).find(|file| file.is_file())?;
    Manifest::load(&file, &Overrides::default()).ok()
}

/// TLS with the certificates that this machine trusts.
fn tls() -> ureq::tls::TlsConfig {
    ureq::tls::TlsConfig::builder().root_certs(ureq::tls::RootCerts::PlatformVerifier).build()
}

impl<'a> Question<'a> {
    pub fn new(method: Method, path: &'a str) -> Self {
        Self { method, path, media_type: "", length: None }
    }

    pub fn of(self, media_type: &'static str) -> Self {
        Self { media_type, ..self }
    }
}

impl Client {
    /// The host's address and a path there.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Asks, and answers with whatever the host says.
    pub fn send(&self, question: &Question<'_>, body: SendBody<'_>) -> anyhow::Result<Response<Body>> {
        let Question { method, path, media_type, length } = question;
        let mut request = Request::builder().method(method).uri(self.at(path));
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if !media_type.is_empty() {
            // A host that refuses says so before the body comes, and may close: then there is nobody to send it to (RFC 9110,
            // section 10.1.1).
            request = request.header(CONTENT_TYPE, *media_type).header(EXPECT, "100-continue");
        }
        if let Some(length) = length {
            request = request.header(http::header::CONTENT_LENGTH, *length);
        }
        self.agent.run(request.body(body)?).map_err(|error| match is_nobody(&error) {
            true => anyhow!(
                "nobody answers at {}: is `stockade serve` running? Name another host with --host URL ({error})",
                self.url
            ),
            false => anyhow::Error::new(error).context(format!("{} does not answer", self.url)),
        })
    }

    /// The same, and the whole of the answer; what is no success is an error that repeats what the host says.
    pub fn ask(&self, question: &Question<'_>, body: SendBody<'_>) -> anyhow::Result<String> {
        let mut response = self.send(question, body)?;
        let read = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).lossy_utf8(true).read_to_string();
        let said = read.context("the answer broke off")?;
        match response.status() {
            status if status.is_success() => Ok(said),
            status => Err(refusal(status, &said)),
        }
    }
}

/// Whether there was no connection at all.
fn is_nobody(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Io(error) => error.kind() == ErrorKind::ConnectionRefused,
        error => matches!(error, ureq::Error::ConnectionFailed | ureq::Error::HostNotFound),
    }
}

/// What the host says, in either of its shapes, and what to do about who may not.
fn refusal(status: StatusCode, said: &str) -> anyhow::Error {
    let parsed: Value = serde_json::from_str(said).unwrap_or_default();
    let message = [&parsed["errors"][0]["message"], &parsed["error"]["message"], &parsed["error"]];
    let message = message.into_iter().find_map(Value::as_str).map_or_else(|| said.trim().to_owned(), str::to_owned);
    let message = plain(&message);
    match status {
        StatusCode::UNAUTHORIZED => {
            anyhow!("{message}\nput a publisher's token in ${TOKEN_VARIABLE}, or name its file with --token-file")
        }
        status if message.is_empty() => anyhow!("the host answers {status}"),
        _ => anyhow!("{message}"),
    }
}
