//! A chat client in the terminal: `cargo run -p terminal-chat -- http://127.0.0.1:3000`.
//!
//! It talks to the plain WebSocket door, and needs nothing of the library: what is here can be done in any language.

mod api;
mod app;
mod clean;
mod clock;
mod frame;
mod input;
mod link;
mod model;
mod net;
mod plain;
mod prompt;
mod runner;
mod screen;
mod state;
mod ui;

use std::{io::IsTerminal as _, process::ExitCode};

use clap::Parser;

use crate::{api::Api, model::User, net::Server};

/// Chat in the terminal.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Args {
    /// Where the server is.
    #[arg(default_value = "http://127.0.0.1:3000")]
    url: String,
    /// Your e-mail address; asked for when it is not given.
    #[arg(long, env = "CHAT_EMAIL")]
    email: Option<String>,
    /// Make a new account. The password is asked for, or is in CHAT_PASSWORD.
    #[arg(long, requires = "name")]
    sign_up: bool,
    /// Your name, for a new account.
    #[arg(long, requires = "sign_up")]
    name: Option<String>,
    /// Line by line instead of full-screen; so it is anyway where there is no terminal.
    #[arg(long)]
    plain: bool,
}

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            #[allow(clippy::print_stderr, reason = "the terminal is as it was by now")]
            {
                eprintln!("error: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<bool, Failure> {
    let offset = clock::offset();
    let server = Server::parse(&args.url)?;
    let email = match &args.email {
        Some(email) => email.clone(),
        None => prompt::ask("E-mail: ")?,
    };
    let password = match std::env::var("CHAT_PASSWORD") {
        Ok(password) => password,
        Err(_) => prompt::secret("Password: ")?,
    };
    let is_plain = args.plain || !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        let (api, me) = enter(server, args, &email, &password).await?;
        let done = if is_plain {
            plain::run(api.clone(), me, offset).await
        } else {
            screen::run(api.clone(), me, offset).await
        };
        // Nobody keeps the token, so it shall not be good for anything either.
        let _ = tokio::time::timeout(std::time::Duration::from_secs(2), api.log_out()).await;
        Ok(done?)
    });
    // A read of the standard input may hang for as long as it likes.
    runtime.shutdown_background();
    done
}

async fn enter(server: Server, args: &Args, email: &str, password: &str) -> Result<(Api, User), Failure> {
    Ok(match &args.name {
        Some(name) => Api::sign_up(server, email, name, password).await?,
        None => Api::log_in(server, email, password).await?,
    })
}
