//! What an edit of the registry's document costs: read by the gate, held against rights, applied, compared with the schema,
//! put into the records, and written as an update for everybody.
//!
//! Beside it, in the same run, the same edits applied by yrs alone. Prints percentiles and the ratio; never fails on time. Run
//! by `make bench`.

use std::time::Instant;

use stockade::registry::fuzz::Gated;
use yrs::updates::decoder::Decode as _;
use yrs::{Doc, Map as _, MapRef, Transact as _, Update};

const ROUNDS: usize = 5;
const AGENTS: usize = 10_000;
const EDITS: usize = 50_000;

/// The client that edits.
const CLIENT: u64 = 7;

fn main() {
    let names: Vec<String> = (0..AGENTS).map(|number| format!("agent-{number:05}")).collect();
    println!("{EDITS} edits of {AGENTS} agents each; microseconds");
    println!("{:34} {:>8} {:>8} {:>8}", "", "p50", "p99", "ratio");
    for _ in 0..ROUNDS {
        let mut gated = Gated::new(names.iter().map(String::as_str));
        let (state, edits) = edits(&gated.state(), &names);
        let bare = doc(&state, CLIENT + 1);
        let baseline = percentiles(&edits, |edit| {
            let mut txn = bare.transact_mut();
            txn.apply_update(Update::decode_v1(edit).expect("an update")).expect("it applies");
        });
        show("yrs alone", baseline, baseline);
        let taken = percentiles(&edits, |edit| assert_eq!(gated.apply(edit).len(), 1));
        show("gated", taken, baseline);
    }
}

/// A document of a client's.
fn doc(state: &[u8], client: u64) -> Doc {
    let doc = Doc::with_client_id(client);
    doc.get_or_insert_map("agents");
    doc.transact_mut().apply_update(Update::decode_v1(state).expect("a state")).expect("it applies");
    doc
}

/// One update for each edit: of a title or a cap, one agent after the other.
fn edits(state: &[u8], names: &[String]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let client = doc(state, CLIENT);
    let agents: MapRef = client.get_or_insert_map("agents");
    let edit = |number: usize| {
        let mut txn = client.transact_mut();
        let Some(yrs::Out::YMap(agent)) = agents.get(&txn, &names[number % names.len()]) else { unreachable!() };
        match number % 2 {
            0 => drop(agent.insert(&mut txn, "title", format!("edit {number}"))),
            _ => drop(agent.insert(&mut txn, "memory", 1_048_576 + number as i64)),
        }
        txn.encode_update_v1()
    };
    (state.to_vec(), (0..EDITS).map(edit).collect())
}

fn percentiles(edits: &[Vec<u8>], mut apply: impl FnMut(&[u8])) -> [f64; 2] {
    let mut times: Vec<f64> = edits
        .iter()
        .map(|edit| {
            let began = Instant::now();
            apply(edit);
            began.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    [times[EDITS / 2], times[EDITS * 99 / 100]]
}

fn show(what: &str, [p50, p99]: [f64; 2], baseline: [f64; 2]) {
    println!("{what:34} {p50:8.2} {p99:8.2} {:8.2}", p50 / baseline[0]);
}
