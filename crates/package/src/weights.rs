//! The weight files of a model, opened when first asked for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::blob::BlobFile;
use crate::confine;
use crate::error::OpenError;

/// Weight files below the folder of a model file.
#[derive(Debug)]
pub(crate) struct WeightFiles {
    root: PathBuf,
    model_folder: PathBuf,
    open: Mutex<BTreeMap<PathBuf, Arc<BlobFile>>>,
}

impl WeightFiles {
    /// `root` bounds what may be opened; references start at `model_folder`. Both are canonical.
    pub(crate) fn new(root: PathBuf, model_folder: PathBuf) -> Self {
        Self { root, model_folder, open: Mutex::default() }
    }

    pub(crate) fn get(&self, reference: &str) -> Result<Arc<BlobFile>, OpenError> {
        let path = self.real_path(reference)?;
        // A panic of another thread cannot leave the map half changed.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.get(&path) {
            return Ok(Arc::clone(file));
        }
        let file = BlobFile::open(&path)?;
        open.insert(path, Arc::clone(&file));
        Ok(file)
    }

    /// Where an existing weight file is.
    pub(crate) fn real_path(&self, reference: &str) -> Result<PathBuf, OpenError> {
        let name = confine::weight_path(&self.root, reference)?;
        confine::resolve(&self.root, &self.model_folder, name, "the model")
    }

    /// Where a weight file that does not exist yet is to be.
    pub(crate) fn new_path(&self, reference: &str) -> Result<PathBuf, OpenError> {
        let name = confine::weight_path(&self.root, reference)?;
        confine::resolve_new(&self.root, &self.model_folder, name)
    }

    pub(crate) fn model_folder(&self) -> &Path {
        &self.model_folder
    }
}
