//! Where the programs are that `./test.sh` installs.

use std::path::PathBuf;

/// The program at this place in the folder of the tools: `CHAT_TEST_TOOLS`, or one in the user's cache.
///
/// # Panics
/// It is not there.
#[must_use]
pub fn tool(place: &str) -> PathBuf {
    let folder = match set("CHAT_TEST_TOOLS") {
        Some(folder) => folder,
        None => set("XDG_CACHE_HOME")
            .unwrap_or_else(|| set("HOME").expect("HOME is set").join(".cache"))
            .join("chat-tests"),
    };
    let program = folder.join(place);
    assert!(program.is_file(), "{} is missing: run ./test.sh, which installs it", program.display());
    program
}

fn set(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
