//! The cases of the Autobahn test suite, by `kosoku` (PyPI), against an endpoint that stands on the same handshake library,
//! the same socket and the same limits as the door, and sends back what it gets.
//!
//! `test.sh` installs kosoku and runs this; by hand: `KOSOKU=… cargo test -p chat-core --all-features autobahn -- --ignored`.

use std::{collections::BTreeMap, convert::Infallible, path::Path};

use http::{Request, Response};
use hyper::{body::Incoming, service::service_fn, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::{Message, handshake::server::create_response_with_body};

use super::{ResponseBody, socket::Socket};

/// The largest message of the cases is of 16 MiB.
const MOST: usize = 16 << 20;

async fn echo(mut request: Request<Incoming>) -> Result<Response<ResponseBody>, Infallible> {
    let upgrade = request.extensions_mut().remove::<OnUpgrade>().unwrap();
    let response = create_response_with_body(&request, ResponseBody::default).unwrap();
    tokio::spawn(async move {
        let mut socket = Socket::new(TokioIo::new(upgrade.await.unwrap()), MOST).await;
        let ending = loop {
            if let Err(ending) = socket.shrink().await {
                break ending;
            }
            match socket.next().await {
                Ok(Message::Text(text)) => {
                    if let Err(ending) = socket.send([text], || false).await {
                        break ending;
                    }
                }
                Ok(message) => {
                    if let Err(ending) = socket.send_any(message).await {
                        break ending;
                    }
                }
                Err(ending) => break ending,
            }
        };
        socket.end(ending, None).await;
    });
    Ok(response)
}

async fn serve(listener: TcpListener) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let server = hyper::server::conn::http1::Builder::new();
        let connection = server.serve_connection(TokioIo::new(stream), service_fn(echo));
        tokio::spawn(connection.with_upgrades());
    }
}

/// What became of each case, by its name.
fn behaviors(report: &Path) -> BTreeMap<String, String> {
    let index = std::fs::read_to_string(report.join("index.json")).expect("kosoku wrote no report");
    let index: serde_json::Value = serde_json::from_str(&index).unwrap();
    let cases = index.as_object().unwrap().values().flat_map(|agent| agent.as_object().unwrap());
    let row = |(case, result): (&String, &serde_json::Value)| {
        (
            case.clone(),
            format!("{} {}", result["behavior"].as_str().unwrap(), result["behaviorClose"].as_str().unwrap()),
        )
    };
    cases.map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs kosoku, which test.sh installs"]
async fn autobahn() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(serve(listener));
    let folder = tempfile::tempdir().unwrap();
    let kosoku = std::env::var_os("KOSOKU").expect("KOSOKU names the program: run ./test.sh");
    let report = folder.path().to_owned();
    let run = move || {
        let mut command = std::process::Command::new(kosoku);
        // Cases 12 and 13 are of an extension (compression) that is not offered.
        command.args([&address, "--parallelism", "2", "--exclude", "12.*", "--exclude", "13.*", "--outdir"]);
        command.arg(&report).output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let behaviors = behaviors(folder.path());
    let is_fine = |result: &str| {
        let mut words = result.split(' ');
        // Non-strict: noticed at the end of the message, not within it.
        words.all(|word| ["OK", "NON-STRICT", "INFORMATIONAL"].contains(&word))
    };
    let failed: BTreeMap<_, _> = behaviors.iter().filter(|(_, result)| !is_fine(result)).collect();
    assert!(
        failed.is_empty() && behaviors.len() > 240,
        "{} cases, of which failed: {failed:#?}\n{}",
        behaviors.len(),
        String::from_utf8_lossy(&output.stderr)
    );
    println!("{} cases", behaviors.len());
}
