//! The loads of `make load` in small: a driver and a host, each a process of its own, and what the host's memory does.

use serde_json::Value;
use tokio::process::Command;

/// Resident memory that may come and go with threads and allocators, in MiB.
const FLAT_MIB_MAX: f64 = 2.0;

/// What one of few connections or streams may cost; among few, an allocator's steps weigh more than among thousands.
const EACH_BYTES_MAX: f64 = (64 << 10) as f64;

/// Growth during a large read of an unoptimised host, in MiB.
const READ_MIB_MAX: f64 = 24.0;

/// Growth for a reader that stands still, in KiB: two chunks, and what is on its way to the socket.
const STALLED_KIB_MAX: f64 = 2048.0;

/// One of the loads, and what it measured.
pub async fn load(arguments: &str) -> Value {
    let mut driver = Command::new(env!("CARGO_BIN_EXE_load"));
    driver.args(arguments.split(' ')).arg("--json").kill_on_drop(true);
    let output = driver.output().await.expect("the driver starts");
    let (said, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "load {arguments}: {complaint}");
    println!("load {arguments}: {said}");
    serde_json::from_str(&said).expect("one line of JSON")
}

#[track_caller]
fn figure(figures: &Value, name: &str) -> f64 {
    figures[name].as_f64().unwrap_or_else(|| panic!("no {name}: {figures}"))
}

#[tokio::test]
async fn connections_that_wait_cost_little() {
    let figures = load("connections count=300").await;
    assert!(figure(&figures, "bytes per idle connection") < EACH_BYTES_MAX, "{figures}");
}

#[tokio::test]
async fn sessions_that_nobody_ends_stop_growing() {
    let figures = load("initializes count=3000 sessions=500").await;
    assert_eq!(figure(&figures, "replies with a session"), 3000.0, "{figures}");
    assert!(figure(&figures, "growth after the cap") < FLAT_MIB_MAX, "{figures}");
}

#[tokio::test]
async fn streams_cost_little_and_give_their_places_back() {
    let figures = load("streams count=300").await;
    assert!(figure(&figures, "bytes per stream") < EACH_BYTES_MAX, "{figures}");
    assert_eq!(figure(&figures, "places given back"), 1.0, "{figures}");
}

#[tokio::test]
async fn a_large_resource_passes_through() {
    let figures = load("read mib=64 rounds=1").await;
    for (size, growth, least) in [("json: bytes", "json: growth", 4 << 20), ("plain: bytes", "plain: growth", 3 << 20)]
    {
        // Base64 makes four bytes of three.
        let least = f64::from(least) * 64.0 / 3.0;
        assert!(figure(&figures, size) >= least, "{figures}");
        assert!(figure(&figures, growth) < READ_MIB_MAX, "{figures}");
    }
}

#[tokio::test]
async fn readers_that_stand_still_hold_little() {
    let figures = load("stalled readers=8 mib=64").await;
    assert!(figure(&figures, "resident growth per reader") < STALLED_KIB_MAX, "{figures}");
}
