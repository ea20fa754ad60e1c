//! Questions before there is a screen.

use std::io::{self, IsTerminal as _, Write as _};

use crossterm::{
    event::{self, Event, KeyCode, KeyEventKind, KeyModifiers},
    terminal,
};

/// Asks for a line.
pub(crate) fn ask(question: &str) -> io::Result<String> {
    need_terminal("--email is needed")?;
    show(question)?;
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

/// Asks for a line that nobody shall see.
pub(crate) fn secret(question: &str) -> io::Result<String> {
    need_terminal("the password is needed in CHAT_PASSWORD")?;
    show(question)?;
    terminal::enable_raw_mode()?;
    let secret = read_secret();
    terminal::disable_raw_mode()?;
    show("\n")?;
    secret
}

fn read_secret() -> io::Result<String> {
    let mut secret = String::new();
    loop {
        let Event::Key(key) = event::read()? else { continue };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Enter => return Ok(secret),
            KeyCode::Char('c' | 'd') if is_control => return Err(io::ErrorKind::Interrupted.into()),
            KeyCode::Char('u') if is_control => secret.clear(),
            KeyCode::Char(c) if !is_control => secret.push(c),
            KeyCode::Backspace => drop(secret.pop()),
            _ => {}
        }
    }
}

fn need_terminal(or_else: &str) -> io::Result<()> {
    let is_one = io::stdin().is_terminal() && io::stderr().is_terminal();
    if is_one { Ok(()) } else { Err(io::Error::other(format!("without a terminal, {or_else}"))) }
}

/// Not into what a script reads.
fn show(text: &str) -> io::Result<()> {
    let mut out = io::stderr().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
