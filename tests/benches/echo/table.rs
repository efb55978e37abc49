//! Figures as text; the first server is what the ratios' `vs hyper` means, the second `vs rmcp`.

use std::time::Duration;
use stockade_tests::load::{Load, Report};
use stockade_tests::process::Resident;

const MIB: f64 = 1024.0 * 1024.0;

/// One line per server, in the order hyper, rmcp, stockade.
pub fn print_load(load: Load, servers: [(&str, &[Report]); 3]) {
    let rounds = servers[0].1.len();
    println!("\n{} connection(s), {rounds} rounds of {} calls each", load.connections, load.requests);
    println!(
        "{:<12}{:>10}{:>20}{:>10}{:>10}{:>9}{:>10}{:>10}",
        "server", "calls/s", "lowest-highest", "p50", "p99", "reply B", "vs hyper", "vs rmcp"
    );
    let rates = servers.map(|(_, reports)| reports.iter().map(Report::rate).collect::<Vec<f64>>());
    for ((name, reports), own) in servers.iter().zip(&rates) {
        let spread =
            own.iter().fold((f64::MAX, 0.0), |(low, high): (f64, f64), rate| (low.min(*rate), high.max(*rate)));
        let of_rounds = |fraction| median_time(reports.iter().map(|report| report.quantile(fraction)));
        println!(
            "{name:<12}{:>10.0}{:>20}{:>10}{:>10}{:>9}{:>10.2}{:>10.2}",
            median(own.clone()),
            format!("{:.0}-{:.0}", spread.0, spread.1),
            micros(of_rounds(0.5)),
            micros(of_rounds(0.99)),
            reports.iter().map(|report| report.reply_bytes_max).max().unwrap_or_default(),
            ratio(own, &rates[0]),
            ratio(own, &rates[1]),
        );
    }
}

/// Resident memory of each server before the first call and after the last.
pub fn print_memory(servers: &[(&str, Resident, Resident)]) {
    println!("\n{:<12}{:>12}{:>14}{:>12}", "server", "idle MiB", "loaded MiB", "peak MiB");
    for (name, idle, loaded) in servers {
        let mib = |bytes: u64| bytes as f64 / MIB;
        println!("{name:<12}{:>12.1}{:>14.1}{:>12.1}", mib(idle.bytes), mib(loaded.bytes), mib(loaded.peak_bytes));
    }
}

/// Of calls per second, round by round.
fn ratio(own: &[f64], other: &[f64]) -> f64 {
    median(own.iter().zip(other).map(|(own, other)| own / other).collect())
}

/// The middle one; of an even number, the upper of the two.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

fn median_time(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    times[times.len() / 2]
}

fn micros(time: Duration) -> String {
    format!("{:.0} us", time.as_secs_f64() * 1e6)
}
