//! A server's life, from its arguments to its end.

use std::{net::SocketAddr, process::ExitCode};

use chat_core::ChatService;
use clap::Parser;
use tokio::{net::TcpListener, time::Instant};

use crate::{
    App, Operated, drain, logs,
    serve::serve,
    settings::{Args, Settings},
    start,
};

/// Runs the server that the process's arguments, its environment and `.env` ask for, until it is told to end; `app`
/// makes its application. What can't be done is said on stderr.
pub fn run<A: App>(app: impl FnOnce(&ChatService) -> A) -> ExitCode {
    match try_run(app) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[allow(clippy::print_stderr, reason = "logs may not work yet")]
            {
                eprintln!("error: {}", start::reason(&*error));
            }
            ExitCode::FAILURE
        }
    }
}

type Failure = Box<dyn std::error::Error>;

fn try_run<A: App>(app: impl FnOnce(&ChatService) -> A) -> Result<(), Failure> {
    match dotenvy::dotenv() {
        Err(error) if !error.not_found() => return Err(format!(".env can't be used: {error}").into()),
        _ => {}
    }
    let args = Args::parse();
    logs::init(&args.log()?)?;
    let settings = args.check()?;
    // As many sockets as the system lets us have.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(listen(settings, app))
}

async fn listen<A: App>(mut settings: Settings, app: impl FnOnce(&ChatService) -> A) -> Result<(), Failure> {
    let address = SocketAddr::new(settings.host, settings.port);
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("HOST and PORT can't be used: {address}: {error}"))?;
    let address = listener.local_addr()?;
    // Where nobody else can be meant: the pages that links lead to are here.
    if address.ip().is_loopback() && !settings.public_url.contains("://") {
        settings.mail.client_url.get_or_insert_with(|| format!("http://{address}"));
    }
    let chat = start::service(&settings).await?;
    let mut operated = Operated::new(&chat, app(&chat));
    if settings.cloudinary.is_some() {
        operated = operated.with_pictures_from("https://*.cloudinary.com");
    }
    #[allow(clippy::print_stdout, reason = "whoever started it wants to know, whatever is logged")]
    {
        println!("listening on http://{address}");
    }
    if !serve(listener, operated, ending(&chat)).await {
        tracing::warn!("some requests did not finish in time");
    }
    if tokio::time::timeout(drain::CLOSING, chat.shutdown()).await.is_err() {
        return Err("the store did not close in time".into());
    }
    tracing::info!("bye");
    Ok(())
}

/// Waits for the signal, and tells the sockets: their connections are not the server's any more and would not end.
/// Returns until when requests may finish.
async fn ending(chat: &ChatService) -> Instant {
    drain::signal().await;
    tracing::info!("ending: no new connections, and a few seconds for what is under way");
    chat.close_connections();
    Instant::now() + drain::FINISHING
}
