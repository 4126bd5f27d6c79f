//! What outputs consist of.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use coreml_package::{
    BlobType, ByteStream, Chunk, OpenProblem, Package, PackageOutput, Progress, Source, SourceFile,
    WeightLayout, WeightPlan, WriteOptions, WriteProblem, chunks_of, copy, open, write_model_file,
    write_package,
};

use crate::{MODEL, REFERENCE, make_package, manifest, names, package, tree};

fn layout(bytes: &'static [u8]) -> WeightLayout {
    let mut plan = WeightPlan::new(None);
    plan.append(BlobType::UInt8, Bytes::from_static(bytes), 0).unwrap();
    plan.finish().unwrap()
}

fn text(text: &'static str) -> Vec<Chunk> {
    vec![Chunk::Bytes(text.into())]
}

#[test]
fn a_copied_package_is_the_same_to_the_byte() {
    let (folder, path) = package();
    symlink("notes.txt", path.join("Data/link.txt")).unwrap();
    symlink("/nowhere/at/all", path.join("Data/broken")).unwrap();
    fs::create_dir(path.join("Data/empty")).unwrap();
    let output = folder.path().join("out.mlpackage");
    let written = copy(&open(&path).unwrap(), &output, &WriteOptions::new().fsync(true)).unwrap();
    assert_eq!(tree(&output), tree(&path));
    assert!(output.join("Data/empty").is_dir());
    let files = tree(&path);
    let links = ["Data/link.txt", "Data/broken"].map(Path::new);
    let bytes = files.iter().filter(|(name, _)| !links.contains(&name.as_path()));
    assert_eq!(written.bytes, bytes.map(|(_, content)| content.len() as u64).sum::<u64>());
    assert_eq!(names(folder.path()), ["in.mlpackage", "out.mlpackage"]);
}

#[test]
fn permissions_are_kept_as_far_as_writing_allows() {
    let (folder, path) = package();
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    set(&path.join("Data/notes.txt"), 0o750);
    set(&path.join("Manifest.json"), 0o400);
    set(&path.join("Data"), 0o500);
    let output = folder.path().join("out.mlpackage");
    copy(&open(&path).unwrap(), &output, &WriteOptions::new()).unwrap();
    assert_eq!(mode(&output.join("Data/notes.txt")), 0o750);
    assert_eq!(mode(&output.join("Manifest.json")), 0o600);
    assert_eq!(mode(&output.join("Data")), 0o700);
    set(&path.join("Data"), 0o700);
}

#[test]
fn compiled_models_are_copied_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mlmodelc");
    fs::create_dir_all(path.join("weights")).unwrap();
    fs::write(path.join("model.mil"), b"program(1.0)").unwrap();
    fs::write(path.join("weights/weight.bin"), b"w").unwrap();
    fs::write(path.join("metadata.json"), b"[]").unwrap();
    let source = open(&path).unwrap();
    let Source::Compiled(compiled) = &source else { panic!() };
    assert_eq!(&compiled.metadata().unwrap().bytes()[..], b"[]");
    copy(&source, folder.path().join("b.mlmodelc"), &WriteOptions::new()).unwrap();
    assert_eq!(tree(&folder.path().join("b.mlmodelc")), tree(&path));
}

#[test]
fn a_derived_package_keeps_everything_else() {
    let (folder, path) = package();
    let base = Package::open(&path).unwrap();
    let weights = base.weight_file(REFERENCE).unwrap();
    let mut plan = WeightPlan::new(Some(Arc::clone(&weights)));
    let id = plan.append(BlobType::UInt8, Bytes::from_static(b"new"), 0).unwrap();
    let weights = plan.finish().unwrap();
    let offset = weights.offset_of(id).unwrap();
    let mut output = PackageOutput { base: Some(&base), model: text("changed"), ..Default::default() };
    output.weights.insert(REFERENCE.to_owned(), weights);
    let to = folder.path().join("out.mlpackage");
    write_package(&to, &output, &WriteOptions::new()).unwrap();

    let (mut old, mut new) = (tree(&path), tree(&to));
    let changed = [Path::new("Data").join(MODEL), "Data/com.apple.CoreML/weights/weight.bin".into()];
    assert_eq!(new.remove(&changed[0]).unwrap(), b"changed");
    assert!(new.remove(&changed[1]).unwrap().starts_with(b"\x12\0\0\0\x02"));
    changed.iter().for_each(|name| drop(old.remove(name)));
    assert_eq!(new, old, "the manifest above all");
    let read = open(&to).unwrap().weight_file(REFERENCE).unwrap();
    assert_eq!(&read.blob(offset).unwrap().data[..], b"new");
    assert_eq!(read.blob(1984).unwrap().dtype, BlobType::Float8E4M3FN);
}

#[test]
fn first_weights_get_a_manifest_entry_and_nothing_else_moves() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.mlpackage");
    make_package(&path);
    fs::remove_dir_all(path.join("Data/com.apple.CoreML/weights")).unwrap();
    // Unlike ours in spacing, with a key that we do not know.
    let compact = manifest(&[MODEL]).replace([' ', '\n'], "").replacen('{', "{\"x\":[1,{}],", 1);
    for before in [compact, manifest(&[MODEL])] {
        fs::write(path.join("Manifest.json"), &before).unwrap();
        let base = Package::open(&path).unwrap();
        let mut output = PackageOutput { base: Some(&base), model: text("m"), ..Default::default() };
        output.weights.insert(REFERENCE.to_owned(), layout(b"1"));
        output.weights.insert("@model_path/weights/more.bin".to_owned(), layout(b"22"));
        let to = folder.path().join("out.mlpackage");
        write_package(&to, &output, &WriteOptions::new().force(true)).unwrap();

        let result = Package::open(&to).unwrap();
        assert_eq!(result.manifest().items().len(), 2);
        assert_eq!(result.manifest().root_identifier(), "ID-0");
        let added = result.manifest().items().values().find(|item| item.name == "weights").unwrap();
        assert_eq!(added.path, "com.apple.CoreML/weights");
        let after = fs::read_to_string(to.join("Manifest.json")).unwrap();
        let shared = |a: &mut dyn Iterator<Item = char>, b: &mut dyn Iterator<Item = char>| {
            a.zip(b).take_while(|(a, b)| a == b).count()
        };
        let head = shared(&mut before.chars(), &mut after.chars());
        let tail = shared(&mut before.chars().rev(), &mut after.chars().rev());
        assert!(head + tail >= before.trim_end().len() - 8, "{after}");
        let more = result.weight_file("@model_path/weights/more.bin").unwrap();
        assert_eq!(&more.blob(64).unwrap().data[..], b"22");
    }
}

#[test]
fn a_new_package_derives_its_identifiers() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, model: &'static str, weights: &'static [u8]| {
        let mut output = PackageOutput { model: text(model), ..Default::default() };
        output.weights.insert(REFERENCE.to_owned(), layout(weights));
        let to = folder.path().join(name);
        write_package(&to, &output, &WriteOptions::new()).unwrap();
        fs::read_to_string(to.join("Manifest.json")).unwrap()
    };
    let first = write("a.mlpackage", "model", b"abc");
    assert_eq!(write("b.mlpackage", "model", b"xyz"), first, "weights are not read");
    assert_ne!(write("c.mlpackage", "Model", b"abc"), first);
    assert_ne!(write("d.mlpackage", "model", b"abcd"), first, "but their length counts");

    let package = Package::open(folder.path().join("a.mlpackage")).unwrap();
    let items = package.manifest().items();
    let mut paths: Vec<_> = items.values().map(|item| item.path.as_str()).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["com.apple.CoreML/model.mlmodel", "com.apple.CoreML/weights"]);
    for id in items.keys() {
        // A UUID of version 8 and the standard variant.
        let parts: Vec<&str> = id.split('-').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert!(parts[2].starts_with('8') && parts[3].starts_with(['8', '9', 'a', 'b']), "{id}");
        assert!(id.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit()));
    }
    assert_eq!(&package.model().bytes()[..], b"model");
}

#[test]
fn a_linked_weight_folder_is_written_where_it_leads() {
    let (folder, path) = package();
    let inner = path.join("Data/com.apple.CoreML");
    fs::rename(inner.join("weights"), path.join("Data/real")).unwrap();
    symlink("../real", inner.join("weights")).unwrap();
    let base = Package::open(&path).unwrap();
    let mut output = PackageOutput { base: Some(&base), model: text("m"), ..Default::default() };
    output.weights.insert(REFERENCE.to_owned(), layout(b"1"));
    output.weights.insert("@model_path/weights/new.bin".to_owned(), layout(b"2"));
    let to = folder.path().join("out.mlpackage");
    write_package(&to, &output, &WriteOptions::new()).unwrap();
    assert!(to.join("Data/com.apple.CoreML/weights").is_symlink());
    let result = open(&to).unwrap();
    for (name, content) in [(REFERENCE, b"1"), ("@model_path/weights/new.bin", b"2")] {
        assert_eq!(&result.weight_file(name).unwrap().blob(64).unwrap().data[..], content);
    }
}

#[test]
fn new_files_cannot_leave_through_a_link() {
    let (folder, path) = package();
    let outside = folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, path.join("Data/com.apple.CoreML/extra")).unwrap();
    let base = Package::open(&path).unwrap();
    for name in ["@model_path/extra/w.bin", "@model_path/extra/deeper/w.bin", "@model_path/../../../w.bin"] {
        let mut output = PackageOutput { base: Some(&base), model: text("m"), ..Default::default() };
        output.weights.insert(name.to_owned(), layout(b"1"));
        let to = folder.path().join("out.mlpackage");
        let error = write_package(&to, &output, &WriteOptions::new()).unwrap_err();
        assert!(matches!(error.problem(), WriteProblem::Input(_)), "{error}");
        assert!(!to.exists());
    }
    assert!(names(&outside).is_empty());
}

#[test]
fn one_file_is_not_written_twice() {
    let (folder, path) = package();
    let base = Package::open(&path).unwrap();
    for names in [[REFERENCE, "weights/weight.bin"], [REFERENCE, "@model_path/model.mlmodel"]] {
        let weights: BTreeMap<_, _> = names.map(|name| (name.to_owned(), layout(b"1"))).into();
        for base in [Some(&base), None] {
            let output = PackageOutput { base, model: text("m"), weights: BTreeMap::new() };
            let output = PackageOutput {
                weights: weights.keys().map(|name| (name.clone(), layout(b"1"))).collect(),
                ..output
            };
            let to = folder.path().join("out.mlpackage");
            let error = write_package(&to, &output, &WriteOptions::new()).unwrap_err();
            let WriteProblem::Input(input) = error.problem() else { panic!("{error}") };
            assert!(matches!(input.problem(), OpenProblem::Clash(_)), "{error}");
        }
    }
}

/// Chunks of every kind and around every threshold come out in order.
#[test]
fn chunks_of_all_sizes() {
    let folder = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..3_000_000_u32).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect();
    let input = folder.path().join("in");
    fs::write(&input, &content).unwrap();
    let file = SourceFile::open(&input).unwrap();
    let all = Bytes::from(content);
    let kib = 1024;
    let sizes = [0, 1, 4095, 128 * kib - 1, 128 * kib, 256 * kib - 1, 256 * kib, 256 * kib + 1, 1 << 20];
    let (mut chunks, mut expected) = (Vec::new(), Vec::new());
    for (at, &size) in sizes.iter().enumerate() {
        for start in [at * 1000, at] {
            let range = start as u64..(start + size) as u64;
            chunks.push(Chunk::Copy { file: Arc::clone(&file), range });
            chunks.push(Chunk::Bytes(all.slice(start..start + size)));
            expected.extend_from_slice(&all[start..start + size]);
            expected.extend_from_slice(&all[start..start + size]);
        }
    }
    let seen = Arc::new(AtomicU64::new(0));
    let sum = Arc::clone(&seen);
    let progress = Progress::new(move |bytes| {
        sum.fetch_add(bytes, Ordering::Relaxed);
    });
    let output = folder.path().join("out");
    write_model_file(&output, &chunks, &WriteOptions::new().progress(progress)).unwrap();
    assert!(fs::read(&output).unwrap() == expected);
    assert_eq!(seen.load(Ordering::Relaxed), expected.len() as u64);
}

/// The middle of the file keeps its place, so a file system with shared blocks clones it.
#[test]
fn a_file_edited_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in");
    let content: Vec<u8> = (0..5 << 20_u32).map(|at: u32| ((at * 31) >> 7) as u8).collect();
    fs::write(&input, &content).unwrap();
    let file = SourceFile::open(&input).unwrap();
    for tail in [0, 1 << 20, 3 << 20] {
        let end = content.len() as u64 - tail;
        let parts = [Bytes::from_static(b"head"), file.slice(4..end).unwrap(), Bytes::from_static(b"tail!")];
        let output = folder.path().join(format!("out-{tail}"));
        write_model_file(&output, &chunks_of(&file, parts), &WriteOptions::new()).unwrap();
        let expected = [b"head", &content[4..end as usize], b"tail!"].concat();
        assert!(fs::read(&output).unwrap() == expected);
    }
    assert!(fs::read(&input).unwrap() == content);
}

#[test]
fn ranges_that_are_not_in_the_input() {
    let folder = tempfile::tempdir().unwrap();
    let file = SourceFile::open(crate::data("every_type.bin")).unwrap();
    #[allow(clippy::reversed_empty_ranges)]
    for range in [0..2188, 2188..2188, 5..4, u64::MAX - 1..u64::MAX] {
        let chunks = [Chunk::Copy { file: Arc::clone(&file), range }];
        let error = write_model_file(folder.path().join("out"), &chunks, &WriteOptions::new()).unwrap_err();
        let WriteProblem::Input(input) = error.problem() else { panic!("{error}") };
        assert!(matches!(input.problem(), OpenProblem::OutOfRange { len: 2187, .. }));
    }
    assert!(names(folder.path()).is_empty());
}

struct Wrong {
    declared: u64,
    given: usize,
    fails: bool,
}

impl ByteStream for Wrong {
    fn byte_len(&self) -> u64 {
        self.declared
    }

    fn write_to(&self, sink: &mut dyn Write) -> io::Result<()> {
        sink.write_all(&vec![1; self.given])?;
        if self.fails { Err(io::Error::other("no more")) } else { Ok(()) }
    }
}

#[test]
fn streams_that_break_their_word() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.mlmodel");
    for (declared, given, fails) in [(10, 9, false), (10, 11, false), (0, 1, false), (10, 10, true)] {
        let stream: Arc<dyn ByteStream> = Arc::new(Wrong { declared, given, fails });
        let chunks = [Chunk::Bytes("x".into()), Chunk::Stream(stream)];
        let error = write_model_file(&output, &chunks, &WriteOptions::new()).unwrap_err();
        assert_eq!(error.path(), output, "not the temporary name");
        match error.problem() {
            WriteProblem::StreamLength { declared: said, written } if !fails => {
                assert_eq!((*said, *written), (declared, given as u64));
            }
            WriteProblem::Io { source, .. } if fails => assert_eq!(source.to_string(), "no more"),
            other => panic!("{other}"),
        }
        assert!(names(folder.path()).is_empty(), "nothing is left");
    }
}

#[test]
fn an_input_that_changes_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    for len in [10, 1_000_000] {
        fs::write(&input, vec![1; len]).unwrap();
        let file = SourceFile::open(&input).unwrap();
        for changed in [len / 2, len * 2] {
            fs::write(&input, vec![2; changed]).unwrap();
            let error = write_model_file(&output, &[Chunk::whole(&file)], &WriteOptions::new()).unwrap_err();
            assert!(matches!(error.problem(), WriteProblem::SourceChanged(path) if *path == input));
            assert!(!output.exists());
        }
    }
}

#[test]
fn a_special_file_in_a_package_is_an_error() {
    let (folder, path) = package();
    let made = std::process::Command::new("mkfifo").arg(path.join("Data/pipe")).status().unwrap();
    assert!(made.success());
    let to = folder.path().join("out.mlpackage");
    let error = copy(&open(&path).unwrap(), &to, &WriteOptions::new()).unwrap_err();
    assert!(error.to_string().contains("pipe: is not a regular file"), "{error}");
    assert_eq!(error.path(), to.join("Data/pipe"));
    assert_eq!(names(folder.path()), ["in.mlpackage"]);
}
