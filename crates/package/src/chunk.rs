//! What a file to be written consists of.

use std::fmt;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::file::SourceFile;

/// Bytes that are computed while they are written, such as a transposed weight: they never stand
/// in memory as a whole.
pub trait ByteStream: Send + Sync {
    /// Number of bytes that [`Self::write_to`] gives.
    fn byte_len(&self) -> u64;

    /// Writes exactly [`Self::byte_len`] bytes. May be called more than once and must then give
    /// the same bytes.
    ///
    /// # Errors
    /// Those of `sink`, handed on.
    fn write_to(&self, sink: &mut dyn Write) -> io::Result<()>;
}

/// A piece of a file to be written.
#[derive(Clone)]
pub enum Chunk {
    /// A range of an input file, copied by the operating system where it is long.
    Copy {
        /// The input.
        file: Arc<SourceFile>,
        /// Bytes of it.
        range: Range<u64>,
    },
    /// Bytes in memory.
    Bytes(Bytes),
    /// Bytes computed while writing.
    Stream(Arc<dyn ByteStream>),
}

impl Chunk {
    /// All of a file.
    pub fn whole(file: &Arc<SourceFile>) -> Self {
        Self::Copy { file: Arc::clone(file), range: 0..file.len() }
    }

    /// Length in bytes.
    pub fn byte_len(&self) -> u64 {
        match self {
            Self::Copy { range, .. } => range.end.saturating_sub(range.start),
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Stream(stream) => stream.byte_len(),
        }
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Copy { file, range } => {
                write!(f, "Copy({}, {}..{})", file.path().display(), range.start, range.end)
            }
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::Stream(stream) => write!(f, "Stream({})", stream.byte_len()),
        }
    }
}

/// Turns pieces of an edited file into chunks: those that are slices of the map of `file` are
/// copied from it, neighbours as one range; empty ones are dropped.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("model.mlmodel");
/// std::fs::write(&path, b"0123456789")?;
/// let file = coreml_package::SourceFile::open(&path)?;
/// let parts = [file.slice(0..3)?, file.slice(3..5)?, "new".into(), file.slice(8..10)?];
/// let chunks = coreml_package::chunks_of(&file, parts);
/// assert_eq!(chunks.len(), 3);
/// assert_eq!(chunks[0].byte_len(), 5);
/// # Ok(())
/// # }
/// ```
pub fn chunks_of(file: &Arc<SourceFile>, parts: impl IntoIterator<Item = Bytes>) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    for part in parts {
        match file.range_of(&part) {
            None if part.is_empty() => {}
            None => chunks.push(Chunk::Bytes(part)),
            Some(next) => match chunks.last_mut() {
                Some(Chunk::Copy { range, .. }) if range.end == next.start => range.end = next.end,
                _ => chunks.push(Chunk::Copy { file: Arc::clone(file), range: next }),
            },
        }
    }
    chunks
}

/// Sum of the lengths, or `None` past 64 bits.
pub(crate) fn total_len(chunks: &[Chunk]) -> Option<u64> {
    chunks.iter().try_fold(0_u64, |sum, chunk| sum.checked_add(chunk.byte_len()))
}
