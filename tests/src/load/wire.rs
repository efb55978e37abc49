//! HTTP/1.1 on a raw socket: requests as bytes, replies that are counted and not kept.
//!
//! Knows just enough to find the end of a reply, so that what is measured is the server and not a client. Trusts the
//! server; never sends a second request before the first is answered.

use anyhow::{Context, Result, bail, ensure};
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// Bytes read at a time while a reply is counted.
const COUNTING_BUFFER_BYTES: usize = 256 << 10;

/// Bytes read at a time otherwise; a head has to fit.
const BUFFER_BYTES: usize = 16 << 10;

/// Bytes of a body that is kept: the entries of a full registry.
const BODY_BYTES_MAX: u64 = 16 << 20;

/// Time for the next bytes of a reply.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Connections from one source address; the kernel has some 28,000 ports for each.
const PORTS_EACH: usize = 10_000;

/// One connection.
pub struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// What of the buffer is read and not yet looked at.
    at: usize,
    end: usize,
}

/// The head of a reply.
#[derive(Debug)]
pub struct Head {
    pub status: u16,
    /// `Mcp-Session-Id`.
    pub session: Option<String>,
    pub is_event_stream: bool,
    framing: Framing,
}

#[derive(Debug, Clone, Copy)]
enum Framing {
    Length(u64),
    Chunked,
    /// Until the connection ends.
    Close,
}

/// A body that was read and not kept.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counted {
    pub bytes: u64,
    /// The largest chunk; none when it came with its length.
    pub chunk_bytes_max: Option<u64>,
}

impl Head {
    /// Whether the body may have so many bytes: it says so, or does not say how many.
    pub fn can_have(&self, bytes: u64) -> bool {
        !matches!(self.framing, Framing::Length(length) if length < bytes)
    }
}

impl Wire {
    /// Connection number `number` of many: each ten thousand come from a loopback address of their own.
    pub async fn connect(address: SocketAddr, number: usize) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        let source = u8::try_from(number / PORTS_EACH).context("too many connections for the loopback network")?;
        if source > 0 {
            socket.bind((Ipv4Addr::new(127, 0, 1, source), 0).into())?;
        }
        let stream = socket.connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; BUFFER_BYTES], at: 0, end: 0 })
    }

    pub async fn send(&mut self, request: &[u8]) -> Result<()> {
        self.stream.write_all(request).await.context("the connection closed before the request")
    }

    /// Reads a reply up to its body.
    pub async fn head(&mut self) -> Result<Head> {
        let line = self.line().await?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.with_context(|| format!("no status: {line:?}"))?;
        let mut head = Head { status, session: None, is_event_stream: false, framing: Framing::Close };
        loop {
            let line = self.line().await?;
            let Some((name, value)) = line.split_once(':') else { break };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => head.framing = Framing::Length(value.parse()?),
                "transfer-encoding" => head.framing = Framing::Chunked,
                "content-type" => head.is_event_stream = value.starts_with("text/event-stream"),
                "mcp-session-id" => head.session = Some(value.to_owned()),
                _ => {}
            }
        }
        if matches!(status, 202 | 204) {
            head.framing = Framing::Length(0);
        }
        Ok(head)
    }

    /// Reads a body to its end without keeping it.
    pub async fn count(&mut self, head: &Head) -> Result<Counted> {
        self.buffer.resize(COUNTING_BUFFER_BYTES, 0);
        match head.framing {
            Framing::Length(bytes) => {
                self.skip(bytes).await?;
                Ok(Counted { bytes, chunk_bytes_max: None })
            }
            Framing::Chunked => {
                let (mut bytes, mut largest) = (0, 0);
                while let chunk @ 1.. = self.chunk().await? {
                    self.skip(chunk).await?;
                    self.line().await?;
                    bytes += chunk;
                    largest = largest.max(chunk);
                }
                self.line().await?;
                Ok(Counted { bytes, chunk_bytes_max: Some(largest) })
            }
            Framing::Close => bail!("a reply without length"),
        }
    }

    /// Reads a short body.
    pub async fn body(&mut self, head: &Head) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        let mut left = match head.framing {
            Framing::Length(bytes) => bytes,
            Framing::Chunked => self.chunk().await?,
            Framing::Close => bail!("a reply without length"),
        };
        while left > 0 {
            ensure!(body.len() as u64 + left <= BODY_BYTES_MAX, "a long body where a short one was expected");
            if self.at == self.end {
                self.fill().await?;
            }
            let part = usize::try_from(left)?.min(self.end - self.at);
            body.extend_from_slice(&self.buffer[self.at..self.at + part]);
            self.at += part;
            left -= part as u64;
            if left == 0 && matches!(head.framing, Framing::Chunked) {
                self.line().await?;
                left = self.chunk().await?;
            }
        }
        if matches!(head.framing, Framing::Chunked) {
            self.line().await?;
        }
        Ok(body)
    }

    /// Reads on until `mark` has come.
    pub async fn until(&mut self, mark: &[u8]) -> Result<()> {
        loop {
            let seen = &self.buffer[self.at..self.end];
            if let Some(found) = seen.windows(mark.len()).position(|part| part == mark) {
                self.at += found + mark.len();
                return Ok(());
            }
            self.fill().await?;
        }
    }

    /// The socket alone: a connection that is only held needs no buffer.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    async fn chunk(&mut self) -> Result<u64> {
        let line = self.line().await?;
        u64::from_str_radix(line.trim(), 16).with_context(|| format!("no chunk size: {line:?}"))
    }

    /// A line without its end.
    async fn line(&mut self) -> Result<String> {
        loop {
            let seen = &self.buffer[self.at..self.end];
            if let Some(length) = seen.windows(2).position(|pair| pair == b"\r\n") {
                let line = String::from_utf8_lossy(&seen[..length]).into_owned();
                self.at += length + 2;
                return Ok(line);
            }
            self.fill().await?;
        }
    }

    async fn skip(&mut self, mut bytes: u64) -> Result<()> {
        loop {
            let seen = bytes.min((self.end - self.at) as u64);
            self.at += seen as usize;
            bytes -= seen;
            if bytes == 0 {
                return Ok(());
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<()> {
        if self.at == self.end {
            (self.at, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.at..self.end, 0);
            (self.at, self.end) = (0, self.end - self.at);
            ensure!(self.end < self.buffer.len(), "a line that is too long");
        }
        let read = timeout(READ_TIMEOUT, self.stream.read(&mut self.buffer[self.end..])).await;
        let read = read.with_context(|| format!("nothing came for {READ_TIMEOUT:?}"))??;
        ensure!(read > 0, "the connection closed inside the reply");
        self.end += read;
        Ok(())
    }
}

/// A GET, or with a body a POST.
pub fn request(address: SocketAddr, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Vec<u8> {
    let method = if body.is_some() { "POST" } else { "GET" };
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\n");
    for (name, value) in headers {
        write!(text, "{name}: {value}\r\n").expect("a string can be written");
    }
    if let Some(body) = body {
        write!(text, "content-type: application/json\r\ncontent-length: {}\r\n", body.len()).expect("as above");
    }
    text.push_str("\r\n");
    text.push_str(body.unwrap_or_default());
    text.into_bytes()
}
