//! `cargo xtask proto`: makes the Rust types of `crates/proto` from the schema in `proto/`.

mod compare;
mod generate;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// Generate the Core ML message types of crates/proto from proto/.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Change nothing; fail where the committed files are not what would be generated.
    #[arg(long)]
    check: bool,
    /// A Python with coremltools: compare the schema with the descriptors inside that wheel, field by field.
    #[arg(long, value_name = "PYTHON", requires = "check")]
    against_coremltools: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let root = crate::workspace_root();
    let schema = generate::compile(&root.join("proto"))?;
    let files = generate::outputs(&schema)?;
    let folder = root.join("crates/proto/src/gen");
    if args.check {
        check(&folder, &files)?;
    } else {
        write(&folder, &files)?;
    }
    if let Some(python) = &args.against_coremltools {
        compare::against_wheel(&schema, python)?;
    }
    Ok(())
}

/// A generated file: its name inside the folder of generated code, and its bytes.
struct Output {
    name: String,
    bytes: Vec<u8>,
}

fn write(folder: &Path, files: &[Output]) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    for stale in stale(folder, files)? {
        std::fs::remove_file(&stale).with_context(|| format!("removing {}", stale.display()))?;
    }
    for file in files {
        let path = folder.join(&file.name);
        std::fs::write(&path, &file.bytes).with_context(|| format!("writing {}", path.display()))?;
    }
    println!("wrote {} files to {}", files.len(), folder.display());
    Ok(())
}

fn check(folder: &Path, files: &[Output]) -> anyhow::Result<()> {
    let mut wrong = stale(folder, files)?;
    for file in files {
        let path = folder.join(&file.name);
        if std::fs::read(&path).ok().as_deref() != Some(file.bytes.as_slice()) {
            wrong.push(path);
        }
    }
    if !wrong.is_empty() {
        let list: Vec<_> = wrong.iter().map(|path| path.display().to_string()).collect();
        bail!("generated code is not what proto/ gives, run `cargo xtask proto`: {}", list.join(", "));
    }
    println!("{} generated files match proto/", files.len());
    Ok(())
}

/// Files in `folder` that generation no longer makes.
fn stale(folder: &Path, files: &[Output]) -> anyhow::Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))? {
        let entry = entry.with_context(|| format!("listing {}", folder.display()))?;
        if !files.iter().any(|file| entry.file_name() == file.name.as_str()) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn committed_code_is_what_the_schema_gives() {
        run(&Args { check: true, against_coremltools: None }).unwrap();
    }

    #[test]
    fn changed_missing_and_stale_files_are_drift() {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            Output { name: "a.rs".to_owned(), bytes: b"struct A;".to_vec() },
            Output { name: "b.rs".to_owned(), bytes: b"struct B;".to_vec() },
        ];
        write(folder.path(), &files).unwrap();
        check(folder.path(), &files).unwrap();
        check(folder.path(), &files[..1]).unwrap_err();
        std::fs::write(folder.path().join("a.rs"), "struct A ;").unwrap();
        let error = check(folder.path(), &files).unwrap_err().to_string();
        assert!(error.contains("a.rs") && !error.contains("b.rs"), "{error}");
        std::fs::remove_file(folder.path().join("a.rs")).unwrap();
        check(folder.path(), &files).unwrap_err();
    }
}
