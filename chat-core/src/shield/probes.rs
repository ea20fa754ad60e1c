//! Requests that only look for holes: known by their path and query, which people do not write.
//!
//! No body is looked into: there `<script>` is a message about HTML. It is no defence for an application that has such
//! holes; it says no at once to those who knock at every door, and shows it in the figures.

use std::borrow::Cow;

use http::Uri;

/// No path or query of ours is longer; of a longer one, only so much is looked at.
const LONGEST: usize = 4096;

/// What a path of nobody here begins with, in lower case and without the first slash: the whole of it, or up to a slash.
const PATHS: [&str; 46] = [
    "_ignition",
    "_profiler",
    "actuator",
    "admin/config",
    "autodiscover",
    "boaform",
    "cgi-bin",
    "console/login",
    "containers/json",
    "debug/default",
    "druid",
    "ecp",
    "evox",
    "geoserver",
    "goform",
    "hnap1",
    "hudson",
    "invoker",
    "jenkins",
    "jmx-console",
    "laravel",
    "manager/html",
    "mifs",
    "myadmin",
    "nacos",
    "owa",
    "phpmyadmin",
    "pma",
    "portal/redlion",
    "remote/fgt_lang",
    "sdk/websphere",
    "server-info",
    "server-status",
    "setup.cgi",
    "solr",
    "struts",
    "telescope",
    "v2/_catalog",
    "vendor/phpunit",
    "web-inf",
    "wordpress",
    "wp-admin",
    "wp-content",
    "wp-includes",
    "wp-json",
    "wp-login",
];

/// What the last part of a path of nobody here has after its last dot, in lower case.
const EXTENSIONS: [&str; 12] =
    ["php", "php5", "phtml", "asp", "aspx", "ashx", "jsp", "jspx", "cgi", "sql", "bak", "swp"];

/// What stands in attacks and in no honest path or query; in lower case, with one space for any white space.
const PAYLOADS: [&str; 27] = [
    "\0",
    "../",
    "..\\",
    "<script",
    "<?php",
    "<!entity",
    "javascript:",
    "${jndi:",
    "${env:",
    "${${",
    "%{(#",
    "union select",
    "union all select",
    "union distinct select",
    "information_schema",
    "waitfor delay",
    "pg_sleep(",
    "benchmark(",
    "xp_cmdshell",
    "' or '1'='1",
    "' or 1=1",
    "/etc/passwd",
    "/proc/self/",
    "win.ini",
    "php://",
    "auto_prepend_file",
    "allow_url_include",
];

/// Whether a request for this is one of those.
pub(super) fn is_probe(uri: &Uri) -> bool {
    is_probing_path(uri.path()) || uri.query().is_some_and(is_probing_query)
}

fn is_probing_path(path: &str) -> bool {
    let path = cut(path);
    let path =
        if path.bytes().any(is_coded) { Cow::Owned(decoded(path, false)) } else { Cow::Borrowed(path) };
    let below = path.trim_start_matches('/');
    let name = below.rsplit('/').next().unwrap_or_default();
    below.split('/').any(is_hidden)
        || PATHS.iter().any(|known| is_or_is_below(below, known))
        || name.rsplit_once('.').is_some_and(|(_, extension)| is_extension(extension))
        || (path.bytes().any(|byte| byte != b'/' && is_odd(byte)) && has_payload(&path))
}

fn is_probing_query(query: &str) -> bool {
    let query = cut(query);
    // Ids, numbers and tokens have none of these: nothing is allocated for them.
    let is_suspect =
        query.bytes().any(|byte| is_coded(byte) || byte == b'+' || is_odd(byte)) || query.contains("..");
    is_suspect && has_payload(&decoded(query, true))
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}

const fn is_coded(byte: u8) -> bool {
    byte == b'%'
}

/// Whether a payload needs such a byte, or words that stand between such.
const fn is_odd(byte: u8) -> bool {
    !matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'=' | b'&' | b',' | b'@')
}

/// `.env`, `.git`, `..` and the like; not what is well known (RFC 8615).
fn is_hidden(part: &str) -> bool {
    part.starts_with('.') && part != "." && !part.eq_ignore_ascii_case(".well-known")
}

fn is_or_is_below(path: &str, known: &str) -> bool {
    // Nearly all end here.
    let is_like = |byte: &u8| known.as_bytes().first().is_some_and(|first| first.eq_ignore_ascii_case(byte));
    if !path.as_bytes().first().is_some_and(is_like) {
        return false;
    }
    let Some((start, rest)) = path.as_bytes().split_at_checked(known.len()) else { return false };
    start.eq_ignore_ascii_case(known.as_bytes()) && matches!(rest.first(), None | Some(b'/' | b'.' | b';'))
}

fn is_extension(extension: &str) -> bool {
    EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension))
}

fn has_payload(text: &str) -> bool {
    // A comment is white space in SQL, and any white space is as good as one space.
    let text = text.to_lowercase().replace("/**/", " ");
    let mut spaced = String::with_capacity(text.len());
    for character in text.chars() {
        let character = if character.is_whitespace() { ' ' } else { character };
        if character != ' ' || !spaced.ends_with(' ') {
            spaced.push(character);
        }
    }
    PAYLOADS.iter().any(|payload| spaced.contains(payload))
}

/// Decoded twice: what one server decodes before another is sent as `%252e`.
fn decoded(text: &str, is_query: bool) -> String {
    let once = decoded_once(text.as_bytes(), is_query);
    let twice = if once.iter().any(|byte| is_coded(*byte)) { decoded_once(&once, false) } else { once };
    String::from_utf8_lossy(&twice).into_owned()
}

fn decoded_once(text: &[u8], is_query: bool) -> Vec<u8> {
    let hex = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        match (byte, hex(text.get(at)), hex(text.get(at + 1))) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
                at += 2;
            }
            (b'+', ..) if is_query => bytes.push(b' '),
            _ => bytes.push(byte),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_scanners_send() {
        for uri in [
            "/.env",
            "/.git/config",
            "/api/.env.local",
            "/.aws/credentials",
            "/%2eenv",
            "/.DS_Store",
            "/wp-login.php",
            "/WP-Admin/setup-config.php",
            "/blog/xmlrpc.php",
            "/index.PHP",
            "/shell.jsp",
            "/dump.sql",
            "/cgi-bin/luci",
            "/actuator/health",
            "/actuator",
            "/phpMyAdmin/",
            "/vendor/phpunit/phpunit/src/x",
            "/solr/admin/info",
            "/HNAP1/",
            "/manager/html",
            "/server-status",
            "/_ignition/execute-solution",
            "/api/images/..%2f..%2fetc%2fpasswd",
            "/api/images/%2e%2e/x",
            "/a/../b",
            "/api/images/%252e%252e%252fx",
            "/a%00b",
            "/%3Cscript%3Ealert(1)%3C/script%3E",
            "/${jndi:ldap://x}",
            "/$%7Bjndi:ldap://x%7D",
            "/api/auth/me?x=<script>",
            "/api/auth/me?x=%3CScRiPt%3E",
            "/?q=1+UNION+SELECT+password",
            "/?q=..%2f..%2f",
            "/?q=1/**/union/**/all/**/select",
            "/?q=1%20%0Aunion%09%20select%20x",
            "/?q=../../x",
            "/?q=a%00",
            "/?x=${jndi:ldap://x/a}",
            "/?x=%24%7Bjndi%3Aldap%3A%2F%2Fx%7D",
            "/?x=%2524%257Bjndi:x}",
            "/?file=/etc/passwd",
            "/?-d+allow_url_include%3d1",
            "/?id=1'+or+'1'='1",
            "/?q=%25%2fetc%2fpasswd",
        ] {
            // Not through `Uri`, which refuses some of these itself, as the server does.
            let (path, query) = uri.split_once('?').map_or((uri, None), |(path, query)| (path, Some(query)));
            assert!(is_probing_path(path) || query.is_some_and(is_probing_query), "{uri}");
        }
    }

    #[test]
    fn what_people_send() {
        for uri in [
            "/",
            "/api/auth/me",
            "/api/messages/0123456789abcdef01234567?limit=50&before=0123456789abcdef01234567",
            "/api/images/f00ba4.webp",
            "/socket.io/?EIO=4&transport=polling&t=P.x-_y..z&sid=abc_-",
            "/.well-known/acme-challenge/x",
            "/.well-known/security.txt",
            "/favicon.ico",
            "/robots.txt",
            "/index.html",
            "/assets/app-4f.js",
            "/apiary",
            "/owasp",
            "/solrad",
            "/sdk",
            "/admin",
            "/login",
            "/wp",
            "/console",
            "/caf%C3%A9",
            "/a%20b",
            "/?q=a+union+of+select+people",
            "/?q=caf%C3%A9",
            "/?q=100%25",
            "/?q=%",
            "/?q=%zz",
            "/?q=script",
            "/?next=/api/auth/me",
            "/?name=O'Brien+or+so",
            "/?t=1..2",
            "/a...b",
            "/?q=select+union",
        ] {
            let uri: Uri = uri.parse().unwrap();
            assert!(!is_probe(&uri), "{uri}");
        }
    }

    #[test]
    fn only_so_much_is_looked_at() {
        let long = "a".repeat(LONGEST);
        assert!(!is_probing_query(&format!("q={long}<script")));
        assert!(!is_probing_path(&format!("/é{long}é.php")));
    }

    #[test]
    fn anything_is_decoded_to_something() {
        for (text, plain) in
            [("%", "%"), ("%4", "%4"), ("%41", "A"), ("%2541", "A"), ("%ff", "\u{fffd}"), ("a+b", "a b")]
        {
            assert_eq!(decoded(text, true), plain);
        }
    }
}
