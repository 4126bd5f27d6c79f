//! Reading weight files.

use coreml_package::{BlobFile, BlobProblem, BlobType, OpenProblem, SourceFile};
use proptest::prelude::*;

use crate::data;

/// `every_type.bin` was written by coremltools; see the script beside it for the values.
#[test]
fn every_type_as_coremltools_writes_it() {
    let weights = BlobFile::open(data("every_type.bin")).unwrap();
    assert_eq!(weights.count(), 17);
    let padding = [(8, 4), (9, 5), (10, 2), (11, 4), (12, 7), (13, 6)];
    for number in 1..=17 {
        let blob = weights.blob(64 + 128 * u64::from(number - 1)).unwrap();
        assert_eq!(blob.dtype.number(), number);
        assert_eq!(blob.elements, 11, "{}", blob.dtype);
        let expected = padding.iter().find(|(of, _)| *of == number).map_or(0, |(_, bits)| *bits);
        assert_eq!(blob.padding_bits, expected, "{}", blob.dtype);
        let bits = blob.dtype.bits() as usize;
        let bit = |at: usize| u64::from(blob.data[at / 8] >> (at % 8) & 1);
        for i in 0..11 {
            let value: u64 = (0..bits).map(|at| bit(i * bits + at) << at).sum();
            let expected = (5 * i as u64 + u64::from(number)) % (1 << bits);
            assert_eq!(value, expected, "{} element {i}", blob.dtype);
        }
    }
}

#[test]
fn records_are_walked_in_order() {
    let weights = BlobFile::open(data("every_type.bin")).unwrap();
    let types: Vec<u32> = weights.records().map(|record| record.unwrap().dtype).collect();
    assert_eq!(types, (1..=17).collect::<Vec<_>>());
}

#[test]
fn a_type_knows_its_sizes() {
    assert_eq!(BlobType::UInt3.elements_in(5, 7), Some(11));
    assert_eq!(BlobType::UInt3.elements_in(5, 6), None); // 34 bits
    assert_eq!(BlobType::UInt4.elements_in(1, 8), None); // a byte of padding
    assert_eq!(BlobType::UInt6.elements_in(0, 6), None);
    assert_eq!(BlobType::Float32.elements_in(6, 0), None);
    assert_eq!(BlobType::Float32.elements_in(8, 12345), Some(2)); // not read for whole bytes
    assert_eq!(BlobType::UInt1.elements_in(u64::MAX, 0), None);
    assert_eq!(BlobType::Float32.bytes_for(u64::MAX), None);
    assert_eq!(BlobType::UInt1.bytes_for(u64::MAX), Some(u64::MAX / 8 + 1));
}

/// A weight file with one int8 blob of 3 bytes at 64, changed by `edit`.
fn edited(edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = vec![0; 131];
    bytes[0] = 1;
    bytes[4] = 2;
    bytes[64..68].copy_from_slice(&0xDEAD_BEEF_u32.to_le_bytes());
    bytes[68] = 4;
    bytes[72] = 3;
    bytes[80] = 128;
    edit(&mut bytes);
    bytes
}

fn problem_at(offset: u64, bytes: &[u8]) -> BlobProblem {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weight.bin");
    std::fs::write(&path, bytes).unwrap();
    let error = BlobFile::open(&path).unwrap().blob(offset).unwrap_err();
    assert!(error.to_string().contains("weight.bin: blob at offset"), "{error}");
    error.problem().clone()
}

fn put(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

#[test]
fn a_blob_outside_the_file_or_off_its_place_is_refused() {
    let whole = edited(|_| {});
    assert_eq!(problem_at(192, &whole), BlobProblem::RecordOutside(131));
    assert_eq!(problem_at(128, &whole), BlobProblem::RecordOutside(131));
    assert_eq!(problem_at(u64::MAX - 63, &whole), BlobProblem::RecordOutside(131));
    let misaligned = |offset| BlobProblem::Misaligned { what: "the metadata record", offset };
    assert_eq!(problem_at(65, &whole), misaligned(65));
    assert_eq!(problem_at(u64::MAX, &whole), misaligned(u64::MAX));
    assert_eq!(problem_at(0, &whole), BlobProblem::Sentinel(1));
    let shifted = edited(|bytes| put(bytes, 80, 127));
    assert_eq!(problem_at(64, &shifted), BlobProblem::Misaligned { what: "the data", offset: 127 });
}

#[test]
fn a_bad_record_is_refused() {
    let no_mark = edited(|bytes| bytes[64] = 0);
    assert_eq!(problem_at(64, &no_mark), BlobProblem::Sentinel(0xDEAD_BE00));
    let type_0 = edited(|bytes| bytes[68] = 0);
    assert_eq!(problem_at(64, &type_0), BlobProblem::DataType(0));
    let type_18 = edited(|bytes| bytes[68] = 18);
    assert_eq!(problem_at(64, &type_18), BlobProblem::DataType(18));
    let fp16 = edited(|bytes| bytes[68] = 1);
    let size = BlobProblem::Size { dtype: BlobType::Float16, size: 3, padding_bits: 0 };
    assert_eq!(problem_at(64, &fp16), size);
    let padded = edited(|bytes| {
        bytes[68] = 11;
        bytes[88] = 8;
    });
    let size = BlobProblem::Size { dtype: BlobType::UInt4, size: 3, padding_bits: 8 };
    assert_eq!(problem_at(64, &padded), size);
}

#[test]
fn data_outside_the_file_is_refused() {
    let outside = |start, size| BlobProblem::DataOutside { start, size, len: 131 };
    assert_eq!(problem_at(64, &edited(|bytes| put(bytes, 72, 4))), outside(128, 4));
    assert_eq!(problem_at(64, &edited(|bytes| put(bytes, 80, 192))), outside(192, 3));
    // The sum wraps to 2, which lies inside.
    assert_eq!(problem_at(64, &edited(|bytes| put(bytes, 80, u64::MAX))), outside(u64::MAX, 3));
    assert_eq!(problem_at(64, &edited(|bytes| put(bytes, 72, u64::MAX))), outside(128, u64::MAX));
}

#[test]
fn garbage_in_unused_fields_does_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weight.bin");
    std::fs::write(&path, edited(|bytes| bytes[88..128].fill(0xA5))).unwrap();
    let blob = BlobFile::open(&path).unwrap().blob(64).unwrap();
    assert_eq!((blob.elements, blob.padding_bits), (3, 0));
}

#[test]
fn an_unknown_type_still_has_a_record() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weight.bin");
    std::fs::write(&path, edited(|bytes| bytes[68] = 40)).unwrap();
    let record = BlobFile::open(&path).unwrap().record(64).unwrap();
    assert_eq!((record.dtype, record.data), (40, 128..131));
}

#[test]
fn a_walk_that_goes_in_a_circle_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weight.bin");
    let circle = edited(|bytes| {
        bytes[0..4].fill(0xFF);
        put(bytes, 72, 0);
        put(bytes, 80, 64);
    });
    std::fs::write(&path, circle).unwrap();
    let weights = BlobFile::open(&path).unwrap();
    let records: Vec<_> = weights.records().collect();
    assert_eq!(records.len(), 1);
    assert_eq!(*records[0].as_ref().unwrap_err().problem(), BlobProblem::NoProgress);
}

#[test]
fn a_file_that_is_no_weight_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weight.bin");
    let problem = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        match BlobFile::open(&path).unwrap_err().problem() {
            OpenProblem::Weights(problem) => problem.clone(),
            other => panic!("{other}"),
        }
    };
    assert_eq!(problem(b""), BlobProblem::ShortHeader(0));
    assert_eq!(problem(&[2; 63]), BlobProblem::ShortHeader(63));
    assert_eq!(problem(&[1; 64]), BlobProblem::Version(0x0101_0101));
}

#[test]
fn slices_outlive_the_file_and_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weight.bin");
    std::fs::write(&path, edited(|bytes| bytes[128..131].copy_from_slice(&[9, 8, 7]))).unwrap();
    let blob = BlobFile::open(&path).unwrap().blob(64).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(&blob.data[..], [9, 8, 7]);
}

#[test]
fn released_pages_come_back() {
    let file = SourceFile::open(data("every_type.bin")).unwrap();
    let before = file.bytes().to_vec();
    file.release();
    assert_eq!(file.bytes(), &before);
}

proptest! {
    /// Any bytes give blobs inside the file or an error.
    #[test]
    fn any_bytes_are_survived(
        mut bytes in proptest::collection::vec(any::<u8>(), 64..400),
        fields in proptest::array::uniform4(any::<u64>()),
        offset in any::<u64>(),
    ) {
        bytes[4..8].copy_from_slice(&[2, 0, 0, 0]);
        if bytes.len() >= 128 {
            bytes[64..68].copy_from_slice(&0xDEAD_BEEF_u32.to_le_bytes());
            put(&mut bytes, 72, fields[0] >> (fields[1] % 64));
            put(&mut bytes, 80, fields[2] >> (fields[3] % 64));
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weight.bin");
        std::fs::write(&path, &bytes).unwrap();
        let weights = BlobFile::open(&path).unwrap();
        for offset in [0, 64, 128, offset, offset & !63] {
            if let Ok(blob) = weights.blob(offset) {
                prop_assert!(weights.file().range_of(&blob.data).is_some() || blob.data.is_empty());
            }
        }
        prop_assert!(weights.records().count() <= bytes.len() / 64);
    }
}
