//! The one place with `unsafe`: mapping a file into memory.

use std::fs::File;
use std::io;

use bytes::Bytes;
use memmap2::{Advice, Mmap, MmapOptions};

/// Maps the first `len` bytes of `file` read-only. A `len` of zero gives empty bytes, as the
/// operating system refuses empty maps.
///
/// The map is marked for random access: a reader that looks at headers only must not make the
/// system read ahead into gigabytes of weights.
#[allow(unsafe_code)]
pub(crate) fn map_file(file: &File, len: usize) -> io::Result<Bytes> {
    if len == 0 {
        return Ok(Bytes::new());
    }
    // SAFETY: the map is read-only and private to this process, and `Mmap` keeps it alive as long
    // as any `Bytes` made from it. What no program can rule out is that another process changes or
    // shortens the file meanwhile. We never write to an input, and the writer compares the length
    // and time of change before it copies, so such a change is refused instead of spread; readers
    // treat the bytes as hostile, so changed values cannot break memory safety here.
    let map: Mmap = unsafe { MmapOptions::new().len(len).map(file)? };
    // Advice only: a system that does not take it reads ahead, nothing else changes.
    let _ = map.advise(Advice::Random);
    Ok(Bytes::from_owner(map))
}
