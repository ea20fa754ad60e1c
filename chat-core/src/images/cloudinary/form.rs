//! `multipart/form-data` (RFC 7578), as much as an upload needs: fields of ours and one file.

use bytes::Bytes;

use crate::random;

/// A form under way.
#[derive(Debug)]
pub(super) struct Form {
    /// Random, so that no picture has it in it.
    boundary: String,
    body: Vec<u8>,
}

impl Form {
    pub(super) fn new() -> Self {
        Self { boundary: format!("chat-{}", random::name::<16>()), body: Vec::new() }
    }

    pub(super) fn content_type(&self) -> String {
        format!("multipart/form-data; boundary={}", self.boundary)
    }

    /// Adds a field. The name is ours; the value may be anything.
    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.part(&format!("form-data; name=\"{name}\""), None, value.as_bytes());
    }

    /// Adds a file. Both names are ours.
    pub(super) fn file(&mut self, name: &str, file_name: &str, content_type: &str, bytes: &[u8]) {
        let disposition = format!("form-data; name=\"{name}\"; filename=\"{file_name}\"");
        self.part(&disposition, Some(content_type), bytes);
    }

    fn part(&mut self, disposition: &str, content_type: Option<&str>, bytes: &[u8]) {
        self.body.reserve(bytes.len() + 256);
        let head = format!("--{}\r\nContent-Disposition: {disposition}\r\n", self.boundary);
        self.body.extend_from_slice(head.as_bytes());
        if let Some(kind) = content_type {
            self.body.extend_from_slice(format!("Content-Type: {kind}\r\n").as_bytes());
        }
        self.body.extend_from_slice(b"\r\n");
        self.body.extend_from_slice(bytes);
        self.body.extend_from_slice(b"\r\n");
    }

    pub(super) fn finish(mut self) -> Bytes {
        self.body.extend_from_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        self.body.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_a_form() {
        let mut form = Form::new();
        form.text("a", "é&\r\n--x");
        form.file("file", "p.png", "image/png", b"\x89PNG\r\n");
        let (kind, boundary) = (form.content_type(), form.boundary.clone());
        assert_eq!(kind, format!("multipart/form-data; boundary={boundary}"));
        let expected = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\né&\r\n--x\r\n--{boundary}\r\n\
             Content-Disposition: form-data; name=\"file\"; filename=\"p.png\"\r\nContent-Type: image/png\r\n\r\n"
        );
        let expected = [expected.as_bytes(), b"\x89PNG\r\n\r\n--", boundary.as_bytes(), b"--\r\n"].concat();
        assert_eq!(form.finish(), expected);
    }
}
