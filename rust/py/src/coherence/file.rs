//! A table in a file that the processes of a host map into memory.
//!
//! The file is a header of 64 bytes (magic, version, slots; the rest 0), then the words of the table, all
//! in the host's byte order. Whoever finds it empty, or begun by someone who died over it, makes it while
//! it holds the file's lock: zeros first, which takes up the space on the disk, then the beginning with the
//! header. So a file with a header is complete. Nobody makes a file shorter; who has it mapped when another
//! program does is killed by the system (SIGBUS) when it looks at what is missing, as with any mapped file.
//!
//! The clock of a new table shows microseconds of the time of day. So it is ahead of that of one that was
//! there before, in the same file before somebody emptied it.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::AtomicU64;
use std::time::{SystemTime, UNIX_EPOCH};

use overdrive_core::coherence::{Table, beginning, words};

const HEADER: usize = 64;
const MAGIC: [u8; 8] = *b"odcoher\n";
const VERSION: u32 = 1;
const WORD: usize = size_of::<u64>();

/// Why a file could not be opened.
pub enum Refusal {
    Io(io::Error),
    /// It is not a table, or not this one; says why.
    Foreign(String),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A mapped file.
pub struct Mapping {
    start: NonNull<u8>,
    len: usize,
    /// Device and number of the file.
    identity: (u64, u64),
}

// SAFETY: the mapping is plain memory that is reached as atomic words only.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Whether a path leads to this file.
    pub fn is_at(&self, path: &Path) -> bool {
        std::fs::symlink_metadata(path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity)
    }

    /// The words of the table.
    #[inline(always)]
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is at least `len` bytes long and lives as long as `self`; it starts at a page,
        // so that words are aligned; other processes write them as atomic words, too.
        unsafe {
            let first = self.start.add(HEADER).cast::<AtomicU64>();
            std::slice::from_raw_parts(first.as_ptr(), (self.len - HEADER) / WORD)
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: what `map` mapped, and nobody refers to any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// Maps the table in a file, which is made if it is not there.
pub fn open(path: &Path, slots: usize) -> Result<Mapping, Refusal> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        // Not to be led elsewhere by a link, nor to wait for the other end of a pipe.
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    check_owner(&file)?;
    let lock = Lock::take(&file)?;
    let len = HEADER + words(slots) * WORD;
    if is_unfinished(&file, len)? {
        make(&file, slots, len)?;
    }
    check_header(&file, slots, len)?;
    drop(lock);
    let mapping = map(&file, len)?;
    match Table::new(mapping.words()) {
        Some(table) if table.is_sound() => Ok(mapping),
        _ => Err(Refusal::Foreign(
            "it is damaged: it has times that its clock has not reached".to_owned(),
        )),
    }
}

/// The lock of a file, which also keeps out other openings by this process.
struct Lock<'a>(&'a File);

impl<'a> Lock<'a> {
    fn take(file: &'a File) -> io::Result<Self> {
        // SAFETY: the descriptor is open.
        while unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX) } != 0 {
            let error = io::Error::last_os_error();
            if error.kind() != ErrorKind::Interrupted {
                return Err(error);
            }
        }
        Ok(Self(file))
    }
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        // By hand: a child that was forked meanwhile has the descriptor, too, and would keep the lock.
        // SAFETY: the descriptor is open.
        unsafe { libc::flock(self.0.as_raw_fd(), libc::LOCK_UN) };
    }
}

fn check_owner(file: &File) -> Result<(), Refusal> {
    let metadata = file.metadata()?;
    // SAFETY: always succeeds.
    let user = unsafe { libc::geteuid() };
    if !metadata.is_file() {
        return Err(Refusal::Foreign("it is not a regular file".to_owned()));
    }
    if metadata.uid() != user {
        return Err(Refusal::Foreign(format!(
            "it belongs to user {}, and this process runs as user {user}",
            metadata.uid()
        )));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(Refusal::Foreign(format!(
            "others than its owner may write it (mode {:o})",
            metadata.mode() & 0o7777
        )));
    }
    Ok(())
}

/// Whether a file is empty, or holds what is written before the header.
fn is_unfinished(file: &File, len: usize) -> io::Result<bool> {
    let present = file.metadata()?.len();
    if present == 0 {
        return Ok(true);
    }
    if present > len as u64 {
        return Ok(false);
    }
    // The header first, which tells in most cases.
    for len in [HEADER.min(present as usize), present as usize] {
        let mut content = vec![0; len];
        file.read_exact_at(&mut content, 0)?;
        if content.iter().any(|&byte| byte != 0) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn make(file: &File, slots: usize, len: usize) -> io::Result<()> {
    file.write_all_at(&vec![0; len], 0)?;
    let start = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as u64);
    // All in one call, so that nobody can die in the middle.
    let mut first = header(slots).to_vec();
    first.extend(beginning(start).iter().flat_map(|word| word.to_ne_bytes()));
    file.write_all_at(&first, 0)
}

fn header(slots: usize) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_ne_bytes());
    header[16..24].copy_from_slice(&(slots as u64).to_ne_bytes());
    header
}

fn check_header(file: &File, slots: usize, len: usize) -> Result<(), Refusal> {
    let foreign = |why: String| Err(Refusal::Foreign(why));
    let present = file.metadata()?.len();
    let mut found = [0; HEADER];
    if present < HEADER as u64 {
        return foreign(format!(
            "it has {present} bytes, fewer than the {HEADER} of a header"
        ));
    }
    file.read_exact_at(&mut found, 0)?;
    let expected = header(slots);
    if found[..8] != MAGIC {
        return foreign("it holds something else".to_owned());
    }
    if found[8..12] != expected[8..12] {
        let [a, b, c, d] = [found[8], found[9], found[10], found[11]];
        return foreign(format!(
            "it is of version {}, and this release reads version {VERSION}",
            u32::from_ne_bytes([a, b, c, d])
        ));
    }
    if found[16..24] != expected[16..24] {
        let mut number = [0; 8];
        number.copy_from_slice(&found[16..24]);
        return foreign(format!(
            "it has {} slots, and {slots} were asked for",
            u64::from_ne_bytes(number)
        ));
    }
    if found != expected {
        return foreign("its header is damaged".to_owned());
    }
    if present != len as u64 {
        return foreign(format!("it has {present} bytes instead of {len}"));
    }
    Ok(())
}

fn map(file: &File, len: usize) -> io::Result<Mapping> {
    let metadata = file.metadata()?;
    let identity = (metadata.dev(), metadata.ino());
    // SAFETY: a new mapping of a file that is `len` bytes long.
    let start = unsafe {
        libc::mmap(
            null_mut(),
            len,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            file.as_raw_fd(),
            0,
        )
    };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    match NonNull::new(start.cast()) {
        Some(start) => Ok(Mapping {
            start,
            len,
            identity,
        }),
        None => Err(ErrorKind::OutOfMemory.into()),
    }
}
