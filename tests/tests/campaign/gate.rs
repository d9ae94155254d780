//! The counts that hold on every machine; how long they take is printed.

use std::time::Instant;

use tests::campaign::{
    cpu_time,
    gate::{self, OTHERS, STORMS},
    mutant,
    storm::{self, Size},
};

/// Faults that a storm meets on the average, at least.
const FAULTS: u64 = 5;

#[test]
fn every_step_of_every_scene_in_every_way() {
    let points = gate::points(OTHERS);
    println!("{}", points.table);
    assert!(points.broken.is_empty(), "{}", points.broken.join("\n\n"));
    assert!(points.count >= 5_000, "only {} points", points.count);
}

#[test]
fn two_thousand_storms() {
    let (begun, cpu) = (Instant::now(), cpu_time());
    let seeds: Vec<u64> = (0..STORMS).collect();
    let (faults, hits, broken) = gate::storms(&seeds, Size::Small);
    println!(
        "{hits}\n{STORMS} storms, {faults} faults, {:.0} s, {:.0} s of processors",
        begun.elapsed().as_secs_f64(),
        cpu_time().saturating_sub(cpu).as_secs_f64()
    );
    assert!(broken.is_empty(), "{}", broken.join("\n\n"));
    assert!(faults >= FAULTS * STORMS, "only {faults} faults in {STORMS} storms");
}

/// Seeds that found something once.
#[test]
fn seeds_to_remember() {
    let whole = [145, 196, 413, 712, 4260].map(|seed| (seed, Size::Whole));
    // 4260 and 2563: a run went on with the round of an earlier one, and said that it was done without what came since.
    // 8356: an account that was removed came back beside another one, and its fences went back.
    // 12946: a list of wanted actions showed what was done already, which was then counted as done once more.
    // 29288: after a conflict a run took the lease that lay on its account's item, though its mailbox was shared by then.
    let small = [2563, 8356, 12946, 29288].map(|seed| (seed, Size::Small));
    for (seed, size) in whole.into_iter().chain(small) {
        if let Err(what) = storm::storm(seed, size, false, &storm::Skip::new()) {
            panic!("{}", storm::explain(seed, size, &what));
        }
    }
}

#[test]
fn the_same_seed_is_the_same_storm() {
    for seed in [3, 14, 159] {
        let digest = || {
            storm::storm(seed, Size::Whole, false, &storm::Skip::new())
                .expect("a storm")
                .digest
        };
        assert_eq!(digest(), digest(), "seed {seed}");
    }
}

#[test]
#[ignore = "a small part of the two above: what `scripts/mutants` judges by"]
fn a_small_part_of_it_all() {
    match mutant::briefly() {
        Ok(tried) => println!("{tried} scenes, points and storms"),
        Err(what) => panic!("{what}"),
    }
}
