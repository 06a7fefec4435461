//! A file that replaces another one when it is complete.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

/// A file beside the one that it is to replace. Unless it does, it is removed.
pub struct Draft {
    target: PathBuf,
    path: PathBuf,
    done: bool,
}

/// How many names are tried before the folder is given up.
const ATTEMPTS: u64 = 100;

impl Draft {
    /// Makes a new file in the folder of `target`, for this user only.
    pub fn new(target: &Path) -> io::Result<(Self, File)> {
        let folder = folder_of(target);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let random = RandomState::new();
        let mut attempt = 0;
        loop {
            // A short name of its own: that of the target may be as long as names can be.
            let name = format!(".overdrive-{:016x}.tmp", random.hash_one(attempt));
            let path = folder.join(name);
            match options.open(&path) {
                Ok(file) => {
                    let draft = Self {
                        target: target.to_owned(),
                        path,
                        done: false,
                    };
                    return Ok((draft, file));
                }
                Err(error)
                    if error.kind() == io::ErrorKind::AlreadyExists && attempt < ATTEMPTS =>
                {
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Lets the file take the target's place, so that whoever looks, even after a power failure, finds
    /// either the old one or the new one, and that complete.
    pub fn replace(mut self, file: File) -> io::Result<()> {
        file.sync_all()?;
        drop(file);
        fs::rename(&self.path, &self.target)?;
        self.done = true;
        sync_folder(folder_of(&self.target))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.done {
            // Whatever kept the file from being completed is reported; a leftover is harmless.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn folder_of(target: &Path) -> &Path {
    match target.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    // Not every folder may be read by those who may write in it, and not every file system can do this.
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied
                    | io::ErrorKind::InvalidInput
                    | io::ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        other => other,
    }
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}
