//! The description of the sockets is valid, and true: by the AsyncAPI parser and a JSON Schema validator, in `tests/js`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use std::process::Stdio;

use chat_tests::{Target, for_each_target};

async fn the_description_holds(target: Target) {
    let server = target.start().await;
    let (ann, bob) = (server.signup().await, server.signup().await);
    let output = tokio::process::Command::new("node")
        .arg("asyncapi.mjs")
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/js"))
        .env("BASE_URL", server.url())
        .envs([("ANN", &ann.token[..]), ("ANN_ID", ann.id()), ("BOB", &bob.token[..]), ("BOB_ID", bob.id())])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("node is not installed: run ./test.sh");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.starts_with("ok: "), "{}\n{out}\n{err}", output.status);
}

for_each_target!(the_description_holds);
