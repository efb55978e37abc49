//! `make soak` in small: a host under everything at once.

use serde_json::Value;
use tokio::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn half_a_minute_of_everything() {
    let folder = tempfile::tempdir().expect("a folder");
    let plot = folder.path().join("soak.svg");
    let mut driver = Command::new(env!("CARGO_BIN_EXE_soak"));
    driver.args(["seconds=30", "clients=10", "--json"]).arg(format!("plot={}", plot.display())).kill_on_drop(true);
    let output = driver.output().await.expect("the driver starts");
    let (said, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{complaint}");
    println!("soak: {said}{complaint}");
    let figures: Value = serde_json::from_str(&said).expect("one line of JSON");
    let figure = |name: &str| figures[name].as_f64().unwrap_or_else(|| panic!("no {name}: {figures}"));
    assert_eq!(figure("host still runs"), 1.0);
    assert!(figures.get("killed by the kernel").is_none_or(|kills| kills == 0.0), "{figures}");
    for none in ["honest requests that failed", "neighbour's requests that failed", "lent to calls at the end"] {
        assert_eq!(figure(none), 0.0, "{none}: {figures}\n{complaint}");
    }
    assert!(figure("attacks") > 100.0 && figure("neighbour's requests") > 100.0, "{figures}");
    // Of 512 MiB: never more in use than there is, nor a tenth more than the books know of.
    assert!(figure("measured, at most") <= 512.0 && figure("measured above the books, at most") <= 51.2, "{figures}");
    assert!(std::fs::read_to_string(&plot).is_ok_and(|svg| svg.contains("<svg") && svg.contains("measured")));
}
