//! Reading by chunks: an instance lives only while its reader keeps up, and what was read is whole all the same.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use stockade::agent::contract::Chunk;
use stockade::agent::{CHUNK_BYTES_MAX, Caller, Charged, Failure, Plan};
use stockade_tests::{Setup, TestHost};

const EVERYTHING: &str = "agents: { everything: { component: '{agents}/everything.wasm' } }";

fn caller() -> Arc<Caller> {
    Arc::new(Caller::new("test".into(), "2026-07-28"))
}

/// Byte `at` of `test://large/...`: byte `at % 8` of the little-endian `at / 8`.
fn expected(at: u64) -> u8 {
    (at / 8).to_le_bytes()[(at % 8) as usize]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_holds_no_instance() {
    let host = TestHost::start(EVERYTHING);
    let size: u64 = 8 << 20;
    let mut reading = host.handle("everything").read(&caller(), &format!("test://large/{size}"), Plan::WHOLE);
    let mut seen = 0;
    while let Some(chunk) = reading.next().await.expect("the resource can be read") {
        let Charged { value: Chunk { bytes, .. }, charge } = chunk;
        drop(charge);
        assert!(bytes.len() <= CHUNK_BYTES_MAX as usize);
        assert!(bytes.iter().zip(seen..).all(|(byte, at)| *byte == expected(at)), "wrong bytes after {seen}");
        seen += bytes.len() as u64;
        if seen < 2 << 20 {
            // Longer than the stall that costs a reader its instance, and what was read ahead for it.
            let nothing_held = || host.used("guests") == 0 && host.used("replies") == 0;
            assert!(stockade_tests::eventually(nothing_held), "a stalled reader holds memory");
        }
    }
    assert_eq!(seen, size);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_readers_share_the_room_there_is() {
    const READERS: usize = 64;
    const SIZE: usize = 4 << 20;
    let host = TestHost::start(
        "memory: 512M\nagents: { everything: { component: '{agents}/everything.wasm', concurrency: 64, queue_wait: 1s } }",
    );
    let uri = format!("test://large/{SIZE}");
    let readers = (0..READERS).map(|_| {
        let mut reading = host.handle("everything").read(&caller(), &uri, Plan::WHOLE);
        tokio::spawn(async move {
            let mut seen = 0;
            // Keeps each chunk until the next one is there, as a client does that is slower than the guest.
            let mut held = None;
            while let Some(chunk) = reading.next().await.expect("it goes on") {
                seen += chunk.value.bytes.len();
                held = Some(chunk);
            }
            drop(held);
            seen
        })
    });
    for reader in readers.collect::<Vec<_>>() {
        assert_eq!(reader.await.expect("it ends"), SIZE);
    }
    assert!(host.refusals("replies") > 0, "there was room for all of them at once");
    host.assert_baseline();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_recycled_now_and_then() {
    let host = TestHost::start(EVERYTHING);
    let size: u64 = 100 << 20;
    let mut reading = host.handle("everything").read(&caller(), &format!("test://large/{size}"), Plan::WHOLE);
    let mut seen = 0;
    while let Some(chunk) = reading.next().await.expect("the resource can be read") {
        seen += chunk.value.bytes.len() as u64;
    }
    assert_eq!(seen, size);
    let peak = host.figures("everything").memory_peak;
    assert!(peak < 8 << 20, "100 MiB were read with {peak} bytes of guest memory");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_leaves_stops_the_guest() {
    // Without directories a guest runs on a thread that others share, with some on one of its own.
    for dirs in ["", ", dirs: { /docs: { path: docs } }"] {
        let setup = Setup::default();
        setup.file("docs/here.txt", b"");
        let agent = "component: '{agents}/guests.wasm', deadline: 60s, cpu: 60s";
        let host = setup.start(&format!("agents: {{ guests: {{ {agent}{dirs} }} }}"));
        let mut reading = host.handle("guests").read(&caller(), "hostile:///spin-second", Plan::WHOLE);
        reading.next().await.expect("the first chunk is fine").expect("there is one");
        assert!(stockade_tests::eventually(|| host.used("guests") > 0), "the second spins");
        drop(reading);
        let began = std::time::Instant::now();
        assert!(stockade_tests::eventually(|| host.used("guests") == 0));
        assert!(began.elapsed() < Duration::from_secs(5), "{dirs}: {:?}", began.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_stops_its_guest() {
    let host = TestHost::start("agents: { guests: { component: '{agents}/guests.wasm', deadline: 60s, cpu: 60s } }");
    for tool in ["spin", "sleep"] {
        let client = host.agent("guests");
        let call = tokio::spawn(async move { client.call(tool, json!({})).await });
        assert!(stockade_tests::eventually(|| host.used("guests") > 0), "{tool} runs");
        call.abort();
        let began = std::time::Instant::now();
        assert!(stockade_tests::eventually(|| host.used("guests") == 0));
        assert!(began.elapsed() < Duration::from_secs(5), "{tool}: {:?}", began.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_does_not_begin_is_a_plain_failure() {
    let host = TestHost::start(EVERYTHING);
    let mut reading = host.handle("everything").read(&caller(), "test://no-such-thing", Plan::WHOLE);
    let failure = reading.next().await.expect_err("there is no such thing");
    assert!(matches!(failure, Failure::Answered(_)), "{failure}");
    assert!(reading.next().await.expect("nothing follows an error").is_none());
}
