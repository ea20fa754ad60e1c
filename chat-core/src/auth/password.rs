//! bcrypt, on a few threads of its own kind.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::{Error, Result};

/// Hashes and checks passwords: each takes tens of milliseconds of a core, on purpose. A bounded number run at once,
/// which leaves a core for the chat; a bounded number wait; the rest are told at once to come again.
#[derive(Debug)]
pub(crate) struct Passwords {
    /// One permit for each that may run.
    workers: Arc<Semaphore>,
    /// One permit for each that may run or wait.
    places: Semaphore,
    cost: u32,
}

impl Passwords {
    pub(crate) fn new(cost: u32, workers: usize, waiting: usize) -> Self {
        Self { workers: Arc::new(Semaphore::new(workers)), places: Semaphore::new(workers + waiting), cost }
    }

    /// All cores but one.
    pub(crate) fn default_workers() -> usize {
        std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1))
    }

    pub(crate) async fn hash(&self, password: String) -> Result<String> {
        let cost = self.cost;
        self.run(move || bcrypt::hash(password, cost)).await?.map_err(Error::internal)
    }

    /// Whether the password fits the hash. Without a hash it takes as long and says no: the time must not tell
    /// whether there is such an account (OWASP Authentication Cheat Sheet, "Authentication Responses").
    pub(crate) async fn verify(&self, password: String, hash: Option<String>) -> Result<bool> {
        let exists = hash.is_some();
        let hash = hash.unwrap_or_else(|| {
            format!("$2b${:02}$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", self.cost)
        });
        let fits = self.run(move || bcrypt::verify(password, &hash)).await?;
        match fits {
            Ok(fits) => Ok(fits && exists),
            Err(error) => {
                // Not a bcrypt hash: such an account has no password that could be right.
                tracing::warn!(%error, "a stored password hash can't be read");
                Ok(false)
            }
        }
    }

    async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let full = |_| Error::unavailable("password workers", None);
        let _place = self.places.try_acquire().map_err(full)?;
        let worker = self.workers.clone().acquire_owned().await.map_err(Error::internal)?;
        let job = move || {
            let done = job();
            // The thread is busy to the end, also when nobody waits for it any more.
            drop(worker);
            done
        };
        tokio::task::spawn_blocking(job).await.map_err(Error::internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn right_wrong_and_nobody() {
        let passwords = Passwords::new(4, 1, 4);
        let hash = passwords.hash("correct horse".into()).await.unwrap();
        assert!(passwords.verify("correct horse".into(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("wrong horse".into(), Some(hash)).await.unwrap());
        assert!(!passwords.verify("any".into(), None).await.unwrap());
        assert!(!passwords.verify("any".into(), Some("not a hash".into())).await.unwrap());
    }

    #[tokio::test]
    async fn the_hash_of_nobody_costs_what_others_cost() {
        // bcrypt refuses a malformed hash at once; this one must be computed.
        let hash = "$2b$04$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        assert!(matches!(bcrypt::verify("any", hash), Ok(false)));
    }

    #[tokio::test]
    async fn past_the_queue_it_is_said_at_once() {
        let passwords = Passwords::new(10, 1, 1);
        let (a, b, c) = tokio::join!(
            passwords.hash("one".into()),
            passwords.hash("two".into()),
            passwords.hash("three".into())
        );
        assert!(a.is_ok() && b.is_ok());
        assert_eq!(c.unwrap_err().code(), crate::Code::Unavailable);
    }
}
