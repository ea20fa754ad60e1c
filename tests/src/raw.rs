//! HTTP by hand, for what no proper client does.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{DEADLINE, Fetched, Reply};

/// A TCP connection on which a test writes whatever bytes it likes.
#[derive(Debug)]
pub struct RawConnection(TcpStream);

/// A response that was read by hand.
pub type RawReply = Fetched;

impl RawConnection {
    /// Connects to `host:port`.
    pub async fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// Writes all of it.
    pub async fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// Writes as much of it as the server takes before it answers or hangs up.
    pub async fn offer(&mut self, bytes: &[u8]) {
        let (reader, mut writer) = self.0.split();
        tokio::select! {
            biased;
            _ = reader.readable() => {}
            _ = writer.write_all(bytes) => {}
        }
    }

    /// Hangs up, and what was sent still arrives.
    pub async fn hang_up(mut self) {
        let _ = self.0.shutdown().await;
    }

    /// Ends the sending half, and reads whatever comes until the server hangs up as well.
    pub async fn half_close(mut self) {
        let _ = self.0.shutdown().await;
        let mut rest = Vec::new();
        let end = self.0.read_to_end(&mut rest);
        let _ =
            tokio::time::timeout(DEADLINE, end).await.expect("the server keeps a connection that was ended");
    }

    /// Hangs up with a reset.
    pub fn reset(self) {
        self.0.set_zero_linger().unwrap();
        drop(self.0);
    }

    /// Reads one response.
    pub async fn read_raw(&mut self) -> RawReply {
        tokio::time::timeout(DEADLINE, self.read_inner()).await.expect("the server does not answer")
    }

    /// Reads one response and checks its envelope.
    pub async fn read(&mut self) -> Reply {
        Reply::check(self.read_raw().await)
    }

    async fn read_inner(&mut self) -> RawReply {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(at) = bytes.windows(4).position(|part| part == b"\r\n\r\n") {
                break at;
            }
            let n = self.0.read_buf(&mut bytes).await.expect("the server resets instead of answering");
            assert!(n > 0, "the server hangs up instead of answering: {:?}", String::from_utf8_lossy(&bytes));
        };
        let mut body = bytes.split_off(end + 4);
        let head = String::from_utf8(bytes).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = reqwest::header::HeaderMap::new();
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let name: reqwest::header::HeaderName = name.trim().parse().unwrap();
            headers.append(name, value.trim().parse().unwrap());
        }
        let is_chunked = headers.get("transfer-encoding").is_some_and(|encoding| encoding == "chunked");
        let length: usize =
            headers.get("content-length").map_or(0, |length| length.to_str().unwrap().parse().unwrap());
        while if is_chunked { !body.ends_with(b"0\r\n\r\n") } else { body.len() < length } {
            let n = self.0.read_buf(&mut body).await.unwrap();
            assert!(n > 0, "the server hangs up inside of its answer");
        }
        let bytes = if is_chunked { joined(&body) } else { body };
        Fetched { status, headers, bytes }
    }
}

/// The content of a chunked body.
fn joined(mut body: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    loop {
        let end = body.windows(2).position(|part| part == b"\r\n").expect("the size of a chunk");
        let size = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            return content;
        }
        content.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = &body[end + 2 + size + 2..];
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn chunks_are_joined() {
        assert_eq!(super::joined(b"3\r\nabc\r\na\r\n0123456789\r\n0\r\n\r\n"), b"abc0123456789");
    }
}
