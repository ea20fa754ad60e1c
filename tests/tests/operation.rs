//! What an operator sees: health, metrics, the description of the API, bad settings, and what lies on the disk.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use chat_tests::{DEADLINE, Target, Value, for_each_target, json, measure, pictures};

async fn healthy_and_ready(target: Target) {
    let server = target.start().await;
    assert_eq!(server.client().fetch("/healthz").await.status, 200);
    assert_eq!(server.client().fetch("/readyz").await.status, 200);
}

async fn metrics_for_prometheus(target: Target) {
    let server = target.start().await;
    server.signup().await;
    let page = server.client().fetch("/metrics").await;
    assert_eq!(page.status, 200);
    let kind = page.header("content-type").unwrap();
    assert!(kind.starts_with("text/plain") || kind.starts_with("application/openmetrics-text"), "{kind}");
    assert_eq!(measure::metric(page.text(), "chat_connections"), Some(0.0), "{}", page.text());
    for line in page.text().lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let value = line.rsplit(' ').next().unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
}

async fn the_api_describes_itself(target: Target) {
    let server = target.start().await;
    let page = server.client().fetch("/api/openapi.json").await;
    assert_eq!(page.status, 200);
    let api: Value = serde_json::from_slice(&page.bytes).unwrap();
    assert!(api["openapi"].as_str().unwrap().starts_with("3."));
    let paths = api["paths"].as_object().unwrap();
    // The names of the parameters are free.
    let described: Vec<String> = paths
        .iter()
        .flat_map(|(path, methods)| {
            let path: Vec<&str> =
                path.split('/').map(|part| if part.starts_with('{') { ":id" } else { part }).collect();
            let path = path.join("/");
            methods
                .as_object()
                .unwrap()
                .keys()
                .map(move |method| format!("{method} {path}"))
                .collect::<Vec<_>>()
        })
        .collect();
    for route in [
        "post /api/auth/signup",
        "post /api/auth/login",
        "post /api/auth/logout",
        "put /api/auth/profile",
        "get /api/auth/me",
        "get /api/messages/contacts",
        "get /api/messages/chats",
        "get /api/messages/:id",
        "post /api/messages/send/:id",
        "delete /api/messages/:id",
        "post /api/messages/:id/read",
    ] {
        assert!(described.iter().any(|described| described == route), "{route} is not in {described:?}");
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files
}

async fn no_text_and_no_password_lies_on_the_disk(target: Target) {
    const MARK: &str = "xylophone-quagmire";
    let mut server = target.start().await;
    let (ann, bob) = (server.signup().await, server.signup().await);
    for i in 0..20 {
        ann.say(&bob, &format!("{MARK} {i}")).await;
    }
    let _ = ann.post(&bob.inbox(), json!({ "text": MARK, "image": pictures::png_url() })).await.ok(201);
    assert!(server.terminate().await.success());
    let files = files(&server.data_dir());
    assert!(!files.is_empty(), "there is data");
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        for secret in [MARK, ann.form.password.as_str(), ann.token.as_str()] {
            let is_there = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!is_there, "{} holds {secret}", file.display());
        }
    }
    assert!(!server.log().contains(MARK), "the log tells what was said");
    server.restart().await;
    assert_eq!(bob.conversation(&ann).await.len(), 21);
}

async fn secrets_are_for_the_owner_only(target: Target) {
    use std::os::unix::fs::PermissionsExt as _;
    let server = target.start().await;
    server.signup().await;
    let open: Vec<PathBuf> = files(&server.data_dir())
        .into_iter()
        .filter(|file| std::fs::metadata(file).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0))
        .filter(|file| {
            let name = file.file_name().unwrap().to_string_lossy().to_lowercase();
            ["secret", "key", "jwt"].iter().any(|word| name.contains(word))
        })
        .collect();
    assert!(open.is_empty(), "others may read {open:?}");
    let folder = std::fs::metadata(server.data_dir()).unwrap().permissions().mode();
    let is_any_secret_closed = files(&server.data_dir())
        .iter()
        .any(|file| std::fs::metadata(file).is_ok_and(|meta| meta.permissions().mode() & 0o077 == 0));
    assert!(is_any_secret_closed || folder & 0o077 == 0, "nothing in the data folder is closed to others");
}

/// Runs the server with a setting it cannot use: it has to end by itself, unsuccessfully, and name the setting.
fn refuses(target: Target, name: &str, value: &str) {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let file = std::fs::File::create(&log).unwrap();
    let mut child = Command::new(target.program())
        .env_clear()
        .env("PORT", "0")
        .env("DATA_DIR", dir.path().join("data"))
        .env(name, value)
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .stdout(file.try_clone().unwrap())
        .stderr(file)
        .spawn()
        .unwrap();
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > DEADLINE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{name}={value:?} does not stop the start");
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let said = std::fs::read_to_string(log).unwrap();
    assert!(!status.success(), "{name}={value:?} ends with {status}: {said}");
    assert!(said.contains(name), "{name}={value:?} is not named: {said}");
    assert!(!said.contains("panicked"), "{name}={value:?}: {said}");
    // A secret that is not good enough is still a secret.
    let is_secret = ["JWT_SECRET", "ENCRYPTION_KEYS", "CLOUDINARY_URL"].contains(&name);
    assert!(!is_secret || !said.contains(value), "{name} is printed: {said}");
}

async fn an_unusable_setting_stops_the_start(target: Target) {
    tokio::task::spawn_blocking(move || {
        refuses(target, "PORT", "banana");
        refuses(target, "PORT", "70000");
        refuses(target, "HOST", "not an address");
        refuses(target, "JWT_SECRET", "shorter-than-32-bytes");
        refuses(target, "ENCRYPTION_KEYS", "no-colon-here");
        refuses(target, "ENCRYPTION_KEYS", "k1:dG9vIHNob3J0");
        refuses(target, "ALLOWED_ORIGINS", "not an origin");
        refuses(target, "TRUSTED_PROXIES", "300.0.0.1");
        refuses(target, "COOKIE_SECURE", "perhaps");
        refuses(target, "SHIELD", "perhaps");
        refuses(target, "DATABASE_URL", "nosuchstore://x");
        refuses(target, "CLOUDINARY_URL", "https://not-the-official-form");
    })
    .await
    .unwrap();
}

for_each_target!(
    healthy_and_ready,
    metrics_for_prometheus,
    the_api_describes_itself,
    no_text_and_no_password_lies_on_the_disk,
    secrets_are_for_the_owner_only,
    an_unusable_setting_stops_the_start,
);
