//! What people type to sign up, to log in and into their profile; checked here, for every door.

use std::{borrow::Cow, fmt};

use bytes::Bytes;

use super::{Device, common_passwords::is_common};
use crate::{Error, Invalid, Limits, Result, store::UserRecord};

/// What somebody signs up with.
#[derive(Clone, Default)]
pub struct SignUp {
    /// The e-mail.
    pub email: String,
    /// The name that others see.
    pub full_name: String,
    /// The password, in the clear; it goes no further than bcrypt.
    pub password: String,
    /// Where it comes from, for the list of sessions.
    pub device: Device,
}

/// What somebody logs in with.
#[derive(Clone, Default)]
pub struct Credentials {
    /// The e-mail.
    pub email: String,
    /// The password, in the clear.
    pub password: String,
    /// Where it comes from, for the list of sessions.
    pub device: Device,
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
        check(&mut invalid, "password", password_fault(&self.password, &[&email, &full_name], limits));
        if invalid.fields.is_empty() {
            Ok(Self { email, full_name, password: self.password, device: self.device })
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
            Ok(Self { email, password: self.password, device: self.device })
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

/// An e-mail that names an account. Without a look at its form: what is no e-mail names nobody.
pub(super) fn checked_email(email: &str, limits: &Limits) -> Result<String> {
    let email = email.trim();
    if email.is_empty() {
        Err(Error::invalid("email", "required"))
    } else if email.len() > limits.email_bytes {
        Err(Error::invalid("email", format!("longer than {} characters", limits.email_bytes)))
    } else {
        Ok(email.to_owned())
    }
}

pub(super) fn checked_password(
    field: &'static str,
    password: &str,
    of_person: &[&str],
    limits: &Limits,
) -> Result<()> {
    password_fault(password, of_person, limits).map_or(Ok(()), |fault| Err(Error::invalid(field, fault)))
}

pub(super) fn checked_passwords(current: &str, new: &str, user: &UserRecord, limits: &Limits) -> Result<()> {
    let mut invalid = Invalid::default();
    check(&mut invalid, "currentPassword", current.is_empty().then_some("required".into()));
    check(&mut invalid, "newPassword", password_fault(new, &[&user.email, &user.full_name], limits));
    if !invalid.fields.is_empty() {
        return Err(Error::Validation(invalid));
    }
    // bcrypt would not read all of it, so it can't be the one.
    let is_possible = current.len() <= BCRYPT_BYTES && !current.contains('\0');
    if is_possible { Ok(()) } else { Err(Error::InvalidCredentials) }
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

fn password_fault(password: &str, of_person: &[&str], limits: &Limits) -> Fault {
    if password.is_empty() {
        Some("required".into())
    } else if password.chars().count() < limits.password_chars {
        Some(format!("shorter than {} characters", limits.password_chars).into())
    } else if password.len() > BCRYPT_BYTES {
        Some(format!("longer than {BCRYPT_BYTES} bytes").into())
    } else if password.contains('\0') {
        Some("has a NUL character".into())
    } else if is_common(password, of_person) {
        Some("too easy to guess: choose one that is not among the most common ones".into())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(email: &str, full_name: &str, password: &str) -> Vec<&'static str> {
        let input = SignUp {
            email: email.into(),
            full_name: full_name.into(),
            password: password.into(),
            ..SignUp::default()
        };
        match input.checked(&Limits::default()) {
            Ok(_) => Vec::new(),
            Err(Error::Validation(invalid)) => invalid.fields.into_keys().collect(),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_field_at_its_limits() {
        assert!(faults(" ann@example.org ", " Ann ", "wx7!kq-2").is_empty());
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
            assert_eq!(faults(bad, "Ann", "wx7!kq-2"), ["email"], "{bad}");
        }
        let long = format!("{}@{}.{}.{}.org", "a".repeat(64), "b".repeat(60), "c".repeat(60), "d".repeat(60));
        assert_eq!(long.len(), 251);
        assert!(faults(&long, "Ann", "wx7!kq-2").is_empty());
        assert_eq!(faults(&format!("{long}long"), "Ann", "wx7!kq-2"), ["email"]);
        assert!(faults("a@example.org", &"é".repeat(100), "wx7!kq-2").is_empty());
        assert_eq!(faults("a@example.org", &"é".repeat(101), "wx7!kq-2"), ["fullName"]);
        assert_eq!(faults("a@example.org", &format!("Ann{}", " ".repeat(98)), "wx7!kq-2"), ["fullName"]);
        assert_eq!(faults("a@example.org", " \n ", "wx7!kq-2"), ["fullName"]);
        assert!(faults("a@example.org", "\nAnn\t", "wx7!kq-2").is_empty());
        assert_eq!(faults("a@example.org", "a\u{7}b", "wx7!kq-2"), ["fullName"]);
        assert_eq!(faults("a@example.org", "Ann", "1234567"), ["password"]);
        assert!(faults("a@example.org", "Ann", &"aé".repeat(24)).is_empty());
        assert_eq!(faults("a@example.org", "Ann", &"aé".repeat(25)), ["password"]);
        assert_eq!(faults("a@example.org", "Ann", "1234\u{0}5678"), ["password"]);
    }
}
