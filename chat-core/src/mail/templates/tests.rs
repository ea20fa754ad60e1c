use super::*;
use crate::{
    Timestamp,
    mail::{MailKind, MailLink},
};

fn link(url: &str) -> MailLink {
    // 2026-01-31T12:00:59Z
    MailLink { url: url.to_owned(), expires_at: Timestamp::from_millis(1_769_860_859_999) }
}

fn kinds() -> [MailKind; 4] {
    let link = link("https://chat.example.org/reset-password#token=a.b-c_d&x='1'");
    [
        MailKind::Welcome,
        MailKind::VerifyEmail(link.clone()),
        MailKind::ResetPassword(link),
        MailKind::PasswordChanged,
    ]
}

fn content_of(kind: MailKind, name: &str) -> MailContent {
    let templates = DefaultTemplates::new("Tea & Talk", Some("https://chat.example.org".to_owned()));
    templates.content(&Mail { to: "ann@example.org".to_owned(), name: name.to_owned(), kind })
}

fn welcome(name: &str) -> MailContent {
    content_of(MailKind::Welcome, name)
}

/// Fails unless every tag is closed in its order, every attribute quoted, and every entity whole.
fn assert_well_formed(html: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = html.strip_prefix("<!DOCTYPE html>").expect("a doctype");
    while let Some((before, after)) = rest.split_once('<') {
        assert_text(before);
        let (tag, after) = after.split_once('>').expect("a tag ends");
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "</{name}>");
            continue;
        }
        let (tag, is_empty) = tag.strip_suffix(" /").map_or((tag, false), |tag| (tag, true));
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        assert!(!name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase()), "<{tag}>");
        let parts: Vec<&str> = attributes.split('"').collect();
        assert!(parts.len() % 2 == 1, "quotes of <{tag}>");
        for pair in parts.chunks_exact(2) {
            let is_name = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
            assert!(pair[0].trim().strip_suffix('=').is_some_and(is_name), "<{tag}>: {:?}", pair[0]);
            assert_text(pair[1]);
        }
        if !is_empty {
            open.push(name);
        }
    }
    assert_text(rest);
    assert!(open.is_empty(), "not closed: {open:?}");
}

fn assert_text(text: &str) {
    assert!(!text.contains(['<', '>']), "{text}");
    for entity in text.split('&').skip(1) {
        let (name, _) = entity.split_once(';').expect("an entity ends");
        let is_number = name.strip_prefix('#').is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
        assert!(is_number || ["amp", "lt", "gt", "quot"].contains(&name), "&{name};");
    }
}

#[test]
fn well_formed_whatever_the_names_are() {
    for name in ["Ann", "<b>\"Ann\" & 'Bob'</b>", "\u{202e}<!--", "]]>", "\0\r\nBcc: x", ""] {
        for kind in kinds() {
            let content = content_of(kind, name);
            assert_well_formed(&content.html);
            assert!(!content.html.contains("<b>") && !content.html.contains("<!--"));
            assert!(!content.subject.chars().any(char::is_control) && !content.subject.is_empty());
            assert!(!content.text.chars().any(|c| c.is_control() && c != '\n'), "{:?}", content.text);
        }
    }
}

#[test]
#[should_panic(expected = "</td>")]
fn a_tag_that_is_not_closed_is_seen() {
    assert_well_formed("<!DOCTYPE html><table><tr><td><p></td></tr></table>");
}

#[test]
fn names_are_escaped() {
    let content = welcome("<Ann> & \"Bob\"");
    assert!(content.html.contains("Hello &lt;Ann&gt; &amp; &quot;Bob&quot;,"), "{}", content.html);
    assert!(content.text.starts_with("Hello <Ann> & \"Bob\",\n"));
    assert!(content.html.contains("<title>Welcome to Tea &amp; Talk</title>"));
    assert_eq!(content.subject, "Welcome to Tea & Talk");
}

#[test]
fn the_link_is_there_as_a_button_and_as_text() {
    let [_, verify, reset, _] = kinds();
    let url = "https://chat.example.org/reset-password#token=a.b-c_d&x='1'";
    let escaped = "https://chat.example.org/reset-password#token=a.b-c_d&amp;x=&#39;1&#39;";
    for kind in [verify, reset] {
        let content = content_of(kind, "Ann");
        assert_eq!(content.html.matches(&format!("href=\"{escaped}\"")).count(), 2);
        assert!(content.html.contains(&format!(">{escaped}</a>")));
        assert!(content.text.contains(&format!("\n{url}\n")), "{}", content.text);
        // To the minute before, and the same whenever it is made.
        assert!(content.text.contains("until 31 January 2026, 12:00 UTC."), "{}", content.text);
        assert!(content.html.contains("until 31 January 2026, 12:00 UTC."));
    }
}

#[test]
fn nothing_is_fetched_and_no_script_runs() {
    for kind in kinds() {
        let html = content_of(kind, "Ann").html;
        for part in ["<img", "<script", "<link", "src=", "url(", "@import", "@font-face"] {
            assert!(!html.contains(part), "{part}");
        }
        let urls = html.matches("://").count();
        assert_eq!(urls, html.matches("://chat.example.org").count());
    }
}

#[test]
fn no_url_that_is_not_of_the_web() {
    let templates = DefaultTemplates::new("Chat", Some("javascript:alert(1)".to_owned()));
    let mail = |kind| Mail { to: String::new(), name: String::new(), kind };
    let links = MailKind::VerifyEmail(link("javascript:alert(1)"));
    for kind in [MailKind::Welcome, links, MailKind::ResetPassword(link("https://a\"\n<b>"))] {
        let content = templates.content(&mail(kind));
        assert!(!content.html.contains("href") && !content.text.contains("://"), "{}", content.text);
        assert!(!content.text.contains("javascript"));
    }
}

#[test]
fn a_name_that_is_a_link_is_not_shown() {
    for name in [
        "Win at http://evil.example",
        "evil.example",
        "EVIL.EXAMPLE/win",
        "go to evil。example now",
        "evil．example",
        "evil․example",
        "ev\u{200b}il.\u{ad}example",
        "www evil example",
        "mail me@evil.example",
        "mailto:me",
        "evil:8080",
        "\\\\evil\\share",
        "call 0900 123 456",
        "call ０９００１２３４５６",
        // Its link would be cut off, and with it the reason not to show the rest.
        &format!("You have won a prize, claim it {} http://evil.example", "now ".repeat(20)),
    ] {
        let content = welcome(name);
        assert!(content.text.starts_with("Hello,\n"), "{name}: {}", content.text);
        assert!(content.html.contains(">Hello,<"), "{name}");
        for word in ["evil", "prize", "0900", "０９", "mailto"] {
            assert!(!content.text.contains(word) && !content.html.contains(word), "{name}");
        }
        assert!(!content.subject.contains("evil"));
    }
}

#[test]
fn a_name_that_is_a_name_is_shown() {
    for name in [
        "Ann",
        "J.R. Smith",
        "J. R. R. Tolkien",
        "Dr. Anna-Maria O'Neill, Jr.",
        "Ann (2)",
        "Ægir Þór",
        "李小龍",
        "Ann: the first",
        "👩\u{200d}👩\u{200d}👧 Ann",
        "می\u{200c}خواهم",
    ] {
        let shown = name::shown(name).expect(name);
        assert_eq!(shown.trim_matches(['\u{2068}', '\u{2069}']), name);
        assert!(welcome(name).text.starts_with(&format!("Hello {shown},\n")));
    }
}

#[test]
fn a_name_turns_nothing_around() {
    assert_eq!(name::shown("Ann\u{202e}\u{2066}\u{200f}\u{61c}gro.live").as_deref(), None, "still a domain");
    assert_eq!(name::shown("\u{202e}A\u{2067}n\u{200e}n\u{202c}\u{e0041}").as_deref(), Some("Ann"));
    assert_eq!(name::shown("דנה").as_deref(), Some("\u{2068}דנה\u{2069}"));
    for nothing in ["", " ", "\u{200b}", "\u{3164}", "\u{202e}", "…", "\u{200d}"] {
        assert_eq!(name::shown(nothing), None, "{nothing:?}");
    }
    assert_eq!(name::shown(" Ann \r\n\t Lee\u{2028}").as_deref(), Some("Ann Lee"));
}

#[test]
fn long_names_are_cut() {
    assert_eq!(name::shown(&"x".repeat(64)), Some("x".repeat(64)));
    assert_eq!(name::shown(&"é".repeat(65)), Some(format!("{}…", "é".repeat(63))));
    let cut = name::shown(&"Anna ".repeat(20)).unwrap();
    assert!(cut.chars().count() <= 64 && cut.ends_with("Anna…"), "{cut}");
    let family = "👩\u{200d}".repeat(40);
    assert!(name::shown(&format!("A{family}")).is_some_and(|name| name.ends_with("👩…")));

    let templates = DefaultTemplates::new("The Application\r\nBcc: x ".repeat(10), None);
    for kind in kinds() {
        let mail = Mail { to: String::new(), name: "y".repeat(100), kind };
        let subject = templates.content(&mail).subject;
        assert!(subject.chars().count() <= 80, "{subject}");
        assert!(!subject.contains(['\r', '\n']) && !subject.contains("yy"), "{subject}");
    }
    assert_eq!(DefaultTemplates::new("\u{200b} ", None).app_name, "Chat");
}

#[test]
fn moments_without_a_name_are_left_out() {
    for millis in [i64::MAX, i64::MIN] {
        let link = MailLink { url: "https://x.org".to_owned(), expires_at: Timestamp::from_millis(millis) };
        assert!(!content_of(MailKind::ResetPassword(link), "Ann").text.contains("until"));
    }
}

/// A change of the words is a change of these files. `BLESS=1 cargo test -p chat-core mail` writes them anew.
#[test]
fn as_they_were_agreed_on() {
    let [welcome, _, reset, changed] = kinds();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/mail/templates/golden");
    for (file, is) in [
        ("welcome.txt", content_of(welcome, "Ann").text),
        ("password-changed.txt", content_of(changed, "Ann").text),
        ("reset-password.html", content_of(reset, "Ann").html),
    ] {
        let path = format!("{folder}/{file}");
        if std::env::var_os("BLESS").is_some() {
            std::fs::create_dir_all(folder).unwrap();
            std::fs::write(&path, &is).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap().replace("\r\n", "\n");
        assert_eq!(is, golden, "{file}");
    }
}
