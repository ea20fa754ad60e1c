//! A client over HTTP that handles cookies by hand and follows nothing.

use reqwest::{Method, RequestBuilder, header, multipart};
use serde_json::Value;

use crate::{Fetched, Reply, server::Base};

/// How a client says who it is.
#[derive(Debug, Clone)]
enum Auth {
    Nobody,
    Cookie(String),
    Bearer(String),
}

/// Somebody who talks to one server. Cheap to clone; what is set on a clone stays on that clone.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Base,
    auth: Auth,
    headers: header::HeaderMap,
}

impl Client {
    pub(crate) fn new(http: reqwest::Client, base: Base) -> Self {
        let mut headers = header::HeaderMap::new();
        headers.insert(header::USER_AGENT, header::HeaderValue::from_static("curl/8.5.0"));
        Self { http, base, auth: Auth::Nobody, headers }
    }

    /// A client of a server at this address that was not started here.
    #[must_use]
    pub fn at(url: &str) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self::new(http, Base::new(url.trim_end_matches('/').to_owned().into()))
    }

    /// The same, signed in by this cookie.
    #[must_use]
    pub fn with_cookie(&self, token: &str) -> Self {
        Self { auth: Auth::Cookie(token.to_owned()), ..self.clone() }
    }

    /// The same, signed in by this bearer token.
    #[must_use]
    pub fn with_bearer(&self, token: &str) -> Self {
        Self { auth: Auth::Bearer(token.to_owned()), ..self.clone() }
    }

    /// The same, not signed in.
    #[must_use]
    pub fn anonymous(&self) -> Self {
        Self { auth: Auth::Nobody, ..self.clone() }
    }

    /// The same, with one more header on every request.
    #[must_use]
    pub fn with_header(&self, name: &'static str, value: &str) -> Self {
        let mut client = self.clone();
        client.headers.insert(name, value.parse().unwrap());
        client
    }

    /// The server's address now.
    #[must_use]
    pub fn base(&self) -> String {
        self.base.read().unwrap().clone()
    }

    /// The absolute form of a path, or of a URL that the server gave out.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        url::Url::parse(&self.base()).unwrap().join(path).unwrap().to_string()
    }

    /// A request with who one is on it, for whatever the shortcuts do not do.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, self.url(path)).headers(self.headers.clone());
        match &self.auth {
            Auth::Nobody => request,
            Auth::Cookie(token) => request.header(header::COOKIE, format!("jwt={token}")),
            Auth::Bearer(token) => request.bearer_auth(token),
        }
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Reply {
        Reply::of(self.request(Method::GET, path)).await
    }

    /// POST of JSON.
    pub async fn post(&self, path: &str, body: Value) -> Reply {
        Reply::of(self.request(Method::POST, path).json(&body)).await
    }

    /// POST without a body and without a content type, as a browser's `fetch` does it.
    pub async fn post_bare(&self, path: &str) -> Reply {
        Reply::of(self.request(Method::POST, path)).await
    }

    /// PUT of JSON.
    pub async fn put(&self, path: &str, body: Value) -> Reply {
        Reply::of(self.request(Method::PUT, path).json(&body)).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Reply {
        Reply::of(self.request(Method::DELETE, path)).await
    }

    /// A multipart form.
    pub async fn multipart(&self, method: Method, path: &str, form: multipart::Form) -> Reply {
        Reply::of(self.request(method, path).multipart(form)).await
    }

    /// Any body under any content type.
    pub async fn raw(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: impl Into<reqwest::Body>,
    ) -> Reply {
        Reply::of(self.request(method, path).header(header::CONTENT_TYPE, content_type).body(body)).await
    }

    /// POST of JSON on a server that may go away meanwhile.
    ///
    /// # Errors
    ///
    /// The connection failed before the whole reply was there.
    pub async fn try_post(&self, path: &str, body: Value) -> Result<Reply, reqwest::Error> {
        Reply::try_of(self.request(Method::POST, path).json(&body)).await
    }

    /// GET of something that has no envelope: a picture, a page of metrics.
    pub async fn fetch(&self, path: &str) -> Fetched {
        Fetched::of(self.request(Method::GET, path)).await
    }

    /// GET of every page of a list, by the `Link` header, one `Vec` a page.
    pub async fn pages(&self, first: &str) -> Vec<Vec<Value>> {
        let mut pages = Vec::new();
        let mut next = Some(first.to_owned());
        while let Some(path) = next {
            let reply = self.get(&path).await;
            next = reply.next_page();
            let Value::Array(page) = reply.ok(200) else { panic!("{path} did not answer a list") };
            pages.push(page);
            assert!(pages.len() < 1000, "the pages of {first} do not end");
        }
        pages
    }
}
