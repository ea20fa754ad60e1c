//! What one check of the embedded guard costs: every request and every event waits for it.

use std::{
    net::{IpAddr, Ipv4Addr},
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

#[allow(clippy::unwrap_used, reason = "a bench is no library")]
fn run(bencher: Bencher<'_, '_>, visit: impl Fn() -> Visit<'static>) {
    // So wide that it is the counting that is measured and not the refusing.
    let wide = Quota { limit: u32::MAX, window: Duration::from_secs(60) };
    let shield = InProcessShield::new().with_requests(wide).with_user_requests(wide).with_events(wide);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    bencher.bench_local(|| runtime.block_on(shield.check(black_box(&visit()))));
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

/// With all places taken: by 100,000 addresses, and more that share what is left.
#[divan::bench]
#[allow(clippy::unwrap_used, reason = "a bench is no library")]
fn request_in_a_flood(bencher: Bencher<'_, '_>) {
    let shield = InProcessShield::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let next = AtomicU32::new(0);
    let newcomer = || {
        let mut visit = visit(VisitClass::Request, Some(BROWSER));
        visit.user = None;
        visit.address = Some(IpAddr::V4(Ipv4Addr::from_bits(next.fetch_add(1, Relaxed))));
        visit
    };
    for _ in 0..150_000 {
        runtime.block_on(shield.check(&newcomer()));
    }
    bencher.bench_local(|| runtime.block_on(shield.check(black_box(&newcomer()))));
}

/// An attempt at one account after the other.
#[divan::bench]
#[allow(clippy::unwrap_used, reason = "a bench is no library")]
fn login_to_an_account_each(bencher: Bencher<'_, '_>) {
    let shield = InProcessShield::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let next = AtomicU32::new(0);
    bencher.bench_local(|| {
        let email = format!("somebody.{}@example.org", next.fetch_add(1, Relaxed));
        let attempt =
            AccountVisit::new(visit(VisitClass::Credentials, Some(BROWSER)), AccountAction::LogIn, &email);
        runtime.block_on(shield.check_account(black_box(&attempt)))
    });
}
