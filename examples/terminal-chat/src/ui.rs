//! What it looks like. Only the terminal's own colours, and none that vanishes on a light or a dark ground.

use std::time::Instant;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Borders, Clear, Paragraph},
};
use time::UtcOffset;
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

use crate::{
    app::{App, Drawn},
    clean, clock,
    state::{Delivery, LinkState},
};

/// The most needed first: what has no room is left out.
const HELP: &[&str] = &[
    "^c quit",
    "enter send",
    "tab chats",
    "^n find people",
    "pgup/pgdn scroll",
    "^d delete last",
    "^r send again",
];
const SEARCH_HELP: &[&str] = &["esc back", "enter open", "↑↓ choose", "type a name or an e-mail"];
/// Below that there is no room for the list of chats.
const NARROW: u16 = 60;
const LIST_WIDTH: u16 = 26;

const DIM: Style = Style::new().add_modifier(Modifier::DIM);
const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const MINE: Style = Style::new().fg(Color::Cyan).add_modifier(Modifier::BOLD);
const THEIRS: Style = Style::new().fg(Color::Magenta).add_modifier(Modifier::BOLD);
const GOOD: Style = Style::new().fg(Color::Green);
const BAD: Style = Style::new().fg(Color::Red);
const CHOSEN: Style = Style::new().add_modifier(Modifier::REVERSED);

pub(crate) fn draw(frame: &mut Frame<'_>, app: &App, offset: UtcOffset, now: Instant) -> Drawn {
    let [main, status, help] =
        Layout::vertical([Constraint::Min(0), Constraint::Length(1), Constraint::Length(1)])
            .areas(frame.area());
    let list = if main.width < NARROW { 0 } else { LIST_WIDTH };
    let [list, talk] = Layout::horizontal([Constraint::Length(list), Constraint::Min(0)]).areas(main);
    chats(frame, app, list);
    let drawn = talking(frame, app, talk, offset);
    if app.search.is_some() {
        search(frame, app, main);
    }
    frame.render_widget(status_line(app, now), status);
    let keys = if app.search.is_some() { SEARCH_HELP } else { HELP };
    frame.render_widget(Line::styled(help_line(keys, usize::from(help.width)), DIM), help);
    drawn
}

fn help_line(keys: &[&str], width: usize) -> String {
    let mut line = String::new();
    for key in keys {
        let gap = if line.is_empty() { "" } else { " · " };
        if line.width() + gap.width() + key.width() <= width {
            line.push_str(gap);
            line.push_str(key);
        }
    }
    line
}

/// The list of chats.
fn chats(frame: &mut Frame<'_>, app: &App, area: Rect) {
    let block = Block::new().borders(Borders::RIGHT).border_style(DIM).title(Line::styled("chats", BOLD));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let open = app.state.open();
    let lines: Vec<Line<'_>> = app
        .state
        .chats()
        .iter()
        .map(|entry| {
            let is_online = app.state.person(&entry.with).is_some_and(|person| person.user.is_online);
            let dot = if is_online { Span::styled("● ", GOOD) } else { Span::styled("○ ", DIM) };
            let unread = if entry.unread > 0 { format!(" {}", entry.unread) } else { String::new() };
            let typing = if app.state.is_typing(&entry.with) { " …" } else { "" };
            let room = usize::from(inner.width).saturating_sub(2 + unread.width() + typing.width());
            let name = fit(&app.state.name(&entry.with), room);
            let style = if entry.unread > 0 { BOLD } else { Style::new() };
            let style = if Some(&entry.with) == open { style.patch(CHOSEN) } else { style };
            Line::from(vec![
                dot,
                Span::styled(name, style),
                Span::styled(typing, DIM),
                Span::styled(unread, GOOD),
            ])
        })
        .collect();
    if lines.is_empty() && app.state.are_chats_loaded() {
        frame.render_widget(Line::styled("none yet: ^n", DIM), inner);
        return;
    }
    let at = app.state.chats().iter().position(|entry| Some(&entry.with) == open).unwrap_or(0);
    frame.render_widget(Paragraph::new(seen(lines, at, inner.height)), inner);
}

/// Somebody's name, what was said, and what is being typed.
fn talking(frame: &mut Frame<'_>, app: &App, area: Rect, offset: UtcOffset) -> Drawn {
    let [head, body, typing, input] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(area);
    let Some(open) = app.state.open() else {
        let hint =
            if app.state.are_chats_loaded() { "Find somebody to write to: ctrl-n." } else { "Loading…" };
        frame.render_widget(Line::styled(hint, DIM), body);
        return Drawn::default();
    };
    frame.render_widget(header(app, open, offset), head);
    let drawn = messages(frame, app, open, body, offset);
    if app.state.is_typing(open) {
        frame.render_widget(Line::styled(format!("{} is typing…", app.state.name(open)), DIM), typing);
    } else if app.scroll.is_some() {
        frame.render_widget(Line::styled("↓ esc: to the newest", DIM), typing);
    }
    let columns = usize::from(input.width).saturating_sub(2);
    let (text, column) = app.input.window(columns);
    frame.render_widget(Line::from(vec![Span::styled("> ", BOLD), Span::raw(text)]), input);
    if app.search.is_none() {
        frame.set_cursor_position((input.x + 2 + u16::try_from(column).unwrap_or(0), input.y));
    }
    drawn
}

fn header<'a>(app: &App, open: &str, offset: UtcOffset) -> Line<'a> {
    let mut parts = vec![Span::styled(app.state.name(open), BOLD)];
    if let Some(person) = app.state.person(open) {
        parts.push(Span::styled(format!(" <{}> ", clean::line(&person.user.email)), DIM));
        let seen = &person.user.last_seen;
        parts.push(match app.state.link {
            LinkState::Up(_) if person.user.is_online => Span::styled("online", GOOD),
            LinkState::Up(_) if !seen.is_empty() => {
                let (day, time) = (clock::day(seen, offset), clock::time(seen, offset));
                Span::styled(format!("last seen {day} {time}"), DIM)
            }
            _ => Span::raw(""),
        });
    }
    Line::from(parts)
}

fn messages(frame: &mut Frame<'_>, app: &App, open: &str, area: Rect, offset: UtcOffset) -> Drawn {
    let (lines, hidden) = lines(app, open, usize::from(area.width), offset);
    let page = usize::from(area.height);
    let end = lines.len().saturating_sub(hidden).max(page.min(lines.len()));
    let start = end.saturating_sub(page);
    let shown: Vec<Line<'_>> = lines.into_iter().skip(start).take(end - start).collect();
    // At the bottom, next to where one types.
    let above = area.height.saturating_sub(u16::try_from(shown.len()).unwrap_or(u16::MAX));
    let area = Rect { y: area.y + above, height: area.height - above, ..area };
    frame.render_widget(Paragraph::new(shown), area);
    Drawn { page, above: start }
}

/// All lines of a conversation, and how many at the end are below what one reads.
fn lines<'a>(app: &App, open: &str, width: usize, offset: UtcOffset) -> (Vec<Line<'a>>, usize) {
    let mut lines = Vec::new();
    let mut anchor = None;
    let Some(conversation) = app.state.conversation(open) else { return (lines, 0) };
    if conversation.is_loading {
        lines.push(Line::styled("loading…", DIM));
    } else if conversation.is_whole && conversation.newest().is_some() {
        lines.push(Line::styled("the beginning", DIM));
    }
    let (mut day, mut seq) = (String::new(), None);
    for message in conversation.messages() {
        if seq.is_some_and(|seq| conversation.known_to(seq) < message.seq) {
            lines.push(Line::styled("… something is missing here and being loaded …", DIM));
        }
        seq = Some(message.seq);
        let today = clock::day(&message.created_at, offset);
        if today != day {
            lines.push(Line::styled(format!("── {today} ──"), DIM));
            day = today;
        }
        let time = Span::styled(clock::time(&message.created_at, offset), DIM);
        let is_mine = message.sender_id == app.state.me.id;
        let name = Span::styled(app.state.name(&message.sender_id), if is_mine { MINE } else { THEIRS });
        let style = if message.is_deleted || message.unreadable { DIM } else { Style::new() };
        said(&mut lines, [time, name], &message.shown(), style, None, width);
        if app.scroll.is_some_and(|scroll| message.seq <= scroll.below) {
            anchor = Some(lines.len());
        }
    }
    for pending in app.state.outbox().to(open) {
        let (mark, style) = match &pending.delivery {
            Delivery::Waiting | Delivery::Sending(_) => ("sending…".to_owned(), DIM),
            Delivery::Failed(why) => (format!("not sent: {why}"), BAD),
        };
        let head = [Span::styled("  -  ", DIM), Span::styled(app.state.name(&app.state.me.id), MINE)];
        said(&mut lines, head, &clean::text(&pending.text), DIM, Some(Span::styled(mark, style)), width);
    }
    let hidden = match (app.scroll, anchor) {
        (Some(scroll), Some(anchor)) => lines.len() - anchor + scroll.lines,
        _ => 0,
    };
    (lines, hidden)
}

/// One message: `12:00 Ann: text`, broken into lines that are indented alike.
fn said<'a>(
    lines: &mut Vec<Line<'a>>,
    [time, name]: [Span<'a>; 2],
    text: &str,
    style: Style,
    mark: Option<Span<'a>>,
    width: usize,
) {
    const INDENT: usize = 6;
    let first = (INDENT + name.width() + 2).min(width * 2 / 3);
    let name = Span::styled(fit(&name.content, first.saturating_sub(INDENT + 2)), name.style);
    let mut parts = wrap(text, width.saturating_sub(first), width.saturating_sub(INDENT)).into_iter();
    let mut line = vec![time, Span::raw(" "), name, Span::raw(": ")];
    line.push(Span::styled(parts.next().unwrap_or_default(), style));
    lines.push(Line::from(line));
    lines
        .extend(parts.map(|part| Line::from(vec![Span::raw(" ".repeat(INDENT)), Span::styled(part, style)])));
    if let Some(mark) = mark {
        lines.push(Line::from(vec![Span::raw(" ".repeat(INDENT)), mark]));
    }
}

/// Breaks a text at spaces, and words that are too long anywhere, by columns.
fn wrap(text: &str, first: usize, others: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut room = first.max(1);
    for paragraph in text.split('\n') {
        let (mut line, mut width) = (String::new(), 0);
        let mut end = |line: &mut String, width: &mut usize, room: &mut usize| {
            lines.push(std::mem::take(line).trim_end().to_owned());
            (*width, *room) = (0, others.max(1));
        };
        for word in paragraph.split_word_bounds() {
            if width + word.width() > room && width > 0 && !word.trim().is_empty() {
                end(&mut line, &mut width, &mut room);
            }
            for part in word.graphemes(true) {
                if width + part.width() > room && width > 0 {
                    if word.trim().is_empty() {
                        break;
                    }
                    end(&mut line, &mut width, &mut room);
                }
                line.push_str(part);
                width += part.width();
            }
        }
        end(&mut line, &mut width, &mut room);
    }
    lines
}

/// Over all else: who can be written to.
fn search(frame: &mut Frame<'_>, app: &App, area: Rect) {
    let Some(search) = &app.search else { return };
    frame.render_widget(Clear, area);
    let [query, rest] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
    let columns = usize::from(query.width).saturating_sub(6);
    let (text, column) = search.query.window(columns);
    frame.render_widget(Line::from(vec![Span::styled("find: ", BOLD), Span::raw(text)]), query);
    frame.set_cursor_position((query.x + 6 + u16::try_from(column).unwrap_or(0), query.y));
    if app.state.contacts().is_none() {
        frame.render_widget(Line::styled("loading…", DIM), rest);
        return;
    }
    let found = app.found();
    if found.is_empty() {
        frame.render_widget(Line::styled("nobody", DIM), rest);
        return;
    }
    let lines = found.iter().enumerate().map(|(at, user)| {
        let style = if at == search.selected { CHOSEN } else { Style::new() };
        Line::from(vec![
            Span::styled(app.state.name(&user.id), style),
            Span::styled(format!(" <{}>", clean::line(&user.email)), DIM),
        ])
    });
    frame.render_widget(Paragraph::new(seen(lines.collect(), search.selected, rest.height)), rest);
}

fn status_line<'a>(app: &App, now: Instant) -> Line<'a> {
    let me = Span::styled(format!("{} ", app.state.name(&app.state.me.id)), MINE);
    let link = match &app.state.link {
        LinkState::Connecting => Span::styled("connecting…".to_owned(), DIM),
        LinkState::Up(_) => Span::styled("connected".to_owned(), GOOD),
        LinkState::Down { why, until } => {
            let seconds = until.saturating_duration_since(now).as_secs_f32().ceil();
            Span::styled(format!("no connection, again in {seconds} s: {why}"), BAD)
        }
        LinkState::Ended(why) => Span::styled(format!("signed out: {why} · ctrl-c, and start again"), BAD),
    };
    let notice = app.notice.as_ref().map(|notice| Span::styled(format!("{notice}  "), BOLD));
    Line::from(notice.into_iter().chain([me, link]).collect::<Vec<_>>())
}

/// So many of the lines that the one at `at` is among them.
fn seen(lines: Vec<Line<'_>>, at: usize, height: u16) -> Vec<Line<'_>> {
    let height = usize::from(height);
    let from = (at + 1).saturating_sub(height);
    lines.into_iter().skip(from).take(height).collect()
}

/// As much of a text as has room.
fn fit(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut width = 1;
    let parts = text.graphemes(true).take_while(|part| {
        width += part.width();
        width <= columns
    });
    let cut: String = parts.collect();
    format!("{cut}…")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crossterm::event::{KeyCode, KeyModifiers};
    use ratatui::{Terminal, backend::TestBackend};

    use super::*;
    use crate::{
        app::{
            Scroll,
            tests::{app, press, type_text},
        },
        frame::Heard,
        link::LinkEvent,
        model::Message,
        state::{
            Fetch, Loaded,
            tests::{history, message, user},
        },
    };

    /// What stands on the screen, line by line.
    fn look(app: &App, width: u16, height: u16, now: Instant) -> (Vec<String>, Drawn) {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let mut drawn = Drawn::default();
        terminal.draw(|frame| drawn = draw(frame, app, UtcOffset::UTC, now)).unwrap();
        let buffer = terminal.backend().buffer();
        let lines = buffer.content.chunks(usize::from(width)).map(|cells| {
            let mut line = String::new();
            let mut covered = 0;
            for cell in cells {
                if covered > 0 {
                    covered -= 1;
                    continue;
                }
                line.push_str(cell.symbol());
                covered = cell.symbol().width().saturating_sub(1);
            }
            line.trim_end().to_owned()
        });
        (lines.collect(), drawn)
    }

    #[test]
    fn the_whole_screen() {
        let (mut app, now) = app();
        type_text(&mut app, "me too", now);
        let heard = Heard::Typing { sender: "bob".into(), is_typing: true };
        app.on_link(LinkEvent::Heard(heard), now);
        let (screen, _) = look(&app, 74, 12, now);
        assert_eq!(
            screen,
            [
                "chats                    │Bob <bob@example.org> online",
                "● Bob …                  │",
                "○ Carl                   │",
                "                         │the beginning",
                "                         │── 2026-01-31 ──",
                "                         │12:00 Ann: hello Bob",
                "                         │12:00 Bob: hello Ann",
                "                         │12:00 Ann: how are you?",
                "                         │Bob is typing…",
                "                         │> me too",
                "Ann connected",
                "^c quit · enter send · tab chats · ^n find people · pgup/pgdn scroll",
            ]
        );
    }

    #[test]
    fn a_narrow_one_and_ones_without_room() {
        let (app, now) = app();
        let (screen, _) = look(&app, 20, 7, now);
        assert_eq!(screen[..3], ["Bob <bob@example.org", "12:00 Ann: how are", "      you?"]);
        for (width, height) in [(1, 1), (2, 3), (7, 5), (60, 2), (200, 1)] {
            look(&app, width, height, now);
        }
    }

    #[test]
    fn what_was_not_sent_is_seen() {
        let (mut app, now) = app();
        app.on_link(LinkEvent::Down { why: "cut".into(), again_in: Duration::from_secs(2) }, now);
        type_text(&mut app, "later", now);
        press(&mut app, KeyCode::Enter, KeyModifiers::NONE, now);
        let (screen, _) = look(&app, 80, 14, now);
        assert!(screen.iter().any(|line| line.ends_with("  -   Ann: later")), "{screen:#?}");
        assert!(screen.iter().any(|line| line.ends_with("sending…")), "{screen:#?}");
        assert_eq!(screen[12], "Ann no connection, again in 2 s: cut");
    }

    #[test]
    fn nothing_from_others_reaches_the_terminal_as_it_came() {
        let (mut app, now) = app();
        let evil = "\x1b[2J\x1b]0;owned\x07x\u{202e}y\x08\u{9b}31mz\nAnn: forged";
        let chat = crate::state::tests::chat(&user("eve", evil), message(1, "eve", "ann", evil), 1);
        app.on_loaded(Fetch::Chats, Ok(Loaded::Chats(vec![chat])), now);
        app.state.talk_to("eve");
        let mut picture = message(2, "eve", "ann", evil);
        picture.image = Some(evil.into());
        history(&mut app.state, "eve", vec![message(1, "eve", "ann", evil), picture], false, now);
        app.on_link(LinkEvent::Down { why: crate::clean::line(evil), again_in: Duration::ZERO }, now);
        let (screen, _) = look(&app, 100, 20, now);
        let all = screen.join("\n");
        let is_bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!all.contains(is_bad) && !all.contains("[2J") && !all.contains("owned"), "{all:?}");
        assert!(screen.iter().any(|line| line.contains("12:00 xyz ⏎ Ann: forged: xyz")), "{screen:#?}");
        assert!(
            screen.iter().any(|line| line.ends_with("│      Ann: forged")),
            "indented, so it is no line of hers: {screen:#?}"
        );
    }

    #[test]
    fn reading_older_messages_stays_where_it_is() {
        let (mut app, now) = app();
        let page = (4..=60).map(|seq| message(seq, "bob", "ann", &format!("number {seq}"))).collect();
        history(&mut app.state, "bob", page, true, now);
        app.scroll = Some(Scroll { below: 60, lines: 20 });
        let (before, drawn) = look(&app, 80, 16, now);
        assert!(before.iter().any(|line| line.ends_with("number 40")), "{before:#?}");
        assert!(drawn.above > 0);
        app.on_link(LinkEvent::Heard(Heard::Message(message(61, "bob", "ann", "new"))), now);
        assert_eq!(look(&app, 80, 16, now).0[1..12], before[1..12], "what is new moves nothing");
        app.scroll = Some(Scroll { below: 60, lines: 10_000 });
        let (top, drawn) = look(&app, 80, 16, now);
        assert!(drawn.above == 0 && top.iter().any(|line| line.ends_with("hello Bob")), "{top:#?}");
    }

    #[test]
    fn what_is_missing_is_said() {
        let (mut app, now) = app();
        app.on_link(LinkEvent::Heard(Heard::Message(message(9, "bob", "ann", "nine"))), now);
        let (screen, _) = look(&app, 80, 16, now);
        assert!(screen.iter().any(|line| line.contains("something is missing here")), "{screen:#?}");
        let deleted = Message {
            is_deleted: true,
            text: None,
            updated_at: "3".into(),
            ..message(9, "bob", "ann", "nine")
        };
        app.on_link(LinkEvent::Heard(Heard::Changed(deleted)), now);
        let (screen, _) = look(&app, 80, 16, now);
        assert!(screen.iter().any(|line| line.ends_with("Bob: [deleted]")), "{screen:#?}");
    }

    #[test]
    fn finding_people() {
        let (mut app, now) = app();
        press(&mut app, KeyCode::Char('n'), KeyModifiers::CONTROL, now);
        let all = (0..50).map(|n| user(&format!("u{n}"), &format!("User {n}"))).collect();
        app.on_loaded(Fetch::Contacts, Ok(Loaded::Contacts(all)), now);
        type_text(&mut app, "user 4", now);
        let (screen, _) = look(&app, 80, 8, now);
        assert_eq!(screen[..3], ["find: user 4", "User 4 <u4@example.org>", "User 40 <u40@example.org>"]);
        for _ in 0..20 {
            press(&mut app, KeyCode::Down, KeyModifiers::NONE, now);
        }
        let (screen, _) = look(&app, 80, 8, now);
        assert!(screen.iter().any(|line| line.starts_with("User 49")), "what is chosen is seen: {screen:#?}");
    }

    #[test]
    fn lines_break_by_columns() {
        assert_eq!(wrap("one two three", 7, 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh", 3, 4), ["abc", "defg", "h"]);
        assert_eq!(wrap("日本語", 3, 4), ["日", "本語"]);
        assert_eq!(wrap("a\n\nb", 5, 5), ["a", "", "b"]);
        assert_eq!(wrap("", 5, 5), [""]);
        assert_eq!(wrap("日", 0, 0), ["日"], "no room at all is no endless loop");
        assert_eq!(fit("日本語", 5), "日本…");
        assert_eq!(fit("abc", 3), "abc");
    }
}
