//! Laying out weight files.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use coreml_package::{
    BlobFile, BlobProblem, BlobType, ByteStream, Chunk, SourceFile, WeightLayout, WeightPlan, WriteOptions,
    write_model_file,
};

use crate::data;

/// Writes the chunks of a layout as a plain file, which is what a weight file is.
fn write(layout: &WeightLayout, path: &Path) -> Arc<BlobFile> {
    let written = write_model_file(path, layout.chunks(), &WriteOptions::new()).unwrap();
    assert_eq!(written.bytes, layout.byte_len());
    assert_eq!(std::fs::metadata(path).unwrap().len(), layout.byte_len());
    BlobFile::open(path).unwrap()
}

/// `start` and then `len - 1` bytes that differ from it and from their neighbours.
fn bytes(start: u8, len: usize) -> Bytes {
    (0..len).map(|at| start.wrapping_add((at * 7) as u8)).collect::<Vec<_>>().into()
}

#[test]
fn a_file_from_nothing_is_what_coremltools_writes() {
    let original = BlobFile::open(data("every_type.bin")).unwrap();
    let mut plan = WeightPlan::new(None);
    let mut ids = Vec::new();
    for record in original.records() {
        let blob = original.blob(record.unwrap().offset).unwrap();
        let copy = Bytes::copy_from_slice(&blob.data);
        ids.push((blob.offset, plan.append(blob.dtype, copy, blob.padding_bits).unwrap()));
    }
    let layout = plan.finish().unwrap();
    for (offset, id) in ids {
        assert_eq!(layout.offset_of(id), Some(offset));
    }
    let folder = tempfile::tempdir().unwrap();
    let written = write(&layout, &folder.path().join("weight.bin"));
    assert_eq!(written.file().bytes(), original.file().bytes());
}

#[test]
fn appending_keeps_every_old_byte() {
    let original = BlobFile::open(data("every_type.bin")).unwrap();
    let len = original.file().len();
    assert_ne!(len % 64, 0, "the gap behind the last blob is part of the test");
    let mut plan = WeightPlan::new(Some(Arc::clone(&original)));
    let first = plan.append(BlobType::Int16, bytes(1, 6), 0).unwrap();
    let empty = plan.append(BlobType::Float32, Bytes::new(), 0).unwrap();
    let second = plan.append(BlobType::UInt3, bytes(2, 5), 7).unwrap();
    let layout = plan.finish().unwrap();
    assert!(!layout.is_compacted());
    assert_eq!(layout.relocated(320), Some(320));

    let folder = tempfile::tempdir().unwrap();
    let written = write(&layout, &folder.path().join("weight.bin"));
    assert_eq!(written.count(), 20);
    assert_eq!(written.records().filter(Result::is_ok).count(), 20);
    let (old, new) = (original.file().bytes(), written.file().bytes());
    assert_eq!(new[4..old.len()], old[4..]);
    assert!(new[old.len()..2240].iter().all(|&byte| byte == 0));
    let blob = |id| written.blob(layout.offset_of(id).unwrap()).unwrap();
    assert_eq!((blob(first).offset, blob(first).data), (2240, bytes(1, 6)));
    assert_eq!((blob(empty).offset, blob(empty).elements), (2368, 0));
    assert_eq!((blob(second).data, blob(second).padding_bits), (bytes(2, 5), 7));
}

#[test]
fn nothing_appended_is_the_same_file() {
    let original = BlobFile::open(data("every_type.bin")).unwrap();
    let layout = WeightPlan::new(Some(Arc::clone(&original))).finish().unwrap();
    assert!(matches!(layout.chunks(), [Chunk::Copy { range, .. }] if *range == (0..2187)));
}

#[test]
fn equal_blobs_are_stored_once() {
    let mut plan = WeightPlan::new(None);
    let a = plan.append(BlobType::UInt8, bytes(1, 8), 0).unwrap();
    let b = plan.append(BlobType::UInt8, bytes(2, 8), 0).unwrap();
    let again = plan.append(BlobType::UInt8, bytes(1, 8), 0).unwrap();
    let other_type = plan.append(BlobType::Int8, bytes(1, 8), 0).unwrap();
    let unpadded = plan.append(BlobType::UInt4, bytes(1, 8), 0).unwrap();
    let padded = plan.append(BlobType::UInt4, bytes(1, 8), 4).unwrap();
    assert_eq!(a, again);
    let distinct: std::collections::BTreeSet<_> = [a, b, other_type, unpadded, padded].into();
    assert_eq!(distinct.len(), 5);
    assert_eq!(plan.finish().unwrap().byte_len(), 64 + 4 * 128 + 64 + 8);
}

struct Countdown(u64);

impl ByteStream for Countdown {
    fn byte_len(&self) -> u64 {
        self.0
    }

    fn write_to(&self, sink: &mut dyn Write) -> io::Result<()> {
        for left in (0..self.0).rev() {
            sink.write_all(&[left as u8])?;
        }
        Ok(())
    }
}

#[test]
fn streams_are_written_in_place_and_shared_by_identity() {
    let stream: Arc<dyn ByteStream> = Arc::new(Countdown(1000));
    let mut plan = WeightPlan::new(None);
    let a = plan.append(BlobType::UInt8, Arc::clone(&stream), 0).unwrap();
    let bytes: Vec<u8> = (0..1000_u32).rev().map(|left| left as u8).collect();
    let b = plan.append(BlobType::UInt8, bytes.clone(), 0).unwrap();
    let again = plan.append(BlobType::UInt8, stream, 0).unwrap();
    assert_eq!(a, again);
    assert_ne!(a, b);
    let layout = plan.finish().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let written = write(&layout, &folder.path().join("weight.bin"));
    for id in [a, b] {
        assert_eq!(written.blob(layout.offset_of(id).unwrap()).unwrap().data, bytes);
    }
}

#[test]
fn sizes_that_fit_no_element_are_refused() {
    let mut plan = WeightPlan::new(None);
    let size = |dtype, size, padding_bits| Err(BlobProblem::Size { dtype, size, padding_bits });
    let fp16 = BlobType::Float16;
    assert_eq!(plan.append(fp16, bytes(0, 3), 0), size(fp16, 3, 0));
    assert_eq!(plan.append(fp16, bytes(0, 4), 4), size(fp16, 4, 4));
    let int4 = BlobType::Int4;
    assert_eq!(plan.append(int4, bytes(0, 3), 2), size(int4, 3, 2));
    assert_eq!(plan.append(int4, Bytes::new(), 4), size(int4, 0, 4));
}

#[test]
fn slices_of_inputs_are_copied_by_the_system() {
    let original = BlobFile::open(data("every_type.bin")).unwrap();
    let other = SourceFile::open(data("make_weights.py")).unwrap();
    let mut plan = WeightPlan::new(Some(Arc::clone(&original)));
    plan.copies_from(&other);
    plan.append(BlobType::UInt8, original.blob(320).unwrap().data, 0).unwrap();
    plan.append(BlobType::UInt8, other.slice(10..31).unwrap(), 0).unwrap();
    let layout = plan.finish().unwrap();
    let copied: Vec<_> = layout
        .chunks()
        .iter()
        .filter_map(|chunk| match chunk {
            Chunk::Copy { file, range } => Some((file.path().to_owned(), range.clone())),
            _ => None,
        })
        .collect();
    let weights = data("every_type.bin");
    assert_eq!(copied, [(weights.clone(), 64..2187), (weights, 384..395), (data("make_weights.py"), 10..31)]);
}

/// A weight file with blobs of the given sizes, and their offsets.
fn base(path: &Path, sizes: &[usize]) -> (Arc<BlobFile>, Vec<u64>) {
    let mut plan = WeightPlan::new(None);
    let ids: Vec<_> = sizes
        .iter()
        .enumerate()
        .map(|(at, &size)| plan.append(BlobType::UInt8, bytes(at as u8, size), 0).unwrap())
        .collect();
    let layout = plan.finish().unwrap();
    let file = write(&layout, path);
    (file, ids.into_iter().map(|id| layout.offset_of(id).unwrap()).collect())
}

const MIB: usize = 1 << 20;

#[test]
fn much_that_is_dead_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let sizes = [100, 2 * MIB, 300, 77];
    let (file, offsets) = base(&folder.path().join("old.bin"), &sizes);
    let mut plan = WeightPlan::new(Some(Arc::clone(&file)));
    for at in [0, 3, 2, 3] {
        plan.keep(offsets[at]).unwrap();
    }
    let new = plan.append(BlobType::Int8, bytes(9, 5), 0).unwrap();
    let layout = plan.finish().unwrap();
    assert!(layout.is_compacted());
    assert_eq!(layout.relocated(offsets[1]), None);
    let written = write(&layout, &folder.path().join("new.bin"));
    assert_eq!(written.count(), 4);
    assert_eq!(written.records().filter(Result::is_ok).count(), 4);
    for at in [0, 2, 3] {
        let blob = written.blob(layout.relocated(offsets[at]).unwrap()).unwrap();
        assert_eq!(blob.data, bytes(at as u8, sizes[at]));
    }
    assert_eq!(written.blob(layout.offset_of(new).unwrap()).unwrap().data, bytes(9, 5));
    assert!(layout.byte_len() < 2000);
}

#[test]
fn little_that_is_dead_stays() {
    let folder = tempfile::tempdir().unwrap();
    // More than 5 %, less than 1 MiB; then more than 1 MiB, less than 5 %.
    let cases = [vec![MIB - 4096, 64], vec![2 * MIB, 50 * MIB]];
    for (case, sizes) in cases.iter().enumerate() {
        let (file, offsets) = base(&folder.path().join(format!("{case}.bin")), sizes);
        let mut plan = WeightPlan::new(Some(file));
        plan.keep(offsets[1]).unwrap();
        let layout = plan.finish().unwrap();
        assert!(!layout.is_compacted(), "case {case}");
        assert_eq!(layout.relocated(offsets[0]), Some(offsets[0]));
    }
}

#[test]
fn liveness_may_say_that_nothing_is_live() {
    let folder = tempfile::tempdir().unwrap();
    let (file, _) = base(&folder.path().join("old.bin"), &[2 * MIB]);
    let mut plan = WeightPlan::new(Some(file));
    plan.track_live();
    let layout = plan.finish().unwrap();
    assert_eq!((layout.is_compacted(), layout.byte_len()), (true, 64));
}

#[test]
fn keeping_needs_a_record() {
    let original = BlobFile::open(data("every_type.bin")).unwrap();
    let mut plan = WeightPlan::new(Some(original));
    assert_eq!(*plan.keep(128).unwrap_err().problem(), BlobProblem::Sentinel(0x0006_0001));
    let error = WeightPlan::new(None).keep(64).unwrap_err();
    assert_eq!(*error.problem(), BlobProblem::NoBase);
}

/// Many records over the same data: moving would copy it many times over.
#[test]
fn shared_data_does_not_multiply() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weight.bin");
    let (_, offsets) = base(&path, &[3 * MIB, 64, 64, 64]);
    let mut file = std::fs::read(&path).unwrap();
    let (big, rest) = (offsets[0] as usize, &offsets[1..]);
    let fields = file[big + 8..big + 24].to_vec();
    for &offset in rest {
        file[offset as usize + 8..offset as usize + 24].copy_from_slice(&fields);
    }
    std::fs::write(&path, file).unwrap();
    let mut plan = WeightPlan::new(Some(BlobFile::open(&path).unwrap()));
    for &offset in rest {
        plan.keep(offset).unwrap();
    }
    let layout = plan.finish().unwrap();
    assert!(!layout.is_compacted());
    assert!(layout.byte_len() < 4 * MIB as u64);
}

#[test]
fn a_full_count_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weight.bin");
    let mut header = [0; 64];
    header[..5].copy_from_slice(&[255, 255, 255, 255, 2]);
    std::fs::write(&path, header).unwrap();
    let mut plan = WeightPlan::new(Some(BlobFile::open(&path).unwrap()));
    plan.append(BlobType::Int8, bytes(0, 1), 0).unwrap();
    assert_eq!(plan.finish().err(), Some(BlobProblem::TooMany));
}
