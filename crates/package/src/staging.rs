//! Where outputs grow until they are whole, and how they get their name.
//!
//! An output `x` is made inside a folder `.x.anewrite-<16 hex digits>` beside it, as the entry
//! `new`, and then renamed. While its maker lives it holds an exclusive lock on that folder, so
//! whoever gets the lock knows that the maker is dead and may clean up. What a killed run can
//! leave, and what the next run for the same output makes of it:
//!
//! | left in the folder | meaning | next run |
//! |---|---|---|
//! | `new`, or nothing | killed before the rename | removes it |
//! | `new` holding the replaced content | killed after an exchange | removes it |
//! | `old`, and the output missing | killed between two renames (no exchange here) | moves `old` back |
//! | `old`, and the output there | killed after them | removes it |

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};

use crate::file::FileId;
use crate::walk::{Kind, walk};

const MARK: &str = ".anewrite-";
const DIGITS: usize = 16;
/// Names are cut to this length in the name of the staging folder, which has 255 bytes at most.
const NAME_BYTES: usize = 200;

/// A locked folder beside an output. Dropping it removes it with all it holds.
pub(crate) struct Staging {
    folder: PathBuf,
    /// Holds the lock until it is closed.
    _lock: File,
    done: bool,
}

impl Staging {
    /// Makes the folder for an output in `parent` called `name`.
    pub(crate) fn create(parent: &Path, name: &OsStr) -> io::Result<Self> {
        let prefix = prefix(name);
        let random = RandomState::new();
        for attempt in 0..64_u32 {
            let mut folder = prefix.clone();
            folder.push(format!("{:016x}", random.hash_one((std::process::id(), attempt))));
            let folder = parent.join(folder);
            match DirBuilder::new().mode(0o700).create(&folder) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            }
            // A cleaner may take the folder before it is locked: then begin again.
            match lock(&folder) {
                Ok(Lock::Held(lock)) => {
                    return Ok(Self { folder, _lock: lock, done: false });
                }
                Ok(Lock::Unsupported(file)) => {
                    return Ok(Self { folder, _lock: file, done: false });
                }
                Ok(Lock::Busy) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Where to make the output.
    pub(crate) fn new_entry(&self) -> PathBuf {
        self.folder.join("new")
    }

    /// Gives the finished output its name, which nothing may have.
    pub(crate) fn publish_new(&self, output: &Path) -> io::Result<()> {
        let new = self.new_entry();
        match renameat_with(CWD, &new, CWD, output, RenameFlags::NOREPLACE) {
            Err(error) if unsupported(error) => {
                if output.symlink_metadata().is_ok() {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                fs::rename(new, output)
            }
            result => Ok(result?),
        }
    }

    /// Gives the finished output the name of a file or folder of the same kind, which goes.
    pub(crate) fn publish_over(&self, output: &Path) -> io::Result<()> {
        let new = self.new_entry();
        if new.is_file() {
            return fs::rename(new, output);
        }
        match renameat_with(CWD, &new, CWD, output, RenameFlags::EXCHANGE) {
            Err(error) if unsupported(error) => self.publish_over_in_two_steps(output),
            result => Ok(result?),
        }
    }

    /// For file systems that cannot exchange two folders.
    pub(crate) fn publish_over_in_two_steps(&self, output: &Path) -> io::Result<()> {
        let old = self.folder.join("old");
        fs::rename(output, &old)?;
        fs::rename(self.new_entry(), output).inspect_err(|_| {
            // Should this fail too, the next run finds `old` and moves it back.
            let _ = fs::rename(&old, output);
        })
    }

    /// Removes the folder and what was replaced; gives its path if that is not possible.
    pub(crate) fn finish(mut self) -> Option<PathBuf> {
        self.done = true;
        remove(&self.folder).err().map(|_| self.folder.clone())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // An `old` that could not be moved back is the user's data.
        if !self.done && self.folder.join("old").symlink_metadata().is_err() {
            let _ = remove(&self.folder);
        }
    }
}

/// Cleans up after killed runs for this output: moves back what was moved aside, removes the rest.
/// Only folders named like ours, owned by this user and locked by nobody are touched.
pub(crate) fn recover(parent: &Path, name: &OsStr) -> io::Result<()> {
    let output = parent.join(name);
    for folder in stale(parent, name)? {
        let Ok(Lock::Held(_lock)) = lock(&folder) else {
            continue;
        };
        let old = folder.join("old");
        if old.symlink_metadata().is_ok() && output.symlink_metadata().is_err() {
            fs::rename(&old, &output)?;
        }
        // Left-overs cost disk space only: failing to remove them is no reason to stop.
        let _ = remove(&folder);
    }
    Ok(())
}

/// Where a killed replacement has left the content of `output`, which is missing.
pub(crate) fn aside_of(output: &Path) -> Option<PathBuf> {
    let name = output.file_name()?;
    let parent = match output.parent()? {
        parent if parent.as_os_str().is_empty() => Path::new("."),
        parent => parent,
    };
    let folders = stale(parent, name).ok()?;
    folders.into_iter().map(|folder| folder.join("old")).find(|old| old.exists())
}

/// Staging folders for this output, dead or alive.
fn stale(parent: &Path, name: &OsStr) -> io::Result<Vec<PathBuf>> {
    let prefix = prefix(name);
    let mut folders = Vec::new();
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(digits) = name.as_encoded_bytes().strip_prefix(prefix.as_encoded_bytes()) else {
            continue;
        };
        let ours = digits.len() == DIGITS && digits.iter().all(u8::is_ascii_hexdigit);
        let Ok(metadata) = entry.path().symlink_metadata() else {
            continue;
        };
        let owned = metadata.uid() == rustix::process::geteuid().as_raw();
        if ours && owned && metadata.is_dir() {
            folders.push(entry.path());
        }
    }
    folders.sort();
    Ok(folders)
}

fn prefix(name: &OsStr) -> OsString {
    let mut prefix = OsString::from(".");
    match name.len() {
        0..=NAME_BYTES => prefix.push(name),
        _ => prefix.push(short_name(name)),
    }
    prefix.push(MARK);
    prefix
}

/// A digest in place of a name that is too long to carry a suffix.
fn short_name(name: &OsStr) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(name.as_encoded_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

enum Lock {
    Held(File),
    Busy,
    Unsupported(File),
}

/// Locks a folder, and makes sure that the path still leads to the folder that was locked.
fn lock(folder: &Path) -> io::Result<Lock> {
    let file = File::open(folder)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(error) if error == rustix::io::Errno::WOULDBLOCK => return Ok(Lock::Busy),
        Err(_) => return Ok(Lock::Unsupported(file)),
    }
    let named = FileId::of(&fs::symlink_metadata(folder)?);
    let same = FileId::of(&file.metadata()?) == named;
    Ok(if same { Lock::Held(file) } else { Lock::Busy })
}

/// Removes a folder of ours. Replaced packages may hold folders without write permission, whose
/// entries cannot be removed before it is given.
fn remove(folder: &Path) -> io::Result<()> {
    if fs::remove_dir_all(folder).is_ok() {
        return Ok(());
    }
    for entry in ["new", "old"] {
        let entry = folder.join(entry);
        if entry.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
            make_writable(&entry)?;
        }
    }
    fs::remove_dir_all(folder)
}

fn make_writable(folder: &Path) -> io::Result<()> {
    let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o700));
    open(folder)?;
    for item in walk(folder)?.iter().filter(|item| item.kind == Kind::Folder) {
        open(&folder.join(&item.path))?;
    }
    Ok(())
}

/// Whether an answer means that this kernel or file system lacks the call.
fn unsupported(error: rustix::io::Errno) -> bool {
    use rustix::io::Errno;
    [Errno::NOSYS, Errno::INVAL, Errno::NOTSUP, Errno::OPNOTSUPP].contains(&error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(path: &Path, content: &str) {
        fs::create_dir(path).unwrap();
        fs::write(path.join("file"), content).unwrap();
    }

    fn content(path: &Path) -> String {
        fs::read_to_string(path.join("file")).unwrap()
    }

    #[test]
    fn replacing_in_two_steps() {
        let parent = tempfile::tempdir().unwrap();
        let (name, output) = (OsStr::new("out"), parent.path().join("out"));
        folder_with(&output, "old");
        let staging = Staging::create(parent.path(), name).unwrap();
        folder_with(&staging.new_entry(), "new");
        staging.publish_over_in_two_steps(&output).unwrap();
        assert_eq!(content(&output), "new");
        assert_eq!(content(&staging.folder.join("old")), "old");
        assert_eq!(staging.finish(), None);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_second_step_that_fails_is_taken_back() {
        let parent = tempfile::tempdir().unwrap();
        let (name, output) = (OsStr::new("out"), parent.path().join("out"));
        folder_with(&output, "old");
        let staging = Staging::create(parent.path(), name).unwrap();
        assert!(staging.publish_over_in_two_steps(&output).is_err(), "there is no new one");
        assert_eq!(content(&output), "old");
        drop(staging);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_locked_folder_is_left_alone_and_a_free_one_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let (name, output) = (OsStr::new("out"), parent.path().join("out"));
        let staging = Staging::create(parent.path(), name).unwrap();
        folder_with(&staging.folder.join("old"), "old");
        recover(parent.path(), name).unwrap();
        assert!(!output.exists() && staging.folder.join("old").exists());
        // What was moved aside survives even the maker's own cleaning.
        let folder = staging.folder.clone();
        drop(staging);
        assert!(folder.join("old").exists());
        recover(parent.path(), name).unwrap();
        assert_eq!(content(&output), "old");
        assert!(!folder.exists());
    }

    #[test]
    fn publishing_replaces_nothing_unasked() {
        let parent = tempfile::tempdir().unwrap();
        let (name, output) = (OsStr::new("out"), parent.path().join("out"));
        fs::write(&output, "there").unwrap();
        let staging = Staging::create(parent.path(), name).unwrap();
        fs::write(staging.new_entry(), "new").unwrap();
        let error = staging.publish_new(&output).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&output).unwrap(), "there");
        staging.publish_over(&output).unwrap();
        assert_eq!(fs::read_to_string(&output).unwrap(), "new");
    }
}
