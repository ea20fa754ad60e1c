//! What others wrote, made safe to show: a terminal obeys control characters, and a person believes their eyes.

use unicode_width::UnicodeWidthChar;

/// Marks that may stack on one letter; more than any script needs.
const MOST_MARKS: usize = 6;

/// Without control characters, escape sequences, and characters that turn the order of what follows; lines stay lines.
pub(crate) fn text(raw: &str) -> String {
    let mut clean = String::with_capacity(raw.len());
    let mut rest = raw.chars().peekable();
    let mut marks = 0;
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => skip_escape(&mut rest),
            // CSI, and the strings, as single characters.
            '\u{9b}' => skip_csi(&mut rest),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => skip_string(&mut rest),
            '\r' if rest.peek() == Some(&'\n') => {}
            '\r' | '\n' | '\u{2028}' | '\u{2029}' | '\u{85}' | '\u{b}' | '\u{c}' => clean.push('\n'),
            '\t' => clean.push_str("    "),
            c if c.is_control() || is_hidden(c) => {}
            c if c.width() == Some(0) => {
                marks += 1;
                if marks <= MOST_MARKS {
                    clean.push(c);
                }
                continue;
            }
            c => clean.push(c),
        }
        marks = 0;
    }
    clean
}

/// The same in one line, so that nobody can write what looks like somebody else's line.
pub(crate) fn line(raw: &str) -> String {
    text(raw.trim()).trim().replace('\n', " ⏎ ")
}

/// Changes the order of text, or takes no place and means nothing.
const fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

type Rest<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn skip_escape(rest: &mut Rest<'_>) {
    match rest.peek() {
        Some('[') => {
            rest.next();
            skip_csi(rest);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            rest.next();
            skip_string(rest);
        }
        // Intermediate characters and a final one, as in `ESC ( B`.
        _ => {
            while rest.next_if(|c| ('\u{20}'..='\u{2f}').contains(c)).is_some() {}
            rest.next_if(|c| ('\u{30}'..='\u{7e}').contains(c));
        }
    }
}

/// Parameters, and the final character.
fn skip_csi(rest: &mut Rest<'_>) {
    while rest.next_if(|c| ('\u{20}'..='\u{3f}').contains(c)).is_some() {}
    rest.next_if(|c| ('\u{40}'..='\u{7e}').contains(c));
}

/// To its end, or to the end of the line, so that an open one doesn't hide the rest.
fn skip_string(rest: &mut Rest<'_>) {
    while let Some(c) = rest.next_if(|c| *c != '\n') {
        match c {
            '\u{7}' | '\u{9c}' => return,
            '\u{1b}' if rest.next_if_eq(&'\\').is_some() => return,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_are_gone_whole() {
        for (raw, clean) in [
            ("\x1b[31mred\x1b[0m", "red"),
            ("\x1b[2J\x1b[1;1Hgone?", "gone?"),
            ("\u{9b}31mred", "red"),
            ("\x1b]0;title\x07text", "text"),
            ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
            ("\x1b]52;c;cm0gLXJm\x07", ""),
            ("\u{9d}52;c;eA==\u{9c}x", "x"),
            ("\x1bP1$r q\x1b\\x", "x"),
            ("\x1b(0x\x1bcy\x1b", "xy"),
            ("\x1b]0;open\nnext", "\nnext"),
            ("a\x1b[", "a"),
            ("\x1b\x1b[31mx", "x"),
        ] {
            assert_eq!(text(raw), clean, "{raw:?}");
        }
    }

    #[test]
    fn control_characters_are_gone_and_lines_stay() {
        assert_eq!(text("a\x08\x07\0b\x7f\u{80}c"), "abc");
        assert_eq!(text("one\r\ntwo\rthree\u{2028}four\tfive"), "one\ntwo\nthree\nfour    five");
        assert_eq!(line(" Bob\n12:00 Ann: I owe you 5 "), "Bob ⏎ 12:00 Ann: I owe you 5");
    }

    #[test]
    fn what_deceives_the_eye_is_gone() {
        assert_eq!(text("abc\u{202e}fdp.exe\u{2066}\u{200b}\u{feff}\u{e0041}"), "abcfdp.exe");
        assert_eq!(text(&format!("z{}a", "\u{301}".repeat(500))).chars().count(), 2 + MOST_MARKS);
    }

    #[test]
    fn languages_and_emoji_stay() {
        for text_ in ["Grüße", "日本語", "नमस्ते", "👩‍👩‍👧‍👦 ❤️", "שלום", "e\u{301}"]
        {
            assert_eq!(text(text_), text_);
        }
    }

    #[test]
    fn whatever_comes_nothing_that_controls_is_left() {
        let nasty: Vec<char> = (0..0xa0u32).chain([0x202e, 0x2028]).filter_map(char::from_u32).collect();
        for a in &nasty {
            for b in &nasty {
                let clean = text(&format!("{a}{b}[31m{a}"));
                assert!(clean.chars().all(|c| c == '\n' || !c.is_control()), "{a:?} {b:?}: {clean:?}");
            }
        }
    }
}
