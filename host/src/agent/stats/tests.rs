//! How calls are counted.

use super::*;

#[test]
fn a_value_falls_into_the_first_class_it_fits() {
    let mut classes = Classes::<3>::default();
    let ends = [1.0, 10.0, 100.0];
    for value in [0.5, 1.0, 1.5, 100.0, 101.0] {
        classes.add(value, &ends);
    }
    assert_eq!((classes.counts, classes.above, classes.count(), classes.sum), ([2, 1, 1], 1, 5, 204.0));
    let mut all = classes;
    all.merge(&classes);
    assert_eq!((all.counts, all.above, all.sum), ([4, 2, 2], 2, 408.0));
}

#[test]
fn a_call_counts_for_its_function_and_its_end() {
    let stats = Stats::default();
    let cost =
        |memory_peak, ms| Cost { memory_peak, cpu: Duration::from_millis(ms), wall: Duration::from_millis(2 * ms) };
    stats.ran("tools.call", "ok", cost(100, 1));
    stats.ran("tools.call", "memory", cost(1 << 20, 3));
    stats.ran("resources.read", "ok", cost(50, 2));
    let Figures { calls, memory_peak, memory_last, cpu_total, wall_longest, functions, .. } = stats.snapshot();
    assert_eq!((calls, memory_peak, memory_last), (3, 1 << 20, 50));
    assert_eq!((cpu_total, wall_longest), (Duration::from_millis(6), Duration::from_millis(6)));
    let tools = &functions["tools.call"];
    assert_eq!(tools.outcomes, BTreeMap::from([("ok", 1), ("memory", 1)]));
    assert_eq!((tools.memory.counts[0], tools.memory.counts[2]), (1, 1), "100 bytes, and a mebibyte");
    assert_eq!((tools.wall.counts[3], tools.wall.counts[4]), (1, 1), "2 ms, and 6");
}
