//! How outputs are written.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// How an output is written.
///
/// ```
/// let options = coreml_package::WriteOptions::new().force(true).input("model.mlpackage");
/// assert!(options.force);
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct WriteOptions {
    /// Replace a model that is there.
    pub force: bool,
    /// Wait until the output is on the disk, so that it survives a loss of power.
    pub fsync: bool,
    /// What must not be hit, beyond the base and the files that chunks copy from.
    pub inputs: Vec<PathBuf>,
    /// Told of every step.
    pub progress: Option<Progress>,
}

/// A function that is called, during long work, with the count of bytes written since the last
/// call.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(u64) + Send + Sync>);

impl Progress {
    /// Wraps a function. It should return soon: the work waits for it.
    pub fn new(step: impl Fn(u64) + Send + Sync + 'static) -> Self {
        Self(Arc::new(step))
    }

    pub(crate) fn add(&self, bytes: u64) {
        if bytes > 0 {
            (self.0)(bytes);
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}

impl WriteOptions {
    /// Replaces nothing, waits for nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`WriteOptions::force`].
    #[must_use]
    pub fn force(mut self, force: bool) -> Self {
        self.force = force;
        self
    }

    /// Sets [`WriteOptions::fsync`].
    #[must_use]
    pub fn fsync(mut self, fsync: bool) -> Self {
        self.fsync = fsync;
        self
    }

    /// Adds to [`WriteOptions::inputs`].
    #[must_use]
    pub fn input(mut self, path: impl Into<PathBuf>) -> Self {
        self.inputs.push(path.into());
        self
    }

    /// Sets [`WriteOptions::progress`].
    #[must_use]
    pub fn progress(mut self, progress: Progress) -> Self {
        self.progress = Some(progress);
        self
    }
}
