//! Pictures as files in a folder.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{sync::OnceCell, task::spawn_blocking};

use super::{CheckedImage, ImageFormat, ImagePurpose, ImageStore, ImageStoreError, StoredImage};
use crate::random;

/// Where the HTTP door serves pictures.
const PATH: &str = "/api/images";

/// The ending of a file that is still being written.
const UNFINISHED: &str = ".tmp";

/// A file that has been unfinished for so long was left by a crash. A younger one may be another process's, which
/// shares the folder, and is being written this moment.
const LEFT_BEHIND: Duration = Duration::from_secs(10 * 60);

/// Keeps pictures in a folder, under random names; the HTTP door serves them.
///
/// The folder is made at the first picture, for this user alone. Should it vanish later, pictures are refused rather
/// than kept in a new one: a volume that is not mounted would otherwise be written beside. A picture is on the disk,
/// whole, before its URL is given out; what is half written has another name and is never served.
#[derive(Debug)]
pub struct DiskImages {
    folder: PathBuf,
    ready: OnceCell<()>,
}

impl DiskImages {
    /// Keeps pictures in this folder, which is made at the first picture.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), ready: OnceCell::new() }
    }

    /// Makes the folder, once.
    async fn ready(&self) -> Result<(), ImageStoreError> {
        let make = || {
            let folder = self.folder.clone();
            blocking(move || {
                make_folder(&folder)?;
                remove_left_behind(&folder)
            })
        };
        self.ready.get_or_try_init(make).await.map(|&()| ())
    }
}

#[async_trait]
impl ImageStore for DiskImages {
    async fn put(&self, image: CheckedImage, _purpose: ImagePurpose) -> Result<String, ImageStoreError> {
        self.ready().await?;
        let name = format!("{}.{}", random::name::<16>(), image.format().extension());
        let url = format!("{PATH}/{name}");
        let folder = self.folder.clone();
        let bytes = image.into_bytes();
        blocking(move || keep(&folder, &name, &bytes)).await?;
        Ok(url)
    }

    async fn remove(&self, url: &str) -> Result<(), ImageStoreError> {
        // A URL of another store, or of a picture that a person had elsewhere, is not ours to remove.
        let Some((before, name)) = url.rsplit_once('/') else { return Ok(()) };
        if !before.ends_with(PATH) || format_of(name).is_none() {
            return Ok(());
        }
        let folder = self.folder.clone();
        let path = folder.join(name);
        blocking(move || match std::fs::remove_file(path) {
            Ok(()) => sync_folder(&folder),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        })
        .await
    }

    async fn get(&self, name: &str) -> Result<Option<StoredImage>, ImageStoreError> {
        let Some(format) = format_of(name) else { return Ok(None) };
        match tokio::fs::read(self.folder.join(name)).await {
            Ok(bytes) => Ok(Some(StoredImage { format, bytes: bytes.into() })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ImageStoreError::new(error)),
        }
    }
}

/// The format of a file with this name, if it is one of the names that are given here: 32 lower-case hex characters
/// and a known ending. Nothing else comes near the file system, so there is nothing to escape from the folder with.
fn format_of(name: &str) -> Option<ImageFormat> {
    let (random, extension) = name.split_once('.')?;
    let hex = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if random.len() != 32 || !random.bytes().all(hex) {
        return None;
    }
    ImageFormat::from_extension(extension)
}

/// Runs a few calls of the file system in one piece, on a thread for such; to their end, even where nobody waits.
async fn blocking(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> Result<(), ImageStoreError> {
    match spawn_blocking(work).await {
        Ok(result) => result.map_err(ImageStoreError::new),
        Err(error) => Err(ImageStoreError::new(error)),
    }
}

/// Writes a file: under another name, to the disk, then under its own. On an error there is neither.
fn keep(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let unfinished = folder.join(format!("{name}{UNFINISHED}"));
    let path = folder.join(name);
    let kept = write(&unfinished, bytes)
        .and_then(|()| std::fs::rename(&unfinished, &path))
        .and_then(|()| sync_folder(folder));
    if kept.is_err() {
        // Where this fails as well, the next start cleans up.
        let _ = std::fs::remove_file(&unfinished);
        let _ = std::fs::remove_file(&path);
    }
    kept
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// A new name is on the disk when its folder is.
fn sync_folder(folder: &Path) -> io::Result<()> {
    // Elsewhere folders can't be opened, and the file system sees to it.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Removes what a crash left half written.
fn remove_left_behind(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str().and_then(|name| name.strip_suffix(UNFINISHED)) else { continue };
        // Another process may clean up too: what is gone meanwhile is what was wanted.
        let old = entry
            .metadata()
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|at| at.elapsed().is_ok_and(|age| age > LEFT_BEHIND));
        if old && format_of(name).is_some() {
            tracing::debug!("removing a picture that was left half written");
            let _ = std::fs::remove_file(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, sync::Arc, time::SystemTime};

    use image::{DynamicImage, ImageFormat as Format};

    use super::*;
    use crate::images::ImageLimits;

    async fn picture() -> CheckedImage {
        let mut file = io::Cursor::new(Vec::new());
        DynamicImage::new_rgb8(3, 2).write_to(&mut file, Format::Png).unwrap();
        CheckedImage::check(file.into_inner().into(), ImageLimits::default()).await.unwrap()
    }

    fn names(folder: &Path) -> Vec<String> {
        std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[tokio::test]
    async fn put_get_remove() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("a/b");
        let store = DiskImages::new(&folder);
        let picture = picture().await;
        assert!(store.get(&format!("{}.png", "0".repeat(32))).await.unwrap().is_none());

        let url = store.put(picture.clone(), ImagePurpose::Message).await.unwrap();
        let name = url.strip_prefix("/api/images/").unwrap();
        let stored = store.get(name).await.unwrap().unwrap();
        assert_eq!(stored.format, ImageFormat::Png);
        assert_eq!(stored.bytes, picture.into_bytes());
        assert_eq!(names(&folder), [name]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&folder), 0o700);
            assert_eq!(mode(&folder.join(name)), 0o600);
        }

        // Another one opens what this one kept.
        let again = DiskImages::new(&folder);
        assert!(again.get(name).await.unwrap().is_some());
        again.remove(&format!("https://chat.example.org/mounted{url}")).await.unwrap();
        assert!(store.get(name).await.unwrap().is_none());
        store.remove(&url).await.unwrap();
        assert!(names(&folder).is_empty());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_at_once() {
        let home = tempfile::tempdir().unwrap();
        let store = Arc::new(DiskImages::new(home.path().join("images")));
        let picture = picture().await;
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let (store, picture) = (Arc::clone(&store), picture.clone());
                tokio::spawn(async move { store.put(picture, ImagePurpose::Profile).await.unwrap() })
            })
            .collect();
        let mut urls = HashSet::new();
        for task in tasks {
            urls.insert(task.await.unwrap());
        }
        assert_eq!(urls.len(), 50);
        assert_eq!(names(&home.path().join("images")).len(), 50);
    }

    #[tokio::test]
    async fn no_name_leads_out_of_the_folder() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("images");
        let store = DiskImages::new(&folder);
        store.put(picture().await, ImagePurpose::Message).await.unwrap();
        let hex = "0123456789abcdef0123456789abcdef";
        let secret = home.path().join(format!("{hex}.png"));
        std::fs::write(&secret, "secret").unwrap();
        let unfinished = format!("{hex}.png.tmp");
        std::fs::write(folder.join(&unfinished), "half").unwrap();
        // Files that are there under names that are never given.
        let upper = format!("{}.png", hex.to_uppercase());
        let (short, long) = (format!("{}.png", &hex[1..]), format!("{hex}0.png"));
        let below = format!("below/{hex}.png");
        std::fs::create_dir(folder.join("below")).unwrap();
        for name in [&upper, &short, &long, &below] {
            std::fs::write(folder.join(name), "secret").unwrap();
        }

        let absolute = secret.to_str().unwrap().to_owned();
        for name in [
            &format!("../{hex}.png"),
            &format!("..\\{hex}.png"),
            &format!("%2e%2e/{hex}.png"),
            &absolute,
            &unfinished,
            "",
            ".",
            "..",
            &format!("{hex}.svg"),
            &format!("{hex}.png\0"),
            &format!("{hex}.png/"),
            &upper,
            &short,
            &long,
            &below,
            hex,
        ] {
            assert!(store.get(name).await.unwrap().is_none(), "{name}");
            for url in [name.to_owned(), format!("/api/images/{name}"), format!("/api/images/x/../{name}")] {
                store.remove(&url).await.unwrap();
            }
        }
        assert!(secret.exists() && folder.join(below).exists());
        assert_eq!(names(&folder).len(), 6);
    }

    #[tokio::test]
    async fn only_its_own_urls_are_removed() {
        let home = tempfile::tempdir().unwrap();
        let store = DiskImages::new(home.path());
        let url = store.put(picture().await, ImagePurpose::Message).await.unwrap();
        let name = url.strip_prefix("/api/images/").unwrap();
        for other in [
            name.to_owned(),
            format!("https://cdn.example.org/upload/{name}"),
            format!("/api/images/{name}?v=1"),
            format!("/api/images/{name}/"),
        ] {
            store.remove(&other).await.unwrap();
            assert!(store.get(name).await.unwrap().is_some(), "{other}");
        }
    }

    #[tokio::test]
    async fn a_disk_that_fails_is_an_error_and_leaves_nothing() {
        let home = tempfile::tempdir().unwrap();
        let picture = picture().await;
        // Where the folder should be is a file.
        let file = home.path().join("file");
        std::fs::write(&file, "").unwrap();
        let store = DiskImages::new(file.join("images"));
        assert!(store.put(picture.clone(), ImagePurpose::Message).await.is_err());
        // Once it can be made, the same store goes on.
        std::fs::remove_file(&file).unwrap();
        let url = store.put(picture.clone(), ImagePurpose::Message).await.unwrap();

        // The folder vanishes: it is not made anew.
        std::fs::remove_dir_all(&file).unwrap();
        assert!(store.put(picture, ImagePurpose::Message).await.is_err());
        assert!(!file.exists());
        assert!(store.get(url.strip_prefix("/api/images/").unwrap()).await.unwrap().is_none());
        store.remove(&url).await.unwrap();
    }

    #[test]
    fn what_could_not_be_written_whole_is_not_there() {
        let home = tempfile::tempdir().unwrap();
        let name = format!("{}.png", "a".repeat(32));
        // The rename fails, because a folder that is not empty has the name.
        std::fs::create_dir_all(home.path().join(&name).join("x")).unwrap();
        assert!(keep(home.path(), &name, b"picture").is_err());
        assert_eq!(names(home.path()), [name]);
    }

    #[tokio::test]
    async fn leftovers_of_a_crash_are_cleaned_up() {
        let home = tempfile::tempdir().unwrap();
        let file = |name: String, age: Duration| {
            let path = home.path().join(name);
            File::create(&path).unwrap().set_modified(SystemTime::now() - age).unwrap();
            path
        };
        let old = file(format!("{}.png.tmp", "a".repeat(32)), LEFT_BEHIND * 2);
        let young = file(format!("{}.png.tmp", "b".repeat(32)), Duration::ZERO);
        let foreign = file("notes.tmp".to_owned(), LEFT_BEHIND * 2);

        let store = DiskImages::new(home.path());
        store.put(picture().await, ImagePurpose::Message).await.unwrap();
        assert!(!old.exists());
        assert!(young.exists() && foreign.exists());
    }
}
