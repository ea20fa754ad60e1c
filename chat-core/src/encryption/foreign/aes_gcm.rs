//! `iv:tag:ciphertext`, with AES-256-GCM.

use aes::Aes256;
use aes_gcm::{
    AesGcm as Cipher, KeyInit,
    aead::{
        AeadInOut, Nonce,
        array::ArraySize,
        consts::{U12, U16},
    },
};

use super::{Aes256Key, ForeignText, decode::hex_or_base64};

/// Reads `iv:tag:ciphertext`, with AES-256-GCM, an iv of 12 or 16 bytes and a tag of 16, each part in hex or base64:
/// what `createCipheriv('aes-256-gcm', key, iv)` and `getAuthTag()` give in Node.js.
///
/// A changed text and a wrong key are noticed; a text that was moved from another message is not.
#[derive(Debug, Clone)]
pub struct AesGcm(Aes256Key);

impl AesGcm {
    /// With the key of the program that wrote the texts.
    #[must_use]
    pub fn new(key: Aes256Key) -> Self {
        Self(key)
    }
}

impl ForeignText for AesGcm {
    fn open(&self, body: &str) -> Option<String> {
        let mut parts = body.split(':');
        let (iv, tag, ciphertext) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let iv = hex_or_base64(iv).find(|iv| matches!(iv.len(), 12 | 16))?;
        let tag = hex_or_base64(tag).find_map(|tag| tag.try_into().ok())?;
        let open = if iv.len() == 12 { open::<U12> } else { open::<U16> };
        hex_or_base64(ciphertext).find_map(|ciphertext| open(self.0.bytes(), &iv, &tag, ciphertext))
    }
}

fn open<N: ArraySize>(key: &[u8; 32], iv: &[u8], tag: &[u8; 16], mut ciphertext: Vec<u8>) -> Option<String> {
    let cipher = Cipher::<Aes256, N>::new(key.into());
    let nonce = Nonce::<Cipher<Aes256, N>>::try_from(iv).ok()?;
    cipher.decrypt_inout_detached(&nonce, &[], ciphertext.as_mut_slice().into(), tag.into()).ok()?;
    String::from_utf8(ciphertext).ok()
}
