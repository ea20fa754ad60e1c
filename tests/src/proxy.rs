//! A TCP proxy that does to connections what networks do: cuts them in the middle of a frame, holds them up, forgets
//! them.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use socket2::{Domain, Socket, Type};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpSocket, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// What a connection takes in before its sender has to wait. Over loopback the system would buffer megabytes, and
/// nobody would ever be slow.
const BUFFER: usize = 32 << 10;
/// The system makes the sender's buffer by the size of packets, which over loopback is 64 KiB.
const PACKET: u32 = 1400;
/// How long one direction goes on when the other has ended.
const HALF_CLOSED: Duration = Duration::from_secs(2);

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Both sides get an end of file, possibly in the middle of a frame.
    Fin,
    /// Both sides get a reset.
    Reset,
}

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// What is to be done to a connection.
#[derive(Debug, Clone, Copy, Default)]
struct Orders {
    cut: Option<Cut>,
    /// By [`Way`].
    ways: [WayOrders; 2],
}

#[derive(Debug, Clone, Copy, Default)]
struct WayOrders {
    is_stalled: bool,
    /// After so many bytes from the beginning.
    cut_at: Option<(u64, Cut)>,
    /// So many went through.
    carried: u64,
}

/// A proxy on a port of its own, which stays the same whatever becomes of the server behind it; dropped, it cuts
/// everything.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    inner: Arc<Inner>,
    listener: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Inner {
    target: Mutex<Option<SocketAddr>>,
    /// By the address from which the client comes.
    lines: Mutex<HashMap<SocketAddr, watch::Sender<Orders>>>,
    cuts: AtomicUsize,
}

impl Proxy {
    /// Starts one without a server: who connects is reset.
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::new(Inner::default());
        let listener = tokio::spawn(inner.clone().listen(listener));
        Self { address, inner, listener }
    }

    /// The same, for this server.
    pub async fn to(server: SocketAddr) -> Self {
        let proxy = Self::start().await;
        proxy.set_target(Some(server));
        proxy
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where new connections go from now on. `None`: nowhere, they are reset. Those that there are stay.
    pub fn set_target(&self, server: Option<SocketAddr>) {
        *self.inner.target.lock().unwrap() = server;
    }

    /// The clients that are connected, in a fixed order.
    #[must_use]
    pub fn clients(&self) -> Vec<SocketAddr> {
        let mut clients: Vec<_> = self.inner.lines().keys().copied().collect();
        clients.sort();
        clients
    }

    /// Whether a direction is held up.
    #[must_use]
    pub fn is_stalled(&self, client: SocketAddr) -> bool {
        let lines = self.inner.lines();
        lines.get(&client).is_some_and(|line| line.borrow().ways.iter().any(|way| way.is_stalled))
    }

    /// How many connections were cut.
    #[must_use]
    pub fn cuts(&self) -> usize {
        self.inner.cuts.load(Ordering::Relaxed)
    }

    /// Cuts this client's connection now.
    pub fn cut(&self, client: SocketAddr, how: Cut) {
        self.order(client, |orders| orders.cut = Some(how));
    }

    /// Cuts every connection now.
    pub fn cut_all(&self, how: Cut) {
        for client in self.clients() {
            self.cut(client, how);
        }
    }

    /// Cuts this client's connection after so many more bytes in this direction. None of them arrives too late, none
    /// too many.
    pub fn cut_after(&self, client: SocketAddr, way: Way, bytes: u64, how: Cut) {
        self.order(client, |orders| {
            let way = &mut orders.ways[way as usize];
            way.cut_at = Some((way.carried + bytes, how));
        });
    }

    /// Holds up a direction, or lets it go on. What was read before still arrives.
    pub fn stall(&self, client: SocketAddr, way: Way, is_stalled: bool) {
        self.order(client, |orders| orders.ways[way as usize].is_stalled = is_stalled);
    }

    /// Takes back every stall, and every cut that has not happened yet.
    pub fn heal(&self) {
        for client in self.clients() {
            self.order(client, |orders| {
                for way in &mut orders.ways {
                    (way.is_stalled, way.cut_at) = (false, None);
                }
            });
        }
    }

    fn order(&self, client: SocketAddr, change: impl FnOnce(&mut Orders)) {
        if let Some(line) = self.inner.lines().get(&client) {
            line.send_modify(change);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listener.abort();
        self.cut_all(Cut::Reset);
    }
}

impl Inner {
    fn lines(&self) -> MutexGuard<'_, HashMap<SocketAddr, watch::Sender<Orders>>> {
        self.lines.lock().unwrap()
    }

    async fn listen(self: Arc<Self>, listener: TcpListener) {
        loop {
            let Ok((client, address)) = listener.accept().await else { continue };
            let target = *self.target.lock().unwrap();
            let (orders, receiver) = watch::channel(Orders::default());
            self.lines().insert(address, orders.clone());
            let inner = self.clone();
            tokio::spawn(async move {
                inner.connect(client, target, orders, receiver).await;
                inner.lines().remove(&address);
            });
        }
    }

    async fn connect(
        &self,
        mut client: TcpStream,
        target: Option<SocketAddr>,
        orders: watch::Sender<Orders>,
        receiver: watch::Receiver<Orders>,
    ) {
        let server = match target {
            Some(target) => reach(target).await.ok(),
            None => None,
        };
        let Some(mut server) = server else {
            let _ = client.set_zero_linger();
            return;
        };
        let _ = client.set_nodelay(true);
        let cut = carry(&mut client, &mut server, &orders, receiver).await;
        if cut.is_some() {
            self.cuts.fetch_add(1, Ordering::Relaxed);
        }
        if cut == Some(Cut::Reset) {
            let _ = client.set_zero_linger();
            let _ = server.set_zero_linger();
        } else {
            // What was written still arrives: closed with something unread, the system would reset it.
            let _ = client.shutdown().await;
            let _ = server.shutdown().await;
        }
    }
}

async fn reach(target: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_recv_buffer_size(BUFFER)?;
    socket.set_tcp_mss(PACKET)?;
    socket.set_nonblocking(true)?;
    let stream = TcpSocket::from_std_stream(socket.into()).connect(target).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Until it is cut, or until it ends by itself.
async fn carry(
    client: &mut TcpStream,
    server: &mut TcpStream,
    orders: &watch::Sender<Orders>,
    mut cut: watch::Receiver<Orders>,
) -> Option<Cut> {
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let up = pump(from_client, to_server, orders, Way::Up);
    let down = pump(from_server, to_client, orders, Way::Down);
    let both = async {
        tokio::pin!(up, down);
        let (first, is_up) = tokio::select! {
            end = &mut up => (end, true),
            end = &mut down => (end, false),
        };
        if first.is_some() {
            return first;
        }
        let rest = async { if is_up { down.await } else { up.await } };
        tokio::time::timeout(HALF_CLOSED, rest).await.ok().flatten()
    };
    tokio::select! {
        orders = cut.wait_for(|orders| orders.cut.is_some()) => orders.ok().and_then(|orders| orders.cut),
        end = both => end,
    }
}

/// Carries bytes until their end (`None`), or until it is to be cut.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    orders: &watch::Sender<Orders>,
    way: Way,
) -> Option<Cut> {
    let mut news = orders.subscribe();
    let mut buffer = vec![0; BUFFER];
    loop {
        let way_orders = *news.wait_for(|orders| !orders.ways[way as usize].is_stalled).await.ok()?;
        let way_orders = way_orders.ways[way as usize];
        let left = way_orders.cut_at.map(|(at, how)| (at.saturating_sub(way_orders.carried), how));
        if let Some((0, how)) = left {
            return Some(how);
        }
        let most = left.map_or(BUFFER, |(left, _)| usize::try_from(left).unwrap_or(BUFFER).min(BUFFER));
        let n = tokio::select! {
            // An order may concern what is read next.
            _ = news.changed() => continue,
            read = from.read(&mut buffer[..most]) => match read {
                Ok(0) => break,
                Ok(n) => n,
                Err(_) => return Some(Cut::Reset),
            },
        };
        if to.write_all(&buffer[..n]).await.is_err() {
            return Some(Cut::Reset);
        }
        // Those who wait for orders need not know.
        orders.send_if_modified(|orders| {
            orders.ways[way as usize].carried += n as u64;
            false
        });
    }
    let _ = to.shutdown().await;
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::until;

    /// Says everything again.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let (mut reader, mut writer) = stream.split();
                    let _ = tokio::io::copy(&mut reader, &mut writer).await;
                });
            }
        });
        address
    }

    async fn line(proxy: &Proxy) -> (TcpStream, SocketAddr) {
        let stream = TcpStream::connect(proxy.address()).await.unwrap();
        let address = stream.local_addr().unwrap();
        until("the proxy to see it", || async { proxy.clients().contains(&address).then_some(()) }).await;
        (stream, address)
    }

    async fn says(stream: &mut TcpStream, text: &[u8]) {
        stream.write_all(text).await.unwrap();
        let mut answer = vec![0; text.len()];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, text);
    }

    #[tokio::test]
    async fn bytes_and_ends_go_through() {
        let proxy = Proxy::to(echo().await).await;
        let (mut stream, _) = line(&proxy).await;
        let (mut reader, mut writer) = stream.split();
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|i| i.to_le_bytes()[0]).collect();
        let mut answer = Vec::new();
        let (sent, received) = tokio::join!(
            async {
                writer.write_all(&bytes).await?;
                writer.shutdown().await
            },
            reader.read_to_end(&mut answer)
        );
        sent.unwrap();
        received.unwrap();
        assert_eq!(answer, bytes);
        until("it to be forgotten", || async { proxy.clients().is_empty().then_some(()) }).await;
        assert_eq!(proxy.cuts(), 0);
    }

    #[tokio::test]
    async fn cut_after_so_many_bytes_and_no_other_connection() {
        let proxy = Proxy::to(echo().await).await;
        let (mut other, _) = line(&proxy).await;
        for (way, how) in [(Way::Up, Cut::Fin), (Way::Down, Cut::Fin), (Way::Down, Cut::Reset)] {
            let (mut stream, address) = line(&proxy).await;
            says(&mut stream, b"hello").await;
            proxy.cut_after(address, way, 7, how);
            stream.write_all(b"0123456789").await.unwrap();
            let mut answer = Vec::new();
            let end = stream.read_to_end(&mut answer).await;
            match how {
                Cut::Fin => {
                    end.unwrap();
                    // What went up and was cut may or may not have come back.
                    assert!(way == Way::Up || answer == b"0123456", "{answer:?}");
                    assert!(b"0123456".starts_with(&answer), "{answer:?}");
                }
                Cut::Reset => {
                    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
                    assert!(b"0123456".starts_with(&answer), "{answer:?}");
                }
            }
        }
        says(&mut other, b"still here").await;
        assert_eq!(proxy.cuts(), 3);
        proxy.cut_all(Cut::Reset);
        assert!(other.read(&mut [0]).await.is_err());
    }

    #[tokio::test]
    async fn stalled_it_fills_up_and_goes_on() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let proxy = Proxy::to(listener.local_addr().unwrap()).await;
        let (mut stream, address) = line(&proxy).await;
        let (mut server, _) = listener.accept().await.unwrap();
        proxy.stall(address, Way::Down, true);
        // The sender notices, long before a megabyte is buffered.
        let mut sent = 0;
        while sent < 1 << 20 {
            let write = server.write(&[7; 1000]);
            let Ok(n) = tokio::time::timeout(Duration::from_millis(200), write).await else { break };
            sent += n.unwrap();
        }
        assert!(sent < 1 << 20, "everything is buffered");
        // The other direction is not concerned.
        stream.write_all(b"up").await.unwrap();
        server.read_exact(&mut [0; 2]).await.unwrap();
        proxy.heal();
        let mut got = vec![0; sent];
        stream.read_exact(&mut got).await.unwrap();
        assert!(got.iter().all(|byte| *byte == 7));
    }

    #[tokio::test]
    async fn without_a_server_it_resets_and_with_another_it_goes_on() {
        let proxy = Proxy::start().await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert!(stream.read(&mut [0]).await.is_err());
        proxy.set_target(Some(echo().await));
        let (mut stream, _) = line(&proxy).await;
        says(&mut stream, b"here").await;
        proxy.set_target(None);
        says(&mut stream, b"those that there are stay").await;
    }
}
