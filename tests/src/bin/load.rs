//! Puts a load on a host, each in a process of its own, and says what it cost.
//!
//!     load [initializes | connections | streams | read | stalled | caps | sockets | churn | many | waves | gate | publish | publish-crash | uploads | languages | crash [KEY=VALUE ...]] [--json]
//!
//! Without a name, those that [`LOADS`] lists. Keys, and what they are when nobody says, stand in [`Load::read`].

use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::process::ExitCode;
use stockade_tests::load::document::caps::Caps;
use stockade_tests::load::document::churn::Churn;
use stockade_tests::load::document::crash::Crash;
use stockade_tests::load::document::gate::Gate;
use stockade_tests::load::document::many::Many;
use stockade_tests::load::document::sockets::Sockets;
use stockade_tests::load::document::waves::Waves;
use stockade_tests::load::figures::Figures;
use stockade_tests::load::initializes::Initializes;
use stockade_tests::load::publish::{Languages, Publish};
use stockade_tests::load::publish_crash::PublishCrash;
use stockade_tests::load::read::{self, Read};
use stockade_tests::load::stalled::Stalled;
use stockade_tests::load::streams::Streams;
use stockade_tests::load::uploads::Uploads;
use stockade_tests::load::{LOADS, bare};
use tokio::net::TcpListener;

/// What follows the name of a load.
struct Options(BTreeMap<String, String>);

impl Options {
    fn read(arguments: &[String]) -> Result<Self> {
        let pair = |argument: &String| {
            let (key, value) = argument.split_once('=').with_context(|| format!("not KEY=VALUE: {argument}"))?;
            Ok((key.to_owned(), value.to_owned()))
        };
        arguments.iter().map(pair).collect::<Result<_>>().map(Self)
    }

    fn text(&mut self, key: &str, otherwise: &str) -> String {
        self.0.remove(key).unwrap_or_else(|| otherwise.into())
    }

    fn number(&mut self, key: &str, otherwise: u64) -> Result<u64> {
        let text = self.0.remove(key);
        text.map_or(Ok(otherwise), |text| text.parse().with_context(|| format!("{key}: not a number: {text}")))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match load().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn load() -> Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|name| name == read::BARE) {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("listening on http://{}", listener.local_addr()?);
        return bare::serve(listener).await;
    }
    let is_json = arguments.last().is_some_and(|last| last == "--json");
    arguments.truncate(arguments.len() - usize::from(is_json));
    let (names, options) = match arguments.split_first() {
        Some((name, options)) => (vec![name.as_str()], options),
        None => (LOADS.to_vec(), &[][..]),
    };
    let loads = names.iter().map(|name| Ok((*name, Load::read(name, Options::read(options)?)?)));
    for (name, load) in loads.collect::<Result<Vec<_>>>()? {
        let figures = load.run().await.with_context(|| name.to_owned())?;
        match is_json {
            true => println!("{}", figures.to_json()),
            false => figures.print(name),
        }
    }
    Ok(())
}

/// A load, and how much of it.
enum Load {
    Initializes(Initializes),
    Connections(Streams),
    Streams(Streams),
    Read(Read),
    Stalled(Stalled),
    Caps(Caps),
    Churn(Churn),
    Crash(Crash),
    Gate(Gate),
    Publish(Publish),
    Languages(Languages),
    PublishCrash(PublishCrash),
    Uploads(Uploads),
    Sockets(Sockets),
    Many(Many),
    Waves(Waves),
}

impl Load {
    fn read(name: &str, mut options: Options) -> Result<Self> {
        let streams = |options: &mut Options| {
            let count = options.number("count", 10_000)? as usize;
            anyhow::Ok(Streams { count, memory: options.text("memory", "2G") })
        };
        let load = match name {
            "initializes" => {
                let (count, sessions) = (options.number("count", 100_000)?, options.number("sessions", 10_000)?);
                Self::Initializes(Initializes { count, sessions })
            }
            "connections" => Self::Connections(streams(&mut options)?),
            "streams" => Self::Streams(streams(&mut options)?),
            "read" => {
                let (mib, rounds) = (options.number("mib", 1024)?, options.number("rounds", 3)?);
                Self::Read(Read { bytes: mib << 20, rounds })
            }
            "stalled" => {
                let (readers, mib) = (options.number("readers", 32)? as usize, options.number("mib", 256)?);
                Self::Stalled(Stalled { readers, bytes: mib << 20 })
            }
            "caps" => Self::Caps(Caps { edits: options.number("edits", 200)? }),
            "churn" => {
                let (agents, edits) = (options.number("agents", 1_000)?, options.number("edits", 2_880)?);
                Self::Churn(Churn { agents, edits })
            }
            "crash" => Self::Crash(Crash { rounds: options.number("rounds", 100)? }),
            "gate" => Self::Gate(Gate { runs: options.number("runs", 1_000_000)?, first: options.number("first", 0)? }),
            "publish" => {
                let (count, clients) = (options.number("count", 1_000)?, options.number("clients", 50)?);
                Self::Publish(Publish { count, clients })
            }
            "publish-crash" => Self::PublishCrash(PublishCrash { rounds: options.number("rounds", 100)? }),
            "uploads" => {
                let (count, clients) = (options.number("count", 100_000)?, options.number("clients", 50)?);
                Self::Uploads(Uploads { count, clients })
            }
            "languages" => {
                let (rounds, memory) = (options.number("rounds", 9)?, options.text("memory", "2G"));
                Self::Languages(Languages { rounds, memory })
            }
            "sockets" => Self::Sockets(Sockets { count: options.number("count", 1_000)? as usize }),
            "many" => Self::Many(Many { agents: options.number("agents", 10_000)? as usize }),
            "waves" => {
                let (agents, waves) = (options.number("agents", 10_000)?, options.number("waves", 10)?);
                Self::Waves(Waves { agents, waves })
            }
            other => bail!(
                "no load {other}; there are {}, connections, many, waves, gate, publish, publish-crash, uploads, languages and crash",
                LOADS.join(", ")
            ),
        };
        let left: Vec<&str> = options.0.keys().map(String::as_str).collect();
        ensure!(left.is_empty(), "not a key of {name}: {}", left.join(", "));
        Ok(load)
    }

    async fn run(self) -> Result<Figures> {
        match self {
            Self::Initializes(load) => load.run().await,
            Self::Connections(load) => load.connections().await,
            Self::Streams(load) => load.run().await,
            Self::Read(load) => load.run().await,
            Self::Stalled(load) => load.run().await,
            Self::Caps(load) => load.run().await,
            Self::Churn(load) => load.run().await,
            Self::Crash(load) => load.run().await,
            Self::Gate(load) => load.run(),
            Self::Publish(load) => load.run().await,
            Self::Languages(load) => load.run().await,
            Self::PublishCrash(load) => load.run().await,
            Self::Uploads(load) => load.run().await,
            Self::Sockets(load) => load.run().await,
            Self::Many(load) => load.run().await,
            Self::Waves(load) => load.run().await,
        }
    }
}
