//! Memory that a run has in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::error::EvalError;

/// Counts the bytes of the arrays that a run made and that are still alive.
#[derive(Debug)]
pub(crate) struct Meter {
    limit: u64,
    live: AtomicU64,
    peak: AtomicU64,
}

impl Meter {
    pub(crate) fn new(limit: Option<u64>) -> Arc<Meter> {
        Arc::new(Meter { limit: limit.unwrap_or(u64::MAX), live: AtomicU64::new(0), peak: AtomicU64::new(0) })
    }

    /// Counts `bytes` until the charge is dropped.
    ///
    /// # Errors
    /// Where they do not fit into what is left.
    pub(crate) fn charge(self: &Arc<Self>, bytes: u64) -> Result<Charge, EvalError> {
        let now = self.live.fetch_add(bytes, Relaxed).saturating_add(bytes);
        if now > self.limit {
            self.live.fetch_sub(bytes, Relaxed);
            return Err(EvalError::Memory { wanted: bytes, live: now - bytes, limit: self.limit });
        }
        self.peak.fetch_max(now, Relaxed);
        Ok(Charge(Some((self.clone(), bytes))))
    }

    pub(crate) fn peak(&self) -> u64 {
        self.peak.load(Relaxed)
    }
}

/// Bytes that are counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Charge(Option<(Arc<Meter>, u64)>);

impl Charge {
    pub(crate) fn none() -> Charge {
        Charge(None)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some((meter, bytes)) = &self.0 {
            meter.live.fetch_sub(*bytes, Relaxed);
        }
    }
}
