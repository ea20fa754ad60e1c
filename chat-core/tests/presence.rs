//! Who sees whom, by the service on a real store: of those who don't want to be seen, and of those who have blocked one.
//! Everybody is here twice, as with a phone and a computer.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use std::time::Duration;

use chat_core::{
    ChatService, Timestamp, UserId,
    auth::{Session, User},
    events::{Connection, Event},
    messages::{Draft, To},
    presence::PresenceGuard,
    store::SettingsChange,
};
use common::person;
use tokio::time::timeout;

/// A hang detector.
const DEADLINE: Duration = Duration::from_secs(30);

/// What a door holds for a socket.
struct Device {
    connection: Connection,
    _here: PresenceGuard,
}

impl Device {
    fn of(chat: &ChatService, session: &Session) -> Self {
        Self { connection: chat.events().connect(session), _here: chat.presence().arrive(session.user) }
    }

    /// The next thing that is told of who is here or writes: of whom, and which.
    async fn hears(&mut self) -> (UserId, &'static str) {
        loop {
            let delivery = timeout(DEADLINE, self.connection.next()).await.expect("in vain").expect("open");
            return match &*delivery {
                Event::Presence { user_id, is_online: true, .. } => (*user_id, "online"),
                Event::Presence { user_id, is_online: false, .. } => (*user_id, "offline"),
                Event::Typing { sender_id, is_typing: true } => (*sender_id, "types"),
                Event::Typing { sender_id, is_typing: false } => (*sender_id, "types no more"),
                _ => continue,
            };
        }
    }
}

/// Ann, Bob and Cid, of whom each shares a chat with each.
struct Three {
    chat: ChatService,
    ann: Session,
    bob: Session,
    cid: Session,
    _folder: tempfile::TempDir,
}

async fn three() -> Three {
    let folder = tempfile::tempdir().unwrap();
    let builder = ChatService::builder().data_dir(folder.path()).dangerous_bcrypt_cost(4);
    let chat = builder.presence_grace(Duration::from_millis(100)).build().await.unwrap();
    let [ann, bob, cid] =
        [person(&chat, "ann").await, person(&chat, "bob").await, person(&chat, "cid").await]
            .map(|signed_in| signed_in.session);
    for (from, to) in [(&ann, &bob), (&bob, &cid), (&cid, &ann)] {
        chat.messages().send(from.user, To::User(to.user), Draft::text("hi")).await.unwrap();
    }
    let three = Three { chat, ann, bob, cid, _folder: folder };
    // To have signed in counts as being here for a moment, in lists.
    for session in [three.ann, three.bob, three.cid] {
        while three.chat.auth().user(session.user).await.unwrap().is_online {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    three
}

impl Three {
    fn twice(&self, session: &Session) -> [Device; 2] {
        [Device::of(&self.chat, session), Device::of(&self.chat, session)]
    }

    /// Both devices hear this next.
    async fn hear(&self, devices: &mut [Device; 2], who: &Session, what: &str) {
        for device in devices {
            assert_eq!(device.hears().await, (who.user, what));
        }
    }

    /// Both devices hear this, if not at once.
    async fn hear_at_last(&self, devices: &mut [Device; 2], who: &Session, what: &str) {
        for device in devices {
            while device.hears().await != (who.user, what) {}
        }
    }

    /// Cid comes and goes, and that is all that these devices hear: what was before would have been told by then.
    async fn hear_nothing_but_cid(&self, devices: &mut [Device; 2]) {
        let here = self.chat.presence().arrive(self.cid.user);
        self.hear(devices, &self.cid, "online").await;
        drop(here);
        self.hear(devices, &self.cid, "offline").await;
    }

    /// Who is here, as somebody is told first on each connection.
    async fn online(&self, me: &Session) -> Vec<UserId> {
        self.chat.presence().online_partners(me.user).await.unwrap()
    }

    /// Somebody as they stand in the list of chats; in the contacts they stand alike, or not at all.
    async fn seen(&self, me: &Session, other: &Session) -> User {
        let chats = self.chat.messages().chats(me.user, None, 50).await.unwrap().items;
        let in_chats = chats.into_iter().find(|line| line.partner.id == other.user).unwrap().partner;
        let contacts = self.chat.messages().contacts(me.user, None, 50).await.unwrap().items;
        if let Some(in_contacts) = contacts.into_iter().find(|user| user.id == other.user) {
            let of = |user: &User| (user.is_online, user.last_seen);
            assert_eq!(of(&in_contacts), of(&in_chats));
        }
        in_chats
    }

    async fn set_invisible(&self, who: &Session, is_invisible: bool) {
        let change = SettingsChange { is_invisible: Some(is_invisible), ..SettingsChange::default() };
        self.chat.auth().change_settings(who.user, change).await.unwrap();
    }

    async fn typing(&self, from: &Session, to: &Session, is_typing: bool) {
        self.chat.events().typing(from.user, to.user, is_typing).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_becomes_invisible_goes_and_comes_back() {
    let three = three().await;
    let Three { chat, ann, bob, cid, .. } = &three;
    let mut bobs = three.twice(bob);
    let mut anns = three.twice(ann);
    three.hear(&mut bobs, ann, "online").await;
    assert_eq!((three.online(bob).await, three.seen(bob, ann).await.is_online), (vec![ann.user], true));

    three.set_invisible(ann, true).await;
    assert!(three.online(bob).await.is_empty() && !three.seen(bob, ann).await.is_online, "at once");
    three.hear(&mut bobs, ann, "offline").await;
    let gone = three.seen(bob, ann).await;
    let went = chat.auth().user(ann.user).await.unwrap().last_seen;
    assert_eq!((gone.is_online, gone.last_seen), (false, went));

    // Whatever her devices do now, nobody is told, and nothing is written; she sees the others all the same.
    let [first, second] = anns;
    drop(first);
    three.hear_nothing_but_cid(&mut bobs).await;
    drop(second);
    while chat.presence().is_online(ann.user) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    anns = three.twice(ann);
    three.hear_nothing_but_cid(&mut bobs).await;
    three.hear(&mut anns, cid, "online").await;
    three.hear(&mut anns, cid, "offline").await;
    assert_eq!((three.online(ann).await, three.seen(ann, bob).await.is_online), (vec![bob.user], true));
    assert!(three.online(bob).await.is_empty());
    let later = three.seen(bob, ann).await;
    assert_eq!((later.is_online, later.last_seen), (false, went), "seen last when she went unseen");

    three.set_invisible(ann, false).await;
    assert_eq!(three.online(bob).await, [ann.user]);
    three.hear_at_last(&mut bobs, ann, "online").await;
    assert!(three.seen(bob, ann).await.is_online);
    drop(anns);
    three.hear(&mut bobs, ann, "offline").await;
    chat.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_blocked_sees_nothing_of_her() {
    let three = three().await;
    let Three { chat, ann, bob, cid, .. } = &three;
    let mut bobs = three.twice(bob);
    let mut anns = three.twice(ann);
    three.hear(&mut bobs, ann, "online").await;

    let before = Timestamp::now();
    chat.auth().block(ann.user, bob.user).await.unwrap();
    let after = Timestamp::now();
    three.hear(&mut bobs, ann, "offline").await;
    assert!(three.online(bob).await.is_empty());
    let gone = three.seen(bob, ann).await;
    assert!(!gone.is_online && (before..=after).contains(&gone.last_seen), "seen last when she blocked him");

    // She writes, comes and goes, once and again: Cid is told, and Bob is not.
    let mut cids = three.twice(cid);
    three.hear(&mut bobs, cid, "online").await;
    three.hear_at_last(&mut anns, cid, "online").await;
    for _ in 0..2 {
        for is_typing in [true, false] {
            three.typing(ann, bob, is_typing).await;
            three.typing(ann, cid, is_typing).await;
            three.hear(&mut cids, ann, if is_typing { "types" } else { "types no more" }).await;
        }
        drop(anns);
        three.hear(&mut cids, ann, "offline").await;
        assert_eq!(three.seen(bob, ann).await.last_seen, gone.last_seen);
        assert!(three.seen(cid, ann).await.last_seen > gone.last_seen);
        anns = three.twice(ann);
        three.hear(&mut cids, ann, "online").await;
        assert_eq!(three.online(cid).await.len(), 2);
        assert_eq!(three.online(bob).await, [cid.user]);
        let seen = three.seen(bob, ann).await;
        assert_eq!((seen.is_online, seen.last_seen), (false, gone.last_seen));
        assert!(three.seen(cid, ann).await.is_online);
    }
    // Nor does what he writes come to her. What Cid does comes behind it.
    three.typing(bob, ann, true).await;
    three.typing(cid, ann, true).await;
    three.typing(cid, bob, true).await;
    three.hear(&mut anns, cid, "types").await;
    three.hear(&mut bobs, cid, "types").await;
    // It is he who may not see her, not the other way round.
    assert!(three.online(ann).await.contains(&bob.user));

    chat.auth().unblock(ann.user, bob.user).await.unwrap();
    three.hear(&mut bobs, ann, "online").await;
    assert!(three.seen(bob, ann).await.is_online);
    three.typing(ann, bob, true).await;
    three.hear(&mut bobs, ann, "types").await;
    chat.shutdown().await;
}

/// Both at once: to be seen again does not mean by who is blocked, nor to be unblocked by who is not to be seen.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_blocked_by_somebody_invisible() {
    let three = three().await;
    let Three { chat, ann, bob, cid, .. } = &three;
    let (mut bobs, mut cids) = (three.twice(bob), three.twice(cid));
    three.hear(&mut bobs, cid, "online").await;
    let _anns = three.twice(ann);
    three.hear(&mut bobs, ann, "online").await;
    three.hear_at_last(&mut cids, ann, "online").await;
    chat.auth().block(ann.user, bob.user).await.unwrap();
    three.hear(&mut bobs, ann, "offline").await;
    three.set_invisible(ann, true).await;
    three.hear(&mut cids, ann, "offline").await;
    three.set_invisible(ann, false).await;
    three.hear(&mut cids, ann, "online").await;
    three.set_invisible(ann, true).await;
    three.hear(&mut cids, ann, "offline").await;
    chat.auth().unblock(ann.user, bob.user).await.unwrap();
    assert_eq!(three.online(bob).await, [cid.user]);
    three.set_invisible(ann, false).await;
    three.hear(&mut cids, ann, "online").await;
    three.hear(&mut bobs, ann, "online").await;
    chat.shutdown().await;
}
