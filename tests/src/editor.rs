//! A client of the registry's document in this process: a yrs document and a WebSocket.

use anyhow::{Context, Result, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use std::net::SocketAddr;
use std::time::Duration;
use stockade_gate::Message as Frame;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use yrs::sync::{Message as Received, SyncMessage};
use yrs::updates::decoder::Decode as _;
use yrs::updates::encoder::Encode as _;
use yrs::{Any, Doc, Map as _, MapRef, Out, ReadTxn as _, Transact as _, TransactionMut};

/// Time for an answer.
const WAIT: Duration = Duration::from_secs(20);

type Socket = tokio_tungstenite::WebSocketStream<TcpStream>;

/// One client.
pub struct Editor {
    socket: Socket,
    doc: Doc,
    agents: MapRef,
}

/// Why the host has ended a connection.
#[derive(Debug, thiserror::Error)]
#[error("closed with {code}: {reason}")]
pub struct Closed {
    pub code: u16,
    pub reason: String,
}

impl Editor {
    /// Connects, with a token or as nobody, and syncs.
    ///
    /// # Errors
    ///
    /// When the host does not let it in.
    pub async fn connect(address: SocketAddr, token: Option<&str>) -> Result<Self> {
        Self::connect_to("@mcp.registry", address, token).await
    }

    /// As [`Editor::connect`], to a document of another name.
    ///
    /// # Errors
    ///
    /// When the host does not let it in.
    pub async fn connect_to(document: &str, address: SocketAddr, token: Option<&str>) -> Result<Self> {
        let doc = Doc::new();
        let agents = doc.get_or_insert_map("agents");
        let mut editor = Self { socket: open(document, address, token).await?, doc, agents };
        editor.settle().await?;
        Ok(editor)
    }

    /// Connects anew, and brings what was written meanwhile.
    ///
    /// # Errors
    ///
    /// As [`Editor::connect`].
    pub async fn reconnect(&mut self, address: SocketAddr, token: Option<&str>) -> Result<()> {
        self.socket = open("@mcp.registry", address, token).await?;
        self.settle().await?;
        let all = self.doc.transact().encode_state_as_update_v1(&yrs::StateVector::default());
        self.send(Frame::Step2(&all)).await?;
        self.settle().await
    }

    /// Sets fields of agents, in one update.
    ///
    /// # Errors
    ///
    /// When the connection is lost.
    pub async fn set<V: Into<Any>>(&mut self, fields: impl IntoIterator<Item = (&str, &str, V)>) -> Result<()> {
        let fields: Vec<_> = fields.into_iter().map(|(agent, field, value)| (agent, field, value.into())).collect();
        self.edit(|txn, agents| {
            for (agent, field, value) in fields {
                if let Some(Out::YMap(map)) = agents.get(txn, agent) {
                    map.insert(txn, field, value);
                }
            }
        })
        .await
    }

    /// Changes the document, and sends what has changed.
    ///
    /// # Errors
    ///
    /// When the connection is lost.
    pub async fn edit(&mut self, change: impl FnOnce(&mut TransactionMut<'_>, &MapRef)) -> Result<()> {
        let update = {
            let mut txn = self.doc.transact_mut();
            change(&mut txn, &self.agents);
            txn.commit();
            txn.encode_update_v1()
        };
        self.send(Frame::Update(&update)).await
    }

    /// Waits until the host has taken everything that was sent, and has sent everything it had: what it has taken is stored.
    ///
    /// # Errors
    ///
    /// [`Closed`] when the host ends the connection instead.
    pub async fn settle(&mut self) -> Result<()> {
        let state = self.doc.transact().state_vector().encode_v1();
        self.send(Frame::Step1(&state)).await?;
        while !self.receive().await? {}
        Ok(())
    }

    /// Sends a message that is text.
    ///
    /// # Errors
    ///
    /// When the connection is lost.
    pub async fn send_text(&mut self, text: &str) -> Result<()> {
        Ok(self.socket.send(Message::text(text)).await?)
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    ///
    /// When the connection is lost.
    pub async fn send_bytes(&mut self, bytes: Vec<u8>) -> Result<()> {
        Ok(self.socket.send(Message::binary(bytes)).await?)
    }

    /// A field of an agent, as this client has it.
    pub fn field(&self, agent: &str, field: &str) -> Option<Any> {
        let txn = self.doc.transact();
        let Some(Out::YMap(map)) = self.agents.get(&txn, agent) else { return None };
        match map.get(&txn, field)? {
            Out::Any(any) => Some(any),
            _ => None,
        }
    }

    /// How much it has of each client that has written: the host's own, if nobody else has.
    pub fn known(&self) -> Vec<(u64, u32)> {
        self.doc.transact().state_vector().iter().map(|(client, clock)| (client.get(), *clock)).collect()
    }

    /// Names of all agents.
    pub fn names(&self) -> Vec<String> {
        let txn = self.doc.transact();
        let mut names: Vec<String> = self.agents.keys(&txn).map(|name| name.to_string()).collect();
        names.sort_unstable();
        names
    }

    async fn send(&mut self, frame: Frame<'_>) -> Result<()> {
        self.send_bytes(frame.write()).await
    }

    /// Takes the next message; true if it answers a `SyncStep1`.
    async fn receive(&mut self) -> Result<bool> {
        let message = timeout(WAIT, self.socket.next()).await.context("no message in time")?;
        let bytes = match message.context("the connection has ended")?? {
            Message::Binary(bytes) => bytes,
            Message::Close(Some(close)) => {
                return Err(Closed { code: close.code.into(), reason: close.reason.to_string() }.into());
            }
            Message::Close(None) => bail!("closed without a reason"),
            _ => return Ok(false),
        };
        // By the library: what a host sends may be longer than what it takes.
        match Received::decode_v1(&bytes) {
            Ok(Received::Sync(SyncMessage::SyncStep2(update))) => self.take(&update).map(|()| true),
            Ok(Received::Sync(SyncMessage::Update(update))) => self.take(&update).map(|()| false),
            _ => Ok(false),
        }
    }

    fn take(&mut self, update: &[u8]) -> Result<()> {
        Ok(self.doc.transact_mut().apply_update(yrs::Update::decode_v1(update)?)?)
    }
}

async fn open(document: &str, address: SocketAddr, token: Option<&str>) -> Result<Socket> {
    let mut request = format!("ws://{address}/yjs/{document}").into_client_request()?;
    if let Some(token) = token {
        request.headers_mut().insert("authorization", HeaderValue::try_from(format!("Bearer {token}"))?);
    }
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(client_async(request, stream).await?.0)
}
