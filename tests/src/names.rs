//! Random people.

use serde_json::{Value, json};

/// Part of every password that the helpers make up: it must not turn up in any response or log.
pub const PASSWORD_MARK: &str = "pw-Tr0ub4dor";

/// What somebody types into the sign-up form.
#[derive(Debug, Clone)]
pub struct Signup {
    /// Unlike any other.
    pub email: String,
    /// Unlike any other.
    pub full_name: String,
    /// Holds [`PASSWORD_MARK`].
    pub password: String,
}

impl Signup {
    /// Somebody new.
    #[must_use]
    pub fn random() -> Self {
        let tag = tag();
        Self {
            email: format!("person-{tag}@example.org"),
            full_name: format!("Person {tag}"),
            password: format!("{PASSWORD_MARK}-{tag}"),
        }
    }

    /// The body of the request.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({ "email": self.email, "fullName": self.full_name, "password": self.password })
    }
}

/// Twelve random hex digits.
pub(crate) fn tag() -> String {
    let number = getrandom::u64().expect("the system has random numbers");
    format!("{:012x}", number >> 16)
}
