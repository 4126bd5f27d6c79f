//! The one place with `unsafe`: mapping a file into memory, and giving its pages back.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use memmap2::{Advice, Mmap, MmapOptions, UncheckedAdvice};

/// How a mapped file is going to be read. Only speed and memory depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Here and there, as when headers are scanned and weights are skipped: the system reads no
    /// more from the disk than is asked for.
    Sparse,
    /// For the most part and forwards: the system reads ahead. Files are opened like this, as a
    /// mistake in this direction costs little, and one in the other makes reading a cold file
    /// ten times slower.
    Dense,
}

/// A read-only map of the beginning of a file.
#[derive(Debug, Clone)]
pub(crate) struct FileMap(Option<Arc<Mmap>>);

struct Owner(Arc<Mmap>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl FileMap {
    /// Maps `len` bytes. With a `len` of zero nothing is mapped, as the system refuses empty maps.
    #[allow(unsafe_code, reason = "there is no safe way to map a file")]
    pub(crate) fn new(file: &File, len: usize) -> io::Result<Self> {
        if len == 0 {
            return Ok(Self(None));
        }
        // SAFETY: the map is read-only, and `Mmap` lives as long as any `Bytes` made of it. What no
        // program can rule out is that another process changes or shortens the file meanwhile. We
        // never write to an input; the writer compares length and time of change before it copies,
        // so that such a change is refused, not spread; and readers take the bytes for hostile, so
        // that no value found there can break memory safety.
        let map = unsafe { MmapOptions::new().len(len).map(file)? };
        Ok(Self(Some(Arc::new(map))))
    }

    /// The mapped bytes.
    pub(crate) fn bytes(&self) -> Bytes {
        self.0.as_ref().map_or_else(Bytes::new, |map| Bytes::from_owner(Owner(Arc::clone(map))))
    }

    /// Advice only: where the system does not take it, nothing else changes.
    pub(crate) fn advise(&self, access: Access) {
        if let Some(map) = &self.0 {
            let _ = map.advise(match access {
                Access::Sparse => Advice::Random,
                Access::Dense => Advice::Normal,
            });
        }
    }

    /// Drops the pages from this process's memory; reading them again maps them again.
    #[allow(unsafe_code, reason = "the advice would lose data in other kinds of maps")]
    pub(crate) fn release(&self) {
        if let Some(map) = &self.0 {
            // SAFETY: the map is shared with its file and never written, so a page that is dropped
            // comes back from the file with the same bytes.
            let _ = unsafe { map.unchecked_advise(UncheckedAdvice::DontNeed) };
        }
    }
}
