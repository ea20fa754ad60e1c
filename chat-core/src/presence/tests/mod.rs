//! In a time that stands still unless everybody waits, on a store in memory.

mod world;

use std::{collections::HashSet, sync::atomic::Ordering, time::Duration};

use tokio::time::sleep;

use self::world::node;
use super::{
    book::Book,
    lease::{LIFE, RENEW},
    teller::TICK,
    tracker::AT_ONCE,
};
use crate::Timestamp;

const GRACE: Duration = Duration::from_secs(5);
/// Enough for a tick and what follows it.
const SOON: Duration = Duration::from_millis(300);

#[tokio::test(start_paused = true)]
async fn a_departure_counts_after_the_grace_only() {
    let (node, [ann, bob]) = node().await;
    let came = node.memory.now();
    let here = node.tracker.arrive(ann);
    sleep(SOON).await;
    assert_eq!((node.stored(ann), node.told(bob, ann)), ((true, came), vec![true]));
    drop(here);
    sleep(GRACE - Duration::from_millis(10)).await;
    let here = node.tracker.arrive(ann);
    sleep(GRACE * 2).await;
    assert_eq!((node.stored(ann), node.told(bob, ann)), ((true, came), vec![]), "a reload");
    drop(here);
    sleep(GRACE - Duration::from_millis(1)).await;
    assert!(node.tracker.is_online(ann));
    sleep(Duration::from_millis(2)).await;
    assert!(!node.tracker.is_online(ann));
    sleep(SOON).await;
    assert!(!node.stored(ann).0 && node.stored(ann).1 > came);
    assert_eq!(node.told(bob, ann), [false]);
    assert!(
        node.tracker.users.is_empty() && node.tracker.news.take().is_empty(),
        "nothing is kept of who has gone"
    );
}

#[tokio::test(start_paused = true)]
async fn who_goes_and_comes_within_a_tick_is_not_told_of() {
    let (node, [ann, bob]) = node().await;
    let mut here = node.tracker.arrive(ann);
    sleep(SOON).await;
    assert_eq!(node.told(bob, ann), [true]);
    node.memory.world().writes.clear();
    for _ in 0..100 {
        node.tracker.depart(ann);
        drop(here);
        assert!(!node.tracker.is_online(ann));
        here = node.tracker.arrive(ann);
    }
    sleep(SOON).await;
    assert_eq!((node.told(bob, ann), node.stored(ann).0), (vec![], true));
    assert_eq!(node.memory.world().writes, [(ann, true)], "stored once");
    node.tracker.depart(ann);
    drop(here);
    sleep(TICK / 2).await;
    here = node.tracker.arrive(ann);
    sleep(SOON).await;
    assert!(node.told(bob, ann).is_empty());
    node.tracker.depart(ann);
    drop(here);
    for _ in 0..3 {
        let here = node.tracker.arrive(ann);
        node.tracker.depart(ann);
        drop(here);
    }
    sleep(SOON).await;
    assert_eq!((node.told(bob, ann), node.stored(ann).0), (vec![false], false));
}

#[tokio::test(start_paused = true)]
async fn who_saw_what_the_others_were_not_told_is_told_of_the_change_back() {
    let (node, [ann, bob]) = node().await;
    let here = node.tracker.arrive(ann);
    assert_eq!(node.seen_by(bob).await, HashSet::from([ann]));
    node.tracker.depart(ann);
    drop(here);
    sleep(SOON).await;
    assert_eq!(node.told(bob, ann), [false]);
    let here = node.tracker.arrive(ann);
    sleep(SOON).await;
    node.told(bob, ann);
    node.tracker.depart(ann);
    drop(here);
    assert!(node.seen_by(bob).await.is_empty());
    let _here = node.tracker.arrive(ann);
    sleep(SOON).await;
    assert_eq!(node.told(bob, ann), [true]);
}

#[tokio::test(start_paused = true)]
async fn many_at_once_are_stored_and_told_a_few_at_a_time() {
    let (node, people) = node::<300>().await;
    let calls = node.memory.calls.load(Ordering::SeqCst);
    let here: Vec<_> = people.iter().map(|user| node.tracker.arrive(*user)).collect();
    sleep(SOON).await;
    assert_eq!(node.memory.most_at_once.load(Ordering::SeqCst), AT_ONCE);
    assert_eq!(node.memory.calls.load(Ordering::SeqCst) - calls, 3 * people.len(), "asked, stored and told");
    assert_eq!(node.memory.world().told.len(), people.len() * (people.len() - 1), "each of each, once");
    let calls = node.memory.calls.load(Ordering::SeqCst);
    sleep(Duration::from_secs(3600)).await;
    let renewals = node.memory.calls.load(Ordering::SeqCst) - calls;
    assert!(renewals <= 360 + 120, "nothing else is done while nothing changes: {renewals}");
    drop(here);
    sleep(GRACE + SOON).await;
    assert!(node.tracker.users.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_a_store_that_is_away_missed_it_gets_later() {
    let (node, [ann, bob, eve]) = node().await;
    let (anns, _bobs) = (node.tracker.arrive(ann), node.tracker.arrive(bob));
    sleep(SOON).await;
    node.memory.world().told.clear();
    node.set_away(true);
    let calls = node.memory.calls.load(Ordering::SeqCst);
    drop(anns);
    sleep(GRACE + SOON).await;
    let here = node.tracker.arrive(eve);
    sleep(Duration::from_secs(9)).await;
    drop(here);
    let _here = node.tracker.arrive(eve);
    let calls = node.memory.calls.load(Ordering::SeqCst) - calls;
    assert!((3..40).contains(&calls), "asked again and again, but not all the time: {calls}");
    assert!(node.memory.world().told.is_empty());
    node.set_away(false);
    sleep(Duration::from_secs(6)).await;
    assert_eq!((node.stored(ann).0, node.stored(eve).0), (false, true));
    assert_eq!((node.told(bob, ann), node.told(bob, eve)), (vec![false], vec![true]));
}

#[tokio::test(start_paused = true)]
async fn a_killed_process_leaves_nobody_online() {
    let (killed, [ann, bob]) = node().await;
    let other = killed.another(false).await;
    let _bobs = other.tracker.arrive(bob);
    let _anns = killed.tracker.arrive(ann);
    sleep(RENEW + SOON).await;
    let renewed = killed.memory.world().leases[&*killed.tracker.lease.name()];
    killed.kill();
    sleep(RENEW).await;
    assert!(other.stored(ann).0);
    sleep(LIFE * 2).await;
    assert_eq!(other.stored(ann), (false, renewed), "seen last when it was heard of last");
    assert!(other.stored(bob).0, "the other one goes on");
}

#[tokio::test(start_paused = true)]
async fn a_start_leaves_those_of_other_processes_alone_unless_there_can_be_none() {
    let (first, [ann, bob]) = node().await;
    let _anns = first.tracker.arrive(ann);
    sleep(SOON).await;
    let second = first.another(false).await;
    assert!(second.stored(ann).0);
    let _bobs = second.tracker.arrive(bob);
    sleep(LIFE * 4).await;
    assert!(first.stored(ann).0 && first.stored(bob).0, "both go on renewing");
    first.kill();
    let third = first.another(true).await;
    assert!(!third.stored(ann).0);
}

#[tokio::test(start_paused = true)]
async fn who_is_here_is_so_again_after_the_lease_was_lost() {
    let (cut_off, [ann, bob, eve]) = node().await;
    let other = cut_off.another(false).await;
    let came = cut_off.memory.now();
    let (_anns, eves) = (cut_off.tracker.arrive(ann), cut_off.tracker.arrive(eve));
    sleep(SOON).await;
    cut_off.set_away(true);
    sleep(Duration::from_secs(1)).await;
    drop(eves);
    sleep(LIFE * 2).await;
    assert!(!other.stored(ann).0, "nobody renewed it");
    cut_off.memory.world().told.clear();
    cut_off.set_away(false);
    sleep(RENEW).await;
    assert_eq!(cut_off.stored(ann), (true, came));
    assert!(!cut_off.stored(eve).0);
    sleep(LIFE * 4).await;
    assert!(cut_off.stored(ann).0, "by a lease that is renewed");
    assert_eq!(
        (cut_off.told(bob, ann), cut_off.told(bob, eve)),
        (vec![], vec![false]),
        "no news to anybody here"
    );
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_is_one_write() {
    let (node, people) = node::<50>().await;
    let here: Vec<_> = people.iter().skip(1).map(|user| node.tracker.arrive(*user)).collect();
    sleep(SOON).await;
    node.tracker.visit(people[0]);
    let calls = node.memory.calls.load(Ordering::SeqCst);
    node.shut_down().await;
    let calls = node.memory.calls.load(Ordering::SeqCst) - calls;
    assert!(calls <= 3, "the visit, which was news, and the lease: {calls}");
    let now = node.memory.now();
    for user in people {
        let (is_online, last_seen) = node.stored(user);
        assert!(!is_online && now.as_millis() - last_seen.as_millis() < 1000);
    }
    assert!(node.memory.world().leases.is_empty());
    drop(here);
}

#[tokio::test(start_paused = true)]
async fn nobody_sees_who_is_invisible() {
    let (node, [ann, bob]) = node().await;
    let _bobs = node.tracker.arrive(bob);
    node.memory.world().entries.get_mut(&ann).unwrap().is_invisible = true;
    for _ in 0..3 {
        node.tracker.visit(ann);
        let here = node.tracker.arrive(ann);
        assert!(node.tracker.is_online(ann) && node.seen_by(bob).await.is_empty());
        sleep(SOON).await;
        assert!(node.seen_by(bob).await.is_empty() && node.seen_by(ann).await.contains(&bob));
        drop(here);
        sleep(GRACE + SOON).await;
    }
    assert_eq!((node.told(bob, ann), node.stored(ann)), (vec![], (false, Timestamp::from_millis(0))));

    let here = node.tracker.arrive(ann);
    sleep(SOON).await;
    node.choose(ann, false).await;
    assert!(node.seen_by(bob).await.contains(&ann), "at once");
    sleep(SOON).await;
    assert_eq!((node.told(bob, ann), node.stored(ann).0), (vec![true], true));
    sleep(Duration::from_secs(60)).await;
    let gone = node.memory.now();
    node.choose(ann, true).await;
    assert!(node.seen_by(bob).await.is_empty(), "at once");
    sleep(SOON).await;
    assert_eq!((node.told(bob, ann), node.stored(ann)), (vec![false], (false, gone)));
    drop(here);
    sleep(GRACE + SOON).await;
    let _here = node.tracker.arrive(ann);
    sleep(LIFE * 4).await;
    assert_eq!(
        (node.told(bob, ann), node.stored(ann)),
        (vec![], (false, gone)),
        "seen last when it went unseen"
    );
}

/// The choice is made at every moment of a settling that is under way.
#[tokio::test(start_paused = true)]
async fn nobody_is_told_of_who_has_become_invisible_meanwhile() {
    for moment in 0..8 {
        let (node, [ann, bob]) = node().await;
        let _here = node.tracker.arrive(ann);
        sleep(TICK + Duration::from_micros(500 * moment)).await;
        node.choose(ann, true).await;
        let before = node.told(bob, ann);
        sleep(SOON * 2).await;
        let after = node.told(bob, ann);
        assert!(!after.contains(&true), "at {moment}: {before:?}, then {after:?}");
        assert_eq!(before.len(), after.len(), "what was told is taken back");
        assert!(!node.stored(ann).0, "at {moment}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_blocked_sees_the_other_go() {
    for moment in 0..12 {
        let (node, [ann, bob, eve]) = node().await;
        let (here, _bobs) = (node.tracker.arrive(ann), node.tracker.arrive(bob));
        sleep(TICK + Duration::from_micros(500 * moment)).await;
        node.block(ann, bob, true).await;
        sleep(SOON * 2).await;
        assert_ne!(node.told(bob, ann).last(), Some(&true), "at {moment}");
        assert_eq!((node.told(eve, ann), node.told(ann, bob)), (vec![true], vec![true]));
        assert!(node.seen_by(bob).await.is_empty() && node.seen_by(eve).await.contains(&ann));
        node.tracker.depart(ann);
        drop(here);
        sleep(SOON).await;
        let _here = node.tracker.arrive(ann);
        sleep(SOON).await;
        assert_eq!((node.told(bob, ann), node.told(eve, ann)), (vec![], vec![false, true]));
        node.block(ann, bob, false).await;
        assert_eq!((node.told(bob, ann), node.told(eve, ann)), (vec![true], vec![]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_visit_is_stored_and_not_told() {
    let (node, [ann, bob]) = node().await;
    let at = node.memory.now();
    node.tracker.visit(ann);
    sleep(SOON).await;
    assert_eq!(node.stored(ann), (true, at));
    sleep(GRACE).await;
    assert_eq!(node.stored(ann), (false, at));
    assert!(node.told(bob, ann).is_empty() && node.tracker.users.is_empty());
}
