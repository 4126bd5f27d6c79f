//! Weight files: a header, then records of metadata and data.
//!
//! Layout (storage version 2, `mlmodel/src/MILBlob/Blob/StorageFormat.hpp` in coremltools), all
//! numbers little-endian:
//!
//! | offset | bytes | file header |
//! |---|---|---|
//! | 0 | 4 | count of blobs |
//! | 4 | 4 | version, 2 |
//! | 8 | 56 | reserved |
//!
//! | offset | bytes | metadata record of a blob |
//! |---|---|---|
//! | 0 | 4 | mark 0xDEADBEEF |
//! | 4 | 4 | data type, see [`BlobType`] |
//! | 8 | 8 | bytes of data |
//! | 16 | 8 | offset of the data in the file |
//! | 24 | 8 | unused bits in the last byte of the data |
//! | 32 | 32 | reserved |
//!
//! Records and data start at multiples of 64. A specification names a blob by the offset of its
//! record. The reserved fields, and the padding of whole-byte types, hold garbage in files of
//! early writers and are not read.

use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::dtype::BlobType;
use crate::error::{BlobError, BlobProblem, OpenError, OpenProblem};
use crate::file::SourceFile;

/// Length of the file header and of a metadata record, and the alignment of records and data.
pub(crate) const UNIT: u64 = 64;
const SENTINEL: u32 = 0xDEAD_BEEF;
const VERSION: u32 = 2;

/// The next multiple of 64, or `None` past 64 bits.
pub(crate) fn align(offset: u64) -> Option<u64> {
    offset.checked_next_multiple_of(UNIT)
}

/// An open weight file. Opening reads the header, [`BlobFile::blob`] reads one record; the data
/// stays untouched until somebody reads the slice.
#[derive(Debug)]
pub struct BlobFile {
    file: Arc<SourceFile>,
    count: u32,
}

/// One blob: its metadata and its data as a slice of the map.
#[derive(Debug, Clone)]
pub struct Blob {
    /// Offset of the metadata record, which is the blob's name in specifications.
    pub offset: u64,
    /// Type of the elements.
    pub dtype: BlobType,
    /// The data. Its start is a multiple of 64 in the file, so it is aligned in the map.
    pub data: Bytes,
    /// Unused bits at the end of the last byte, 0 to 7; 0 for types of whole bytes.
    pub padding_bits: u8,
    /// Number of elements.
    pub elements: u64,
}

/// A checked metadata record whose data type need not be known: enough to keep a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobRecord {
    /// Offset of the record.
    pub offset: u64,
    /// Number of the data type as stored; see [`BlobType::from_number`].
    pub dtype: u32,
    /// Where the data lies in the file.
    pub data: Range<u64>,
    /// The padding field as stored; means nothing for types of whole bytes.
    pub padding_bits: u64,
}

impl BlobFile {
    /// Checks the header of a weight file.
    ///
    /// # Errors
    /// The file is shorter than a header, or its version is not 2 (1 is that of compiled
    /// NeuralNetworks).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("weight.bin");
    /// let mut bytes = vec![0; 192];
    /// bytes[0] = 1; // one blob
    /// bytes[4] = 2; // storage version
    /// bytes[64..68].copy_from_slice(&0xDEAD_BEEF_u32.to_le_bytes());
    /// bytes[68] = 4; // int8
    /// bytes[72] = 3; // three bytes of data …
    /// bytes[80] = 128; // … at offset 128
    /// bytes[128..131].copy_from_slice(&[7, 8, 255]);
    /// std::fs::write(&path, &bytes)?;
    ///
    /// let weights = coreml_package::BlobFile::open(&path)?;
    /// let blob = weights.blob(64)?;
    /// assert_eq!((blob.dtype, blob.elements), (coreml_package::BlobType::Int8, 3));
    /// assert_eq!(&blob.data[..], [7, 8, 255]);
    /// assert!(weights.blob(128).is_err()); // no record there
    /// # Ok(())
    /// # }
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Arc<Self>, OpenError> {
        Self::from_file(SourceFile::open(path)?)
    }

    /// [`BlobFile::open`] of a file that is open already.
    ///
    /// # Errors
    /// As [`BlobFile::open`].
    pub fn from_file(file: Arc<SourceFile>) -> Result<Arc<Self>, OpenError> {
        let problem = |problem| OpenError::new(file.path(), OpenProblem::Weights(problem));
        let header = file
            .bytes()
            .first_chunk::<{ UNIT as usize }>()
            .ok_or_else(|| problem(BlobProblem::ShortHeader(file.len())))?;
        let version = u32_at(header, 4);
        if version != VERSION {
            return Err(problem(BlobProblem::Version(version)));
        }
        let count = u32_at(header, 0);
        Ok(Arc::new(Self { file, count }))
    }

    /// The file below.
    pub fn file(&self) -> &Arc<SourceFile> {
        &self.file
    }

    /// Number of blobs as the header has it. Nothing is checked against it: specifications name
    /// blobs by offset.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The metadata record at `offset`, checked against the file.
    ///
    /// # Errors
    /// The offset is not a multiple of 64 or outside the file, the mark is missing, or the data
    /// lies outside the file or does not start at a multiple of 64.
    pub fn record(&self, offset: u64) -> Result<BlobRecord, BlobError> {
        self.record_at(offset).map_err(|problem| self.error(offset, problem))
    }

    /// The blob whose metadata record is at `offset`.
    ///
    /// # Errors
    /// As [`BlobFile::record`]; also a data type that is not known and a size that is no whole
    /// number of its elements.
    pub fn blob(&self, offset: u64) -> Result<Blob, BlobError> {
        let record = self.record(offset)?;
        let error = |problem| self.error(offset, problem);
        let dtype =
            BlobType::from_number(record.dtype).ok_or_else(|| error(BlobProblem::DataType(record.dtype)))?;
        let size = record.data.end - record.data.start;
        let padding_bits = record.padding_bits;
        let elements = dtype
            .elements_in(size, padding_bits)
            .ok_or_else(|| error(BlobProblem::Size { dtype, size, padding_bits }))?;
        let outside = BlobProblem::DataOutside { start: record.data.start, size, len: self.file.len() };
        let data = self.file.slice(record.data).map_err(|_| error(outside))?;
        let padding_bits = if dtype.bits() < 8 { (padding_bits % 8) as u8 } else { 0 };
        Ok(Blob { offset, dtype, data, padding_bits, elements })
    }

    /// Every record, in the order in which writers put them: each starts behind the data of the
    /// one before. Ends after [`BlobFile::count`] records, at the end of the file, or with the
    /// first error.
    pub fn records(&self) -> impl Iterator<Item = Result<BlobRecord, BlobError>> + '_ {
        let mut left = self.count;
        let mut offset = UNIT;
        std::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            left -= 1;
            let record = self.record(offset).and_then(|record| {
                match align(record.data.end) {
                    // A record that points backwards would make the walk go round for ever.
                    Some(next) if next > offset => offset = next,
                    _ => return Err(self.error(offset, BlobProblem::NoProgress)),
                }
                Ok(record)
            });
            if record.is_err() {
                left = 0;
            }
            Some(record)
        })
    }

    /// The 64 bytes of the file header.
    pub(crate) fn header(&self) -> [u8; UNIT as usize] {
        self.file.bytes().first_chunk().copied().unwrap_or([0; UNIT as usize])
    }

    /// The 64 bytes of the record at `offset`. Read through the descriptor: records are scattered
    /// over the file, and a touch of the map makes up to 2 MiB around it resident.
    pub(crate) fn record_bytes(&self, offset: u64) -> Result<[u8; UNIT as usize], BlobProblem> {
        let len = self.file.len();
        if offset.checked_add(UNIT).is_none_or(|end| end > len) {
            return Err(BlobProblem::RecordOutside(len));
        }
        let mut bytes = [0; UNIT as usize];
        let read = self.file.file().read_exact_at(&mut bytes, offset);
        read.map_err(|error| BlobProblem::Unreadable(error.kind()))?;
        Ok(bytes)
    }

    fn record_at(&self, offset: u64) -> Result<BlobRecord, BlobProblem> {
        let len = self.file.len();
        if !offset.is_multiple_of(UNIT) {
            return Err(BlobProblem::Misaligned { what: "the metadata record", offset });
        }
        if offset < UNIT {
            return Err(BlobProblem::Sentinel(u32_at(&self.header(), 0)));
        }
        let bytes = self.record_bytes(offset)?;
        let sentinel = u32_at(&bytes, 0);
        if sentinel != SENTINEL {
            return Err(BlobProblem::Sentinel(sentinel));
        }
        let (size, start) = (u64_at(&bytes, 8), u64_at(&bytes, 16));
        let end = start.checked_add(size).filter(|&end| end <= len);
        let end = end.ok_or(BlobProblem::DataOutside { start, size, len })?;
        if !start.is_multiple_of(UNIT) {
            return Err(BlobProblem::Misaligned { what: "the data", offset: start });
        }
        let (dtype, padding_bits) = (u32_at(&bytes, 4), u64_at(&bytes, 24));
        Ok(BlobRecord { offset, dtype, data: start..end, padding_bits })
    }

    fn error(&self, offset: u64, problem: BlobProblem) -> BlobError {
        BlobError { path: self.file.path().to_owned(), offset, problem }
    }
}

/// A metadata record for data at `offset`.
pub(crate) fn encode_record(
    dtype: BlobType,
    size: u64,
    offset: u64,
    padding_bits: u8,
) -> [u8; UNIT as usize] {
    let mut bytes = [0; UNIT as usize];
    bytes[0..4].copy_from_slice(&SENTINEL.to_le_bytes());
    bytes[4..8].copy_from_slice(&dtype.number().to_le_bytes());
    bytes[8..16].copy_from_slice(&size.to_le_bytes());
    bytes[16..24].copy_from_slice(&offset.to_le_bytes());
    bytes[24..32].copy_from_slice(&u64::from(padding_bits).to_le_bytes());
    bytes
}

/// A file header for `count` blobs; `base` gives the reserved bytes.
pub(crate) fn encode_header(base: Option<[u8; UNIT as usize]>, count: u32) -> [u8; UNIT as usize] {
    let mut bytes = base.unwrap_or([0; UNIT as usize]);
    bytes[0..4].copy_from_slice(&count.to_le_bytes());
    bytes[4..8].copy_from_slice(&VERSION.to_le_bytes());
    bytes
}

/// A stored record that says that its data is at `offset`; nothing else changes.
pub(crate) fn moved_record(mut bytes: [u8; UNIT as usize], offset: u64) -> [u8; UNIT as usize] {
    bytes[16..24].copy_from_slice(&offset.to_le_bytes());
    bytes
}

/// Little-endian number inside a 64-byte unit; `at` is a constant below 61.
fn u32_at(bytes: &[u8; UNIT as usize], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

/// Little-endian number inside a 64-byte unit; `at` is a constant below 57.
fn u64_at(bytes: &[u8; UNIT as usize], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}
