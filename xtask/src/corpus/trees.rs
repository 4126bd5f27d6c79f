//! Files and folders compared byte for byte.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::Context;

/// The first difference between two files or folders, as a sentence; nothing where they are equal.
pub(super) fn difference(a: &Path, b: &Path) -> anyhow::Result<Option<String>> {
    if a.is_dir() != b.is_dir() {
        return Ok(Some(format!("{} and {} are not of the same kind", a.display(), b.display())));
    }
    if !a.is_dir() {
        let same =
            same_bytes(a, b).with_context(|| format!("comparing {} with {}", a.display(), b.display()))?;
        return Ok((!same).then(|| format!("{} has other bytes", b.display())));
    }
    let (names, others) = (names(a)?, names(b)?);
    if names != others {
        return Ok(Some(format!("{} has other entries: {others:?}, not {names:?}", b.display())));
    }
    for name in names {
        if let Some(found) = difference(&a.join(&name), &b.join(&name))? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn names(folder: &Path) -> anyhow::Result<Vec<std::ffi::OsString>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))?;
    let mut names: Vec<_> = entries.map(|entry| Ok(entry?.file_name())).collect::<std::io::Result<_>>()?;
    names.sort();
    Ok(names)
}

fn same_bytes(a: &Path, b: &Path) -> std::io::Result<bool> {
    let (mut a, mut b) = (File::open(a)?, File::open(b)?);
    if a.metadata()?.len() != b.metadata()?.len() {
        return Ok(false);
    }
    let (mut left, mut right) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let count = a.read(&mut left)?;
        if count == 0 {
            return Ok(true);
        }
        b.read_exact(&mut right[..count])?;
        if left[..count] != right[..count] {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        for root in [&a, &b] {
            std::fs::create_dir_all(root.join("inner")).unwrap();
            std::fs::write(root.join("inner/x"), "12").unwrap();
        }
        assert_eq!(difference(&a, &b).unwrap(), None);
        std::fs::write(b.join("inner/x"), "13").unwrap();
        assert!(difference(&a, &b).unwrap().unwrap().contains("has other bytes"));
        std::fs::write(b.join("inner/x"), "123").unwrap();
        assert!(difference(&a, &b).unwrap().unwrap().contains("has other bytes"));
        std::fs::write(b.join("y"), "").unwrap();
        assert!(difference(&a, &b).unwrap().unwrap().contains("has other entries"));
        assert!(difference(&a, &b.join("y")).unwrap().unwrap().contains("not of the same kind"));
    }
}
