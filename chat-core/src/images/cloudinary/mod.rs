//! Pictures on [Cloudinary](https://cloudinary.com), by its REST API for uploads.
//!
//! By hand and not by the crate `cloudinary` 0.8: its address can't be set, it waits without end, it does not look at
//! statuses, signs with SHA-1 only, and takes a picture as a path, a URL or a data URL.

mod form;
mod settings;
mod sign;
mod url;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::Value;
use tokio::sync::Semaphore;

pub use self::settings::{CloudinaryUrlError, SignatureAlgorithm};
use self::{form::Form, settings::Account};
use super::{CheckedImage, ImagePurpose, ImageStore, ImageStoreError};
use crate::{
    BoxError, Timestamp,
    outbound::{self, HttpClient, OutboundError},
    random,
};

/// A person waits for it.
const TIMEOUT: Duration = Duration::from_secs(15);
const AVATAR: u32 = 512;
/// Characters of what Cloudinary says that go into an error.
const SENTENCE: usize = 200;
/// Uploads at once, each with its picture in memory: a crowd before a slow service is told to come again.
const AT_ONCE: usize = 64;
/// Bytes of a URL.
const LONGEST_URL: usize = 2048;

/// Keeps pictures on Cloudinary.
///
/// A picture gets a name that nobody can guess, in a folder (`chat` by default), and its `secure_url` is what people
/// see. The picture of a profile is cut square around the face in it, or its middle, and scaled down to 512 pixels, as it is
/// stored; a picture in a message stays as it is.
///
/// What people get, by what Cloudinary does:
///
/// | Cloudinary | sending a picture, or a new one for a profile | removing one |
/// |---|---|---|
/// | is down, answers garbage, 401, 500 or anything that it should not | 503 `unavailable`, nothing is sent or changed | tried again for 14 days |
/// | answers 420 or 429 | the same, with its `Retry-After` | no sooner than that |
/// | is slow | the same, after 15 s | tried again |
///
/// Messages without a picture go on. Where it is not known whether an upload arrived, it is removed a little later.
#[derive(Clone)]
pub struct CloudinaryImages {
    account: Account,
    http: HttpClient,
    folder: String,
    avatar: u32,
    timeout: Duration,
    places: Arc<Semaphore>,
}

impl fmt::Debug for CloudinaryImages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudinaryImages")
            .field("cloud", &self.account.cloud)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl CloudinaryImages {
    /// From a `CLOUDINARY_URL` as Cloudinary shows it: `cloudinary://key:secret@cloud`. Of the options that may follow,
    /// these are known: `upload_prefix` (where the API is; `https://api.cloudinary.com`), `signature_algorithm`
    /// (`sha1` or `sha256`), `secure_distribution` (a host of one's own for pictures, also as path). Others change how
    /// pictures are linked, and are left out.
    ///
    /// # Errors
    /// [`CloudinaryUrlError`] says what is wrong with it, without showing it.
    pub fn from_url(url: &str) -> Result<Self, CloudinaryUrlError> {
        let account = Account::parse(url)?;
        let http = HttpClient::new().map_err(CloudinaryUrlError::Tls)?;
        Ok(Self {
            account,
            http,
            folder: "chat".to_owned(),
            avatar: AVATAR,
            timeout: TIMEOUT,
            places: Arc::new(Semaphore::new(AT_ONCE)),
        })
    }

    /// The folder for pictures; letters, digits, `-`, `_` and `/` between names. What has other characters counts as
    /// `chat`, the default.
    #[must_use]
    pub fn with_folder(mut self, folder: &str) -> Self {
        let is_name = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        let folder = Some(folder).filter(|folder| folder.split('/').all(is_name));
        folder.unwrap_or("chat").clone_into(&mut self.folder);
        self
    }

    /// How requests are signed; SHA-1 by default, as Cloudinary's own clients do it.
    #[must_use]
    pub const fn with_signature_algorithm(mut self, algorithm: SignatureAlgorithm) -> Self {
        self.account.algorithm = algorithm;
        self
    }

    /// Width and height of pictures of profiles, in pixels; 512 by default. Smaller ones are not made larger.
    #[must_use]
    pub const fn with_avatar_size(mut self, pixels: u32) -> Self {
        self.avatar = pixels;
        self
    }

    /// How long one request may take; 15 s by default.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    async fn call(&self, action: &str, form: Form) -> Result<Value, Failed> {
        let url = format!("{}/v1_1/{}/image/{action}", self.account.base, self.account.cloud);
        let request = Request::post(url)
            .header(header::CONTENT_TYPE, form.content_type())
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, concat!("chat-core/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(form.finish()))
            .map_err(|error| Failed::definite(error.into()))?;
        let answer = self.http.send(request, self.timeout).await.map_err(Failed::from)?;
        read(&answer, &self.account.key)
    }

    /// A form with these parameters, which are signed, and what proves them.
    fn signed(&self, mut parameters: Vec<(&'static str, String)>) -> Form {
        parameters.push(("timestamp", (Timestamp::now().as_millis() / 1000).to_string()));
        let signature = sign::signature(&parameters, &self.account.secret, self.account.algorithm);
        let mut form = Form::new();
        for (name, value) in &parameters {
            form.text(name, value);
        }
        form.text("api_key", &self.account.key);
        form.text("signature", &signature);
        form
    }

    /// What Cloudinary makes of the picture of a profile before it keeps it.
    ///
    /// `c_fill` makes it square and would make small ones larger, hence a size that this one has; `c_lfill` would leave
    /// small ones as they are, and so not square. `g_face:center` is there in all plans, cuts no head off, and says what
    /// is to be done where there is no face.
    fn transformation(&self, (width, height): (u32, u32)) -> String {
        let side = width.min(height).min(self.avatar).max(1);
        format!("c_fill,g_face:center,h_{side},w_{side}")
    }
}

#[async_trait]
impl ImageStore for CloudinaryImages {
    async fn put(&self, image: CheckedImage, purpose: ImagePurpose) -> Result<String, ImageStoreError> {
        let _place = self
            .places
            .try_acquire()
            .map_err(|_| ImageStoreError::new("too many uploads wait for Cloudinary"))?;
        let name = random::name::<16>();
        let extension = image.format().extension();
        let mut parameters =
            vec![("folder", self.folder.clone()), ("overwrite", "0".to_owned()), ("public_id", name.clone())];
        if purpose == ImagePurpose::Profile {
            parameters.push(("transformation", self.transformation(image.size())));
        }
        let mut form = self.signed(parameters);
        form.file("file", &format!("{name}.{extension}"), image.format().content_type(), &image.into_bytes());
        let public_id = format!("{}/{name}", self.folder);
        let leftover = || Some(self.account.url(&public_id, extension));
        let answer = self.call("upload", form).await.map_err(|failed| ImageStoreError {
            leftover: failed.may_be_done.then(leftover).flatten(),
            ..failed.into()
        })?;
        let url = answer["secure_url"].as_str().unwrap_or_default();
        let named = self.account.public_id(url).unwrap_or_default();
        // Accounts differ in whether the folder is part of the name.
        if (named == public_id || named == name) && url.len() <= LONGEST_URL {
            return Ok(url.to_owned());
        }
        let error = ImageStoreError::new("Cloudinary took the picture and did not say where it is");
        Err(ImageStoreError { leftover: leftover(), ..error })
    }

    /// Removes a picture of this account, also one that another application put there. Of URLs elsewhere nothing
    /// happens.
    async fn remove(&self, url: &str) -> Result<(), ImageStoreError> {
        let Some(public_id) = self.account.public_id(url) else { return Ok(()) };
        let form = self.signed(vec![("invalidate", "true".to_owned()), ("public_id", public_id)]);
        let answer = self.call("destroy", form).await.map_err(ImageStoreError::from)?;
        match answer["result"].as_str() {
            Some("ok" | "not found") => Ok(()),
            other => {
                let result: String = other.unwrap_or_default().chars().take(SENTENCE).collect();
                Err(ImageStoreError::new(format!("Cloudinary did not remove the picture: {result:?}")))
            }
        }
    }
}

/// What a call came to when it did not go well.
#[derive(Debug)]
struct Failed {
    source: BoxError,
    /// Whether it may have been done all the same.
    may_be_done: bool,
    retry_after: Option<Duration>,
}

impl Failed {
    fn definite(source: BoxError) -> Self {
        Self { source, may_be_done: false, retry_after: None }
    }
}

impl From<OutboundError> for Failed {
    fn from(error: OutboundError) -> Self {
        let may_be_done = !matches!(error, OutboundError::Connect(_));
        Self { source: error.into(), may_be_done, retry_after: None }
    }
}

impl From<Failed> for ImageStoreError {
    fn from(failed: Failed) -> Self {
        Self { source: failed.source, retry_after: failed.retry_after, leftover: None }
    }
}

/// The answer, if it is one. What Cloudinary says is kept without the key, should it repeat that.
fn read(answer: &Response<Bytes>, key: &str) -> Result<Value, Failed> {
    let status = answer.status();
    let body: Option<Value> = serde_json::from_slice(answer.body()).ok().filter(Value::is_object);
    if status == StatusCode::OK {
        let garbage =
            || Failed { may_be_done: true, ..Failed::definite("Cloudinary answered no JSON".into()) };
        return body.ok_or_else(garbage);
    }
    let said = body.as_ref().and_then(|body| body["error"]["message"].as_str()).unwrap_or_default();
    // What was signed, which it repeats when the signature is wrong, is nobody's business.
    let said = said.split("String to sign").next().unwrap_or_default().replace(key, "…");
    let said: String = said.chars().filter(|c| !c.is_control()).take(SENTENCE).collect();
    Err(Failed {
        source: format!("Cloudinary answered {}: {said}", status.as_u16()).into(),
        may_be_done: status.is_server_error() || status.is_success(),
        retry_after: outbound::retry_after(answer.headers()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_avatar_is_square_and_never_made_larger() {
        let images = CloudinaryImages::from_url("cloudinary://key:hush@demo").unwrap();
        assert_eq!(images.transformation((4000, 3000)), "c_fill,g_face:center,h_512,w_512");
        assert_eq!(images.transformation((4000, 300)), "c_fill,g_face:center,h_300,w_300");
        let images = images.with_avatar_size(0);
        assert_eq!(images.transformation((1, 9)), "c_fill,g_face:center,h_1,w_1");
        assert!(!format!("{images:?}").contains("hush"));
    }

    #[test]
    fn what_cloudinary_says_is_kept_short_and_without_what_was_signed() {
        let of = |status: u16, body: &str| {
            let answer = Response::builder().status(status).header("retry-after", "7");
            read(&answer.body(Bytes::copy_from_slice(body.as_bytes())).unwrap(), "the-key").unwrap_err()
        };
        let failed =
            of(401, r#"{"error":{"message":"Invalid Signature x. String to sign - 'folder=secret'."}}"#);
        assert_eq!(failed.source.to_string(), "Cloudinary answered 401: Invalid Signature x. ");
        assert!(!failed.may_be_done && failed.retry_after == Some(Duration::from_secs(7)));
        let failed = of(401, r#"{"error":{"message":"Unknown API key the-key"}}"#);
        assert_eq!(failed.source.to_string(), "Cloudinary answered 401: Unknown API key …");
        let long = format!(r#"{{"error":{{"message":"{}"}}}}"#, "é".repeat(10_000));
        assert!(of(400, &long).source.to_string().chars().count() < SENTENCE + 50);
        for (status, body) in [(200, "<html>"), (200, "[]"), (500, ""), (502, "<html>")] {
            assert!(of(status, body).may_be_done, "{status}");
        }
    }
}
