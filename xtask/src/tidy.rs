//! `cargo xtask tidy`: rules of this repository that neither the compiler nor clippy knows.
//!
//! One file per kind of rule. Each gives [`Complaint`]s, which say where, what and what to do; none stops at the first.

mod crates;
mod lengths;
mod rules;
mod testdata;
mod text;

use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail, ensure};

/// Check crate dependencies, rule files, texts, file lengths and the sources of test data.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// List the files that are long, but not yet too long.
    #[arg(long)]
    list: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let root = crate::workspace_root();
    let files = tracked(root)?;
    let mut complaints = crates::check(root)?;
    complaints.extend(rules::check(&files));
    complaints.extend(text::check(&files));
    complaints.extend(lengths::check(&files));
    complaints.extend(testdata::check(&files));
    let long = lengths::long(&files);
    if args.list {
        for (path, lines) in &long {
            println!("{path}: {lines} lines");
        }
    }
    println!(
        "{} files; {} over {} lines{}",
        files.len(),
        long.len(),
        lengths::LONG,
        if args.list { "" } else { " (--list names them)" }
    );
    for complaint in &complaints {
        eprintln!("{complaint}");
    }
    ensure!(complaints.is_empty(), "{} complaints", complaints.len());
    Ok(())
}

/// One thing that is not as it should be.
#[derive(Debug, PartialEq, Eq)]
struct Complaint {
    /// File, file and line, or crate.
    place: String,
    /// What is wrong.
    what: String,
    /// What to do about it.
    advice: String,
}

impl Complaint {
    fn new(place: impl Into<String>, what: impl Into<String>, advice: impl Into<String>) -> Complaint {
        Complaint { place: place.into(), what: what.into(), advice: advice.into() }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n    {}", self.place, self.what, self.advice)
    }
}

/// A file of the repository.
struct File {
    /// Its path from the workspace root, with forward slashes.
    path: String,
    /// Its bytes on disk; empty for what is large and is not looked into.
    bytes: Vec<u8>,
    /// Its length on disk.
    len: u64,
    /// Whether `.gitattributes` says that a program made it.
    generated: bool,
}

impl File {
    /// Its text, where it is text.
    fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok().filter(|text| !text.contains('\0'))
    }

    /// Its name without folders.
    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

/// Bytes of a file that are read to be looked into; no source file is near this.
const LOOKED_INTO: u64 = 1 << 20;

/// What git tracks or would track, in the order of paths.
fn tracked(root: &Path) -> anyhow::Result<Vec<File>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("running git, which lists the files to check")?;
    if !output.status.success() {
        bail!("git cannot list the files of {}: {}", root.display(), String::from_utf8_lossy(&output.stderr));
    }
    let listed = String::from_utf8(output.stdout).context("a file's name is not UTF-8")?;
    let attributes = std::fs::read_to_string(root.join(".gitattributes")).unwrap_or_default();
    let mut files = Vec::new();
    for path in listed.split('\0').filter(|path| !path.is_empty()) {
        let on_disk = root.join(path);
        // A tracked file may be gone from disk; a link is a name, not a text.
        let Ok(meta) = std::fs::symlink_metadata(&on_disk) else { continue };
        if !meta.is_file() {
            continue;
        }
        let bytes = match meta.len() {
            ..=LOOKED_INTO => std::fs::read(&on_disk).with_context(|| format!("reading {path}"))?,
            _ => Vec::new(),
        };
        let generated = is_generated(path, &attributes);
        files.push(File { path: path.to_owned(), bytes, len: meta.len(), generated });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// Whether a line `folder/* linguist-generated=true` covers the path.
fn is_generated(path: &str, attributes: &str) -> bool {
    attributes.lines().filter(|line| line.contains("linguist-generated=true")).any(|line| {
        let pattern = line.split_whitespace().next().unwrap_or_default();
        match pattern.strip_suffix('*') {
            Some(folder) => !folder.is_empty() && path.starts_with(folder),
            None => path == pattern,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file for the tests of one check.
    pub(super) fn file(path: &str, text: &str) -> File {
        let len = text.len() as u64;
        File { path: path.to_owned(), bytes: text.as_bytes().to_vec(), len, generated: false }
    }

    #[test]
    fn generated_files_are_those_that_git_attributes_name() {
        let attributes =
            "*.bin binary\ncrates/a/gen/* linguist-generated=true\nb.rs linguist-generated=true\n";
        assert!(is_generated("crates/a/gen/x.rs", attributes));
        assert!(is_generated("b.rs", attributes));
        assert!(!is_generated("crates/a/generic.rs", attributes));
        assert!(!is_generated("c/b.rs", attributes));
        assert!(!is_generated("x.bin", attributes));
    }

    #[test]
    fn bytes_that_are_no_text_are_not_looked_into() {
        assert_eq!(file("a", "x").text(), Some("x"));
        assert_eq!(file("a", "x\0y").text(), None);
        let latin = File { path: "a".into(), bytes: vec![0xe9, 0x0a], len: 2, generated: false };
        assert_eq!(latin.text(), None);
    }
}
