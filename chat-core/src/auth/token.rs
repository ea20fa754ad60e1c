//! Tokens: JWT with HS256, an end and an id.

use std::{fmt, time::Duration};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{Error, Result, SessionId, Timestamp, UserId};

/// The secret that signs tokens: at least 32 bytes. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct JwtSecret(Zeroizing<Vec<u8>>);

/// A secret with fewer than 32 bytes could be guessed (RFC 7518, section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the token secret must have at least 32 bytes")]
pub struct SecretTooShort;

impl JwtSecret {
    /// The secret with these bytes.
    ///
    /// # Errors
    /// When there are fewer than 32.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, SecretTooShort> {
        let bytes = Zeroizing::new(bytes.into());
        if bytes.len() < 32 { Err(SecretTooShort) } else { Ok(Self(bytes)) }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for JwtSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JwtSecret(..)")
    }
}

/// A sign-in: who, until when, and the id by which it can be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// Its id, the token's `jti`.
    pub id: SessionId,
    /// Whose.
    pub user: UserId,
    /// When its token expires.
    pub expires_at: Timestamp,
    /// The user's generation when it began; see [`Cut`](crate::store::Cut).
    pub generation: u32,
}

/// A signed token: whoever has it is signed in. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// As it goes into the cookie or the `Authorization` header.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: UserId,
    jti: SessionId,
    iat: i64,
    exp: i64,
    /// The generation.
    #[serde(default, rename = "gen")]
    generation: u32,
}

/// Signs and checks tokens.
pub(crate) struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
    life: Duration,
}

impl Tokens {
    pub(crate) fn new(secret: &JwtSecret, life: Duration) -> Self {
        // One algorithm, whatever a token's header claims (RFC 8725, section 3.1).
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        validation.set_required_spec_claims(&["exp", "sub"]);
        let (encoding, decoding) = (EncodingKey::from_secret(&secret.0), DecodingKey::from_secret(&secret.0));
        Self { encoding, decoding, validation, life }
    }

    pub(crate) const fn life(&self) -> Duration {
        self.life
    }

    pub(crate) fn issue(&self, user: UserId, generation: u32, now: Timestamp) -> Result<(Session, Token)> {
        let seconds = now.as_millis() / 1000;
        let exp = seconds.saturating_add(i64::try_from(self.life.as_secs()).unwrap_or(i64::MAX));
        let expires_at = Timestamp::from_millis(exp.saturating_mul(1000));
        let session = Session { id: SessionId::random(), user, expires_at, generation };
        let claims = Claims { sub: user, jti: session.id, iat: seconds, exp, generation };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
            .map_err(Error::internal)?;
        Ok((session, Token(token)))
    }

    /// The session that a token names, if it is ours and has not expired. Whether it was ended is not known here.
    pub(crate) fn read(&self, token: &str) -> Result<Session> {
        let claims = jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation)
            .map_err(|_| Error::Unauthenticated)?
            .claims;
        let expires_at = Timestamp::from_millis(claims.exp.saturating_mul(1000));
        // `exp` is in whole seconds, and expired is expired: a revocation is forgotten at that moment.
        if expires_at <= Timestamp::now() {
            return Err(Error::Unauthenticated);
        }
        Ok(Session { id: claims.jti, user: claims.sub, expires_at, generation: claims.generation })
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("life", &self.life).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(secret: &str) -> Tokens {
        Tokens::new(&JwtSecret::new(secret).unwrap(), Duration::from_secs(60))
    }

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn what_is_issued_is_read() {
        let user = UserId::generate(Timestamp::now());
        let (session, token) = tokens(SECRET).issue(user, 0, Timestamp::now()).unwrap();
        assert_eq!(tokens(SECRET).read(token.as_str()).unwrap(), session);
        assert_eq!(format!("{token:?}"), "Token(..)");
    }

    #[test]
    fn others_are_refused() {
        let user = UserId::generate(Timestamp::now());
        let (_, token) = tokens(SECRET).issue(user, 0, Timestamp::now()).unwrap();
        let other = tokens("another secret of thirty-two bytes");
        assert!(other.read(token.as_str()).is_err());
        let (_, old) = tokens(SECRET).issue(user, 0, Timestamp::from_millis(1_000_000)).unwrap();
        assert!(tokens(SECRET).read(old.as_str()).is_err(), "expired");
        let claims =
            Claims { sub: user, jti: SessionId::random(), iat: 0, exp: i64::MAX / 2000, generation: 0 };
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        let hs512 = jsonwebtoken::encode(&Header::new(Algorithm::HS512), &claims, &key).unwrap();
        assert!(tokens(SECRET).read(&hs512).is_err(), "another algorithm");
        let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", hs512.split('.').nth(1).unwrap());
        for bad in ["", ".", "a.b.c", &none] {
            assert!(tokens(SECRET).read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn short_secrets_are_refused() {
        assert_eq!(JwtSecret::new("short").unwrap_err(), SecretTooShort);
    }
}
