use serde_json::{Value, json};

use super::*;
use crate::{frame::Heard, link::LinkEvent, model::Failure};

pub(crate) fn user(id: &str, name: &str) -> User {
    let email = format!("{id}@example.org");
    User { id: id.into(), email, full_name: name.into(), is_online: false, last_seen: String::new() }
}

pub(crate) fn message(seq: u64, from: &str, to: &str, text: &str) -> Message {
    let at = "2026-01-31T12:00:00.000Z";
    Message {
        id: format!("{seq}-{text}"),
        chat_id: String::new(),
        seq,
        sender_id: from.into(),
        receiver_id: Some(to.into()),
        text: Some(text.into()),
        image: None,
        client_id: None,
        is_deleted: false,
        unreadable: false,
        created_at: at.into(),
        updated_at: at.into(),
    }
}

pub(crate) fn chat(with: &User, last: Message, unread: u64) -> Chat {
    Chat { partner: with.clone(), last_message: Some(last), unread }
}

/// Ann's, connected, with Bob (2 messages, 1 unread) and Carl in her list.
pub(crate) fn connected(is_following_all: bool) -> (State, Instant) {
    let now = Instant::now();
    let mut state = State::new(user("ann", "Ann"), is_following_all);
    state.on_link(up(1, false), now);
    assert_eq!(state.take_orders(), [], "what is loaded before the greeting could miss something");
    state.on_link(LinkEvent::Heard(Heard::OnlineUsers(vec!["bob".into()])), now);
    assert_eq!(state.take_orders(), [Order::Fetch(Fetch::Chats)]);
    let chats = vec![
        chat(&User { is_online: true, ..user("bob", "Bob") }, message(2, "bob", "ann", "two"), 1),
        chat(&user("carl", "Carl"), message(1, "ann", "carl", "hi"), 0),
    ];
    state.on_loaded(Fetch::Chats, Ok(Loaded::Chats(chats)), now);
    state.take_news();
    assert_eq!(state.take_orders(), []);
    (state, now)
}

pub(crate) fn history(state: &mut State, with: &str, page: Vec<Message>, is_more: bool, now: Instant) {
    let fetch = Fetch::History { with: with.into(), before: None };
    state.on_loaded(fetch, Ok(Loaded::History { page, is_more }), now);
}

fn heard(state: &mut State, message: Message, now: Instant) {
    state.on_link(LinkEvent::Heard(Heard::Message(message)), now);
}

fn reply(id: u64, outcome: Result<Value, Failure>) -> LinkEvent {
    LinkEvent::Heard(Heard::Reply { id, outcome })
}

fn wire(message: &Message) -> Value {
    json!({ "_id": message.id, "seq": message.seq, "senderId": message.sender_id, "receiverId": message.receiver_id,
        "text": message.text, "image": null, "clientId": message.client_id, "isDeleted": message.is_deleted,
        "createdAt": message.created_at, "updatedAt": message.updated_at })
}

fn fetches(orders: &[Order]) -> Vec<&Fetch> {
    orders
        .iter()
        .filter_map(|order| if let Order::Fetch(fetch) = order { Some(fetch) } else { None })
        .collect()
}

/// Frame, text and client id of each message that is sent.
fn sent(orders: &[Order]) -> Vec<(u64, &str, &str)> {
    let sends = orders.iter().filter_map(|order| match order {
        Order::Say(_, Say::Send { id, text, client_id, .. }) => {
            Some((*id, text.as_str(), client_id.as_str()))
        }
        _ => None,
    });
    sends.collect()
}

fn told(state: &mut State) -> Vec<String> {
    let texts = state.take_news().into_iter().filter_map(|news| match news {
        News::Message(message) => message.text,
        _ => None,
    });
    texts.collect()
}

fn up(connection: u64, goes_on: bool) -> LinkEvent {
    LinkEvent::Up { connection, goes_on }
}

/// Away for too long: all is loaded anew.
fn resync(state: &mut State, now: Instant) {
    state.on_link(LinkEvent::Heard(Heard::OnlineUsers(Vec::new())), now);
    state.on_link(LinkEvent::Heard(Heard::Resync), now);
}

fn lost() -> LinkEvent {
    LinkEvent::Down { why: "cut".into(), again_in: Duration::from_secs(1) }
}

#[test]
fn opening_a_chat_loads_it_and_marks_it_read() {
    let (mut state, now) = connected(false);
    assert_eq!(state.chats()[0].unread, 1);
    state.talk_to("bob");
    assert_eq!(fetches(&state.take_orders()), [&Fetch::History { with: "bob".into(), before: None }]);
    assert_eq!(state.chats()[0].unread, 1, "not before it is there");
    history(
        &mut state,
        "bob",
        vec![message(1, "ann", "bob", "one"), message(2, "bob", "ann", "two")],
        false,
        now,
    );
    assert_eq!(state.chats()[0].unread, 0);
    assert_eq!(fetches(&state.take_orders()), [&Fetch::Read { with: "bob".into(), seq: 2 }]);
    heard(&mut state, message(3, "bob", "ann", "three"), now);
    assert_eq!(fetches(&state.take_orders()), [&Fetch::Read { with: "bob".into(), seq: 3 }]);
}

#[test]
fn the_latest_chat_is_first_and_counts() {
    let (mut state, now) = connected(false);
    heard(&mut state, message(2, "carl", "ann", "x"), now);
    heard(&mut state, message(2, "carl", "ann", "x"), now);
    let order: Vec<_> = state.chats().iter().map(|entry| (entry.with.as_str(), entry.unread)).collect();
    assert_eq!(order, [("carl", 1), ("bob", 1)], "what comes twice counts once");
    // Somebody new: who that is stands in the list.
    heard(&mut state, message(1, "dora", "ann", "x"), now);
    assert_eq!(state.name("dora"), "somebody");
    assert_eq!(fetches(&state.take_orders()), [&Fetch::Chats]);
}

#[test]
fn messages_go_out_in_order_one_by_one() {
    let (mut state, now) = connected(false);
    state.talk_to("bob");
    state.take_orders();
    state.send("a".into(), "c1".into(), now);
    state.send("b".into(), "c2".into(), now);
    let orders = state.take_orders();
    assert_eq!(sent(&orders), [(1, "a", "c1")]);
    let arrived = Message { client_id: Some("c1".into()), ..message(3, "ann", "bob", "a") };
    state.on_link(reply(1, Ok(wire(&arrived))), now);
    assert_eq!(sent(&state.take_orders()), [(2, "b", "c2")]);
    assert_eq!(state.outbox().to("bob").count(), 1);
    // Too fast: the same again, a little later.
    let slow = Failure { code: "rate_limited".into(), message: "slow down".into() };
    state.on_link(reply(2, Err(slow)), now);
    assert_eq!(sent(&state.take_orders()), []);
    let later = state.wake_at().unwrap();
    assert!(later > now);
    state.tick(later);
    assert_eq!(sent(&state.take_orders()), [(3, "b", "c2")]);
    // Refused for good: it is kept, and says why; it goes out again when asked to.
    let refused = Failure { code: "validation_failed".into(), message: "too long".into() };
    state.on_link(reply(3, Err(refused)), later);
    assert_eq!(state.outbox().to("bob").next().unwrap().delivery, Delivery::Failed("too long".into()));
    assert!(
        state.take_news().iter().any(|news| matches!(news, News::NotSent { why, .. } if why == "too long"))
    );
    state.send_again(later);
    assert_eq!(sent(&state.take_orders()), [(4, "b", "c2")]);
}

#[test]
fn what_is_typed_while_away_goes_out_once() {
    let (mut state, now) = connected(false);
    state.talk_to("bob");
    history(
        &mut state,
        "bob",
        vec![message(1, "ann", "bob", "1"), message(2, "bob", "ann", "2")],
        false,
        now,
    );
    state.send("under way".into(), "c1".into(), now);
    state.on_link(lost(), now);
    state.send("away".into(), "c2".into(), now);
    state.take_orders();
    state.on_link(up(2, true), now);
    resync(&mut state, now);
    let orders = state.take_orders();
    assert_eq!(sent(&orders), [(2, "under way", "c1")], "it may have arrived, and has its id");
    assert!(orders.iter().all(|order| !matches!(order, Order::Say(1, _))));
    assert_eq!(fetches(&orders), [&Fetch::Chats, &Fetch::History { with: "bob".into(), before: None }]);
    // It had arrived: history shows it before the reply does.
    let arrived = Message { client_id: Some("c1".into()), ..message(3, "ann", "bob", "under way") };
    let page = vec![message(1, "ann", "bob", "1"), message(2, "bob", "ann", "2"), arrived.clone()];
    history(&mut state, "bob", page, false, now);
    assert_eq!(sent(&state.take_orders()), [(3, "away", "c2")]);
    state.on_link(reply(2, Ok(wire(&arrived))), now);
    let away = Message { client_id: Some("c2".into()), ..message(4, "ann", "bob", "away") };
    state.on_link(reply(3, Ok(wire(&away))), now);
    let texts: Vec<_> =
        state.conversation("bob").unwrap().messages().filter_map(|m| m.text.as_deref()).collect();
    assert_eq!(texts, ["1", "2", "under way", "away"]);
    assert!(!state.outbox().is_busy());
}

#[test]
fn line_by_line_each_message_is_told_once_and_in_order() {
    let (mut state, now) = connected(true);
    heard(&mut state, message(3, "bob", "ann", "3"), now);
    heard(&mut state, message(3, "bob", "ann", "3"), now);
    assert_eq!(told(&mut state), ["3"]);
    // 4 and 5 are missing: they are loaded, and 6 waits for them.
    heard(&mut state, message(6, "bob", "ann", "6"), now);
    assert_eq!(told(&mut state), [""; 0]);
    assert_eq!(fetches(&state.take_orders()), [&Fetch::History { with: "bob".into(), before: None }]);
    history(
        &mut state,
        "bob",
        (5..=6).map(|seq| message(seq, "bob", "ann", &seq.to_string())).collect(),
        true,
        now,
    );
    let before = Some(message(5, "bob", "ann", "5").id);
    assert_eq!(fetches(&state.take_orders()), [&Fetch::History { with: "bob".into(), before }]);
    history(
        &mut state,
        "bob",
        (3..=4).map(|seq| message(seq, "bob", "ann", &seq.to_string())).collect(),
        true,
        now,
    );
    assert_eq!(told(&mut state), ["4", "5", "6"]);
    // While away: the list tells that there is more, of Bob and of somebody new.
    state.on_link(lost(), now);
    state.on_link(up(2, true), now);
    resync(&mut state, now);
    state.take_orders();
    let chats = vec![
        chat(&user("dora", "Dora"), message(1, "dora", "ann", "new"), 1),
        chat(&user("bob", "Bob"), message(7, "bob", "ann", "7"), 1),
    ];
    state.on_loaded(Fetch::Chats, Ok(Loaded::Chats(chats)), now);
    assert_eq!(fetches(&state.take_orders()).len(), 2);
    history(&mut state, "bob", vec![message(7, "bob", "ann", "7")], true, now);
    history(&mut state, "dora", vec![message(1, "dora", "ann", "new")], false, now);
    assert_eq!(told(&mut state), ["7", "new"]);
}

#[test]
fn typing_is_told_seldom_and_ended() {
    let (mut state, now) = connected(false);
    state.talk_to("bob");
    state.take_orders();
    let typing = |is_typing| Order::Say(1, Say::Typing { to: "bob".into(), is_typing });
    let second = Duration::from_secs(1);
    state.type_on(now);
    state.type_on(now + second);
    state.type_on(now + 2 * second);
    assert_eq!(state.take_orders(), [typing(true)]);
    state.type_on(now + 3 * second);
    assert_eq!(state.take_orders(), [typing(true)]);
    assert_eq!(state.wake_at(), Some(now + 8 * second));
    state.tick(now + 8 * second);
    assert_eq!(state.take_orders(), [typing(false)]);
    state.type_on(now + 9 * second);
    state.send("x".into(), "c".into(), now + 9 * second);
    assert_eq!(state.take_orders().get(..2), Some([typing(true), typing(false)].as_slice()));
    // Of others: until it ends, they write, or nothing more is heard.
    let heard = |is_typing| LinkEvent::Heard(Heard::Typing { sender: "bob".into(), is_typing });
    state.on_link(heard(true), now);
    assert!(state.is_typing("bob"));
    state.tick(now + 8 * second);
    assert!(!state.is_typing("bob"));
    state.on_link(heard(true), now);
    state.on_link(LinkEvent::Heard(Heard::Message(message(3, "bob", "ann", "x"))), now);
    assert!(!state.is_typing("bob"));
}

#[test]
fn presence() {
    let (mut state, now) = connected(false);
    // Carl signed in a moment ago, says the list; but he is not connected.
    let carl = User { is_online: true, ..user("carl", "Carl") };
    state.on_loaded(Fetch::Contacts, Ok(Loaded::Contacts(vec![carl])), now);
    assert!(state.person("bob").unwrap().user.is_online && !state.person("carl").unwrap().user.is_online);
    let gone = Heard::Presence { user: "bob".into(), is_online: false, last_seen: "now".into() };
    state.on_link(LinkEvent::Heard(gone.clone()), now);
    state.on_link(LinkEvent::Heard(gone), now);
    assert_eq!(state.take_news(), [News::Presence { user: "bob".into(), is_online: false }]);
    state.on_link(LinkEvent::Heard(Heard::OnlineUsers(vec!["carl".into()])), now);
    assert!(state.person("carl").unwrap().user.is_online);
    state.on_link(lost(), now);
    assert!(!state.person("carl").unwrap().user.is_online, "without a connection nobody knows");
}

#[test]
fn deleting_ones_last() {
    let (mut state, now) = connected(false);
    state.talk_to("bob");
    state.take_orders();
    state.delete_last();
    assert!(matches!(&state.take_news()[..], [News::Problem(_)]), "nothing is there");
    let mine = message(1, "ann", "bob", "mine");
    history(&mut state, "bob", vec![mine.clone(), message(2, "bob", "ann", "two")], false, now);
    state.take_orders();
    state.delete_last();
    let orders = state.take_orders();
    assert_eq!(orders, [Order::Say(1, Say::Delete { id: 1, message: mine.id.clone() })]);
    assert!(state.is_deleting());
    let later = "2026-01-31T12:00:01.000Z".to_owned();
    let deleted = Message { is_deleted: true, text: None, updated_at: later, ..mine };
    state.on_link(reply(1, Ok(wire(&deleted))), now);
    state.on_link(LinkEvent::Heard(Heard::Changed(deleted.clone())), now);
    assert_eq!(state.take_news(), [News::Deleted(deleted)], "told once");
    assert!(state.last_of_mine().is_none() && !state.is_deleting());
}

#[test]
fn another_text_is_told_once() {
    let (mut state, now) = connected(true);
    let first = message(1, "bob", "ann", "helo");
    state.on_link(LinkEvent::Heard(Heard::Message(first.clone())), now);
    state.take_news();
    let later = "2026-01-31T12:00:01.000Z".to_owned();
    let edited = Message { text: Some("hello".into()), updated_at: later, ..first };
    for _ in 0..2 {
        state.on_link(LinkEvent::Heard(Heard::Changed(edited.clone())), now);
    }
    assert_eq!(state.take_news(), [News::Edited(edited.clone())]);
    assert_eq!(state.conversation("bob").unwrap().newest(), Some(&edited));
}

#[test]
fn what_could_not_be_loaded_is_asked_for_again() {
    let (mut state, now) = connected(false);
    state.talk_to("bob");
    let fetch = fetches(&state.take_orders())[0].clone();
    state.on_loaded(fetch.clone(), Err(Failure::network("x")), now);
    state.tick(state.wake_at().unwrap());
    assert_eq!(fetches(&state.take_orders()), [&fetch]);
    let gone = Failure { code: "not_found".into(), message: "No such user.".into() };
    state.on_loaded(fetch, Err(gone), now);
    assert_eq!(state.take_news(), [News::Problem("No such user.".into())]);
    assert!(!state.conversation("bob").unwrap().is_loading);
}

fn texts(state: &State, with: &str) -> Vec<String> {
    state.conversation(with).unwrap().messages().filter_map(|message| message.text.clone()).collect()
}

#[test]
fn who_goes_on_loads_nothing_anew() {
    let (mut state, now) = connected(false);
    state.talk_to("bob");
    let page = vec![message(1, "ann", "bob", "1"), message(2, "bob", "ann", "2")];
    history(&mut state, "bob", page, false, now);
    state.on_link(lost(), now);
    state.take_orders();
    state.on_link(up(2, true), now);
    state.on_link(LinkEvent::Heard(Heard::OnlineUsers(vec!["bob".into()])), now);
    assert!(state.person("bob").unwrap().user.is_online);
    assert_eq!(state.take_orders(), []);
    // What was missed, one thing of it twice; the third was sent, and deleted before anybody was here.
    let deleted = Message { is_deleted: true, text: None, ..message(3, "bob", "ann", "3") };
    let later = "2026-01-31T12:00:01.000Z".to_owned();
    let edited = Message { text: Some("first".into()), updated_at: later, ..message(1, "ann", "bob", "1") };
    heard(&mut state, message(2, "bob", "ann", "2"), now);
    state.on_link(LinkEvent::Heard(Heard::Changed(deleted)), now);
    heard(&mut state, message(4, "bob", "ann", "4"), now);
    state.on_link(LinkEvent::Heard(Heard::Changed(edited)), now);
    heard(&mut state, message(2, "carl", "ann", "hi"), now);
    assert_eq!(texts(&state, "bob"), ["first", "2", "4"]);
    let order: Vec<_> = state.chats().iter().map(|entry| (entry.with.as_str(), entry.unread)).collect();
    assert_eq!(order, [("carl", 1), ("bob", 0)]);
    let read = |seq| Fetch::Read { with: "bob".into(), seq };
    assert_eq!(fetches(&state.take_orders()), [&read(3), &read(4)]);
    assert_eq!(state.conversation("bob").unwrap().known_to(0), 4);
}

#[test]
fn what_was_being_loaded_is_loaded_when_it_goes_on() {
    let now = Instant::now();
    let mut state = State::new(user("ann", "Ann"), true);
    state.on_link(up(1, false), now);
    state.on_link(LinkEvent::Heard(Heard::OnlineUsers(Vec::new())), now);
    assert_eq!(fetches(&state.take_orders()), [&Fetch::Chats]);
    state.on_link(lost(), now);
    state.on_loaded(Fetch::Chats, Err(Failure::network("x")), now);
    state.on_link(up(2, true), now);
    assert_eq!(fetches(&state.take_orders()), [&Fetch::Chats]);
    let chats = vec![chat(&user("bob", "Bob"), message(2, "bob", "ann", "2"), 0)];
    state.on_loaded(Fetch::Chats, Ok(Loaded::Chats(chats)), now);
    // A hole, which is closed on a later connection only.
    heard(&mut state, message(4, "bob", "ann", "4"), now);
    assert_eq!(fetches(&state.take_orders()), [&Fetch::History { with: "bob".into(), before: None }]);
    for _ in 0..2 {
        state.on_link(lost(), now);
    }
    heard(&mut state, message(5, "bob", "ann", "5"), now);
    state.on_link(up(3, true), now);
    assert_eq!(fetches(&state.take_orders()), [&Fetch::History { with: "bob".into(), before: None }]);
    let page = (2..=5).map(|seq| message(seq, "bob", "ann", &seq.to_string())).collect();
    history(&mut state, "bob", page, true, now);
    assert_eq!(told(&mut state), ["3", "4", "5"]);
    // What was read is told without a connection, too.
    let read = Fetch::Read { with: "bob".into(), seq: 5 };
    state.on_link(lost(), now);
    state.on_loaded(read.clone(), Err(Failure::network("x")), now);
    state.on_link(lost(), now);
    state.tick(state.wake_at().unwrap());
    assert_eq!(fetches(&state.take_orders()), [&read]);
}

#[test]
fn what_was_hidden_elsewhere_is_not_waited_for() {
    let hidden = |seq: u64, from: &str, text: &str| {
        let message = message(seq, from, "x", text).id;
        LinkEvent::Heard(Heard::Hidden { message, sender: from.into(), seq })
    };
    let (mut state, now) = connected(true);
    // Told while it is here.
    heard(&mut state, message(3, "bob", "ann", "3"), now);
    state.on_link(hidden(3, "bob", "3"), now);
    assert_eq!(fetches(&state.take_orders()), [&Fetch::Chats], "what stands in the list now");
    heard(&mut state, message(4, "bob", "ann", "4"), now);
    assert_eq!((told(&mut state), texts(&state, "bob")), (vec!["3".into(), "4".into()], vec!["4".into()]));
    // Told of one that has never been here, because it came and went while nobody was.
    state.on_link(lost(), now);
    state.on_link(up(2, true), now);
    state.on_link(hidden(5, "bob", "5"), now);
    heard(&mut state, message(6, "bob", "ann", "6"), now);
    assert_eq!(told(&mut state), ["6"]);
    // Of one's own nobody knows to whom it went: the page shows that there is nothing.
    state.take_orders();
    state.on_link(hidden(7, "ann", "7"), now);
    heard(&mut state, message(8, "bob", "ann", "8"), now);
    assert_eq!(told(&mut state), [""; 0]);
    assert_eq!(fetches(&state.take_orders()), [&Fetch::History { with: "bob".into(), before: None }]);
    let page = [6, 8].map(|seq| message(seq, "bob", "ann", &seq.to_string())).to_vec();
    history(&mut state, "bob", page, true, now);
    assert_eq!(told(&mut state), ["8"]);
    // And one's own that is known.
    heard(&mut state, message(9, "ann", "bob", "9"), now);
    state.on_link(hidden(9, "ann", "9"), now);
    assert_eq!(texts(&state, "bob"), ["4", "6", "8"]);
}

#[test]
fn what_is_read_on_another_device_is_read() {
    let (mut state, now) = connected(false);
    let in_chat = |seq| Message { chat_id: "c".into(), ..message(seq, "bob", "ann", "x") };
    for seq in 3..=5 {
        heard(&mut state, in_chat(seq), now);
    }
    let unread = |state: &State| state.chats()[0].unread;
    assert_eq!(unread(&state), 4);
    let mut read = |user: &str, seq| {
        let event = Heard::Read { chat: "c".into(), user: user.into(), seq };
        state.on_link(LinkEvent::Heard(event), now);
        unread(&state)
    };
    assert_eq!([read("bob", 5), read("ann", 1), read("ann", 3), read("ann", 5)], [4, 4, 2, 0]);
}

#[test]
fn a_connection_that_is_not_greeted_loads_all_the_same() {
    let now = Instant::now();
    let mut state = State::new(user("ann", "Ann"), false);
    state.on_link(up(1, false), now);
    state.tick(state.wake_at().unwrap());
    assert_eq!(fetches(&state.take_orders()), [&Fetch::Chats]);
}
