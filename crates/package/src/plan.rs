//! The layout of a weight file to be written: what stays, what moves, what is new.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use crate::blob::{BlobFile, BlobRecord, UNIT, align, encode_header, encode_record, moved_record};
use crate::chunk::{ByteStream, Chunk};
use crate::dedup::Dedup;
use crate::dtype::BlobType;
use crate::error::{BlobError, BlobProblem};
use crate::file::SourceFile;

/// Compaction pays where more than this share of the file is dead …
const DEAD_PERCENT: u128 = 5;
/// … and more than this many bytes.
const DEAD_BYTES: u64 = 1 << 20;

static ZEROS: [u8; UNIT as usize] = [0; UNIT as usize];

/// A blob that was appended to a [`WeightPlan`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobId(u32);

/// The content of a blob to be appended.
#[derive(Clone)]
pub enum BlobData {
    /// Bytes in memory, or a slice of an input's map.
    Bytes(Bytes),
    /// Bytes computed while the file is written.
    Stream(Arc<dyn ByteStream>),
}

impl From<Bytes> for BlobData {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Vec<u8>> for BlobData {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<Arc<dyn ByteStream>> for BlobData {
    fn from(stream: Arc<dyn ByteStream>) -> Self {
        Self::Stream(stream)
    }
}

impl BlobData {
    pub(crate) fn byte_len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Stream(stream) => stream.byte_len(),
        }
    }
}

struct NewBlob {
    dtype: BlobType,
    padding_bits: u8,
    data: BlobData,
}

/// Decides what a weight file will hold.
///
/// Without [`WeightPlan::track_live`] or [`WeightPlan::keep`] every old blob is live: the old
/// bytes stay as they are, at the offsets they have, and new blobs follow. With it, the file is
/// compacted where more than 5 % of it and more than 1 MiB are dead; otherwise it still only grows.
///
/// ```
/// use coreml_package::{BlobType, WeightPlan};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut plan = WeightPlan::new(None);
/// let scale = plan.append(BlobType::Float32, vec![0, 0, 128, 63], 0)?;
/// let again = plan.append(BlobType::Float32, vec![0, 0, 128, 63], 0)?;
/// assert_eq!(scale, again); // equal blobs are stored once
/// let codes = plan.append(BlobType::UInt4, vec![0x21, 0x03], 4)?; // three elements
/// let layout = plan.finish()?;
/// assert_eq!(layout.offset_of(scale), Some(64));
/// assert_eq!(layout.offset_of(codes), Some(192));
/// assert_eq!(layout.byte_len(), 256 + 2);
/// # Ok(())
/// # }
/// ```
pub struct WeightPlan {
    base: Option<Arc<BlobFile>>,
    live: Option<BTreeSet<u64>>,
    new: Vec<NewBlob>,
    origins: Vec<Arc<SourceFile>>,
    seen: Dedup,
}

impl WeightPlan {
    /// A plan that starts from an earlier weight file, or from nothing.
    pub fn new(base: Option<Arc<BlobFile>>) -> Self {
        let origins = base.iter().map(|base| Arc::clone(base.file())).collect();
        Self { base, live: None, new: Vec::new(), origins, seen: Dedup::default() }
    }

    /// The file that the plan starts from.
    pub fn base(&self) -> Option<&Arc<BlobFile>> {
        self.base.as_ref()
    }

    /// Names an input whose map slices may be appended, such as a NeuralNetwork file whose weights
    /// become blobs: they are then copied by the system. The base need not be named.
    pub fn copies_from(&mut self, file: &Arc<SourceFile>) {
        self.origins.push(Arc::clone(file));
    }

    /// From now on only blobs named by [`WeightPlan::keep`] are live. To be called where every
    /// user of the file is known: all functions, all inner models.
    pub fn track_live(&mut self) {
        self.live.get_or_insert_default();
    }

    /// Marks the old blob at `offset` live, and starts tracking.
    ///
    /// # Errors
    /// There is no base file, or no valid record at this offset.
    pub fn keep(&mut self, offset: u64) -> Result<(), BlobError> {
        let Some(base) = &self.base else {
            let problem = BlobProblem::NoBase;
            return Err(BlobError { path: "the new weight file".into(), offset, problem });
        };
        base.record(offset)?;
        self.live.get_or_insert_default().insert(offset);
        Ok(())
    }

    /// Adds a blob. One that has the same bytes, type and padding as an earlier addition is that
    /// addition; a stream is the same as itself only.
    ///
    /// `padding_bits` is the count of unused bits at the end of the last byte, 0 to 7, and 0 for
    /// types of whole bytes.
    ///
    /// # Errors
    /// The bytes are no whole number of elements, or there are more blobs than the format counts.
    pub fn append(
        &mut self,
        dtype: BlobType,
        data: impl Into<BlobData>,
        padding_bits: u8,
    ) -> Result<BlobId, BlobProblem> {
        let data = data.into();
        let size = data.byte_len();
        let whole = dtype.elements_in(size, u64::from(padding_bits)).is_some();
        if !whole || (dtype.bits() >= 8 && padding_bits != 0) {
            return Err(BlobProblem::Size { dtype, size, padding_bits: u64::from(padding_bits) });
        }
        let id = BlobId(u32::try_from(self.new.len()).map_err(|_| BlobProblem::TooMany)?);
        let earlier = self.seen.find_or_add(dtype, padding_bits, &data, id.0);
        if earlier != id.0 {
            return Ok(BlobId(earlier));
        }
        self.new.push(NewBlob { dtype, padding_bits, data });
        Ok(id)
    }

    /// Fixes every offset.
    ///
    /// # Errors
    /// More blobs than the header counts, or a file longer than 64-bit offsets reach.
    pub fn finish(self) -> Result<WeightLayout, BlobProblem> {
        let kept = match (&self.base, &self.live) {
            (Some(base), Some(live)) => Compacted::new(base, live)?.filter(|compacted| {
                let len = base.file().len();
                let dead = len.saturating_sub(compacted.end);
                dead > DEAD_BYTES && u128::from(dead) * 100 > u128::from(len) * DEAD_PERCENT
            }),
            _ => None,
        };
        let mut layout = WeightLayout {
            chunks: Vec::new(),
            end: UNIT,
            offsets: Vec::with_capacity(self.new.len()),
            moved: None,
        };
        let mut count = 0;
        match (&self.base, kept) {
            (Some(_), Some(compacted)) => {
                count = compacted.moved.len();
                layout.chunks = compacted.chunks;
                layout.end = compacted.end;
                layout.moved = Some(compacted.moved);
            }
            (Some(base), None) => {
                count = base.count() as usize;
                let file = base.file();
                layout.end = file.len();
                if self.new.is_empty() {
                    layout.chunks.push(Chunk::whole(file));
                    return Ok(layout);
                }
                let range = UNIT..file.len();
                layout.chunks.push(Chunk::Copy { file: Arc::clone(file), range });
            }
            (None, _) => {}
        }
        let total = count.checked_add(self.new.len()).and_then(|sum| u32::try_from(sum).ok());
        let base = self.base.as_ref();
        let header = encode_header(base.map(|base| base.header()), total.ok_or(BlobProblem::TooMany)?);
        layout.chunks.insert(0, Chunk::Bytes(Bytes::copy_from_slice(&header)));
        for blob in self.new {
            layout.append(blob, &self.origins)?;
        }
        Ok(layout)
    }
}

/// The old blobs that stay, moved together.
struct Compacted {
    chunks: Vec<Chunk>,
    moved: BTreeMap<u64, u64>,
    end: u64,
}

impl Compacted {
    /// `None` where moving would not make the file shorter, as with records that share data.
    fn new(base: &Arc<BlobFile>, live: &BTreeSet<u64>) -> Result<Option<Self>, BlobProblem> {
        let mut this = Self { chunks: Vec::new(), moved: BTreeMap::new(), end: UNIT };
        for &offset in live {
            let (Ok(record), Ok(bytes)) = (base.record(offset), base.record_bytes(offset)) else {
                return Ok(None);
            };
            this.push(base, record, bytes)?;
            if this.end > base.file().len() {
                return Ok(None);
            }
        }
        Ok(Some(this))
    }

    fn push(
        &mut self,
        base: &BlobFile,
        record: BlobRecord,
        bytes: [u8; UNIT as usize],
    ) -> Result<(), BlobProblem> {
        let at = align(self.end).ok_or(BlobProblem::TooLong)?;
        pad(&mut self.chunks, at - self.end);
        let data = at.checked_add(UNIT).ok_or(BlobProblem::TooLong)?;
        let size = record.data.end - record.data.start;
        self.chunks.push(Chunk::Bytes(Bytes::copy_from_slice(&moved_record(bytes, data))));
        self.chunks.push(Chunk::Copy { file: Arc::clone(base.file()), range: record.data });
        self.end = data.checked_add(size).ok_or(BlobProblem::TooLong)?;
        self.moved.insert(record.offset, at);
        Ok(())
    }
}

/// A weight file ready to be written, with the offsets that the specification must use.
pub struct WeightLayout {
    chunks: Vec<Chunk>,
    end: u64,
    offsets: Vec<u64>,
    moved: Option<BTreeMap<u64, u64>>,
}

impl WeightLayout {
    /// Offset of an appended blob; `None` for an id of another plan.
    pub fn offset_of(&self, id: BlobId) -> Option<u64> {
        self.offsets.get(id.0 as usize).copied()
    }

    /// Where the old blob at `offset` is now; `None` if it was dropped.
    pub fn relocated(&self, offset: u64) -> Option<u64> {
        match &self.moved {
            None => Some(offset),
            Some(moved) => moved.get(&offset).copied(),
        }
    }

    /// Whether old blobs were moved together.
    pub fn is_compacted(&self) -> bool {
        self.moved.is_some()
    }

    /// Length of the file in bytes.
    pub fn byte_len(&self) -> u64 {
        self.end
    }

    /// What the file consists of.
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    fn append(&mut self, blob: NewBlob, origins: &[Arc<SourceFile>]) -> Result<(), BlobProblem> {
        let at = align(self.end).ok_or(BlobProblem::TooLong)?;
        pad(&mut self.chunks, at - self.end);
        let data = at.checked_add(UNIT).ok_or(BlobProblem::TooLong)?;
        let size = blob.data.byte_len();
        let record = encode_record(blob.dtype, size, data, blob.padding_bits);
        self.chunks.push(Chunk::Bytes(Bytes::copy_from_slice(&record)));
        self.chunks.push(match blob.data {
            BlobData::Stream(stream) => Chunk::Stream(stream),
            BlobData::Bytes(bytes) => {
                let found = origins.iter().find_map(|file| Some((file, file.range_of(&bytes)?)));
                match found {
                    Some((file, range)) => Chunk::Copy { file: Arc::clone(file), range },
                    None => Chunk::Bytes(bytes),
                }
            }
        });
        self.end = data.checked_add(size).ok_or(BlobProblem::TooLong)?;
        self.offsets.push(at);
        Ok(())
    }
}

/// Adds `len` zero bytes, fewer than 64.
fn pad(chunks: &mut Vec<Chunk>, len: u64) {
    let zeros = ZEROS.get(..len as usize).unwrap_or_default();
    if !zeros.is_empty() {
        chunks.push(Chunk::Bytes(Bytes::from_static(zeros)));
    }
}
