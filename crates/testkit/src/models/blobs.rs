//! A weight file, written from front to back.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use super::random::Random;

/// Everything in the file begins at a multiple of this.
const ALIGNMENT: u64 = 64;
/// Begins the record of a blob.
const SENTINEL: u32 = 0xdead_beef;
/// The version of the layout that Core ML reads.
const VERSION: u32 = 2;
/// The number of 16-bit floats in a record.
const FLOAT16: u32 = 1;

/// A weight file that is being written: a header with the number of blobs, then for each blob a record and its data.
pub(super) struct Blobs {
    file: BufWriter<File>,
    count: u32,
    at: u64,
}

impl Blobs {
    pub(super) fn create(path: &Path) -> io::Result<Blobs> {
        let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
        file.write_all(&[0; ALIGNMENT as usize])?;
        Ok(Blobs { file, count: 0, at: ALIGNMENT })
    }

    /// Appends `count` random 16-bit floats and gives the offset of their record.
    pub(super) fn halves(&mut self, count: u64, random: &mut Random) -> io::Result<u64> {
        let record = self.at;
        let bytes = count * 2;
        let data = record + ALIGNMENT;
        let mut head = [0u8; ALIGNMENT as usize];
        head[0..4].copy_from_slice(&SENTINEL.to_le_bytes());
        head[4..8].copy_from_slice(&FLOAT16.to_le_bytes());
        head[8..16].copy_from_slice(&bytes.to_le_bytes());
        head[16..24].copy_from_slice(&data.to_le_bytes());
        self.file.write_all(&head)?;
        random.write_halves(count, &mut self.file)?;
        let end = data + bytes;
        self.at = end.next_multiple_of(ALIGNMENT);
        self.file.write_all(&[0u8; ALIGNMENT as usize][..(self.at - end) as usize])?;
        self.count += 1;
        Ok(record)
    }

    /// Bytes of the blobs so far.
    pub(super) fn len(&self) -> u64 {
        self.at - ALIGNMENT
    }

    /// Writes the header.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&self.count.to_le_bytes())?;
        self.file.write_all(&VERSION.to_le_bytes())?;
        self.file.flush()
    }
}
