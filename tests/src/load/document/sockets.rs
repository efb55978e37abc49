//! Clients of the document that only listen: what a connection costs.

use anyhow::Result;

use crate::editor::Editor;
use crate::load::figures::{Figures, Target, growth, mib};
use crate::load::host::Host;
use crate::load::streams::raise_open_files;

/// Bytes of a thousand sockets.
const PER_THOUSAND_MIB_MAX: f64 = 22.0;

#[derive(Debug, Clone, Copy)]
pub struct Sockets {
    pub count: usize,
}

impl Sockets {
    pub async fn run(self) -> Result<Figures> {
        let places = self.count + 16;
        raise_open_files(places)?;
        let manifest = format!(
            "memory: 1G\nhttp: {{ connections: {places} }}\ndocument: {{ clients: {places} }}\nagents: {{ hello: {{ \
             component: '{{hello}}' }} }}\n"
        );
        let host = Host::start(tempfile::tempdir()?, &manifest).await?;
        // What the first of its kind sets up once.
        drop(Editor::connect(host.address, None).await?);
        let before = host.resident()?;
        let mut editors = Vec::with_capacity(self.count);
        for _ in 0..self.count {
            editors.push(Editor::connect(host.address, None).await?);
        }
        let after = host.resident()?;
        let grown = growth(before, after);
        let mut figures = Figures::default();
        figures.add("sockets", self.count as f64, "");
        figures.add("growth", mib(grown), "MiB");
        let per_thousand = mib(grown) * 1e3 / self.count as f64;
        figures.judge("growth per thousand", per_thousand, "MiB", Target::AtMost(PER_THOUSAND_MIB_MAX));
        Ok(figures)
    }
}
