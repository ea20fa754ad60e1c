//! What the suites of the service share.
#![allow(dead_code, clippy::unwrap_used, reason = "each suite uses a part; a failure here is a failed test")]

use std::path::Path;

use chat_core::{
    ChatService, Result,
    auth::{SignUp, SignedIn},
};
use tempfile::TempDir;

/// A service in a new folder.
pub(crate) async fn chat() -> (ChatService, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (chat_in(folder.path()).await, folder)
}

/// A service in this folder.
pub(crate) async fn chat_in(folder: &Path) -> ChatService {
    ChatService::builder().data_dir(folder).dangerous_bcrypt_cost(4).build().await.unwrap()
}

/// Somebody with an account.
pub(crate) async fn person(chat: &ChatService, name: &str) -> SignedIn {
    sign_up(chat, name).await.unwrap()
}

/// Tries to make an account.
pub(crate) async fn sign_up(chat: &ChatService, name: &str) -> Result<SignedIn> {
    let (email, password) = (format!("{name}@example.org"), "correct horse".to_owned());
    chat.auth().sign_up(SignUp { email, full_name: name.to_owned(), password, ..SignUp::default() }).await
}

/// A small picture.
pub(crate) fn png(side: u32) -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(side, side).write_to(&mut file, image::ImageFormat::Png).unwrap();
    file.into_inner()
}
