//! What people type to sign up, to log in and into their profile; checked here, for every door.

use std::{borrow::Cow, fmt};

use bytes::Bytes;

use crate::{Error, Invalid, Limits, Result};

/// What somebody signs up with.
#[derive(Clone, Default)]
pub struct SignUp {
    /// The e-mail.
    pub email: String,
    /// The name that others see.
    pub full_name: String,
    /// The password, in the clear; it goes no further than bcrypt.
    pub password: String,
}

/// What somebody logs in with.
#[derive(Clone, Default)]
pub struct Credentials {
    /// The e-mail.
    pub email: String,
    /// The password, in the clear.
    pub password: String,
}

/// A change of one's profile; what is `None` stays.
#[derive(Clone, Default)]
pub struct ProfileEdit {
    /// The new name.
    pub full_name: Option<String>,
    /// The file of the new picture, or `Some(None)` to remove it.
    pub picture: Option<Option<Bytes>>,
}

impl fmt::Debug for SignUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignUp { .. }")
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials { .. }")
    }
}

impl fmt::Debug for ProfileEdit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProfileEdit { .. }")
    }
}

impl SignUp {
    /// The same with the white space around e-mail and name removed, if it is as it must be.
    pub(super) fn checked(self, limits: &Limits) -> Result<Self> {
        let mut invalid = Invalid::default();
        let email = self.email.trim().to_owned();
        check(&mut invalid, "email", email_fault(&email, limits));
        check(&mut invalid, "fullName", name_fault(&self.full_name, limits));
        let full_name = self.full_name.trim().to_owned();
        check(&mut invalid, "password", password_fault(&self.password, limits));
        if invalid.fields.is_empty() {
            Ok(Self { email, full_name, password: self.password })
        } else {
            Err(Error::Validation(invalid))
        }
    }
}

impl Credentials {
    /// Only that both are there: what else is wrong with them is not told at a login.
    pub(super) fn checked(self) -> Result<Self> {
        let mut invalid = Invalid::default();
        let email = self.email.trim().to_owned();
        check(&mut invalid, "email", email.is_empty().then_some("required".into()));
        check(&mut invalid, "password", self.password.is_empty().then_some("required".into()));
        if invalid.fields.is_empty() {
            Ok(Self { email, password: self.password })
        } else {
            Err(Error::Validation(invalid))
        }
    }
}

pub(super) fn checked_name(name: &str, limits: &Limits) -> Result<String> {
    match name_fault(name, limits) {
        Some(fault) => Err(Error::invalid("fullName", fault)),
        None => Ok(name.trim().to_owned()),
    }
}

type Fault = Option<Cow<'static, str>>;

fn check(invalid: &mut Invalid, field: &'static str, fault: Fault) {
    if let Some(fault) = fault {
        invalid.fields.insert(field, fault);
    }
}

fn email_fault(email: &str, limits: &Limits) -> Fault {
    use email_address::{EmailAddress, Options};
    let options = Options::default().with_required_tld().without_display_text().without_domain_literal();
    if email.is_empty() {
        Some("required".into())
    } else if email.len() > limits.email_bytes {
        Some(format!("longer than {} characters", limits.email_bytes).into())
    } else if email.chars().any(char::is_control) || EmailAddress::parse_with_options(email, options).is_err()
    {
        Some("not an e-mail address".into())
    } else {
        None
    }
}

/// The length is that of what was sent, as the description of the API has it.
fn name_fault(name: &str, limits: &Limits) -> Fault {
    if name.trim().is_empty() {
        Some("required".into())
    } else if name.chars().count() > limits.full_name_chars {
        Some(format!("longer than {} characters", limits.full_name_chars).into())
    } else if name.trim().chars().any(char::is_control) {
        Some("has control characters".into())
    } else {
        None
    }
}

/// bcrypt reads 72 bytes and stops at a NUL: what it would not read is refused and not cut
/// (OWASP Password Storage Cheat Sheet, "Input Limits of bcrypt").
pub(crate) const BCRYPT_BYTES: usize = 72;

fn password_fault(password: &str, limits: &Limits) -> Fault {
    if password.is_empty() {
        Some("required".into())
    } else if password.chars().count() < limits.password_chars {
        Some(format!("shorter than {} characters", limits.password_chars).into())
    } else if password.len() > BCRYPT_BYTES {
        Some(format!("longer than {BCRYPT_BYTES} bytes").into())
    } else if password.contains('\0') {
        Some("has a NUL character".into())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(email: &str, full_name: &str, password: &str) -> Vec<&'static str> {
        let input = SignUp { email: email.into(), full_name: full_name.into(), password: password.into() };
        match input.checked(&Limits::default()) {
            Ok(_) => Vec::new(),
            Err(Error::Validation(invalid)) => invalid.fields.into_keys().collect(),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_field_at_its_limits() {
        assert!(faults(" ann@example.org ", " Ann ", "12345678").is_empty());
        assert_eq!(faults("", "", ""), ["email", "fullName", "password"]);
        for bad in [
            "ann",
            "ann@",
            "@example.org",
            "a b@example.org",
            "ann@example",
            "Ann <ann@example.org>",
            "ann@[::1]",
        ] {
            assert_eq!(faults(bad, "Ann", "12345678"), ["email"], "{bad}");
        }
        let long = format!("{}@{}.{}.{}.org", "a".repeat(64), "b".repeat(60), "c".repeat(60), "d".repeat(60));
        assert_eq!(long.len(), 251);
        assert!(faults(&long, "Ann", "12345678").is_empty());
        assert_eq!(faults(&format!("{long}long"), "Ann", "12345678"), ["email"]);
        assert!(faults("a@example.org", &"é".repeat(100), "12345678").is_empty());
        assert_eq!(faults("a@example.org", &"é".repeat(101), "12345678"), ["fullName"]);
        assert_eq!(faults("a@example.org", &format!("Ann{}", " ".repeat(98)), "12345678"), ["fullName"]);
        assert_eq!(faults("a@example.org", " \n ", "12345678"), ["fullName"]);
        assert!(faults("a@example.org", "\nAnn\t", "12345678").is_empty());
        assert_eq!(faults("a@example.org", "a\u{7}b", "12345678"), ["fullName"]);
        assert_eq!(faults("a@example.org", "Ann", "1234567"), ["password"]);
        assert!(faults("a@example.org", "Ann", &"é".repeat(36)).is_empty());
        assert_eq!(faults("a@example.org", "Ann", &"é".repeat(37)), ["password"]);
        assert_eq!(faults("a@example.org", "Ann", "1234\u{0}5678"), ["password"]);
    }
}
