//! The only source of chance: ids and secrets, from one cryptographic generator. A test seeds it.

use std::sync::{Arc, Mutex, PoisonError};

use rand::{Rng, RngCore, SeedableRng, distr::Alphanumeric, rngs::StdRng};
use uuid::{Builder, Uuid};

use crate::domain::Timestamp;

/// Makes ids and secrets.
#[derive(Clone)]
pub struct Entropy(Arc<Mutex<StdRng>>);

impl Entropy {
    /// Seeded by the machine.
    pub fn from_machine() -> Self {
        Self(Arc::new(Mutex::new(StdRng::from_os_rng())))
    }

    /// Always the same sequence; for tests only.
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    fn with<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        self.with(|rng| {
            let mut bytes = [0; N];
            rng.fill_bytes(&mut bytes);
            bytes
        })
    }

    /// An id that tells nothing.
    pub fn uuid(&self) -> Uuid {
        Builder::from_random_bytes(self.bytes()).into_uuid()
    }

    /// An id that sorts by the time it was made, so that indexes grow at their end.
    pub fn ordered_uuid(&self, now: Timestamp) -> Uuid {
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or_default();
        Builder::from_unix_timestamp_millis(millis, &self.bytes()).into_uuid()
    }

    /// Random base-62 characters.
    pub fn base62(&self, length: usize) -> String {
        self.with(|rng| rng.sample_iter(Alphanumeric).take(length).map(char::from).collect())
    }
}
