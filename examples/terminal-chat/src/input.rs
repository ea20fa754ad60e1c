//! The line that one types in: a text and a cursor that moves by what a person calls a character.

use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

#[derive(Debug, Default, Clone)]
pub(crate) struct Input {
    text: String,
    /// In bytes, between two characters.
    cursor: usize,
}

impl Input {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    pub(crate) fn take(&mut self) -> String {
        self.cursor = 0;
        std::mem::take(&mut self.text)
    }

    /// Whether typed or pasted; line breaks stay, what controls a terminal doesn't.
    pub(crate) fn insert(&mut self, text: &str) {
        let text = crate::clean::text(text);
        self.text.insert_str(self.cursor, &text);
        self.cursor += text.len();
    }

    pub(crate) fn backspace(&mut self) {
        self.remove(self.left_of(self.cursor), self.cursor);
    }

    pub(crate) fn delete(&mut self) {
        self.remove(self.cursor, self.right_of(self.cursor));
    }

    pub(crate) fn left(&mut self) {
        self.cursor = self.left_of(self.cursor);
    }

    pub(crate) fn right(&mut self) {
        self.cursor = self.right_of(self.cursor);
    }

    pub(crate) const fn home(&mut self) {
        self.cursor = 0;
    }

    pub(crate) const fn end(&mut self) {
        self.cursor = self.text.len();
    }

    pub(crate) fn word_left(&mut self) {
        self.cursor = self.word_before();
    }

    pub(crate) fn word_right(&mut self) {
        let after = self.text.get(self.cursor..).unwrap_or_default();
        let word = after.split_word_bound_indices().find(|(_, part)| !part.trim().is_empty());
        self.cursor += word.map_or(after.len(), |(at, part)| at + part.len());
    }

    pub(crate) fn delete_word(&mut self) {
        self.remove(self.word_before(), self.cursor);
    }

    pub(crate) fn delete_before(&mut self) {
        self.remove(0, self.cursor);
    }

    pub(crate) fn delete_after(&mut self) {
        self.remove(self.cursor, self.text.len());
    }

    /// What to show in so many columns so that the cursor is seen, and the cursor's column.
    pub(crate) fn window(&self, columns: usize) -> (String, usize) {
        let (before, after) = self.text.split_at_checked(self.cursor).unwrap_or((&self.text, ""));
        let show = |part: &str| part.replace('\n', "⏎");
        // The cursor may stand behind the last character, and needs a column there.
        let (mut shown, mut column) = (Vec::new(), 0);
        for part in show(before).graphemes(true).rev() {
            if column + part.width() >= columns {
                break;
            }
            column += part.width();
            shown.push(part.to_owned());
        }
        shown.reverse();
        let mut width = column;
        for part in show(after).graphemes(true) {
            width += part.width();
            if width > columns {
                break;
            }
            shown.push(part.to_owned());
        }
        (shown.concat(), column)
    }

    fn remove(&mut self, from: usize, to: usize) {
        self.text.replace_range(from..to, "");
        self.cursor = from;
    }

    fn left_of(&self, at: usize) -> usize {
        self.text
            .grapheme_indices(true)
            .map(|(start, _)| start)
            .take_while(|start| *start < at)
            .last()
            .unwrap_or(0)
    }

    fn right_of(&self, at: usize) -> usize {
        self.text
            .grapheme_indices(true)
            .map(|(start, part)| start + part.len())
            .find(|end| *end > at)
            .unwrap_or(self.text.len())
    }

    fn word_before(&self) -> usize {
        let before = self.text.get(..self.cursor).unwrap_or_default();
        before.split_word_bound_indices().rfind(|(_, part)| !part.trim().is_empty()).map_or(0, |(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Input {
        let mut input = Input::default();
        input.insert(text);
        input
    }

    #[test]
    fn editing_goes_by_whole_characters() {
        let mut input = typed("a👩‍👩‍👧‍👦é日");
        input.left();
        input.backspace();
        assert_eq!(input.text(), "a👩‍👩‍👧‍👦日");
        input.left();
        input.insert("x");
        assert_eq!(input.text(), "ax👩‍👩‍👧‍👦日");
        input.delete();
        assert_eq!(input.text(), "ax日");
        input.home();
        input.backspace();
        input.right();
        input.delete_after();
        assert_eq!(input.take(), "a");
        input.delete();
        input.left();
        input.right();
        assert_eq!((input.text(), input.cursor), ("", 0));
    }

    #[test]
    fn words() {
        let mut input = typed("one  two three");
        input.delete_word();
        assert_eq!(input.text(), "one  two ");
        input.word_left();
        input.insert("x ");
        assert_eq!(input.text(), "one  x two ");
        input.word_left();
        input.word_left();
        input.word_right();
        input.delete_before();
        assert_eq!(input.text(), "  x two ");
    }

    #[test]
    fn the_window_follows_the_cursor_by_columns() {
        let mut input = typed("日本語abc");
        assert_eq!(input.window(20), ("日本語abc".to_owned(), 9));
        assert_eq!(input.window(5), ("abc".to_owned(), 3), "no half of a wide character");
        assert_eq!(input.window(1), (String::new(), 0));
        input.home();
        assert_eq!(input.window(5), ("日本".to_owned(), 0));
        assert_eq!(typed("a\r\nb").window(9), ("a⏎b".to_owned(), 3));
        assert_eq!(typed("\x1b[31mred").text(), "red", "what is pasted may not be one's own");
    }
}
