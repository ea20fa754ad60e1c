//! The web client in a real browser: the suites in `tests/js/browser`, each with servers and people of its own.
//!
//! A suite starts its server itself, because it kills it in the middle of a conversation. On the embedded store all of them
//! run; elsewhere one round that goes through everything, because the client is the same.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test stops at what is not as it should be, and says what it measured"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Stdio,
};

use chat_tests::{MongoDatabase, Target, tests_on};
use tokio::process::Command;

/// Where browsers are, as the package managers install them.
const CHROMIUMS: [&str; 3] = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("js")
}

/// `CHROMIUM` names another one.
fn chromium() -> PathBuf {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let found = named.into_iter().chain(CHROMIUMS.map(PathBuf::from)).find(|path| path.is_file());
    found.expect("chromium is not installed: run ./test.sh, or let CHROMIUM name one")
}

async fn run(target: Target, suite: &str) {
    assert!(
        folder().join("node_modules/playwright-core").is_dir(),
        "playwright-core is not installed: run ./test.sh, or `npm ci` in tests/js"
    );
    let database = matches!(target, Target::AxumMongo | Target::WarpMongo).then(MongoDatabase::fresh);
    let mut command = Command::new("node");
    command
        // Sooner than the harness ends it, so that no browser is left behind.
        .args(["--test", "--test-reporter=tap", "--test-timeout=270000"])
        .arg(format!("browser/{suite}.test.mjs"))
        .current_dir(folder())
        .env("SERVER", target.program())
        .env("CHROMIUM", chromium())
        .env_remove("DATABASE_URL")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if let Some(database) = &database {
        command.env("DATABASE_URL", database.uri());
    }
    let output = command.output().await.expect("node is not installed: run ./test.sh");
    let tap = String::from_utf8_lossy(&output.stdout);
    let counts = counts(&tap);
    let count = |name: &str| counts.get(name).copied();
    let is_good = output.status.success()
        && ["fail", "cancelled", "skipped", "todo"].iter().all(|name| count(name) == Some(0))
        && count("pass").is_some_and(|pass| pass > 0);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(is_good, "{suite} on {}: {}\n{tap}\n{error}", target.name(), output.status);
    // What it measured, for who asks for it with `--nocapture`.
    let measured = tap.lines().filter(|line| line.starts_with("# ") && line.contains(" ms"));
    measured.for_each(|line| eprintln!("{suite}: {}", line.trim_start_matches("# ")));
}

/// The summary at the end of the report: `# pass 12`.
fn counts(tap: &str) -> BTreeMap<&str, usize> {
    tap.lines()
        .filter_map(|line| line.strip_prefix("# ")?.split_once(' '))
        .filter_map(|(name, count)| Some((name, count.parse().ok()?)))
        .collect()
}

macro_rules! suites {
    ($($suite:ident),+ $(,)?) => {
        $(
            async fn $suite(target: Target) {
                run(target, stringify!($suite)).await;
            }
        )+

        /// A suite that is not in the list would never run.
        #[test]
        fn every_suite_runs() {
            let listed = BTreeSet::from([$(format!("{}.test.mjs", stringify!($suite))),+]);
            let names = std::fs::read_dir(folder().join("browser")).unwrap();
            let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            assert_eq!(names.filter(|name| name.ends_with(".test.mjs")).collect::<BTreeSet<_>>(), listed);
        }
    };
}

suites!(accessibility, conversation, history, offline, pictures, safety, sending, signing, size, smoke, tabs);

// The longest ones first.
tests_on!(axum_sqlite = AxumSqlite: history, accessibility, conversation, offline, safety, sending, signing, pictures, tabs,
    size, smoke);
tests_on!(axum_mongo = AxumMongo: smoke);
tests_on!(warp_sqlite = WarpSqlite: smoke);
tests_on!(warp_mongo = WarpMongo: smoke);
