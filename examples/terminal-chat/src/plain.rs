//! Line by line, for scripts, tests, and whoever likes it plain: what happens is printed, and lines are read.
//!
//! Commands are done one after the other, each to its end, so that a script needs no waiting of its own.

use std::{
    io::{self, Write as _},
    time::{Duration, Instant},
};

use time::UtcOffset;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    sync::mpsc,
    time::sleep_until,
};

use crate::{
    api::Api,
    clean, clock, frame,
    model::{Message, User},
    runner::{Event, Runner},
    state::{LinkState, News, State},
};

const HELP: &str = "/to <name or e-mail>  /history  /who  /typing  /delete  /quit; anything else is sent";
/// How many messages `/history` prints.
const HISTORY: usize = 50;
/// At the end of the input, what waits may still go out for so long.
const FAREWELL: Duration = Duration::from_secs(30);

/// True: all that was typed was sent.
pub(crate) async fn run(api: Api, me: User, offset: UtcOffset) -> io::Result<bool> {
    let mut runner = Runner::start(api);
    let mut plain =
        Plain { state: State::new(me, true), offset, command: None, is_at_end: false, is_over: false };
    let mut lines = lines();
    let mut stop = std::pin::pin!(tokio::signal::ctrl_c());
    plain.say(&format!("* signed in as {} ({HELP})", plain.state.name(&plain.state.me.id)))?;
    let mut left = None;
    while !plain.is_over {
        let wake = plain.state.wake_at().into_iter().chain(left).min();
        let is_free = plain.command.is_none() && !plain.is_at_end;
        tokio::select! {
            event = runner.next() => match event {
                Some(Event::Link(event)) => plain.state.on_link(event, Instant::now()),
                Some(Event::Loaded(fetch, outcome)) => plain.state.on_loaded(fetch, outcome, Instant::now()),
                None => plain.is_over = true,
            },
            line = lines.recv(), if is_free => match line {
                Some(line) => plain.command = Command::parse(&line),
                None => {
                    plain.is_at_end = true;
                    left = Some(Instant::now() + FAREWELL);
                }
            },
            () = sleep_until(wake.unwrap_or_else(Instant::now).into()), if wake.is_some() => {}
            _ = &mut stop => plain.is_over = true,
        }
        let now = Instant::now();
        plain.state.tick(now);
        plain.work(now)?;
        plain.is_over |= left.is_some_and(|left| left <= now);
        plain.print_news()?;
        runner.carry_out(plain.state.take_orders());
    }
    Ok(!plain.state.outbox().is_busy() && !matches!(plain.state.link, LinkState::Ended(_)))
}

#[derive(Debug, PartialEq, Eq)]
enum Command {
    To { who: String, is_asked: bool },
    History { is_asked: bool },
    Who,
    Typing,
    Delete { is_asked: bool },
    Quit,
    Help,
    Text(String),
}

impl Command {
    fn parse(line: &str) -> Option<Self> {
        let line = line.trim_end();
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        Some(match word {
            "" if rest.is_empty() => return None,
            "/to" => Self::To { who: rest.trim().to_owned(), is_asked: false },
            "/history" => Self::History { is_asked: false },
            "/who" => Self::Who,
            "/typing" => Self::Typing,
            "/delete" => Self::Delete { is_asked: false },
            "/quit" => Self::Quit,
            // Two slashes send one.
            _ if word.starts_with("//") => Self::Text(line.get(1..).unwrap_or_default().to_owned()),
            _ if word.starts_with('/') => Self::Help,
            _ => Self::Text(line.to_owned()),
        })
    }
}

struct Plain {
    state: State,
    offset: UtcOffset,
    command: Option<Command>,
    is_at_end: bool,
    is_over: bool,
}

impl Plain {
    /// Goes on with the command, or with leaving.
    fn work(&mut self, now: Instant) -> io::Result<()> {
        let is_lost = matches!(self.state.link, LinkState::Ended(_));
        if is_lost || (self.is_at_end && self.command.is_none() && !self.state.outbox().is_busy()) {
            self.is_over = true;
        }
        // News first: what the command prints comes after what led to it.
        self.print_news()?;
        if let Some(command) = self.command.take() {
            self.command = self.carry_out(command, now)?;
        }
        Ok(())
    }

    /// What is left to be done of it.
    fn carry_out(&mut self, command: Command, now: Instant) -> io::Result<Option<Command>> {
        let is_up = matches!(self.state.link, LinkState::Up(_));
        if !self.state.are_chats_loaded() && command != Command::Quit {
            return Ok(Some(command));
        }
        match command {
            Command::To { who, is_asked } => return self.to(who, is_asked),
            Command::Who => self.who()?,
            Command::Help => self.say(&format!("* {HELP}"))?,
            // What was typed before goes out before.
            Command::Quit if is_up && self.state.outbox().is_busy() => return Ok(Some(Command::Quit)),
            Command::Quit => self.is_over = true,
            _ if self.state.open().is_none() => self.say("! nobody to talk to: /to <name or e-mail>")?,
            Command::Text(text) => self.state.send(text, frame::client_id()?, now),
            Command::Typing => self.state.type_on(now),
            Command::History { is_asked: false } => {
                if is_up && self.state.outbox().is_busy() {
                    return Ok(Some(command));
                }
                self.state.load_newest();
                return Ok(Some(Command::History { is_asked: true }));
            }
            Command::History { is_asked: true } if is_up && self.is_loading() => return Ok(Some(command)),
            Command::History { is_asked: true } => self.history()?,
            Command::Delete { is_asked: false } => {
                if is_up && (self.is_loading() || self.state.outbox().is_busy()) {
                    return Ok(Some(command));
                }
                self.state.delete_last();
                return Ok(Some(Command::Delete { is_asked: true }));
            }
            Command::Delete { is_asked: true } => {
                return Ok(self.state.is_deleting().then_some(command));
            }
        }
        Ok(None)
    }

    fn is_loading(&self) -> bool {
        let conversation = self.state.open().and_then(|open| self.state.conversation(open));
        conversation.is_some_and(|conversation| conversation.is_loading)
    }

    fn to(&mut self, who: String, is_asked: bool) -> io::Result<Option<Command>> {
        if !is_asked {
            self.state.load_contacts();
            return Ok(Some(Command::To { who, is_asked: true }));
        }
        let Some(contacts) = self.state.contacts() else { return Ok(Some(Command::To { who, is_asked })) };
        match find(contacts, &who) {
            Ok(user) => {
                let (id, online) = (user.id.clone(), if user.is_online { "online" } else { "offline" });
                let line = format!(
                    "* talking to {} <{}> ({online})",
                    self.state.name(&id),
                    clean::line(&user.email)
                );
                self.state.talk_to(&id);
                self.say(&line)?;
            }
            Err(why) => self.say(&format!("! {why}"))?,
        }
        Ok(None)
    }

    fn who(&self) -> io::Result<()> {
        if self.state.chats().is_empty() {
            return self.say("* no chats yet");
        }
        for entry in self.state.chats() {
            let Some(person) = self.state.person(&entry.with) else { continue };
            let online = if person.user.is_online { "online" } else { "offline" };
            let unread = if entry.unread > 0 { format!(", {} unread", entry.unread) } else { String::new() };
            let email = clean::line(&person.user.email);
            self.say(&format!("* {} <{email}>: {online}{unread}", self.state.name(&entry.with)))?;
        }
        Ok(())
    }

    fn history(&self) -> io::Result<()> {
        let conversation = self.state.open().and_then(|open| self.state.conversation(open));
        let messages: Vec<&Message> = conversation.into_iter().flat_map(|known| known.messages()).collect();
        if messages.is_empty() {
            return self.say("* nothing yet");
        }
        let from = messages.len().saturating_sub(HISTORY);
        messages.iter().skip(from).try_for_each(|message| self.message(message))
    }

    fn print_news(&mut self) -> io::Result<()> {
        for news in self.state.take_news() {
            match news {
                News::Message(message) => self.message(&message)?,
                News::Deleted(message) => {
                    self.say(&format!("* {} deleted a message", self.state.name(&message.sender_id)))?;
                }
                News::Edited(message) => {
                    let name = self.state.name(&message.sender_id);
                    self.say(&format!("* {name} edited a message: {}", message.shown()))?;
                }
                News::Presence { user, is_online } => {
                    let online = if is_online { "online" } else { "offline" };
                    self.say(&format!("* {} is {online}", self.state.name(&user)))?;
                }
                News::Typing(user) => self.say(&format!("* {} is typing", self.state.name(&user)))?,
                News::Link(what) => self.say(&format!("* {what}"))?,
                News::NotSent { text, why } => {
                    self.say(&format!("! not sent: {} ({why})", clean::line(&text)))?;
                }
                News::Problem(what) => self.say(&format!("! {what}"))?,
            }
        }
        Ok(())
    }

    fn message(&self, message: &Message) -> io::Result<()> {
        let time = clock::time(&message.created_at, self.offset);
        let text = clean::line(&message.shown());
        self.say(&format!("{time} {}: {text}", self.state.name(&message.sender_id)))
    }

    /// At once, whoever reads it.
    fn say(&self, line: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{line}")?;
        out.flush()
    }
}

/// By e-mail, by whole name, or by how either begins.
fn find<'a>(users: impl Iterator<Item = &'a User>, who: &str) -> Result<&'a User, String> {
    let who = who.to_lowercase();
    if who.is_empty() {
        return Err("to whom? /to <name or e-mail>".to_owned());
    }
    let mut ways: [Vec<&User>; 3] = Default::default();
    for user in users {
        let (email, name) = (user.email.to_lowercase(), clean::line(&user.full_name).to_lowercase());
        if email == who {
            ways[0].push(user);
        } else if name == who {
            ways[1].push(user);
        } else if name.starts_with(&who) || email.starts_with(&who) {
            ways[2].push(user);
        }
    }
    match ways.iter().find(|found| !found.is_empty()).map(Vec::as_slice) {
        Some([user]) => Ok(user),
        Some(several) => {
            let emails: Vec<String> = several.iter().take(10).map(|user| clean::line(&user.email)).collect();
            Err(format!("several are called {}: {}", clean::line(&who), emails.join(", ")))
        }
        None => Err(format!("there is nobody called {}", clean::line(&who))),
    }
}

/// What one types, line by line; it ends with the input.
fn lines() -> mpsc::Receiver<String> {
    let (tell, lines) = mpsc::channel(16);
    tokio::spawn(async move {
        let mut input = BufReader::new(tokio::io::stdin()).split(b'\n');
        while let Ok(Some(line)) = input.next_segment().await {
            if tell.send(String::from_utf8_lossy(&line).into_owned()).await.is_err() {
                return;
            }
        }
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::user;

    #[test]
    fn commands() {
        assert_eq!(Command::parse("  "), None);
        assert_eq!(
            Command::parse("/to  Bob B. \r"),
            Some(Command::To { who: "Bob B.".into(), is_asked: false })
        );
        assert_eq!(Command::parse("//x y"), Some(Command::Text("/x y".into())));
        assert_eq!(Command::parse(" indented"), Some(Command::Text(" indented".into())));
        assert_eq!(Command::parse("/unknown"), Some(Command::Help));
    }

    #[test]
    fn finding_somebody() {
        let users = [user("bob", "Bob"), user("bobby", "Bobby"), user("other", "bob"), user("carl", "Carl")];
        let find = |who: &str| find(users.iter(), who).map(|user| user.id.as_str());
        assert_eq!(find("BOB@example.org"), Ok("bob"));
        assert_eq!(find("bobby"), Ok("bobby"));
        assert_eq!(find("ca"), Ok("carl"));
        assert!(find("bob").unwrap_err().contains("other@example.org"));
        assert!(find("zoe").is_err() && find("").is_err());
    }
}
