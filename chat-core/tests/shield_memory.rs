//! How much memory the embedded guard takes under a flood of addresses and e-mails: counted, byte by byte.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test stops at what is not as it should be")]

use std::{
    alloc::System,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use chat_core::shield::{AccountAction, AccountVisit, InProcessShield, Quota, Shield, Visit, VisitClass};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn in_use() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// So slow that nobody's place is free again while the test runs: how fast it runs must not matter.
const SLOW: Quota = Quota { limit: 1000, window: Duration::from_secs(365 * 24 * 3600) };

async fn visit(shield: &InProcessShield, class: VisitClass, address: impl Into<IpAddr>) {
    let mut visit = Visit::new(class);
    visit.address = Some(address.into());
    shield.check(&visit).await;
}

/// One visit of each of so many addresses of both kinds.
async fn flood(shield: &InProcessShield, class: VisitClass, newcomers: u32) {
    for n in 0..newcomers / 2 {
        visit(shield, class, Ipv4Addr::from_bits(n)).await;
        visit(shield, class, Ipv6Addr::from_bits(u128::from(n) << 64)).await;
    }
}

/// One attempt at each of so many accounts, of each kind that is counted.
async fn guess(shield: &InProcessShield, accounts: u32) {
    for n in 0..accounts {
        let email = format!("somebody.{n}@example.org");
        for (action, is_known) in
            [(AccountAction::LogIn, false), (AccountAction::LogIn, true), (AccountAction::Mail, false)]
        {
            let visit = Visit::new(VisitClass::Credentials);
            shield.check_account(&AccountVisit::new(visit, action, &email).known(is_known)).await;
        }
    }
}

// One test, because a counting allocator counts for the whole process.
#[tokio::test]
async fn a_flood_fills_no_memory() {
    let shield = InProcessShield::new()
        .with_requests(SLOW)
        .with_credentials(SLOW)
        .with_connects(SLOW)
        .with_logins(SLOW)
        .with_known_logins(SLOW)
        .with_mails(SLOW);
    let before = in_use();
    for class in [VisitClass::Request, VisitClass::Credentials, VisitClass::Connect] {
        flood(&shield, class, 100_000).await;
    }
    guess(&shield, 100_000).await;
    let after = in_use() - before;
    eprintln!("100,000 addresses of both kinds in 3 limits, 100,000 e-mails in 3: {} KiB", after / 1024);
    // 24 bytes for each of 100,000 keys in each of 6 limits, and the room that a hash table leaves free.
    assert!((6 * 2_400_000..6 * 5_000_000).contains(&after), "{after}");
    flood(&shield, VisitClass::Request, 1_000_000).await;
    guess(&shield, 200_000).await;
    let later = in_use() - before;
    eprintln!("1,000,000 addresses, 200,000 e-mails: {} KiB", later / 1024);
    assert!(later <= after + 1024, "{later} after {after}");
}
