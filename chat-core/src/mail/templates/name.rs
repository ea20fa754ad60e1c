//! Names that strangers typed.

/// The longest name that is shown.
const LONGEST: usize = 64;
/// As many digits as a phone number has, which phones make a link of.
const PHONE_NUMBER: usize = 7;

/// The name as it is shown, or nothing where it does not look like a name.
pub(super) fn shown(name: &str) -> Option<String> {
    // As a whole, before it is cut: a link must not become a name by being shortened.
    if looks_like_link(&clean(name, usize::MAX)) {
        return None;
    }
    let name = clean(name, LONGEST);
    match name.chars().any(char::is_alphanumeric) {
        // FIRST STRONG ISOLATE and POP DIRECTIONAL ISOLATE, where they are needed: older clients show boxes for them.
        true if name.chars().any(runs_leftward) => Some(format!("\u{2068}{name}\u{2069}")),
        true => Some(name),
        false => None,
    }
}

/// On one line, without what nobody sees, and not longer than this many characters.
pub(super) fn clean(name: &str, longest: usize) -> String {
    let visible: String = name
        .chars()
        .filter(|c| !is_invisible(*c))
        .map(|c| if c.is_whitespace() || c.is_control() { ' ' } else { c })
        .collect();
    let mut name = visible.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = name.char_indices().nth(longest) {
        // Room for the dots; between words where there is a place for that in the second half.
        let end = name.char_indices().nth(longest - 1).map_or(end, |(end, _)| end);
        let cut = name[..end].rfind(' ').filter(|space| *space > end / 2).unwrap_or(end);
        name.truncate(cut);
        // No half of a joined character.
        name.truncate(name.trim_end_matches(is_joiner).len());
        name.push('…');
    }
    name
}

/// Whether a mail client could make a link of it.
fn looks_like_link(name: &str) -> bool {
    let lower = name.to_lowercase();
    if lower.contains(['@', '＠', '/', '\\', '／']) || lower.contains("www") {
        return true;
    }
    if lower.chars().filter(|c| c.is_numeric()).count() >= PHONE_NUMBER {
        return true;
    }
    lower.split(' ').any(|word| {
        // `mailto:`, and a host with a port.
        if word.split_once(':').is_some_and(|(before, after)| !before.is_empty() && !after.is_empty()) {
            return true;
        }
        // A domain: a dot within a word, before at least two letters. `J.R. Smith` has none.
        let labels: Vec<&str> = word.split(is_dot).collect();
        labels.windows(2).any(|pair| {
            let letters = pair[1].chars().take_while(|c| c.is_alphanumeric() || *c == '-').count();
            pair[0].ends_with(char::is_alphanumeric) && letters >= 2
        })
    })
}

/// A full stop, and what is taken for one in domains (UTS 46), or looks like it.
const fn is_dot(c: char) -> bool {
    matches!(c, '.' | '\u{2024}' | '\u{3002}' | '\u{FE52}' | '\u{FF0E}' | '\u{FF61}')
}

/// What has no shape of its own, and what changes the direction or the place of others.
///
/// The two joiners stay: Persian words and families of emoji are made of them.
const fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}'
        | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFD}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

const fn is_joiner(c: char) -> bool {
    matches!(c, ' ' | '\u{200C}' | '\u{200D}')
}

/// The blocks of scripts that are written from right to left.
const fn runs_leftward(c: char) -> bool {
    matches!(c, '\u{0590}'..='\u{08FF}' | '\u{FB1D}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFE}' | '\u{10800}'..='\u{10FFF}'
        | '\u{1E800}'..='\u{1EFFF}')
}
