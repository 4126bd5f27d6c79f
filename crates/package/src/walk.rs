//! Listing what a folder holds, without following links.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

/// What a path is, links not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
    Link,
    Special,
}

/// One entry below the folder that was listed.
#[derive(Debug)]
pub(crate) struct Item {
    /// Path relative to the listed folder.
    pub(crate) path: PathBuf,
    pub(crate) kind: Kind,
    pub(crate) metadata: Metadata,
}

/// Everything below `root`, each folder before its content, in the order of names.
pub(crate) fn walk(root: &Path) -> io::Result<Vec<Item>> {
    let mut items = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let mut names = fs::read_dir(root.join(&folder))?
            .map(|entry| Ok(entry?.file_name()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort();
        for name in names {
            let path = folder.join(name);
            let metadata = fs::symlink_metadata(root.join(&path))?;
            let kind = match metadata.file_type() {
                kind if kind.is_dir() => Kind::Folder,
                kind if kind.is_symlink() => Kind::Link,
                kind if kind.is_file() => Kind::File,
                _ => Kind::Special,
            };
            if kind == Kind::Folder {
                folders.push(path.clone());
            }
            items.push(Item { path, kind, metadata });
        }
    }
    Ok(items)
}
