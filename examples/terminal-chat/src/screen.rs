//! The terminal: takes it, draws on it, reads keys from it, and gives it back as it was.

use std::{io, time::Instant};

use crossterm::{
    event::{DisableBracketedPaste, EnableBracketedPaste, Event as Key, EventStream},
    execute,
};
use futures_util::StreamExt as _;
use time::UtcOffset;
use tokio::time::sleep_until;

use crate::{
    api::Api,
    app::App,
    model::User,
    runner::{Event, Runner},
    state::LinkState,
    ui,
};

/// True: all that was typed was sent.
pub(crate) async fn run(api: Api, me: User, offset: UtcOffset) -> io::Result<bool> {
    // Also gives it back when the program panics.
    let mut terminal = ratatui::try_init()?;
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let _ = execute!(io::stdout(), DisableBracketedPaste);
        hook(panic);
    }));
    let shown = async {
        execute!(io::stdout(), EnableBracketedPaste)?;
        show(&mut terminal, App::new(me), Runner::start(api), offset).await
    }
    .await;
    let _ = execute!(io::stdout(), DisableBracketedPaste);
    ratatui::try_restore()?;
    shown
}

async fn show(
    terminal: &mut ratatui::DefaultTerminal,
    mut app: App,
    mut runner: Runner,
    offset: UtcOffset,
) -> io::Result<bool> {
    let mut keys = EventStream::new();
    let mut is_linked = true;
    let mut end = std::pin::pin!(asked_to_end());
    while !app.is_over {
        let mut drawn = None;
        terminal.draw(|frame| drawn = Some(ui::draw(frame, &app, offset, Instant::now())))?;
        app.on_drawn(drawn.unwrap_or_default());
        runner.carry_out(app.take_orders());
        // Otherwise nothing is drawn until something happens.
        let wake = app.state.wake_at().into_iter().chain(countdown(&app)).min();
        tokio::select! {
            key = keys.next() => match key {
                Some(key) => on_key(&mut app, key?),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            },
            event = runner.next(), if is_linked => match event {
                Some(Event::Link(event)) => app.on_link(event, Instant::now()),
                Some(Event::Loaded(fetch, outcome)) => app.on_loaded(fetch, outcome, Instant::now()),
                None => is_linked = false,
            },
            () = sleep_until(wake.unwrap_or_else(Instant::now).into()), if wake.is_some() => {}
            () = &mut end => app.is_over = true,
        }
        app.tick(Instant::now());
    }
    runner.carry_out(app.take_orders());
    Ok(!app.state.outbox().is_busy())
}

fn on_key(app: &mut App, key: Key) {
    let now = Instant::now();
    match key {
        Key::Key(key) => app.on_key(key, now),
        Key::Paste(text) => app.on_paste(&text, now),
        // Drawing looks at the size itself.
        Key::Resize(..) | Key::FocusGained | Key::FocusLost | Key::Mouse(_) => {}
    }
}

/// While there is no connection, the seconds until the next attempt are counted.
fn countdown(app: &App) -> Option<Instant> {
    let LinkState::Down { until, .. } = app.state.link else { return None };
    let now = Instant::now();
    (until > now).then(|| now + std::time::Duration::from_secs(1))
}

/// By `kill`, or because the terminal is gone.
#[cfg(unix)]
async fn asked_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut hangup)) = (signal(SignalKind::terminate()), signal(SignalKind::hangup()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = hangup.recv() => {}
    }
}

#[cfg(not(unix))]
async fn asked_to_end() {
    std::future::pending().await
}
