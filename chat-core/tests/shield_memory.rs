//! How much memory the embedded guard takes under a flood of addresses and e-mails: counted, byte by byte.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test stops at what is not as it should be")]

use std::{
    alloc::System,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use chat_core::shield::{AccountAction, AccountVisit, InProcessShield, Shield, Visit, VisitClass};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn in_use() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// As many addresses of each kind, and as many e-mails, each once.
async fn flood(shield: &InProcessShield, newcomers: u32) {
    for n in 0..newcomers {
        let v4 = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n));
        let v6 = IpAddr::V6(Ipv6Addr::from_bits(u128::from(0x2001_0db8_0000_0000 + u64::from(n)) << 64));
        let mut visit = Visit::new(VisitClass::Request);
        for address in [v4, v6] {
            visit.address = Some(address);
            for class in [VisitClass::Request, VisitClass::Credentials, VisitClass::Connect] {
                visit.class = class;
                shield.check(&visit).await;
            }
        }
        let email = format!("somebody.{n}@example.org");
        for (action, is_known) in
            [(AccountAction::LogIn, false), (AccountAction::LogIn, true), (AccountAction::Mail, false)]
        {
            let attempt = AccountVisit::new(visit, action, &email).known(is_known);
            shield.check_account(&attempt).await;
        }
    }
}

// One test, because a counting allocator counts for the whole process.
#[tokio::test]
async fn a_flood_fills_no_memory() {
    let shield = InProcessShield::new();
    let before = in_use();
    flood(&shield, 100_000).await;
    let after = in_use() - before;
    eprintln!("100,000 IPv4 and 100,000 IPv6 addresses, 100,000 e-mails: {} KiB in 6 limits", after / 1024);
    flood(&shield, 250_000).await;
    let later = in_use() - before;
    eprintln!("250,000 of each, half a million addresses: {} KiB", later / 1024);
    // Six limits, each of 100,000 places.
    assert!((6_000_000..6 * 7_000_000).contains(&after), "{after}");
    assert!(later <= after + after / 100, "{later} after {after}");
}
