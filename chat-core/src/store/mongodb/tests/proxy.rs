//! A wire between driver and server that can be cut at the worst moment: the server has done what it was asked for,
//! and its answer never arrives.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

pub(super) struct Proxy {
    port: u16,
    /// Answers still to be lost.
    cuts: Arc<AtomicU32>,
    command: Arc<std::sync::Mutex<&'static str>>,
}

impl Proxy {
    /// Before the server at `address`.
    pub(super) async fn start(address: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            cuts: Arc::default(),
            command: Arc::new(std::sync::Mutex::new("")),
        };
        let (cuts, command) = (proxy.cuts.clone(), proxy.command.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(wire(client, address.clone(), cuts.clone(), command.clone()));
            }
        });
        proxy
    }

    /// The answers to the next `count` commands of this name are lost.
    pub(super) fn lose(&self, command: &'static str, count: u32) {
        *self.command.lock().unwrap() = command;
        self.cuts.store(count, Ordering::SeqCst);
    }

    pub(super) fn left(&self) -> u32 {
        self.cuts.load(Ordering::SeqCst)
    }

    pub(super) fn uri(&self, database: &str) -> String {
        format!("mongodb://127.0.0.1:{}/{database}?directConnection=true", self.port)
    }
}

async fn wire(
    mut client: TcpStream,
    address: String,
    cuts: Arc<AtomicU32>,
    command: Arc<std::sync::Mutex<&'static str>>,
) {
    let mut server = TcpStream::connect(address).await.unwrap();
    let (mut from_client, mut from_server) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let Ok(count @ 1..) = read else { return };
                let name = *command.lock().unwrap();
                let bytes = &from_client[..count];
                // The first element of a command's document is its name: after the header, a type byte.
                let is_it = !name.is_empty() && bytes.get(26..26 + name.len()) == Some(name.as_bytes());
                let cut = is_it && cuts.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
                if server.write_all(bytes).await.is_err() {
                    return;
                }
                if cut {
                    // The server has answered: it is done. Nobody else will know.
                    let _ = server.read(&mut from_server).await;
                    return;
                }
            }
            read = server.read(&mut from_server) => {
                let Ok(count @ 1..) = read else { return };
                if client.write_all(&from_server[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}
