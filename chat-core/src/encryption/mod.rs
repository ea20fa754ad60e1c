//! Encryption of what people write: AES-256-GCM under a ring of keys.

pub mod foreign;
mod in_use;
mod key_ring;
mod opener;
mod rotate;
mod seal;

pub use self::{
    foreign::ForeignText,
    key_ring::{EncryptionKey, InvalidKeys, KeyRing},
    rotate::RotationReport,
    seal::{Binding, Unreadable},
};
pub(crate) use self::{
    in_use::{is_in_use, note_use},
    opener::Opener,
    rotate::forget_other_keys,
};
use crate::{Error, Result, service::Shared};

/// The service's keys at work; from [`ChatService::encryption`](crate::ChatService::encryption).
#[derive(Debug, Clone, Copy)]
pub struct Encryption<'a>(pub(crate) &'a Shared);

impl Encryption<'_> {
    /// Seals a text under the first key.
    #[must_use]
    pub fn seal(&self, binding: &Binding, text: &str) -> String {
        self.0.opener.keys().seal(binding, text)
    }

    /// Opens a sealed text, or one that another program wrote and a [`ForeignText`] of the service reads. What has the
    /// form of a sealed text is never given to a `ForeignText`.
    ///
    /// # Errors
    /// [`Unreadable`] when it was changed or moved, its key is not in the ring, or it is neither of the two.
    pub fn open(&self, binding: &Binding, sealed: &str) -> Result<String, Unreadable> {
        self.0.opener.open(binding, sealed)
    }

    /// Re-encrypts every message that is not under the first key, in small steps beside everything else. So also those
    /// that a [`ForeignText`] of the service reads; the program that wrote them can't read them any more then.
    ///
    /// It keeps its place in the store: called again after a restart, or after a call whose future was dropped, it
    /// goes on from there. After a walk that came to its end it begins a new one. Calls at the same time wait for one
    /// another. What can't be read is left as it is and counted.
    ///
    /// # Errors
    /// When the store is unavailable, or the service shuts down; call it again later.
    pub async fn rotate(&self) -> Result<RotationReport> {
        let (store, opener, gate) = (self.0.store.clone(), self.0.opener.clone(), self.0.rotation.clone());
        let stop = self.0.stop.clone();
        let walk = async move {
            let _one_at_a_time = gate.lock().await;
            tokio::select! {
                report = rotate::rotate(store, opener) => report,
                () = stop.cancelled() => Err(Error::unavailable("service: shutting down", None)),
            }
        };
        self.0.tasks.spawn(walk).await.map_err(Error::internal)?
    }

    /// Whether messages may be left that are not under the first key: no walk to it has come to its end yet.
    /// Says nothing about what another program wrote since.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub async fn is_rotation_pending(&self) -> Result<bool> {
        rotate::is_pending(&*self.0.store, self.0.opener.keys()).await
    }
}
