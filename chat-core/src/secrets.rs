//! Secrets in files: made at the first start, read at the next ones.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

/// A secret's file can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretFileError {
    /// It can't be read or written.
    #[error("the secret in {path} can't be read or written: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not there, although there are data that need it.
    #[error(
        "the secret in {0} is missing, although there is a database that was written with it: put it back"
    )]
    Missing(PathBuf),
}

/// Reads a secret, or makes it if it may be new. Only the owner can read the file (mode 0600). Blocks.
pub(crate) fn read_or_make(
    path: &Path,
    may_be_new: bool,
    make: impl FnOnce() -> Zeroizing<String>,
) -> Result<Zeroizing<String>, SecretFileError> {
    let failed = |source| SecretFileError::Io { path: path.to_owned(), source };
    match fs::read_to_string(path) {
        Ok(secret) => return Ok(Zeroizing::new(secret.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    if !may_be_new {
        return Err(SecretFileError::Missing(path.to_owned()));
    }
    let secret = make();
    // Whole under another name first: a start that is killed leaves no half secret.
    let draft = path.with_extension("new");
    let write = || {
        let _ = fs::remove_file(&draft);
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&draft)?;
        file.write_all(secret.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        if let Some(folder) = path.parent() {
            fs::File::open(folder)?.sync_all()?;
        }
        Ok(())
    };
    write().map_err(failed)?;
    tracing::info!(path = %path.display(), "made a new secret");
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_once_and_read_by_the_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let make = || Zeroizing::new("made".to_owned());
        assert!(matches!(read_or_make(&path, false, make), Err(SecretFileError::Missing(_))));
        assert_eq!(*read_or_make(&path, true, make).unwrap(), "made");
        let never = || -> Zeroizing<String> { panic!("it is there") };
        assert_eq!(*read_or_make(&path, false, never).unwrap(), "made");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let nowhere = folder.path().join("no/such/folder");
        assert!(matches!(read_or_make(&nowhere, true, make), Err(SecretFileError::Io { .. })));
    }
}
