//! Runs that are killed. The child is this test binary again, told by its environment what to do.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use coreml_package::{
    ByteStream, Chunk, OpenProblem, Package, PackageOutput, WriteOptions, copy, open, write_model_file,
    write_package,
};

use crate::{make_package, names, package, tree};

const TASK: &str = "COREML_PACKAGE_CHILD_TASK";
const FOLDER: &str = "COREML_PACKAGE_CHILD_FOLDER";

/// Gives half of its bytes, says so, and sleeps.
struct Stuck(PathBuf);

impl ByteStream for Stuck {
    fn byte_len(&self) -> u64 {
        1 << 20
    }

    fn write_to(&self, sink: &mut dyn Write) -> io::Result<()> {
        sink.write_all(&[0; 1 << 19])?;
        fs::write(&self.0, b"")?;
        sleep(Duration::from_secs(600));
        sink.write_all(&[0; 1 << 19])
    }
}

#[test]
#[ignore = "the child of the other tests"]
fn child() {
    let Ok(task) = std::env::var(TASK) else { return };
    let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    let stuck = Chunk::Stream(Arc::new(Stuck(folder.join("half-way"))));
    let options = WriteOptions::new().force(true);
    match task.as_str() {
        "file" => drop(write_model_file(folder.join("out.mlmodel"), &[stuck], &options)),
        "package" => {
            let base = Package::open(folder.join("in.mlpackage")).unwrap();
            let output = PackageOutput { base: Some(&base), model: vec![stuck], ..Default::default() };
            drop(write_package(folder.join("out.mlpackage"), &output, &options));
        }
        "replace for ever" => {
            let sources = ["a.mlpackage", "b.mlpackage"].map(|name| open(folder.join(name)).unwrap());
            for source in sources.iter().cycle() {
                copy(source, folder.join("out.mlpackage"), &options).unwrap();
            }
        }
        _ => unreachable!("no such task"),
    }
}

fn start(task: &str, folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::child", "--ignored"])
        .env(TASK, task)
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Runs a task until it is half-way.
fn half_way(task: &str, folder: &Path) -> Child {
    let child = start(task, folder);
    let begin = Instant::now();
    while !folder.join("half-way").exists() {
        assert!(begin.elapsed() < Duration::from_secs(60), "the child does not get half-way");
        sleep(Duration::from_millis(5));
    }
    child
}

fn hidden(folder: &Path) -> Vec<String> {
    names(folder).into_iter().filter(|name| name.starts_with('.')).collect()
}

#[test]
fn a_killed_file_leaves_nothing_to_be_seen() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.mlmodel");
    let child = half_way("file", folder.path());
    assert!(!output.exists());
    assert_eq!(hidden(folder.path()).len(), 1);
    kill(child);
    assert!(!output.exists());
    // The next run cleans up.
    write_model_file(&output, &[Chunk::Bytes("x".into())], &WriteOptions::new()).unwrap();
    assert_eq!(names(folder.path()), ["half-way", "out.mlmodel"]);
}

#[test]
fn a_killed_replacement_leaves_the_old_one() {
    let (folder, path) = package();
    let output = folder.path().join("out.mlpackage");
    make_package(&output);
    fs::write(output.join("Data/old.txt"), b"old").unwrap();
    let (old, input) = (tree(&output), tree(&path));
    let child = half_way("package", folder.path());
    assert_eq!(tree(&output), old);
    // Another run meanwhile leaves the living one's files alone.
    copy(&open(&path).unwrap(), &output, &WriteOptions::new().force(true)).unwrap();
    let living = hidden(folder.path());
    assert_eq!(living.len(), 1);
    assert!(folder.path().join(&living[0]).join("new/Manifest.json").exists());
    kill(child);
    assert_eq!((tree(&output), tree(&path)), (input.clone(), input));
    copy(&open(&path).unwrap(), &output, &WriteOptions::new().force(true)).unwrap();
    assert!(hidden(folder.path()).is_empty());
}

#[test]
fn a_run_killed_at_any_moment_leaves_a_whole_package() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for (name, len) in [("a.mlpackage", 100_000), ("b.mlpackage", 300_000)] {
        make_package(&root.join(name));
        fs::write(root.join(name).join("Data/big"), vec![len as u8; len]).unwrap();
    }
    let whole = ["a.mlpackage", "b.mlpackage"].map(|name| tree(&root.join(name)));
    make_package(&root.join("out.mlpackage"));
    fs::write(root.join("out.mlpackage/Data/big"), vec![100_000_u32 as u8; 100_000]).unwrap();
    let mut seen = 0;
    for round in 0..20_u64 {
        let child = start("replace for ever", root);
        sleep(Duration::from_micros(15_000 + 1_370 * (round * 7 % 20)));
        kill(child);
        let now = tree(&root.join("out.mlpackage"));
        assert!(whole.contains(&now), "round {round}: {:?}", now.keys());
        seen += usize::from(!hidden(root).is_empty());
    }
    let options = WriteOptions::new().force(true);
    copy(&open(root.join("a.mlpackage")).unwrap(), root.join("out.mlpackage"), &options).unwrap();
    assert_eq!(names(root), ["a.mlpackage", "b.mlpackage", "out.mlpackage"]);
    assert!(seen > 0, "no kill hit a run at work");
}

/// What a run leaves that is killed between the two renames where folders cannot be exchanged.
#[test]
fn content_that_was_moved_aside_comes_back() {
    let (folder, path) = package();
    let output = folder.path().join("out.mlpackage");
    let aside = folder.path().join(".out.mlpackage.anewrite-0123456789abcdef");
    fs::create_dir(&aside).unwrap();
    make_package(&aside.join("old"));
    make_package(&aside.join("new"));
    fs::write(aside.join("old/Data/mark"), b"the old one").unwrap();
    let old = tree(&aside.join("old"));
    // Reading changes nothing, and says where it is.
    let error = open(&output).unwrap_err();
    assert!(
        matches!(error.problem(), OpenProblem::NotFound { aside: Some(path) } if *path == aside.join("old"))
    );
    assert!(error.hint().unwrap().contains("move it back"));
    // Writing moves it back first, so that it is not lost without force.
    let error = copy(&open(&path).unwrap(), &output, &WriteOptions::new()).unwrap_err();
    assert!(error.to_string().ends_with("already exists"), "{error}");
    assert_eq!(tree(&output), old);
    assert_eq!(names(folder.path()), ["in.mlpackage", "out.mlpackage"]);
}

#[test]
fn files_of_others_are_not_cleaned_up() {
    let (folder, path) = package();
    let root = folder.path();
    let others = [
        ".out.mlpackage.anewrite-0123456789abcde",
        ".out.mlpackage.anewrite-0123456789abcdefg",
        ".out.mlpackage.anewrite-0123456789abcdeg",
        ".out.mlpackage.other-0123456789abcdef",
        ".out2.mlpackage.anewrite-0123456789abcdef",
        "out.mlpackage.anewrite-0123456789abcdef",
    ];
    others.iter().for_each(|name| fs::create_dir(root.join(name)).unwrap());
    fs::write(root.join(".out.mlpackage.anewrite-fedcba9876543210"), b"a file").unwrap();
    std::os::unix::fs::symlink(&path, root.join(".out.mlpackage.anewrite-aaaaaaaaaaaaaaaa")).unwrap();
    let before = names(root).len();
    copy(&open(&path).unwrap(), root.join("out.mlpackage"), &WriteOptions::new()).unwrap();
    assert_eq!(names(root).len(), before + 1);
    assert!(path.join("Manifest.json").exists());
}
