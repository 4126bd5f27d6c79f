//! Files of inputs and outputs: read as numpy wrote them, and read back as they were written.

use anewrite::{Features, read_features, write_features};
use anewrite_tensor::DType;

fn arrays() -> Features {
    read_features(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/features/arrays.npz")).unwrap()
}

#[test]
fn arrays_are_read_as_numpy_wrote_them() {
    let f = arrays();
    let rows = vec![1.5, -2.25, 3.0, 0.0, -0.0, 65504.0];
    for (name, dtype) in [("half", DType::F16), ("single", DType::F32), ("columns", DType::F64)] {
        let a = f[name].tensor().unwrap();
        assert_eq!((a.dtype(), a.dims()), (dtype, &[2, 3][..]), "{name}");
        let items = a.to_f64s().unwrap();
        assert_eq!(items, rows, "{name}");
        assert!(items[4].is_sign_negative(), "{name}");
    }
    assert_eq!(f["bytes"].tensor().unwrap().to_i64s().unwrap(), [200, 3]);
    assert_eq!(f["whole"].tensor().unwrap().to_i64s().unwrap(), [-5, 2_147_483_647]);
    assert_eq!(f["flags"].tensor().unwrap().items::<bool>().unwrap(), [true, false, true]);
    assert_eq!(&*f["text"].tensor().unwrap().as_texts().unwrap()[1], "längst");
    assert_eq!(f["scalar"].tensor().unwrap().dims(), [0u64; 0]);
    assert_eq!(f["empty"].tensor().unwrap().dims(), [0, 4]);
}

#[test]
fn what_is_written_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    let npz = folder.path().join("out.npz");
    let f = arrays();
    let written = write_features(&npz, &f).unwrap();
    assert_eq!(written, [npz.clone(), folder.path().join("out.json")], "text goes into a file beside it");
    let mut back = read_features(&npz).unwrap();
    back.extend(read_features(&written[1]).unwrap());
    assert_eq!(back.keys().collect::<Vec<_>>(), f.keys().collect::<Vec<_>>());
    for (name, v) in f {
        let (a, b) = (v.tensor().unwrap(), back[&name].tensor().unwrap());
        assert_eq!((a.dtype(), a.dims()), (b.dtype(), b.dims()), "{name}");
        match a.as_texts() {
            Some(t) => assert_eq!(Some(t), b.as_texts()),
            None => {
                assert_eq!(a.to_f64s().unwrap(), b.to_f64s().unwrap(), "{name}");
            }
        }
    }
}

#[test]
fn files_that_are_none_are_errors_that_name_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.npz");
    std::fs::write(&file, b"PK\x03\x04 and nothing").unwrap();
    let e = read_features(&file).unwrap_err().to_string();
    assert!(e.contains("x.npz"), "{e}");
    let e = read_features(folder.path().join("x.txt")).unwrap_err().to_string();
    assert!(e.contains("x.txt"), "{e}");
}
