//! Models in a folder.

use std::path::{Path, PathBuf};

use anyhow::Context;

/// All packages and model files under a folder, in the order of their paths. What lies inside a package or a compiled
/// model is part of it.
pub(crate) fn models(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))? {
            let path = entry.with_context(|| format!("listing {}", folder.display()))?.path();
            match path.extension().and_then(|ending| ending.to_str()) {
                Some("mlpackage" | "mlmodel") => found.push(path),
                Some("mlmodelc") => {}
                _ if path.is_dir() => folders.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a folder holds cases with inputs.
pub(crate) fn is_corpus(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|entry| entry.path().join("case.json").is_file()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_found_at_any_depth_and_not_inside_others() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for path in [
            "b/x.mlpackage/Data/y.mlmodel",
            "a.mlmodel",
            "c/d/e.mlmodel",
            "f.mlmodelc/z.mlmodel",
            "b/case.json",
        ] {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let names: Vec<_> =
            models(root).unwrap().iter().map(|p| p.strip_prefix(root).unwrap().to_owned()).collect();
        assert_eq!(names, ["a.mlmodel", "b/x.mlpackage", "c/d/e.mlmodel"].map(PathBuf::from));
        assert!(is_corpus(root));
        assert!(!is_corpus(&root.join("b")));
    }
}
