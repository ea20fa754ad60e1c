//! Tokens that were not made by the server.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

/// What a token claims, without asking whether it is true.
#[must_use]
pub fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("a token has three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// Signed as the server signs.
#[must_use]
pub fn sign_hs256(claims: &Value, secret: &str) -> String {
    sign(Algorithm::HS256, claims, secret)
}

/// Signed with the right secret by another algorithm.
#[must_use]
pub fn sign_hs512(claims: &Value, secret: &str) -> String {
    sign(Algorithm::HS512, claims, secret)
}

/// `alg: none`, without a signature.
#[must_use]
pub fn unsigned(claims: &Value) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", part(json!({ "alg": "none", "typ": "JWT" })), part(claims.clone()))
}

fn sign(algorithm: Algorithm, claims: &Value, secret: &str) -> String {
    jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret.as_bytes()))
        .unwrap()
}
