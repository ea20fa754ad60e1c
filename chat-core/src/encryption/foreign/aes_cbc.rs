//! `iv:ciphertext`, with AES-256-CBC.

use aes::Aes256;
use cbc::{
    Decryptor,
    cipher::{BlockModeDecrypt, KeyIvInit, block_padding::Pkcs7},
};

use super::{Aes256Key, ForeignText, decode::hex_or_base64};

/// Reads `iv:ciphertext`, with AES-256-CBC and PKCS#7, each part in hex or base64: what
/// `createCipheriv('aes-256-cbc', key, iv)` gives in Node.js.
///
/// CBC notices no change, and a wrong key only as a rule: some one in two million texts of less than 16 bytes then
/// opens as garbage. See that texts are shown right before you let [`rotate`](crate::encryption::Encryption::rotate)
/// seal them.
#[derive(Debug, Clone)]
pub struct AesCbc(Aes256Key);

impl AesCbc {
    /// With the key of the program that wrote the texts.
    #[must_use]
    pub fn new(key: Aes256Key) -> Self {
        Self(key)
    }
}

impl ForeignText for AesCbc {
    fn open(&self, body: &str) -> Option<String> {
        let (iv, ciphertext) = body.split_once(':')?;
        let iv = hex_or_base64(iv).find_map(|iv| iv.try_into().ok())?;
        hex_or_base64(ciphertext).find_map(|ciphertext| open(self.0.bytes(), &iv, ciphertext))
    }
}

pub(super) fn open(key: &[u8; 32], iv: &[u8; 16], mut ciphertext: Vec<u8>) -> Option<String> {
    let cipher = Decryptor::<Aes256>::new(key.into(), iv.into());
    let length = cipher.decrypt_padded::<Pkcs7>(&mut ciphertext).ok()?.len();
    ciphertext.truncate(length);
    String::from_utf8(ciphertext).ok()
}
