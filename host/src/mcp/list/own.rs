//! What the registry itself has to list, on the common endpoint: its tools, an entry for each agent, their template.

use super::{BYTES_MAX, ENTRIES_MAX, ListReply, Progress};
use crate::agent::Charged;
use crate::agent::contract::ToolPage;
use crate::mcp::buffer::{Buffer, Overflow};
use crate::mcp::catalog;
use crate::mcp::name::{Cursor, Names};
use crate::mcp::page::Page;
use crate::mcp::request::List;

/// Bytes that a reply keeps for what comes behind its entries.
const END_BYTES: usize = 4 << 10;

/// Bytes of the definitions of the registry's own tools.
const TOOLS_BYTES: u64 = 8 << 10;

impl ListReply<'_, '_> {
    /// Writes what the registry itself has, behind the agent `at`.
    pub(super) fn add_own(&mut self, at: Option<String>) -> Result<Progress, Overflow> {
        let call = self.call;
        let last = match self.list {
            List::Tools => {
                let charge = call.service.replies.charge(TOOLS_BYTES).map_err(Overflow::Refused)?;
                let value = ToolPage { tools: catalog::definitions(), next: None, cache: None };
                let names = Names { agent: None };
                let page = Page::Tools(Charged { value, charge });
                page.write(names, call.era, &mut self.buffer, &mut self.entries)?;
                None
            }
            List::Resources => {
                self.keep_fresh(Some(&catalog::FRESH));
                let start = self.start;
                let full = |buffer: &Buffer, entries: usize| {
                    let is_long = buffer.len() - start >= BYTES_MAX || buffer.room() < END_BYTES;
                    entries >= ENTRIES_MAX || (is_long && entries > 0)
                };
                catalog::write_resources(call, at, &mut self.buffer, &mut self.entries, full)?
            }
            List::Templates => {
                catalog::write_template(&mut self.buffer, &mut self.entries)?;
                None
            }
            List::Prompts => None,
        };
        let here = |at| Cursor { list: self.list.letter(), agent: catalog::CURSOR.to_owned(), at: Some(at) };
        Ok(last.map_or(Progress::Done, |at| Progress::Full(here(at))))
    }
}
