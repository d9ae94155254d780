//! Kill -9 at any moment, start again: nothing lost, nothing twice. `make campaign` does so a thousand times.

use rand::{SeedableRng as _, rngs::SmallRng};
use tests::{binary::setting, campaign::kills::kill};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_it_imports_and_while_it_serves_it_loses_nothing_and_tells_nothing_twice() {
    let seed = setting("POSTROOM_TEST_SEED")
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(rand::random::<u64>);
    println!("POSTROOM_TEST_SEED={seed}");
    kill(&mut SmallRng::seed_from_u64(seed), seed, 30, 25).await;
}
