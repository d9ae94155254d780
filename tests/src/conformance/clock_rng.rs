//! The suites of clock and chance.

use std::{collections::BTreeSet, time::Duration};

use shared::ports::{Clock, Rng};

/// What any clock does: it never goes back, and a sleep lasts at least as long as asked.
pub async fn clock(clock: &dyn Clock) {
    let mut last = clock.now();
    clock.sleep(Duration::ZERO).await;
    for _ in 0..3 {
        let before = clock.now();
        assert!(before >= last, "the clock went back");
        clock.sleep(Duration::from_millis(20)).await;
        last = clock.now();
        let slept = Duration::try_from(last.duration_since(before)).expect("time passed");
        // A millisecond less is forgiven: tokio's timers and the wall clock round differently.
        assert!(slept >= Duration::from_millis(19), "slept {slept:?}");
    }
}

/// What any source of chance does: it fills every byte, and does not repeat itself.
pub fn rng(rng: &dyn Rng) {
    rng.fill(&mut []);
    let mut seen = BTreeSet::new();
    let mut bits = vec![0_u32; 100];
    for _ in 0..256 {
        let mut buffer = [0_u8; 100];
        rng.fill(&mut buffer);
        for (count, byte) in bits.iter_mut().zip(buffer) {
            *count += byte.count_ones();
        }
        assert!(seen.insert(buffer), "the same 100 bytes twice");
    }
    // 2,048 throws per place: more than 8 standard deviations off would be no chance (p < 1e-15).
    assert!(
        bits.iter().all(|count| (843..=1205).contains(count)),
        "a byte that is not filled evenly: {bits:?}"
    );
    assert_eq!(rng.below(0), 0);
    assert_eq!(rng.below(1), 0);
    let dice: BTreeSet<_> = (0..500).map(|_| rng.below(6)).collect();
    assert_eq!(dice.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    let hex = rng.hex(16);
    assert!(
        hex.len() == 32 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
        "{hex}"
    );
}
