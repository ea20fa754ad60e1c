//! Where the server is, and a connection to it, with TLS where the URL says `https`.

use std::sync::Arc;

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName},
};
use url::Url;

use crate::model::Failure;

/// Bytes both ways, whatever carries them.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The address of the server. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Server {
    url: Arc<Url>,
    /// There with `https`.
    tls: Option<TlsConnector>,
}

impl Server {
    /// `http://host:3000`, or `https://host/path` of a server behind a proxy.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = |why: &str| Failure { code: "url".to_owned(), message: format!("{text}: {why}") };
        let url = Url::parse(text.trim_end_matches('/')).map_err(|error| wrong(&error.to_string()))?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err(wrong("no host"));
        }
        let tls = match url.scheme() {
            "http" => None,
            "https" => Some(connector().map_err(|error| wrong(&error))?),
            _ => return Err(wrong("the URL has to begin with http:// or https://")),
        };
        Ok(Self { url: Arc::new(url), tls })
    }

    /// The path on the server; it may live under a path of its own.
    pub(crate) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.url.path().trim_end_matches('/'))
    }

    /// For the header `Host`.
    pub(crate) fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    pub(crate) async fn connect(&self) -> Result<Box<dyn Stream>, Failure> {
        let host = self.url.host_str().unwrap_or_default();
        // Brackets are of the URL, not of the address.
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = self.url.port_or_known_default().unwrap_or(80);
        let tcp = TcpStream::connect((host, port))
            .await
            .map_err(|error| Failure::network(format!("{} can't be reached: {error}", self.host())))?;
        // Messages are small and shall not wait for company.
        tcp.set_nodelay(true).map_err(Failure::network)?;
        let Some(tls) = &self.tls else { return Ok(Box::new(tcp)) };
        let name = ServerName::try_from(host.to_owned()).map_err(Failure::network)?;
        let stream = tls
            .connect(name, tcp)
            .await
            .map_err(|error| Failure::network(format!("no safe connection to {}: {error}", self.host())))?;
        Ok(Box::new(stream))
    }
}

/// Trusts whom the system trusts.
fn connector() -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(
            "this system has no root certificates (on Debian: apt-get install ca-certificates)".to_owned()
        );
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let server = Server::parse("http://127.0.0.1:3000/").unwrap();
        assert_eq!((server.path("/ws").as_str(), server.host().as_str()), ("/ws", "127.0.0.1:3000"));
        let server = Server::parse("http://[::1]/chat/").unwrap();
        assert_eq!((server.path("/ws").as_str(), server.host().as_str()), ("/chat/ws", "[::1]"));
        for wrong in ["", "localhost:3000", "ftp://x", "http://", "x"] {
            assert!(Server::parse(wrong).is_err(), "{wrong}");
        }
    }
}
