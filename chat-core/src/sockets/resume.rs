//! Where a socket goes on: the cursor that its client brings, and the one that it is given first.

use tokio::time::timeout;

use super::GREETING_WITHIN;
use crate::{
    ChatService, Error, Result,
    auth::Session,
    events::{Connection, Cursor, Event},
};

/// Characters of what may be a cursor: those that are given out are shorter.
pub(crate) const SINCE_CHARS: usize = 64;

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
    let cursor = async {
        // Cut off before the `resync`, a client with a good cursor would never hear of it.
        if connection.must_resync() { None } else { timeout(GREETING_WITHIN, connection.cursor()).await.ok() }
    };
    let (partners, cursor) = tokio::join!(timeout(GREETING_WITHIN, partners), cursor);
    match partners {
        Ok(Ok(partners)) => return Some((Event::OnlineUsers(partners), cursor)),
        Ok(Err(error)) => tracing::warn!(%error, "a socket is not told who is here"),
        Err(_) => tracing::warn!("a socket is not told in time who is here"),
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
