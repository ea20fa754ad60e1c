//! The web client, and the pages that links in mails lead to: the files of `web/`, in the binary.

use std::{
    hash::{DefaultHasher, Hasher},
    sync::LazyLock,
};

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Bytes;

/// The pages: their paths, and the files that they are.
const PAGES: [(&str, &str); 3] =
    [("/", "index.html"), ("/reset-password", "reset-password.html"), ("/verify-email", "verify-email.html")];

/// What pages consist of is below this path.
const FOLDER: &str = "/web/";
/// What stands for all of that in figures.
const FILE: &str = "/web/{file}";

macro_rules! embedded {
    ($($path:literal,)*) => {
        /// Path below `web/`, and text. A test holds it against the folder.
        const FILES: &[(&str, &str)] = &[$(($path, include_str!(concat!("../web/", $path))),)*];
    };
}

embedded! {
    "index.html",
    "reset-password.html",
    "verify-email.html",
    "icon.svg",
    "css/base.css",
    "css/chat.css",
    "js/account.js",
    "js/main.js",
    "js/api.js",
    "js/dom.js",
    "js/emoji.js",
    "js/kept.js",
    "js/notify.js",
    "js/outbox.js",
    "js/picture.js",
    "js/receipts.js",
    "js/router.js",
    "js/socket.js",
    "js/state.js",
    "js/sync.js",
    "js/tabs.js",
    "js/text.js",
    "js/time.js",
    "js/typing.js",
    "js/views/actions.js",
    "js/views/app.js",
    "js/views/composer.js",
    "js/views/conversation.js",
    "js/views/fields.js",
    "js/views/history.js",
    "js/views/message.js",
    "js/views/popups.js",
    "js/views/profile.js",
    "js/views/side.js",
    "js/views/signin.js",
}

/// Nothing of another site, and nobody told where one came from: a link in a mail has a secret in it. `no-cache`: it is
/// asked for each time, and mostly answered by 304, so nobody has half of an old version.
const HEADERS: [(HeaderName, &str); 4] = [
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::CACHE_CONTROL, "no-cache"),
];

/// Serves them.
#[derive(Debug, Clone)]
pub(crate) struct Pages {
    policy: HeaderValue,
}

impl Pages {
    /// Whose pictures may come from this origin as well, if there is one.
    pub(crate) fn new(pictures: Option<&str>) -> Self {
        let pictures = pictures.map(|origin| format!(" {origin}")).unwrap_or_default();
        let policy = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
             img-src 'self' data: blob:{pictures}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
             require-trusted-types-for 'script'; trusted-types 'none'"
        );
        // An origin that is no header value is none that a browser could take.
        let policy = HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
        Self { policy }
    }

    /// The answer to a GET of this path; `headers` are those of the request.
    pub(crate) fn get(&self, path: &str, headers: &HeaderMap) -> Option<Response<Full<Bytes>>> {
        let at = find(path)?;
        let (name, _) = FILES.get(at)?;
        let (text, tag) = SERVED.get(at)?;
        let mut response = Response::new(Full::from(text.clone()));
        if is_known(headers, tag) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            *response.body_mut() = Full::default();
        } else {
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind(name)));
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_SECURITY_POLICY, self.policy.clone());
        headers.extend(HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value))));
        headers.insert(header::ETAG, tag.clone());
        Some(response)
    }
}

/// What stands for this path in figures, if it is one of ours: their number is bounded.
pub(crate) fn template(path: &str) -> Option<&'static str> {
    let page = PAGES.iter().find(|(own, _)| *own == path).map(|(own, _)| *own);
    page.or_else(|| find(path).map(|_| FILE))
}

/// The place in `FILES` of what is at this path.
fn find(path: &str) -> Option<usize> {
    let page = PAGES.iter().find(|(own, _)| *own == path).map(|(_, name)| *name);
    let name = page.or_else(|| path.strip_prefix(FOLDER).filter(|name| !name.ends_with(".html")))?;
    FILES.iter().position(|(own, _)| *own == name)
}

fn kind(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

/// What is sent, and by which a browser asks whether it has it: the same from every server of the same build.
static SERVED: LazyLock<Vec<(Bytes, HeaderValue)>> = LazyLock::new(|| {
    let served = |(name, text): &(&str, &str)| {
        let text = match name.rsplit_once('.').map(|(_, ending)| ending) {
            Some("js") => lean(text, JS_MARKS),
            Some("css") => lean(text, CSS_MARKS),
            _ => (*text).to_owned(),
        };
        let mut hasher = DefaultHasher::new();
        hasher.write(text.as_bytes());
        let tag = HeaderValue::try_from(format!("\"{:016x}\"", hasher.finish()));
        (Bytes::from(text), tag.unwrap_or(HeaderValue::from_static("\"\"")))
    };
    FILES.iter().map(served).collect()
});

/// Scripts and styles without what is there for those who read them here: comments, indentation, and spaces around
/// punctuation. A fourth of the bytes. It goes line by line, so comments stand in lines of their own and no text goes over
/// several lines, which a test checks; where a line may be more than code and plain texts, it is left alone.
fn lean(text: &str, marks: &str) -> String {
    let mut is_comment = false;
    let mut lean = String::with_capacity(text.len());
    for line in text.lines().map(str::trim) {
        is_comment |= line.starts_with("/*");
        if !is_comment && !line.starts_with("//") && !line.is_empty() {
            let parts = parts(line);
            let is_plain = !line.contains('\\')
                && line.matches('`').count() <= 2
                && !parts.iter().any(|part| is_code(part) && part.contains(['"', '/']));
            if is_plain {
                parts.iter().for_each(|part| squeeze(part, marks, &mut lean));
            } else {
                lean.push_str(line);
            }
            if !is_plain || !lean.ends_with(['{', '(', '[', ',', ';']) {
                lean.push('\n');
            }
        }
        is_comment &= !line.ends_with("*/");
    }
    lean
}

/// The code of a line and the texts in it, which have their quotes.
fn parts(line: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = line;
    while let Some((at, quote)) = rest.char_indices().find(|(_, char)| matches!(char, '\'' | '`')) {
        let (code, text) = rest.split_at(at);
        let end = text[1..].find(quote).map_or(text.len(), |end| end + 2);
        parts.extend([code, &text[..end]]);
        rest = &text[end..];
    }
    parts.push(rest);
    parts
}

fn is_code(part: &str) -> bool {
    !part.starts_with(['\'', '`'])
}

/// Where a space beside them means nothing: in a script, and in a style sheet.
const JS_MARKS: &str = "{}()[]=<>?!:,;&|*'`";
const CSS_MARKS: &str = "{};,";

fn squeeze(part: &str, marks: &str, into: &mut String) {
    if !is_code(part) {
        into.push_str(part);
        return;
    }
    let mut words = part.split(' ');
    into.push_str(words.next().unwrap_or_default());
    for word in words {
        if !into.ends_with(|last| last == ':' || marks.contains(last))
            && !word.starts_with(|first| marks.contains(first))
        {
            into.push(' ');
        }
        into.push_str(word);
    }
}

/// Whether the browser has it (RFC 9110, section 13.1.2).
fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut known = known.flat_map(|value| value.split(','));
    known.any(|own| matches!(own.trim(), "*") || own.trim().trim_start_matches("W/") == tag)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use http_body_util::BodyExt as _;

    use super::*;

    /// The files below a folder, with paths relative to it.
    fn files(folder: &Path, below: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{below}{}", entry.file_name().into_string().unwrap());
            if entry.file_type().unwrap().is_dir() {
                found.extend(files(&entry.path(), &format!("{name}/")));
            } else if !name.ends_with(".md") {
                found.insert(name);
            }
        }
        found
    }

    #[test]
    fn the_table_is_the_folder_and_is_small() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
        let table: BTreeSet<_> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(files(&folder, ""), table);
        let bytes: usize = SERVED.iter().map(|(text, _)| text.len()).sum();
        assert!(bytes < 100 * 1024, "{bytes} bytes");
    }

    #[test]
    fn comments_and_indentation_stay_here() {
        let text = "// a\n/** b */\nx(1); // c\n\n  /*\n   * d\n   */\n  y('//');\n";
        assert_eq!(lean(text, JS_MARKS), "x(1); // c\ny('//');");
        assert_eq!(lean("  if (a) b = c + -d ? [e] : { f, g };", JS_MARKS), "if(a)b=c + -d?[e]:{f,g};");
        let text = "f( 'a = b', c ) + `d = ${e}`;\nreturn 'a = b' + { c: 'd' };";
        assert_eq!(lean(text, JS_MARKS), "f('a = b',c)+ `d = ${e}`;return 'a = b'+{c:'d'};");
        let text = "import { a } from './b c.js';\nif (d = e / f) g(`${ 'h' } ${`i = j`}`, k);\nl( \"m\" );";
        assert_eq!(
            lean(text, JS_MARKS),
            "import{a}from './b c.js';if (d = e / f) g(`${ 'h' } ${`i = j`}`, k);\nl( \"m\" );\n"
        );
        assert_eq!(lean("f(\n  [\n    a,\n  ],\n) {\n// x {\n`{`\n", JS_MARKS), "f([a,],){`{`\n");
        let text = "a b, c :d { e: f g; }\n@media (h) and (i) {";
        assert_eq!(lean(text, CSS_MARKS), "a b,c :d{e:f g;}\n@media (h) and (i){");
        for (name, text) in FILES.iter().filter(|(name, _)| name.ends_with(".js") || name.ends_with(".css")) {
            for line in text.lines() {
                assert!(line.matches('`').count() % 2 == 0, "a text over several lines in {name}: {line}");
                let ended = line.split_once("*/").map_or("", |(_, behind)| behind);
                assert!(ended.is_empty(), "not alone in its line in {name}: {line}");
            }
        }
    }

    /// So that the page has them all after one round trip.
    #[test]
    fn the_page_preloads_every_module() {
        let page = FILES.iter().find(|(name, _)| *name == "index.html").unwrap().1;
        for (name, _) in FILES.iter().filter(|(name, _)| name.starts_with("js/") && *name != "js/account.js")
        {
            let is_named = page.contains(&format!("<link rel=\"modulepreload\" href=\"web/{name}\">"))
                || page.contains(&format!("<script type=\"module\" src=\"web/{name}\"></script>"));
            assert!(is_named, "{name}");
        }
        // And names nothing that is not there.
        for named in page.split("\"web/").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(find(&format!("/web/{named}")).is_some(), "{named}");
        }
    }

    #[tokio::test]
    async fn they_are_served_and_not_twice() {
        let pages = Pages::new(None);
        for (path, kind) in [
            ("/", "text/html; charset=utf-8"),
            ("/reset-password", "text/html; charset=utf-8"),
            ("/verify-email", "text/html; charset=utf-8"),
            ("/web/css/base.css", "text/css; charset=utf-8"),
            ("/web/js/main.js", "text/javascript; charset=utf-8"),
            ("/web/icon.svg", "image/svg+xml"),
        ] {
            let response = pages.get(path, &HeaderMap::new()).unwrap();
            assert_eq!(
                (response.status(), &response.headers()[header::CONTENT_TYPE]),
                (StatusCode::OK, &HeaderValue::from_static(kind))
            );
            assert_eq!(response.headers()[header::CACHE_CONTROL], "no-cache");
            let tag = response.headers()[header::ETAG].clone();
            assert!(!response.into_body().collect().await.unwrap().to_bytes().is_empty());

            for known in [tag.to_str().unwrap(), &format!("\"x\", W/{}", tag.to_str().unwrap()), "*"] {
                let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, known.parse().unwrap())]);
                let response = pages.get(path, &headers).unwrap();
                assert_eq!(
                    (response.status(), &response.headers()[header::ETAG]),
                    (StatusCode::NOT_MODIFIED, &tag)
                );
                assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
            }
            let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_static("\"x\""))]);
            assert_eq!(pages.get(path, &headers).unwrap().status(), StatusCode::OK);
        }
        for path in ["", "/web", "/web/", "/web/index.html", "/web/js", "/web/../Cargo.toml", "/index.html"] {
            assert!(pages.get(path, &HeaderMap::new()).is_none(), "{path}");
            assert_eq!(template(path), None, "{path}");
        }
    }

    #[test]
    fn the_policy_lets_in_nothing_else() {
        let policy = |pictures| {
            let response = Pages::new(pictures).get("/", &HeaderMap::new()).unwrap();
            response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned()
        };
        assert!(!policy(None).contains("unsafe") && !policy(None).contains("http"));
        assert!(policy(None).starts_with("default-src 'none'; script-src 'self'; style-src 'self';"));
        assert!(
            policy(Some("https://p.example.org"))
                .contains("img-src 'self' data: blob: https://p.example.org;")
        );
        assert_eq!(policy(Some("bad\n")), "default-src 'none'");
    }
}
