//! The full chat back end on axum: `cargo run --release`, and `--help` for its settings.

mod app;

use std::{net::SocketAddr, process::ExitCode};

use axum::serve::ListenerExt;
use chat_core::ChatService;
use chat_server::{
    drain, logs,
    settings::{Args, Settings},
    start,
};
use clap::Parser;
use tokio::{net::TcpListener, sync::oneshot, time::Instant};

fn main() -> ExitCode {
    match run() {
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

fn run() -> Result<(), Failure> {
    match dotenvy::dotenv() {
        Err(error) if !error.not_found() => return Err(format!(".env can't be used: {error}").into()),
        _ => {}
    }
    let args = Args::parse();
    logs::init(&args.log()?)?;
    let settings = args.check()?;
    // As many sockets as the system lets us have.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(settings))
}

async fn serve(settings: Settings) -> Result<(), Failure> {
    let address = SocketAddr::new(settings.host, settings.port);
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("HOST and PORT can't be used: {address}: {error}"))?;
    let chat = start::service(&settings).await?;
    let address = listener.local_addr()?;
    #[allow(clippy::print_stdout, reason = "whoever started it wants to know, whatever is logged")]
    {
        println!("listening on http://{address}");
    }

    let (ending, ended) = oneshot::channel();
    let app = app::router(&chat).into_make_service_with_connect_info::<SocketAddr>();
    let listener = listener.tap_io(|connection| {
        // A message is small and wants to go now.
        let _ = connection.set_nodelay(true);
    });
    let server = axum::serve(listener, app).with_graceful_shutdown(stop(chat.clone(), ending));
    let server = tokio::spawn(server.into_future());
    let deadline = ended.await.unwrap_or_else(|_| Instant::now()) + drain::AT_MOST;

    if tokio::time::timeout_at(deadline, server).await.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
    if tokio::time::timeout_at(deadline, chat.shutdown()).await.is_err() {
        return Err("the store did not close in time".into());
    }
    tracing::info!("bye");
    Ok(())
}

/// Waits for the signal, and tells the sockets: their connections are not the server's any more and would not end.
async fn stop(chat: ChatService, ending: oneshot::Sender<Instant>) {
    drain::signal().await;
    tracing::info!(
        "ending: no new connections, {} s at most for what is under way",
        drain::AT_MOST.as_secs()
    );
    chat.close_connections();
    let _ = ending.send(Instant::now());
}
