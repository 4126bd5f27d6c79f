//! Paths named by untrusted files are resolved here, and nowhere else.

use std::io;
use std::path::{Component, Path, PathBuf};

use crate::error::{OpenError, OpenProblem};

/// The real path of `name` below `folder`, which must end inside `root`. Both are canonical.
///
/// `named_by` says what holds the name, for the message.
pub(crate) fn resolve(
    root: &Path,
    folder: &Path,
    name: &str,
    named_by: &'static str,
) -> Result<PathBuf, OpenError> {
    let relative = relative(root, name)?;
    let path = folder.join(relative);
    let real = path.canonicalize().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            OpenError::new(root, OpenProblem::MissingItem { named_by, name: name.to_owned() })
        }
        _ => OpenError::io(&path, error),
    })?;
    inside(root, name, real)
}

/// The real path that `name` below `folder` would have if it were made: the part that exists is
/// resolved, and must end inside `root`.
pub(crate) fn resolve_new(root: &Path, folder: &Path, name: &str) -> Result<PathBuf, OpenError> {
    let path: PathBuf = folder.join(relative(root, name)?).components().collect();
    for above in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (above.canonicalize(), path.strip_prefix(above)) {
            return Ok(inside(root, name, real)?.join(rest));
        }
    }
    Err(OpenError::new(root, OpenProblem::Leaves(name.to_owned())))
}

fn inside(root: &Path, name: &str, real: PathBuf) -> Result<PathBuf, OpenError> {
    if real.starts_with(root) {
        return Ok(real);
    }
    Err(OpenError::new(root, OpenProblem::LinkLeaves { name: name.to_owned(), target: real }))
}

/// `name` as a path that goes down only; nothing on disk is looked at.
pub(crate) fn relative<'a>(root: &Path, name: &'a str) -> Result<&'a Path, OpenError> {
    let path = Path::new(name);
    let down = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    let has_name = path.components().any(|part| matches!(part, Component::Normal(_)));
    if has_name && path.components().all(down) && !name.contains('\0') {
        return Ok(path);
    }
    Err(OpenError::new(root, OpenProblem::Leaves(name.to_owned())))
}

/// The path below the model's folder that a weight file reference names. The form that all known
/// writers use is `@model_path/weights/weight.bin`; a plain relative path is taken as the same.
pub(crate) fn weight_path<'a>(root: &Path, reference: &'a str) -> Result<&'a str, OpenError> {
    match reference.strip_prefix("@model_path/") {
        Some(path) => Ok(path),
        None if reference.starts_with('@') => {
            let problem = OpenProblem::WeightReference(reference.to_owned());
            Err(OpenError::new(root, problem))
        }
        None => Ok(reference),
    }
}
