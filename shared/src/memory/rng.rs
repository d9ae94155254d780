//! Chance from a seed: the same seed gives the same bytes, on every platform.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use sha2::{Digest as _, Sha256};

use crate::ports::Rng;

/// SHA-256 over seed and counter: slow enough for tests, and no bytes repeat.
#[derive(Clone)]
pub struct SeededRng {
    seed: u64,
    counter: Arc<AtomicU64>,
}

impl SeededRng {
    /// Chance from this seed.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            counter: Arc::default(),
        }
    }
}

impl Rng for SeededRng {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(32) {
            let counter = self.counter.fetch_add(1, Ordering::Relaxed);
            let block = Sha256::new()
                .chain_update(self.seed.to_le_bytes())
                .chain_update(counter.to_le_bytes())
                .finalize();
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
    }
}
