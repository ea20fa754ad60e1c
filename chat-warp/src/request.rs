//! What warp's filters see of a request, put together again.

use std::{convert::Infallible, net::SocketAddr};

use chat_core::http::PeerAddr;
use futures_util::{Stream, TryStreamExt};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Buf, Bytes, Frame},
    upgrade::OnUpgrade,
};
use warp::{
    Filter,
    host::Authority,
    http::{HeaderMap, Method, Request, Uri},
    path::Peek,
};

/// The head of a request. Its path is what the filters before have left of it.
pub(crate) fn head()
-> impl Filter<Extract = (Request<()>,), Error = Infallible> + Clone + Send + Sync + 'static {
    // A query or a host that can't be read is none: the door says what it thinks of that.
    let query = warp::query::raw().map(Some).or_else(|_| async { Ok::<_, Infallible>((None,)) });
    let host = warp::host::optional().or_else(|_| async { Ok::<_, Infallible>((None,)) });
    warp::method()
        .and(warp::path::peek())
        .and(query)
        .and(host)
        .and(warp::header::headers_cloned())
        .and(warp::ext::optional())
        .and(warp::ext::optional())
        .and(warp::addr::remote())
        .map(assemble)
}

#[allow(clippy::too_many_arguments, reason = "one for each filter")]
#[allow(clippy::needless_pass_by_value, reason = "the shape that `map` asks for")]
fn assemble(
    method: Method,
    path: Peek,
    query: Option<String>,
    host: Option<Authority>,
    headers: HeaderMap,
    upgrade: Option<OnUpgrade>,
    peer: Option<PeerAddr>,
    remote: Option<SocketAddr>,
) -> Request<()> {
    // Over HTTP/2 there is no `Host` among the headers, but origins are compared with it.
    let host = host.map(|host| format!("http://{host}")).unwrap_or_default();
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    let mut request = Request::new(());
    *request.method_mut() = method;
    // What was parts of a URI is a URI; if not, `/` is nobody's path.
    *request.uri_mut() = format!("{host}/{}{query}", path.as_str()).parse().unwrap_or_default();
    *request.headers_mut() = headers;
    let extensions = request.extensions_mut();
    if let Some(upgrade) = upgrade {
        extensions.insert(upgrade);
    }
    if let Some(peer) = peer.or(remote.map(PeerAddr)) {
        extensions.insert(peer);
    }
    request
}

/// The same with another path.
pub(crate) fn with_path(uri: &Uri, path: &str) -> Uri {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut parts = uri.clone().into_parts();
    // What was a path of a URI is one; if not, `/` is nobody's path.
    parts.path_and_query = format!("{path}{query}").parse().ok();
    Uri::from_parts(parts).unwrap_or_default()
}

/// The body of a request, on its way to a door.
pub(crate) type DoorBody = UnsyncBoxBody<Bytes, warp::Error>;

/// The body, as it comes in: nothing of it is read before the door reads it.
pub(crate) fn body<D: Buf>(stream: impl Stream<Item = Result<D, warp::Error>> + Send + 'static) -> DoorBody {
    let frames = stream.map_ok(|mut data| Frame::data(data.copy_to_bytes(data.remaining())));
    BodyExt::boxed_unsync(StreamBody::new(frames))
}
