//! Input files: opened once, mapped, and identified so that outputs cannot hit them.

use std::fs::{File, Metadata, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{OpenError, OpenProblem};
use crate::map::{Access, FileMap};

/// Device and inode: two paths with the same identity are the same file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// A regular file that is open for reading, with its bytes mapped.
///
/// Slices of [`SourceFile::bytes`] share the map and stay valid after the `SourceFile` is dropped.
/// Reading a slice makes what is touched resident, and some around it: up to 2 MiB for each touch,
/// where the system holds the file in large pages. Whoever looks into many places of a large file
/// calls [`SourceFile::release`] from time to time.
#[derive(Debug)]
pub struct SourceFile {
    path: PathBuf,
    file: File,
    map: FileMap,
    bytes: Bytes,
    stamp: Stamp,
    mode: u32,
}

/// What must not change between opening and copying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    id: FileId,
    len: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            id: FileId::of(metadata),
            len: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

impl SourceFile {
    /// Opens and maps a file. Empty files are fine here; whether they make sense is the caller's
    /// question.
    ///
    /// # Errors
    /// The path is missing, unreadable, a folder, or no regular file (pipes and devices are
    /// refused without waiting for them), or the file is too large to be mapped.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.bin");
    /// std::fs::write(&path, b"abcdef")?;
    /// let file = coreml_package::SourceFile::open(&path)?;
    /// assert_eq!(file.len(), 6);
    /// assert_eq!(&file.slice(2..4)?[..], b"cd");
    /// assert!(file.slice(4..7).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Arc<Self>, OpenError> {
        let path = path.as_ref();
        // Without NONBLOCK, opening a pipe waits until somebody writes to it.
        let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(path)
            .map_err(|error| OpenError::io(path, error))?;
        let metadata = file.metadata().map_err(|error| OpenError::io(path, error))?;
        if metadata.is_dir() {
            return Err(OpenError::new(path, OpenProblem::IsFolder));
        }
        if !metadata.is_file() {
            return Err(OpenError::new(path, OpenProblem::NotRegular));
        }
        let len = usize::try_from(metadata.len())
            .ok()
            .filter(|&len| len <= isize::MAX.cast_unsigned())
            .ok_or_else(|| OpenError::new(path, OpenProblem::TooLarge(metadata.len())))?;
        let map = FileMap::new(&file, len).map_err(|error| OpenError::io(path, error))?;
        let bytes = map.bytes();
        Ok(Arc::new(Self {
            path: path.to_owned(),
            file,
            map,
            bytes,
            stamp: Stamp::of(&metadata),
            mode: metadata.mode(),
        }))
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Length in bytes when it was opened.
    pub fn len(&self) -> u64 {
        self.stamp.len
    }

    /// Whether the file has no bytes.
    pub fn is_empty(&self) -> bool {
        self.stamp.len == 0
    }

    /// The whole file, mapped. Cloning and slicing copy nothing.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The bytes `range` of the file, mapped.
    ///
    /// # Errors
    /// The range is reversed or passes the end of the file.
    pub fn slice(&self, range: Range<u64>) -> Result<Bytes, OpenError> {
        let outside = || {
            let problem = OpenProblem::OutOfRange { start: range.start, end: range.end, len: self.len() };
            OpenError::new(&self.path, problem)
        };
        if range.start > range.end || range.end > self.len() {
            return Err(outside());
        }
        let start = usize::try_from(range.start).map_err(|_| outside())?;
        let end = usize::try_from(range.end).map_err(|_| outside())?;
        Ok(self.bytes.slice(start..end))
    }

    /// Where `part` lies in this file, if it is a slice of [`Self::bytes`]: a slice of the map can
    /// then be copied by the operating system and need not be touched. Empty slices lie nowhere.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.bin");
    /// std::fs::write(&path, b"abcdef")?;
    /// let file = coreml_package::SourceFile::open(&path)?;
    /// let part = file.bytes().slice(1..5).slice(1..2);
    /// assert_eq!(file.range_of(&part), Some(2..3));
    /// assert_eq!(file.range_of(b"c"), None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn range_of(&self, part: &[u8]) -> Option<Range<u64>> {
        if part.is_empty() {
            return None;
        }
        let start = part.as_ptr().addr().checked_sub(self.bytes.as_ptr().addr())?;
        let end = start.checked_add(part.len())?;
        (end <= self.bytes.len()).then_some(start as u64..end as u64)
    }

    /// Tells the system how the map is going to be read.
    pub fn advise(&self, access: Access) {
        self.map.advise(access);
    }

    /// Gives back the memory of all pages that were read through the map. They stay in the
    /// system's cache and are mapped again when they are read again.
    pub fn release(&self) {
        self.map.release();
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Permission bits, kept in copies.
    pub(crate) fn mode(&self) -> u32 {
        self.mode & 0o777
    }

    /// Whether length or time of change differ from when the file was opened.
    pub(crate) fn has_changed(&self) -> std::io::Result<bool> {
        Ok(Stamp::of(&self.file.metadata()?) != self.stamp)
    }
}
