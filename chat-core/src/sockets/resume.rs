//! Where a socket goes on: the cursor that its client brings, and the one that it is given first.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::GREETING_WITHIN;
use crate::{
    ChatService, Error, Result,
    auth::Session,
    events::{Connection, Cursor, Event},
};

/// Characters of what may be a cursor: those that are given out are shorter.
pub(crate) const SINCE_CHARS: usize = 64;

/// How often to look whether the socket is closed meanwhile.
const LOOK: Duration = Duration::from_millis(250);

/// The cursor that a client brings; an empty one counts as absent. What is none is told later, by an event `resync`:
/// here it is only bounded.
pub(crate) fn since(text: Option<&str>) -> Result<Option<String>> {
    match text.filter(|text| !text.is_empty()) {
        Some(text) if text.chars().count() > SINCE_CHARS => {
            Err(Error::invalid("since", format!("longer than {SINCE_CHARS} characters")))
        }
        text => Ok(text.map(str::to_owned)),
    }
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
    use crate::Code;

    #[test]
    fn what_may_be_a_cursor() {
        assert_eq!((since(None).unwrap(), since(Some("")).unwrap()), (None, None));
        assert_eq!(since(Some("x")).unwrap().as_deref(), Some("x"));
        let longest = "é".repeat(SINCE_CHARS);
        assert_eq!(since(Some(&longest)).unwrap(), Some(longest.clone()));
        assert_eq!(since(Some(&(longest + "x"))).unwrap_err().code(), Code::ValidationFailed);
    }
}
