//! Making one file of chunks, with as much of the copying as possible left to the system.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use crate::chunk::{ByteStream, Chunk, total_len};
use crate::error::{WriteError, WriteProblem};
use crate::file::SourceFile;
use crate::options::WriteOptions;

/// Pieces are gathered up to this many bytes before they are written.
const BUFFER: usize = 256 << 10;
/// Copies from here on go to the system call; shorter ones join the buffer.
const LONG_COPY: u64 = 128 << 10;
/// Sharing blocks with the input is tried from here on.
const CLONE: u64 = 1 << 20;
/// One call copies at most this much, so that progress is seen.
#[cfg(target_os = "linux")]
const STEP: u64 = 64 << 20;

/// Makes the file `path`, which must not exist. Copies with a `mode` of permission bits, less what
/// the process's mask takes away. Gives its length.
pub(crate) fn create(
    path: &Path,
    chunks: &[Chunk],
    mode: u32,
    options: &WriteOptions,
) -> Result<u64, WriteError> {
    let total = total_len(chunks).ok_or_else(|| WriteError::new(path, WriteProblem::TooLong))?;
    for chunk in chunks {
        if let Chunk::Copy { file, range } = chunk {
            file.slice(range.clone()).map_err(|error| WriteError::new(path, WriteProblem::Input(error)))?;
        }
    }
    let (file, cloned) = match cloned_base(path, chunks, mode, total) {
        Some((file, at)) => (file, Some(at)),
        None => (new_file(path, mode).map_err(|error| WriteError::io(path, "create", error))?, None),
    };
    let buffer = Vec::with_capacity(total.min(BUFFER as u64) as usize);
    let mut sink = Sink { path, file: &file, buffer, at: 0, reported: 0, options };
    for (index, chunk) in chunks.iter().enumerate() {
        match chunk {
            _ if cloned == Some(index) => sink.skip(chunk.byte_len())?,
            Chunk::Bytes(bytes) => sink.put(bytes)?,
            Chunk::Copy { file, range } => sink.copy(file, range.start, range.end)?,
            Chunk::Stream(stream) => sink.stream(stream.as_ref())?,
        }
    }
    sink.flush()?;
    sink.report();
    unchanged(path, chunks)?;
    if options.fsync {
        file.sync_all().map_err(|error| WriteError::io(path, "make durable", error))?;
    }
    Ok(total)
}

/// Refuses inputs that are no longer what was read. Asked after copying, so that changes while it
/// went on are seen too.
fn unchanged(output: &Path, chunks: &[Chunk]) -> Result<(), WriteError> {
    let mut last: Option<&Arc<SourceFile>> = None;
    for chunk in chunks {
        let Chunk::Copy { file, .. } = chunk else { continue };
        if last.replace(file).is_some_and(|last| Arc::ptr_eq(last, file)) {
            continue;
        }
        match file.has_changed() {
            Ok(false) => {}
            Ok(true) => {
                let problem = WriteProblem::SourceChanged(file.path().to_owned());
                return Err(WriteError::new(output, problem));
            }
            Err(error) => return Err(WriteError::io(file.path(), "check the input", error)),
        }
    }
    Ok(())
}

fn new_file(path: &Path, mode: u32) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(mode | 0o600).open(path)
}

/// Where the longest copied range keeps its place, as in a weight file that only grows, a clone of
/// the whole input has it without a byte being moved. Gives the index of the chunk that is done.
fn cloned_base(path: &Path, chunks: &[Chunk], mode: u32, total: u64) -> Option<(File, usize)> {
    let mut at = 0;
    let mut best: Option<(usize, u64, &Arc<SourceFile>)> = None;
    for (index, chunk) in chunks.iter().enumerate() {
        let len = chunk.byte_len();
        if let Chunk::Copy { file, range } = chunk {
            let in_place = range.start == at && len >= CLONE && len >= file.len() / 2;
            if in_place && best.is_none_or(|(_, longest, _)| len > longest) {
                best = Some((index, len, file));
            }
        }
        at += len;
    }
    let (index, _, source) = best?;
    let file = clone_file(source, path, mode)?;
    match file.set_len(total) {
        Ok(()) => Some((file, index)),
        Err(_) => {
            let _ = std::fs::remove_file(path);
            None
        }
    }
}

/// A new file that shares its blocks with `source`, where the file system can (btrfs, XFS, …).
#[cfg(target_os = "linux")]
fn clone_file(source: &SourceFile, path: &Path, mode: u32) -> Option<File> {
    let file = new_file(path, mode).ok()?;
    if rustix::fs::ioctl_ficlone(&file, source.file()).is_ok() {
        return Some(file);
    }
    drop(file);
    let _ = std::fs::remove_file(path);
    None
}

/// A new file that shares its blocks with `source`, where the file system can (APFS).
#[cfg(target_vendor = "apple")]
fn clone_file(source: &SourceFile, path: &Path, mode: u32) -> Option<File> {
    use std::os::unix::fs::PermissionsExt;

    use rustix::fs::{CWD, CloneFlags, fclonefileat};

    fclonefileat(source.file(), CWD, path, CloneFlags::empty()).ok()?;
    // The clone has the permissions of its source, which may lack writing.
    let open = || {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode | 0o600))?;
        OpenOptions::new().write(true).open(path)
    };
    open().inspect_err(|_| drop(std::fs::remove_file(path))).ok()
}

/// A file that grows, with a buffer for short pieces.
struct Sink<'a> {
    path: &'a Path,
    file: &'a File,
    buffer: Vec<u8>,
    at: u64,
    /// Bytes that progress was told of.
    reported: u64,
    options: &'a WriteOptions,
}

impl Sink<'_> {
    fn error(&self, error: io::Error) -> WriteError {
        WriteError::io(self.path, "write", error)
    }

    fn flush(&mut self) -> Result<(), WriteError> {
        let mut file = self.file;
        file.write_all(&self.buffer).map_err(|error| self.error(error))?;
        self.buffer.clear();
        self.report();
        Ok(())
    }

    fn report(&mut self) {
        if let Some(progress) = &self.options.progress {
            progress.add(self.at.saturating_sub(self.reported));
            self.reported = self.at;
        }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.at += bytes.len() as u64;
        if self.buffer.len() + bytes.len() > BUFFER {
            self.flush()?;
        }
        if bytes.len() >= BUFFER {
            let mut file = self.file;
            return file.write_all(bytes).map_err(|error| self.error(error));
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// Leaves `len` bytes as they are in the file.
    fn skip(&mut self, len: u64) -> Result<(), WriteError> {
        self.flush()?;
        self.at += len;
        self.report();
        let mut file = self.file;
        file.seek(SeekFrom::Start(self.at)).map_err(|error| self.error(error))?;
        Ok(())
    }

    fn copy(&mut self, source: &SourceFile, start: u64, end: u64) -> Result<(), WriteError> {
        let mut start = start;
        if end.saturating_sub(start) >= LONG_COPY {
            self.flush()?;
            start = self.copy_by_system(source, start, end)?;
        }
        while start < end {
            if self.buffer.len() == BUFFER {
                self.flush()?;
            }
            let from = self.buffer.len();
            let room = (BUFFER - from) as u64;
            // At most BUFFER, so it fits.
            let step = (end - start).min(room) as usize;
            // Reading through the descriptor, not the map: the pages stay out of our memory.
            self.buffer.resize(from + step, 0);
            let read = source.file().read_exact_at(&mut self.buffer[from..], start);
            read.map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => {
                    let problem = WriteProblem::SourceChanged(source.path().to_owned());
                    WriteError::new(self.path, problem)
                }
                _ => WriteError::io(source.path(), "read", error),
            })?;
            start += step as u64;
            self.at += step as u64;
        }
        Ok(())
    }

    /// Copies inside the kernel. Gives where it stopped: before `end` where the two files lie on
    /// file systems that cannot do it.
    #[cfg(target_os = "linux")]
    fn copy_by_system(&mut self, source: &SourceFile, start: u64, end: u64) -> Result<u64, WriteError> {
        use rustix::fs::copy_file_range;
        use rustix::io::Errno;

        let mut from = start;
        while from < end {
            let step = (end - from).min(STEP) as usize;
            match copy_file_range(source.file(), Some(&mut from), self.file, None, step) {
                // The end of the input, too early: the buffered copy reports it.
                Ok(0) => break,
                Ok(copied) => {
                    self.at += copied as u64;
                    self.report();
                }
                Err(Errno::INTR) => {}
                Err(
                    Errno::XDEV
                    | Errno::INVAL
                    | Errno::NOSYS
                    | Errno::OPNOTSUPP
                    | Errno::PERM
                    | Errno::BADF
                    | Errno::IO,
                ) => break,
                Err(error) => return Err(self.error(error.into())),
            }
        }
        Ok(from)
    }

    #[cfg(not(target_os = "linux"))]
    fn copy_by_system(&mut self, _: &SourceFile, start: u64, _: u64) -> Result<u64, WriteError> {
        Ok(start)
    }

    fn stream(&mut self, stream: &dyn ByteStream) -> Result<(), WriteError> {
        let declared = stream.byte_len();
        let mut counted = Counted { sink: self, left: declared, written: 0, error: None };
        let result = stream.write_to(&mut counted);
        let (written, error) = (counted.written, counted.error.take());
        if let Some(error) = error {
            return Err(error);
        }
        if written != declared {
            let problem = WriteProblem::StreamLength { declared, written };
            return Err(WriteError::new(self.path, problem));
        }
        result.map_err(|error| WriteError::io(self.path, "compute", error))
    }
}

/// Counts what a stream writes and stops it at the first byte too many.
struct Counted<'a, 'b> {
    sink: &'a mut Sink<'b>,
    left: u64,
    written: u64,
    error: Option<WriteError>,
}

impl Write for Counted<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written = self.written.saturating_add(bytes.len() as u64);
        let Some(left) = self.left.checked_sub(bytes.len() as u64) else {
            return Err(io::ErrorKind::WriteZero.into());
        };
        self.left = left;
        self.sink.put(bytes).map_err(|error| {
            self.error = Some(error);
            io::Error::other("the output cannot be written")
        })?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
