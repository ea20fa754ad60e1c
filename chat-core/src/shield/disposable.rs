//! Providers of e-mails that are thrown away.

use std::sync::LazyLock;

/// The list, in order, so that it can be searched: the crate's own function reads all of it each time.
static DOMAINS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let mut domains = mailchecker::blacklist();
    domains.sort_unstable();
    domains
});

/// Builds what is needed, so that no visitor waits for it.
pub(super) fn prepare() {
    _ = &*DOMAINS;
}

/// Whether the domain of this e-mail, or one above it, is on the list.
pub(super) fn is_disposable(email: &str) -> bool {
    let Some((_, domain)) = email.trim().rsplit_once('@') else { return false };
    let domain = domain.trim_end_matches('.').to_ascii_lowercase();
    let mut domain = domain.as_str();
    loop {
        if DOMAINS.binary_search(&domain).is_ok() {
            return true;
        }
        match domain.split_once('.') {
            Some((_, above)) => domain = above,
            None => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_domains_and_those_below_them() {
        for email in ["a@mailinator.com", " A@MailInator.COM ", "a@x.y.mailinator.com", "a@guerrillamail.com"]
        {
            assert!(is_disposable(email), "{email}");
        }
        for email in ["", "a", "@", "a@", "a@com", "a@not-mailinator.example", "mailinator.com@example.org"] {
            assert!(!is_disposable(email), "{email}");
        }
    }

    #[test]
    fn what_most_people_have_is_not_on_it() {
        for domain in [
            "gmail.com",
            "googlemail.com",
            "outlook.com",
            "hotmail.com",
            "live.com",
            "yahoo.com",
            "yahoo.co.uk",
            "icloud.com",
            "me.com",
            "aol.com",
            "gmx.de",
            "gmx.net",
            "web.de",
            "t-online.de",
            "proton.me",
            "protonmail.com",
            "mail.ru",
            "yandex.ru",
            "qq.com",
            "163.com",
            "fastmail.com",
            "zoho.com",
            "hey.com",
            "tuta.com",
            "posteo.de",
            "free.fr",
            "orange.fr",
            "libero.it",
            "naver.com",
            "example.org",
            "privaterelay.appleid.com",
            "comcast.net",
            "edu",
            "co.uk",
            "com",
        ] {
            assert!(!is_disposable(&format!("a@{domain}")), "{domain}");
        }
    }
}
