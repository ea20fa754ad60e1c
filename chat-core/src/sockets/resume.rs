//! Where a socket goes on: the cursor that its client brings, and the one that it is given first.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::GREETING_WITHIN;
use crate::{
    ChatService,
    auth::Session,
    events::{Connection, Cursor, Event},
};

/// More characters than a cursor ever has.
pub(crate) const CURSOR_CHARS: usize = 64;

/// How often to look whether the socket is closed meanwhile.
const LOOK: Duration = Duration::from_millis(250);

/// The cursor that a client brings; an empty one counts as absent. What is none is told by an event `resync`, as what can
/// no longer be served is: of something too long as much is kept as is too long for a cursor.
pub(crate) fn since(text: Option<&str>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(|text| text.chars().take(CURSOR_CHARS).collect())
}

/// The connection of a socket that is signed in, from there on.
pub(crate) fn connect(chat: &ChatService, session: &Session, since: Option<&str>) -> Connection {
    let connection = chat.events().connect(session);
    match since {
        Some(cursor) => connection.since(cursor),
        None => connection,
    }
}

/// What a socket is told first: who is here, and where it stands. Who comes or goes from now on waits in the queue,
/// behind this.
pub(crate) async fn greeting(
    chat: &ChatService,
    connection: &mut Connection,
) -> Option<(Event, Option<Cursor>)> {
    let presence = chat.presence();
    let partners = presence.online_partners(connection.user());
    let (partners, cursor) = tokio::join!(timeout(GREETING_WITHIN, partners), cursor(connection));
    match partners {
        Ok(Ok(partners)) => return Some((Event::OnlineUsers(partners), cursor)),
        Ok(Err(error)) => tracing::warn!(%error, "a socket is not told who is here"),
        Err(_) => tracing::warn!("a socket is not told in time who is here"),
    }
    None
}

/// Where it stands, unless that can't be known in time, or nobody wants to know any more.
async fn cursor(connection: &mut Connection) -> Option<Cursor> {
    // Cut off before the `resync`, a client that has a good cursor already would never hear of it.
    if connection.must_resync() {
        return None;
    }
    let deadline = Instant::now() + GREETING_WITHIN;
    while connection.close_reason().is_none() && Instant::now() < deadline {
        if let Ok(cursor) = timeout(LOOK, connection.cursor()).await {
            return Some(cursor);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_brings() {
        assert_eq!((since(None), since(Some(""))), (None, None));
        assert_eq!(since(Some("x")).as_deref(), Some("x"));
        let longest = "é".repeat(CURSOR_CHARS);
        assert_eq!(since(Some(&longest)).as_ref(), Some(&longest));
        assert_eq!(since(Some(&longest.repeat(1_000))), Some(longest), "nothing is kept of what has no end");
    }
}
