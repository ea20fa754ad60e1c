//! `/api/messages`

use super::{
    body::picture,
    endpoint::{Call, Reply},
};
use crate::{
    ChatId, Error, Result, Timestamp,
    messages::{Draft, To},
    store::ChatPosition,
    wire::DeliveryState,
};

pub(super) async fn contacts(call: Call) -> Result<Reply> {
    let (me, limit) = (call.session()?.user, call.limit()?);
    let after = call.query("after").map(|id| id.parse()).transpose()?;
    let search = call.query("search");
    let page = match &search {
        Some(search) => call.chat.messages().find_contacts(me, search, after, limit).await?,
        None => call.chat.messages().contacts(me, after, limit).await?,
    };
    let search = search.as_deref().map(|search| ("search", search));
    let next = page.next.map(|id| {
        let after = id.to_string();
        call.link(limit, [("after", after.as_str())].into_iter().chain(search))
    });
    let next = next.transpose()?;
    Ok(Reply::ok(&page.items, "Your contacts.").with(next))
}

pub(super) async fn chats(call: Call) -> Result<Reply> {
    let (me, limit) = (call.session()?.user, call.limit()?);
    let after = call.query("after").map(|cursor| position(&cursor)).transpose()?;
    let page = call.chat.messages().chats(me, after, limit).await?;
    let next = page.next.map(|next| {
        let after = format!("{}-{}", next.last_at.as_millis(), next.chat_id);
        call.link(limit, [("after", after.as_str())])
    });
    Ok(Reply::ok(&page.items, "Your chats.").with(next.transpose()?))
}

/// Where a page of chats ended: the moment and the chat, because a chat alone may have moved since.
fn position(cursor: &str) -> Result<ChatPosition> {
    let (millis, id) = cursor.split_once('-').ok_or(Error::InvalidId)?;
    // Digits and no more of them than the description of the API has: no sign, no overflow.
    if millis.len() > 18 || !millis.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::InvalidId);
    }
    let last_at = Timestamp::from_millis(millis.parse().map_err(|_| Error::InvalidId)?);
    Ok(ChatPosition { last_at, chat_id: id.parse::<ChatId>()? })
}

pub(super) async fn conversation(call: Call) -> Result<Reply> {
    let (me, with, limit) = (call.session()?.user, call.id()?, call.limit()?);
    let before = call.query("before").map(|id| id.parse()).transpose()?;
    let page = call.chat.messages().conversation(me, with, before, limit).await?;
    let next = page.next.map(|id| call.link(limit, [("before", id.to_string().as_str())])).transpose()?;
    Ok(Reply::ok(&page.items, "The conversation.").with(next))
}

pub(super) async fn send(mut call: Call) -> Result<Reply> {
    let (me, to) = (call.session()?.user, call.id()?);
    let text = call.fields.string("text");
    let inline = call.fields.string("image").filter(|url| !url.is_empty());
    let client_id = call.fields.string("clientId");
    let reply_to = call.fields.optional_id("replyTo");
    std::mem::take(&mut call.fields).finish()?;
    let image = match (call.file.take(), inline) {
        (Some(file), _) => Some(file),
        (None, Some(url)) => Some(picture("image", url, call.chat.limits()).await?),
        (None, None) => None,
    };
    let draft = Draft { text, image, client_id, reply_to };
    let sent = call.chat.messages().send(me, To::User(to), draft).await?;
    Ok(if sent.is_repeat {
        Reply::ok(&sent.message, "Sent before.")
    } else {
        Reply::created(&sent.message, "Sent.")
    })
}

pub(super) async fn edit(mut call: Call) -> Result<Reply> {
    let (me, id) = (call.session()?.user, call.id()?);
    let text = call.fields.required("text");
    std::mem::take(&mut call.fields).finish()?;
    // `finish` has refused an absent one.
    let message = call.chat.messages().edit(me, id, text.unwrap_or_default()).await?;
    Ok(Reply::ok(&message, "Edited."))
}

pub(super) async fn delete(call: Call) -> Result<Reply> {
    let (me, id, messages) = (call.session()?.user, call.id()?, call.chat.messages());
    match call.query("for").as_deref() {
        None | Some("all") => Ok(Reply::ok(&messages.delete(me, id).await?, "Deleted.")),
        Some("me") => {
            messages.hide(me, id).await?;
            Ok(Reply::ok(&(), "Deleted for you."))
        }
        Some(_) => Err(Error::invalid("for", "must be `all` or `me`")),
    }
}

pub(super) async fn react(mut call: Call) -> Result<Reply> {
    let (me, id) = (call.session()?.user, call.id()?);
    let emoji = call.fields.required("emoji");
    std::mem::take(&mut call.fields).finish()?;
    // `finish` has refused an absent one.
    let message = call.chat.messages().react(me, id, &emoji.unwrap_or_default(), true).await?;
    Ok(Reply::ok(&message, "That is your reaction."))
}

pub(super) async fn take_reaction_back(call: Call) -> Result<Reply> {
    let (me, id) = (call.session()?.user, call.id()?);
    let emoji = call.query("emoji").ok_or_else(|| Error::invalid("emoji", "required"))?;
    let message = call.chat.messages().react(me, id, &emoji, false).await?;
    Ok(Reply::ok(&message, "Not your reaction any more."))
}

pub(super) async fn mark_read(mut call: Call) -> Result<Reply> {
    let (me, with) = (call.session()?.user, call.id()?);
    let seq = call.fields.number("seq");
    std::mem::take(&mut call.fields).finish()?;
    let state = call.chat.messages().mark_read(me, with, seq).await?;
    Ok(Reply::ok(&state, "Read."))
}

pub(super) async fn mark_delivered(mut call: Call) -> Result<Reply> {
    let me = call.session()?.user;
    let chat_id = ChatId::direct(me, call.id()?);
    let up_to = call.fields.number("seq");
    std::mem::take(&mut call.fields).finish()?;
    let seq = call.chat.messages().mark_delivered(me, chat_id, up_to).await?;
    Ok(Reply::ok(&DeliveryState { chat_id, seq }, "Noted."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_page_of_chats_ended() {
        let id = "65b2c3d4e5f6a7b8c9d0e1f2";
        let ended = position(&format!("1769860800005-{id}")).unwrap();
        assert_eq!(
            (ended.last_at.as_millis(), ended.chat_id.to_string()),
            (1_769_860_800_005, id.to_owned())
        );
        assert!(position(&format!("{}-{id}", "9".repeat(18))).is_ok());
        for bad in ["", "+5", "-5", "5.0", "9999999999999999999"] {
            assert!(matches!(position(&format!("{bad}-{id}")), Err(Error::InvalidId)), "{bad}");
        }
        assert!(matches!(position("5-x"), Err(Error::InvalidId)));
    }
}
