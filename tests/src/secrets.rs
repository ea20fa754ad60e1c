//! Secrets for servers that are to understand each other.

/// Settings that two servers on one database have in common.
pub const SECRETS: [(&str, &str); 2] = [
    ("JWT_SECRET", "a secret of the tests, long enough to be one"),
    ("ENCRYPTION_KEYS", "t1:dGhlIGtleSBvZiB0aGUgdGVzdHMgLSAzMiBieXRlcyE="),
];
