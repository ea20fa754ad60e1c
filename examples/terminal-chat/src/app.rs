//! The full-screen client without its screen: keys in, and what is to be shown and done out.

use std::{collections::HashMap, time::Instant};

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::{
    clean, frame,
    input::Input,
    link::LinkEvent,
    model::{Failure, Id, User},
    state::{Fetch, Loaded, News, Order, State},
};

/// So near to the beginning of what is loaded (in lines), older messages are loaded.
const NEAR_TOP: usize = 3;

/// Looking for somebody to write to.
#[derive(Debug, Default)]
pub(crate) struct Search {
    pub(crate) query: Input,
    pub(crate) selected: usize,
}

/// Where one reads: so many lines above the end of the message with that `seq`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scroll {
    pub(crate) below: u64,
    pub(crate) lines: usize,
}

/// What the screen knows and the next key needs.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Drawn {
    /// Lines of a page of messages.
    pub(crate) page: usize,
    /// Lines of messages above the page.
    pub(crate) above: usize,
}

/// Something that has to be asked for twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sure {
    Delete,
    Quit,
}

#[derive(Debug)]
pub(crate) struct App {
    pub(crate) state: State,
    pub(crate) input: Input,
    pub(crate) search: Option<Search>,
    /// `None`: at the end, where what is new appears.
    pub(crate) scroll: Option<Scroll>,
    pub(crate) sure: Option<Sure>,
    pub(crate) notice: Option<String>,
    pub(crate) is_over: bool,
    drafts: HashMap<Id, Input>,
    drawn: Drawn,
}

impl App {
    pub(crate) fn new(me: User) -> Self {
        Self {
            state: State::new(me, false),
            input: Input::default(),
            search: None,
            scroll: None,
            sure: None,
            notice: None,
            is_over: false,
            drafts: HashMap::new(),
            drawn: Drawn::default(),
        }
    }

    /// Who is found, in their order.
    pub(crate) fn found(&self) -> Vec<&User> {
        let Some(search) = &self.search else { return Vec::new() };
        let query = search.query.text().trim().to_lowercase();
        let matches = |user: &&User| {
            clean::line(&user.full_name).to_lowercase().contains(&query)
                || user.email.to_lowercase().contains(&query)
        };
        self.state.contacts().into_iter().flatten().filter(matches).collect()
    }

    pub(crate) fn take_orders(&mut self) -> Vec<Order> {
        self.state.take_orders()
    }

    // ---- what happens

    pub(crate) fn on_link(&mut self, event: LinkEvent, now: Instant) {
        self.state.on_link(event, now);
        self.listen();
    }

    pub(crate) fn on_loaded(&mut self, fetch: Fetch, outcome: Result<Loaded, Failure>, now: Instant) {
        self.state.on_loaded(fetch, outcome, now);
        // Whoever starts has something to see.
        if self.state.open().is_none()
            && let Some(first) = self.state.chats().first()
        {
            let first = first.with.clone();
            self.talk_to(&first);
        }
        self.listen();
    }

    pub(crate) fn tick(&mut self, now: Instant) {
        self.state.tick(now);
        self.listen();
    }

    /// The screen was drawn.
    pub(crate) fn on_drawn(&mut self, drawn: Drawn) {
        self.drawn = drawn;
        if self.scroll.is_some() && drawn.above <= NEAR_TOP {
            self.state.load_older();
        }
    }

    pub(crate) fn on_paste(&mut self, text: &str, now: Instant) {
        match &mut self.search {
            Some(search) => search.query.insert(text),
            None if self.state.open().is_some() => {
                self.input.insert(text);
                self.state.type_on(now);
            }
            None => {}
        }
    }

    pub(crate) fn on_key(&mut self, key: KeyEvent, now: Instant) {
        if key.kind == KeyEventKind::Release {
            return;
        }
        self.notice = None;
        let sure = self.sure.take();
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match (key.code, is_control) {
            (KeyCode::Char('c' | 'q'), true) => self.quit(sure),
            _ if self.search.is_some() => self.search_key(key, is_control),
            (KeyCode::Char('n'), true) => {
                self.search = Some(Search::default());
                self.state.load_contacts();
            }
            (KeyCode::Char('d'), true) => self.delete(sure),
            (KeyCode::Char('r'), true) => self.state.send_again(now),
            (KeyCode::Tab | KeyCode::Down, _) => self.next_chat(1),
            (KeyCode::BackTab | KeyCode::Up, _) => self.next_chat(-1),
            (KeyCode::PageUp, _) => self.scroll_up(),
            (KeyCode::PageDown, _) => self.scroll_down(),
            (KeyCode::Esc, _) => self.scroll = None,
            (KeyCode::Enter, _) if self.state.open().is_some() => self.send(now),
            _ if self.state.open().is_some() => self.type_key(key, is_control, now),
            _ => {}
        }
        self.listen();
    }

    // ---- what one does

    fn quit(&mut self, sure: Option<Sure>) {
        if self.state.outbox().is_busy() && sure != Some(Sure::Quit) {
            self.notice = Some("Not all is sent yet. Once more to leave all the same.".to_owned());
            self.sure = Some(Sure::Quit);
        } else {
            self.state.stop_typing();
            self.is_over = true;
        }
    }

    fn delete(&mut self, sure: Option<Sure>) {
        if sure == Some(Sure::Delete) {
            self.state.delete_last();
        } else if self.state.open().is_some() {
            self.notice = Some("Delete your last message here? Once more for yes.".to_owned());
            self.sure = Some(Sure::Delete);
        }
    }

    fn send(&mut self, now: Instant) {
        if self.input.is_blank() {
            return;
        }
        match frame::client_id() {
            Ok(client_id) => {
                let text = self.input.take();
                self.state.send(text, client_id, now);
                self.scroll = None;
            }
            Err(error) => self.notice = Some(error.to_string()),
        }
    }

    fn type_key(&mut self, key: KeyEvent, is_control: bool, now: Instant) {
        if !edit(&mut self.input, key, is_control) {
            return;
        }
        if self.input.is_blank() {
            self.state.stop_typing();
        } else {
            self.state.type_on(now);
        }
    }

    fn search_key(&mut self, key: KeyEvent, is_control: bool) {
        let found: Vec<Id> = self.found().iter().map(|user| user.id.clone()).collect();
        let Some(search) = &mut self.search else { return };
        match key.code {
            KeyCode::Esc => self.search = None,
            KeyCode::Enter => {
                if let Some(with) = found.get(search.selected) {
                    self.search = None;
                    self.talk_to(with);
                }
            }
            KeyCode::Down | KeyCode::Tab => {
                search.selected = (search.selected + 1).min(found.len().saturating_sub(1));
            }
            KeyCode::Up | KeyCode::BackTab => search.selected = search.selected.saturating_sub(1),
            _ => {
                if edit(&mut search.query, key, is_control) {
                    search.selected = 0;
                }
            }
        }
    }

    /// The chat so many lines further down the list, round about.
    fn next_chat(&mut self, step: isize) {
        let chats = self.state.chats();
        let at = chats.iter().position(|entry| Some(&entry.with) == self.state.open());
        let count = isize::try_from(chats.len()).unwrap_or(isize::MAX);
        let next = match at.and_then(|at| isize::try_from(at).ok()) {
            Some(at) if count > 0 => usize::try_from((at + step).rem_euclid(count)).unwrap_or(0),
            _ => 0,
        };
        if let Some(entry) = chats.get(next) {
            let with = entry.with.clone();
            self.talk_to(&with);
        }
    }

    /// What was begun to be written to the one before stays with them.
    fn talk_to(&mut self, with: &str) {
        if let Some(before) = self.state.open().filter(|open| *open != with) {
            self.drafts.insert(before.clone(), std::mem::take(&mut self.input));
        }
        if self.state.open().map(String::as_str) != Some(with) {
            self.input = self.drafts.remove(with).unwrap_or_default();
            self.scroll = None;
        }
        self.state.talk_to(with);
    }

    fn scroll_up(&mut self) {
        let step = self.drawn.page.saturating_sub(1).max(1).min(self.drawn.above);
        let newest =
            self.state.open().and_then(|open| self.state.conversation(open)).and_then(|known| known.newest());
        let Some(newest) = newest.map(|newest| newest.seq) else { return };
        let scroll = self.scroll.unwrap_or(Scroll { below: newest, lines: 0 });
        self.scroll = Some(Scroll { lines: scroll.lines + step, ..scroll });
        if self.drawn.above <= step + NEAR_TOP {
            self.state.load_older();
        }
    }

    fn scroll_down(&mut self) {
        let step = self.drawn.page.saturating_sub(1).max(1);
        self.scroll = self
            .scroll
            .filter(|scroll| scroll.lines > step)
            .map(|scroll| Scroll { lines: scroll.lines - step, ..scroll });
    }

    /// Only what can't be seen otherwise needs words.
    fn listen(&mut self) {
        for news in self.state.take_news() {
            match news {
                News::Problem(text) => self.notice = Some(text),
                News::NotSent { why, .. } => {
                    self.notice = Some(format!("Not sent: {why} (ctrl-r: again, ctrl-d: discard)"));
                }
                News::Message(_)
                | News::Deleted(_)
                | News::Edited(_)
                | News::Presence { .. }
                | News::Typing(_)
                | News::Link(_) => {}
            }
        }
    }
}

/// Whether the key was one that edits.
fn edit(input: &mut Input, key: KeyEvent, is_control: bool) -> bool {
    let is_word = is_control || key.modifiers.contains(KeyModifiers::ALT);
    match key.code {
        KeyCode::Char('a') if is_control => input.home(),
        KeyCode::Char('e') if is_control => input.end(),
        KeyCode::Char('u') if is_control => input.delete_before(),
        KeyCode::Char('k') if is_control => input.delete_after(),
        KeyCode::Char('w') if is_control => input.delete_word(),
        KeyCode::Char('b') if is_word => input.word_left(),
        KeyCode::Char('f') if is_word => input.word_right(),
        KeyCode::Char(c) if !is_control => input.insert(c.encode_utf8(&mut [0; 4])),
        KeyCode::Backspace if is_word => input.delete_word(),
        KeyCode::Backspace => input.backspace(),
        KeyCode::Delete => input.delete(),
        KeyCode::Left if is_word => input.word_left(),
        KeyCode::Right if is_word => input.word_right(),
        KeyCode::Left => input.left(),
        KeyCode::Right => input.right(),
        KeyCode::Home => input.home(),
        KeyCode::End => input.end(),
        _ => return false,
    }
    true
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{
        frame::Say,
        state::tests::{connected, history, message, user},
    };

    /// Ann's, with Bob (three messages) open, and Carl.
    pub(crate) fn app() -> (App, Instant) {
        let (state, now) = connected(false);
        let mut app = App { state, ..App::new(user("ann", "Ann")) };
        app.talk_to("bob");
        let page = vec![
            message(1, "ann", "bob", "hello Bob"),
            message(2, "bob", "ann", "hello Ann"),
            message(3, "ann", "bob", "how are you?"),
        ];
        history(&mut app.state, "bob", page, false, now);
        app.take_orders();
        (app, now)
    }

    pub(crate) fn press(app: &mut App, code: KeyCode, modifiers: KeyModifiers, now: Instant) {
        app.on_key(KeyEvent::new(code, modifiers), now);
    }

    pub(crate) fn type_text(app: &mut App, text: &str, now: Instant) {
        text.chars().for_each(|c| press(app, KeyCode::Char(c), KeyModifiers::NONE, now));
    }

    fn control(app: &mut App, c: char, now: Instant) {
        press(app, KeyCode::Char(c), KeyModifiers::CONTROL, now);
    }

    #[test]
    fn typing_and_sending() {
        let (mut app, now) = app();
        press(&mut app, KeyCode::Enter, KeyModifiers::NONE, now);
        assert_eq!(app.take_orders(), [], "nothing is nothing");
        type_text(&mut app, "fine", now);
        assert!(matches!(&app.take_orders()[..], [Order::Say(1, Say::Typing { is_typing: true, .. })]));
        press(&mut app, KeyCode::Enter, KeyModifiers::NONE, now);
        assert!(matches!(&app.take_orders()[..], [Order::Say(1, Say::Typing { is_typing: false, .. }),
                Order::Say(1, Say::Send { text, client_id, .. })] if text == "fine" && client_id.len() == 32));
        assert!(app.input.text().is_empty());
        type_text(&mut app, "x", now);
        press(&mut app, KeyCode::Backspace, KeyModifiers::NONE, now);
        assert!(matches!(
            app.take_orders().last(),
            Some(Order::Say(1, Say::Typing { is_typing: false, .. }))
        ));
    }

    #[test]
    fn drafts_stay_with_whom_they_are_for() {
        let (mut app, now) = app();
        type_text(&mut app, "for Bob", now);
        press(&mut app, KeyCode::Tab, KeyModifiers::NONE, now);
        assert_eq!((app.state.open().unwrap().as_str(), app.input.text()), ("carl", ""));
        press(&mut app, KeyCode::Up, KeyModifiers::NONE, now);
        assert_eq!((app.state.open().unwrap().as_str(), app.input.text()), ("bob", "for Bob"));
    }

    #[test]
    fn looking_for_somebody() {
        let (mut app, now) = app();
        control(&mut app, 'n', now);
        assert_eq!(app.take_orders(), [Order::Fetch(Fetch::Contacts)]);
        assert!(app.found().is_empty());
        let all = vec![user("bob", "Bob"), user("carl", "Carl"), user("dora", "Dora")];
        app.on_loaded(Fetch::Contacts, Ok(Loaded::Contacts(all)), now);
        assert_eq!(app.found().len(), 3);
        type_text(&mut app, "R", now);
        assert_eq!(app.found().len(), 3, "the address counts: all are at example.org");
        type_text(&mut app, "A", now);
        assert_eq!(app.found().len(), 1);
        press(&mut app, KeyCode::Down, KeyModifiers::NONE, now);
        press(&mut app, KeyCode::Enter, KeyModifiers::NONE, now);
        assert_eq!(app.state.open().unwrap(), "dora");
        assert!(app.search.is_none());
        control(&mut app, 'n', now);
        press(&mut app, KeyCode::Esc, KeyModifiers::NONE, now);
        assert!(app.search.is_none() && !app.is_over);
    }

    #[test]
    fn deleting_is_asked_twice() {
        let (mut app, now) = app();
        control(&mut app, 'd', now);
        assert!(app.notice.is_some() && app.take_orders().is_empty());
        type_text(&mut app, "x", now);
        app.take_orders();
        control(&mut app, 'd', now);
        assert!(app.take_orders().is_empty(), "another key in between means no");
        control(&mut app, 'd', now);
        assert!(
            matches!(&app.take_orders()[..], [Order::Say(1, Say::Delete { message, .. })] if message.starts_with("3-"))
        );
    }

    #[test]
    fn leaving_with_something_unsent_is_asked_twice() {
        let (mut app, now) = app();
        type_text(&mut app, "x", now);
        press(&mut app, KeyCode::Enter, KeyModifiers::NONE, now);
        control(&mut app, 'c', now);
        assert!(!app.is_over);
        control(&mut app, 'c', now);
        assert!(app.is_over);
    }

    #[test]
    fn scrolling_up_loads_what_is_older() {
        let (mut app, now) = app();
        press(&mut app, KeyCode::Tab, KeyModifiers::NONE, now);
        let page = (51..=100).map(|seq| message(seq, "carl", "ann", "x")).collect();
        history(&mut app.state, "carl", page, true, now);
        app.take_orders();
        app.on_drawn(Drawn { page: 10, above: 40 });
        press(&mut app, KeyCode::PageUp, KeyModifiers::NONE, now);
        assert_eq!(app.scroll, Some(Scroll { below: 100, lines: 9 }));
        assert_eq!(app.take_orders(), []);
        app.on_drawn(Drawn { page: 10, above: 2 });
        let before = Some(message(51, "carl", "ann", "x").id);
        assert_eq!(app.take_orders(), [Order::Fetch(Fetch::History { with: "carl".into(), before })]);
        app.on_drawn(Drawn { page: 10, above: 2 });
        assert_eq!(app.take_orders(), [], "it is being loaded");
        press(&mut app, KeyCode::PageDown, KeyModifiers::NONE, now);
        assert_eq!(app.scroll, None);
    }
}
