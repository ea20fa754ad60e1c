//! Passwords that everybody tries first.
//!
//! `common_passwords.txt` are the 8,448 passwords of 8 bytes and more among the 20,000 most common ones as Royce Williams
//! counted them in leaks, in lower case, sorted; from Django (BSD-3-Clause, see `common_passwords.license`).

use std::{collections::HashSet, sync::LazyLock};

static COMMON: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("common_passwords.txt").lines().collect());

/// Fewer of the same character are as good as one.
const SAME: usize = 20;

/// Whether it is among the first that somebody tries who guesses (OWASP ASVS 5.0, 6.2.4): in whichever case, or one
/// character over and over (fewer than 20 times), or what else is known of the person (6.2.11).
pub(super) fn is_common(password: &str, of_person: &[&str]) -> bool {
    let password = password.to_lowercase();
    let mut characters = password.chars();
    let first = characters.next();
    let is_known = |known: &&str| {
        let known = known.trim().to_lowercase();
        let local = known.split('@').next().unwrap_or_default();
        password == known || (local.chars().count() >= 4 && password == local)
    };
    COMMON.contains(password.as_str())
        || (password.chars().count() < SAME && characters.all(|character| Some(character) == first))
        || of_person.iter().any(is_known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_everybody_tries() {
        for common in [
            "password",
            "PassWord1",
            "12345678",
            "qwertyuiop",
            "iloveyou",
            "00000000",
            "éééééééé",
            &"x".repeat(19),
        ] {
            assert!(is_common(common, &[]), "{common}");
        }
        for fine in ["pw-Tr0ub4dor", "correct horse", "12345678 ", "wx7!kq-2", &"x".repeat(20)] {
            assert!(!is_common(fine, &[]), "{fine}");
        }
    }

    #[test]
    fn what_is_known_of_the_person() {
        let of = ["ann.other@example.org", "Ann Other"];
        for known in ["Ann.Other@Example.org", "ann.other", "ann other"] {
            assert!(is_common(known, &of), "{known}");
        }
        assert!(!is_common("ann.other2", &of));
    }

    #[test]
    fn the_list_is_what_its_comment_says() {
        let lines: Vec<_> = include_str!("common_passwords.txt").lines().collect();
        assert_eq!(lines.len(), 8_448);
        assert!(
            lines.is_sorted() && lines.iter().all(|line| line.len() >= 8 && *line == line.to_lowercase())
        );
    }
}
