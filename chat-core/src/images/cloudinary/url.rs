//! From the URL of a picture to its name at Cloudinary, and back.

use url::Url;

use super::settings::Account;

const HOST: &str = "res.cloudinary.com";

impl Account {
    /// The name of the picture with this URL, if it is of this account.
    pub(super) fn public_id(&self, url: &str) -> Option<String> {
        let url = Url::parse(url).ok().filter(|url| url.scheme() == "https")?;
        let host = url.host_str()?;
        let mut segments = url.path_segments()?;
        let is_own_host =
            host == format!("{}-{HOST}", self.cloud) || self.distribution.as_deref() == Some(host);
        if !is_own_host && (host != HOST || segments.next()? != self.cloud) {
            return None;
        }
        let mut rest: Vec<&str> = segments.collect();
        // A host of one's own may name the cloud all the same.
        if is_own_host && rest.first() == Some(&self.cloud.as_str()) {
            rest.remove(0);
        }
        let rest = rest.strip_prefix(&["image", "upload"])?;
        // What stands before the version are transformations.
        let is_version = |segment: &&str| {
            segment.strip_prefix('v').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        };
        let start = rest.iter().position(is_version).map_or(0, |version| version + 1);
        let name = rest[start..].join("/");
        let name = name.rsplit_once('.').map_or(name.as_str(), |(name, _)| name);
        let name = form_urlencoded::parse(format!("x={}", name.replace('+', "%2B")).as_bytes())
            .next()?
            .1
            .into_owned();
        (!name.is_empty() && !name.contains('\u{fffd}')).then_some(name)
    }

    /// A URL that has this name, whether or not there is such a picture.
    pub(super) fn url(&self, public_id: &str, extension: &str) -> String {
        format!("https://{HOST}/{}/image/upload/v1/{public_id}.{extension}", self.cloud)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_own_pictures() {
        let account = Account::parse("cloudinary://k:s@demo/img.example.org").unwrap();
        for (url, name) in [
            ("https://res.cloudinary.com/demo/image/upload/v123/chat/0a.png", Some("chat/0a")),
            ("https://res.cloudinary.com/demo/image/upload/c_fill,w_9/v1/chat/0a.webp", Some("chat/0a")),
            ("https://res.cloudinary.com/demo/image/upload/sample.jpg", Some("sample")),
            ("https://res.cloudinary.com/demo/image/upload/v1/a%20b%26c+d.e.gif", Some("a b&c+d.e")),
            ("https://demo-res.cloudinary.com/image/upload/v1/x.png", Some("x")),
            ("https://img.example.org/demo/image/upload/v1/x.png", Some("x")),
            ("https://img.example.org/image/upload/v1/x.png", Some("x")),
            ("http://res.cloudinary.com/demo/image/upload/v1/x.png", None),
            ("https://res.cloudinary.com/other/image/upload/v1/x.png", None),
            ("https://res.cloudinary.com/demo/video/upload/v1/x.mp4", None),
            ("https://res.cloudinary.com/demo/image/upload/", None),
            ("https://evil.example.org/demo/image/upload/v1/x.png", None),
            ("/api/images/0a.png", None),
            ("", None),
        ] {
            assert_eq!(account.public_id(url).as_deref(), name, "{url}");
        }
        let url = account.url("chat/0a", "png");
        assert_eq!(account.public_id(&url).as_deref(), Some("chat/0a"));
    }
}
