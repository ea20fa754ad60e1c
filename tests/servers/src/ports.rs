//! Ports that a server keeps over a restart.

use std::net::{Ipv4Addr, TcpListener};

/// A port that is free now, and that nobody is given by the system while the server that has it is away: below those
/// that the system gives out.
pub(crate) fn pick() -> u16 {
    loop {
        let random = getrandom::u32().expect("the system has random numbers");
        let port = 10_000 + u16::try_from(random % 22_000).expect("a small number");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
