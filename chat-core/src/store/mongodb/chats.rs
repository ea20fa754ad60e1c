//! `Chats`.

use std::collections::HashMap;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use mongodb::bson::Document;

use super::{
    Inner, MongoStore,
    db::Call,
    debts::Owed,
    documents::{Member, id, to_member, to_message, to_user},
    marks, queries,
    tails::{Tail, follow},
};
use crate::{
    ChatId, UserId,
    store::{
        ChatEntry, ChatPosition, ChatState, Chats, Mark, Marked, MessageRecord, Result, UserRecord,
        Watermarks,
    },
};

/// Chats whose ends are asked for in one query.
const STEP: usize = 32;

#[async_trait]
impl Chats for MongoStore {
    async fn chat(&self, chat: ChatId, user: UserId) -> Result<Option<ChatState>> {
        self.run(async move |inner, call| Ok(state(&inner, &call, chat, user).await?.map(|(_, state)| state)))
            .await
    }

    async fn chats_of(
        &self,
        user: UserId,
        after: Option<ChatPosition>,
        limit: usize,
    ) -> Result<Vec<ChatEntry>> {
        self.run(async move |inner, call| {
            let (mut entries, mut after) = (Vec::new(), after);
            while entries.len() < limit {
                let wanted = limit - entries.len();
                let members = memberships(&call, user, after, wanted).await?;
                after = members.last().map(|last| ChatPosition { last_at: last.last_at, chat_id: last.chat });
                let is_last = members.len() < wanted;
                entries.extend(lines(&inner, &call, members).await?);
                if is_last {
                    break;
                }
            }
            Ok(entries)
        })
        .await
    }

    async fn mark(&self, mark: &Mark) -> Result<Option<Marked>> {
        let mark = *mark;
        self.run(async move |inner, call| marks::mark(&inner, &call, &mark).await).await
    }

    async fn partners(&self, user: UserId) -> Result<Vec<UserId>> {
        self.run(async move |_, call| {
            let found = call.find(&queries::memberships(user)).await?;
            let has_messages = |document: &&Document| super::db::int(document, "lastSeq") > 0;
            let mut partners: Vec<_> = found
                .iter()
                .filter(has_messages)
                .filter_map(|d| id(d, "partner"))
                .map(UserId::from_bytes)
                .collect();
            partners.sort_unstable();
            partners.dedup();
            Ok(partners)
        })
        .await
    }
}

/// A chat from a member's side, followed to its end; and the document that this comes from.
pub(super) async fn state(
    inner: &Inner,
    call: &Call,
    chat: ChatId,
    user: UserId,
) -> Result<Option<(Document, ChatState)>> {
    inner.backlog.clear(inner, call, chat, None).await?;
    let Some(found) = call.first(&queries::member(chat, user)).await? else { return Ok(None) };
    let Some(member) = to_member(&found) else { return Ok(None) };
    let mut tail = inner.tails.known(chat).unwrap_or_else(|| Tail::empty(chat, Vec::new()));
    tail.last_seq = tail.last_seq.max(member.state.last_seq);
    follow(call, chat, &mut tail).await?;
    let state = ChatState { last_seq: tail.last_seq, ..member.state };
    Ok((state.last_seq > 0).then_some((found, state)))
}

async fn memberships(
    call: &Call,
    user: UserId,
    after: Option<ChatPosition>,
    limit: usize,
) -> Result<Vec<Member>> {
    let mut found = Vec::new();
    if let Some(ChatPosition { last_at, chat_id }) = after {
        found = call.find(&queries::chats_at(user, last_at, chat_id, limit)).await?;
    }
    if found.len() < limit {
        let rest = queries::chats(user, after.map(|after| after.last_at), limit - found.len());
        found.extend(call.find(&rest).await?);
    }
    Ok(found.iter().filter_map(to_member).collect())
}

/// The lines of a list; chats in which there is nothing yet are left out.
async fn lines(inner: &Inner, call: &Call, members: Vec<Member>) -> Result<Vec<ChatEntry>> {
    let partners = members.iter().filter_map(|member| member.partner);
    let users = call.find(&queries::users(partners)).await?;
    let mut users: HashMap<UserId, UserRecord> =
        users.iter().filter_map(to_user).map(|user| (user.id, user)).collect();
    let theirs = call.find(&queries::members_of(members.iter().map(|member| member.chat))).await?;
    let theirs: HashMap<(ChatId, UserId), Watermarks> =
        theirs.iter().filter_map(to_member).map(|m| ((m.chat, m.user), m.state.shown)).collect();
    let ends: Vec<(ChatId, u64)> =
        members.iter().map(|member| (member.chat, member.state.last_seq.max(1))).collect();
    let steps = ends.chunks(STEP).map(|step| async { call.find_durable(&queries::ends(step)).await });
    let mut newest: HashMap<ChatId, MessageRecord> = HashMap::new();
    for record in try_join_all(steps).await?.iter().flatten().filter_map(to_message) {
        match newest.get(&record.chat_id) {
            Some(known) if known.seq > record.seq => {}
            _ => drop(newest.insert(record.chat_id, record)),
        }
    }
    let mut entries = Vec::with_capacity(members.len());
    for member in members {
        let last_message = match newest.remove(&member.chat) {
            Some(record) => Some(record),
            // Another application has removed it: the one before it, then.
            None if member.state.last_seq > 0 => {
                super::messages::page(inner, call, member.chat, None, 1).await?.pop()
            }
            None => None,
        };
        let last_seq = last_message.as_ref().map_or(0, |last| last.seq).max(member.state.last_seq);
        if last_seq == 0 {
            continue;
        }
        if let Some(last) = last_message.as_ref().filter(|last| last.seq > member.state.last_seq) {
            // The process that appended it ended before it could say so, or is about to.
            inner.debts.add(Owed {
                chat: member.chat,
                user: member.user,
                last_seq: last.seq,
                last_at: last.created_at,
                read_seq: if last.sender_id == member.user { last.seq } else { 0 },
                told: None,
            });
        }
        let partner_marks = member.partner.and_then(|partner| theirs.get(&(member.chat, partner)).copied());
        entries.push(ChatEntry {
            chat_id: member.chat,
            partner: member.partner.and_then(|partner| users.remove(&partner)),
            last_message,
            last_at: member.last_at,
            state: ChatState { last_seq, ..member.state },
            partner_marks: partner_marks.unwrap_or_default(),
        });
    }
    Ok(entries)
}
