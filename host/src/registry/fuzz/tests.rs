//! A short run for every day, of the same inputs each time.

/// Runs of many updates, and of bytes as they come.
const RUNS: u64 = 20_000;

#[test]
fn what_the_gate_lets_through_does_no_harm() {
    let (mut let_through, mut refused) = (0, 0);
    for seed in 0..RUNS {
        let mut random = fastrand::Rng::with_seed(seed);
        let length = random.usize(..600);
        let data: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(length).collect();
        let [through, not] = super::updates(&data);
        (let_through, refused) = (let_through + through, refused + not);
        super::bytes(&data);
    }
    // Both, and many: else the updates are not what they are meant to be.
    assert!(let_through > 20_000 && refused > 20_000, "{let_through} let through, {refused} refused");
}
