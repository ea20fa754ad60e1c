//! What one check of the embedded guard costs: every request and every event waits for it.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use chat_core::{
    UserId,
    shield::{AccountAction, AccountVisit, InProcessShield, Quota, Shield, Visit, VisitClass},
};
use divan::{Bencher, black_box};

const BROWSER: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                       Chrome/131.0.0.0 Safari/537.36";

fn main() {
    divan::main();
}

fn visit(class: VisitClass, user_agent: Option<&'static str>) -> Visit<'static> {
    let mut visit = Visit::new(class);
    visit.address = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
    visit.user = Some(UserId::from_bytes([7; 12]));
    visit.user_agent = user_agent;
    visit
}

/// So wide that it is the counting that is measured and not the refusing; and so slow that whoever came once keeps a
/// place for half a minute.
const WIDE: Quota = Quota { limit: 1_000_000, window: Duration::from_secs(365 * 24 * 3600) };

/// Addresses, and e-mails, that came before.
const CROWD: u32 = 100_000;

fn shield() -> InProcessShield {
    InProcessShield::new()
        .with_requests(WIDE)
        .with_user_requests(WIDE)
        .with_events(WIDE)
        .with_logins(WIDE)
        .with_known_logins(WIDE)
        .with_mails(WIDE)
}

#[allow(clippy::unwrap_used, reason = "a bench is no library")]
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

fn run<'a>(bencher: Bencher<'_, '_>, visit: impl Fn() -> Visit<'a>) {
    let (shield, runtime) = (shield(), runtime());
    bencher.bench_local(|| runtime.block_on(shield.check(black_box(&visit()))));
}

/// The same after a crowd came, which fills every place.
fn run_in_a_crowd(bencher: Bencher<'_, '_>, address: impl Fn(u32) -> IpAddr) {
    let (shield, runtime) = (shield(), runtime());
    let next = AtomicU32::new(0);
    let come = || {
        let mut visit = visit(VisitClass::Request, None);
        visit.user = None;
        visit.address = Some(address(next.fetch_add(1, Relaxed)));
        runtime.block_on(shield.check(black_box(&visit)))
    };
    for _ in 0..CROWD {
        come();
    }
    bencher.bench_local(come);
}

fn email(n: u32) -> String {
    format!("somebody.{n}@example.org")
}

/// Attempts at accounts, of a crowd of which each account is one.
fn run_account(bencher: Bencher<'_, '_>, action: AccountAction, is_known: bool) {
    let (shield, runtime) = (shield(), runtime());
    let emails: Vec<_> = (0..CROWD).map(email).collect();
    let next = AtomicU32::new(0);
    let attempt = || {
        let n = next.fetch_add(1, Relaxed) % CROWD;
        let visit = visit(VisitClass::Credentials, Some(BROWSER));
        let attempt = AccountVisit::new(visit, action, &emails[n as usize]).known(is_known);
        runtime.block_on(shield.check_account(black_box(&attempt)))
    };
    for _ in 0..CROWD {
        attempt();
    }
    bencher.bench_local(attempt);
}

#[divan::bench]
fn request_of_a_browser(bencher: Bencher<'_, '_>) {
    run(bencher, || visit(VisitClass::Request, Some(BROWSER)));
}

#[divan::bench]
fn request_of_curl(bencher: Bencher<'_, '_>) {
    run(bencher, || visit(VisitClass::Request, Some("curl/8.5.0")));
}

#[divan::bench]
fn socket_event(bencher: Bencher<'_, '_>) {
    run(bencher, || visit(VisitClass::SocketEvent, None));
}

#[divan::bench]
fn request_of_a_newcomer_each(bencher: Bencher<'_, '_>) {
    let next = AtomicU32::new(0);
    run(bencher, || {
        let mut visit = visit(VisitClass::Request, None);
        visit.address = Some(IpAddr::V4(Ipv4Addr::from_bits(next.fetch_add(1, Relaxed))));
        visit
    });
}

#[divan::bench]
fn one_of_100_000_ipv4(bencher: Bencher<'_, '_>) {
    run_in_a_crowd(bencher, |n| IpAddr::V4(Ipv4Addr::from_bits(n % CROWD)));
}

#[divan::bench]
fn one_of_100_000_ipv6(bencher: Bencher<'_, '_>) {
    run_in_a_crowd(bencher, |n| IpAddr::V6(Ipv6Addr::from_bits(u128::from(n % CROWD) << 64)));
}

/// So many at once that the looks for places that are free again are among them.
#[divan::bench(sample_size = 1024)]
fn a_newcomer_each_when_100_000_are_in(bencher: Bencher<'_, '_>) {
    run_in_a_crowd(bencher, |n| IpAddr::V4(Ipv4Addr::from_bits(n)));
}

#[divan::bench]
fn login_of_a_stranger_at_one_of_100_000(bencher: Bencher<'_, '_>) {
    run_account(bencher, AccountAction::LogIn, false);
}

#[divan::bench]
fn login_on_a_known_device(bencher: Bencher<'_, '_>) {
    run_account(bencher, AccountAction::LogIn, true);
}

#[divan::bench]
fn sign_up(bencher: Bencher<'_, '_>) {
    run_account(bencher, AccountAction::SignUp, false);
}

/// What looking at path and query costs: nothing to see, something that has to be decoded, and a scanner.
#[cfg(feature = "http")]
#[divan::bench(args = [
    "/api/messages/0123456789abcdef01234567?limit=50&before=0123456789abcdef01234567",
    "/caf%C3%A9?q=some%20words",
    "/.env",
])]
#[allow(clippy::unwrap_used, reason = "a bench is no library")]
fn request_for(bencher: Bencher<'_, '_>, uri: &str) {
    let (head, ()) = http::Request::get(uri).body(()).unwrap().into_parts();
    run(bencher, || {
        let mut visit = visit(VisitClass::Request, None);
        visit.head = Some(&head);
        visit
    });
}
