//! Mails as plain text.

use std::iter::once;

use super::words::Words;

pub(super) fn page(words: &Words<'_>) -> String {
    let button = words.button.as_ref().map(|button| format!("{}:\n{}", button.label, button.url));
    let parts: Vec<&str> = once(words.greeting.as_str())
        .chain(words.paragraphs.iter().map(String::as_str))
        .chain(button.as_deref())
        .chain(words.after.iter().map(String::as_str))
        .collect();
    // Two dashes and a space: mail clients show what follows as a signature.
    format!("{}\n\n-- \n{}\n{}\n", parts.join("\n\n"), words.app, words.footer)
}
