use std::net::IpAddr;

use super::*;

fn client(peer: &str, trusted: &[&str], unix: bool) -> Option<Subject> {
    let networks = trusted
        .iter()
        .map(|network| network.parse().expect("it is a network"));
    let trusted = TrustedProxies {
        networks: networks.collect(),
        unix,
    };
    client_of(peer.parse().map_or(Peer::Unix, Peer::Address), &trusted)
}

#[test]
fn a_connection_counts_for_an_address_or_the_network_of_a_customer() {
    let network = |text: &str| {
        Some(Subject::Network(
            text.parse::<IpAddr>().expect("it is an address"),
        ))
    };
    assert_eq!(client("192.0.2.7", &[], false), network("192.0.2.7"));
    assert_eq!(client("2001:db8:1:2:3::4", &[], false), network("2001:db8:1:2::"));
    assert_eq!(client("unix", &[], false), Some(Subject::Local));
    assert_eq!(client("192.0.2.7", &["192.0.2.0/24"], false), None);
    assert_eq!(client("unix", &[], true), None);
}

fn from(last: u8) -> Subject {
    Subject::Network([192, 0, 2, last].into())
}

async fn admit(slots: &Arc<Slots>, client: Option<Subject>) -> Slot {
    let slot = slots.admit(client).await.expect("it is admitted");
    // So that no two rest for equally long.
    tokio::time::sleep(Duration::from_millis(2)).await;
    slot
}

/// A connection of a proxy with a request of a client on it whose body is not whole.
async fn upload(slots: &Arc<Slots>, of: Subject) -> Slot {
    let slot = admit(slots, None).await;
    slot.count_for(of).await.expect("it has a share");
    slot
}

fn work(slot: Slot) -> Slot {
    slot.begin().expect("it was not asked to leave");
    slot
}

async fn is_sent_away(slot: &Slot) -> bool {
    timeout(Duration::ZERO, slot.sent_away()).await.is_ok()
}

/// Which of `slots` make way when `newcomer` comes, however long it waits; they leave at once.
async fn left<T>(slots: Vec<Slot>, newcomer: impl Future<Output = T>) -> (Vec<usize>, Vec<Slot>, T) {
    let mut slots: Vec<Option<Slot>> = slots.into_iter().map(Some).collect();
    let mut left = Vec::new();
    let mut newcomer = std::pin::pin!(newcomer);
    let arrived = loop {
        let arrived = timeout(LOOK_AGAIN_AFTER / 10, newcomer.as_mut()).await;
        for (number, slot) in slots.iter_mut().enumerate() {
            let leaves = match slot {
                Some(slot) => is_sent_away(slot).await,
                None => false,
            };
            if leaves {
                left.push(number);
                *slot = None;
            }
        }
        if let Ok(arrived) = arrived {
            break arrived;
        }
    };
    (left, slots.into_iter().flatten().collect(), arrived)
}

/// Whether a newcomer is still waiting after having looked around several times.
async fn has_to_wait(newcomer: impl Future<Output = Slot>) -> bool {
    timeout(LOOK_AGAIN_AFTER * 3, newcomer).await.is_err()
}

#[tokio::test]
async fn a_connection_at_rest_makes_way_and_none_at_work() {
    let slots = Slots::new(2, 2);
    let busy = work(admit(&slots, Some(from(1))).await);
    let resting = admit(&slots, Some(from(2))).await;
    assert!(
        has_to_wait(admit(&slots, Some(from(3)))).await,
        "it has not left yet"
    );
    assert!(is_sent_away(&resting).await && !is_sent_away(&busy).await);
    assert!(resting.begin().is_err(), "its request must not be carried out");
    drop(resting);
    let newcomer = work(admit(&slots, Some(from(3))).await);
    let leave = async {
        // None is at rest now, until this one is.
        busy.end();
        busy.sent_away().await;
        drop(busy);
    };
    let (last, ()) = tokio::join!(admit(&slots, Some(from(4))), leave);
    assert!(!is_sent_away(&newcomer).await);
    assert_eq!(slots.taken(), 2);
    drop((newcomer, last));
    assert!(slots.table().is_empty());
    timeout(LOOK_AGAIN_AFTER, slots.all_free())
        .await
        .expect("no place is lost");
}

#[tokio::test]
async fn the_one_that_rests_longest_makes_way_also_of_a_proxy() {
    let slots = Slots::new(3, 3);
    let held = vec![
        admit(&slots, Some(from(1))).await,
        upload(&slots, from(2)).await,
        admit(&slots, Some(from(3))).await,
    ];
    held[0].rest();
    let (gone, held, _fourth) = left(held, admit(&slots, Some(from(4)))).await;
    assert_eq!(gone, [1]);
    let (gone, _, _fifth) = left(held, upload(&slots, from(5))).await;
    assert_eq!(gone, [1]);
}

#[tokio::test]
async fn what_a_proxy_keeps_between_two_requests_makes_way_last() {
    let slots = Slots::new(3, 3);
    let kept = upload(&slots, from(1)).await;
    kept.begin().expect("it was not asked to leave");
    kept.end();
    let held = vec![
        kept,
        upload(&slots, from(2)).await,
        admit(&slots, Some(from(3))).await,
    ];
    let (gone, held, fourth) = left(held, admit(&slots, Some(from(4)))).await;
    assert_eq!(gone, [1]);
    let (gone, held, fifth) = left(held, admit(&slots, Some(from(5)))).await;
    assert_eq!(gone, [1]);
    let _at_work = (work(fourth), work(fifth));
    let (gone, _, _sixth) = left(held, admit(&slots, Some(from(6)))).await;
    assert_eq!(gone, [0], "it is the only one that can");
}

#[tokio::test]
async fn a_client_with_its_whole_share_replaces_its_own_whichever_way_it_comes() {
    let slots = Slots::new(10, 2);
    let mut held = vec![
        admit(&slots, Some(from(2))).await,
        upload(&slots, from(2)).await,
        admit(&slots, Some(from(1))).await,
        upload(&slots, from(1)).await,
    ];
    let (gone, third);
    (gone, held, third) = left(held, upload(&slots, from(1))).await;
    assert_eq!(gone, [2]);
    drop(third);
    let third = work(admit(&slots, Some(from(1))).await);
    let (gone, held, fourth) = left(held, admit(&slots, Some(from(1)))).await;
    assert_eq!(gone, [2]);
    let fourth = work(fourth);
    assert!(slots.admit(Some(from(1))).await.is_err(), "both are at work");
    let of_proxy = admit(&slots, None).await;
    assert_eq!(of_proxy.count_for(from(1)).await, Err(Crowded));
    // It may be for another client, and counts for none until then.
    of_proxy.begin().expect("the refusal is answered");
    of_proxy.end();
    of_proxy.count_for(from(3)).await.expect("this one has a share");
    drop((third, fourth));
    admit(&slots, Some(from(1))).await;
    drop((held, of_proxy));
    assert!(slots.table().is_empty());
}

#[tokio::test]
async fn a_newcomer_over_its_share_costs_one_connection_when_all_places_are_taken() {
    for comes_directly in [true, false] {
        let slots = Slots::new(4, 2);
        let held = vec![
            upload(&slots, from(2)).await,
            admit(&slots, Some(from(2))).await,
            upload(&slots, from(1)).await,
            admit(&slots, Some(from(1))).await,
        ];
        let newcomer = async {
            if comes_directly {
                admit(&slots, Some(from(1))).await
            } else {
                upload(&slots, from(1)).await
            }
        };
        let (gone, held, newcomer) = left(held, newcomer).await;
        assert_eq!(gone, [2], "directly: {comes_directly}");
        assert!(
            has_to_wait(async {
                for slot in held.iter().chain([&newcomer]) {
                    slot.begin().expect("it is still there");
                }
                admit(&slots, Some(from(3))).await
            })
            .await
        );
    }
}

#[tokio::test]
async fn the_lobby_is_bounded_and_costs_nothing_but_its_place() {
    let slots = Slots::new(1, 1);
    let place = work(admit(&slots, Some(from(1))).await);
    let mut lobby = Vec::new();
    for _ in 0..LOBBY {
        lobby.push(slots.admit(None).await.expect("there is room"));
    }
    assert!(has_to_wait(admit(&slots, None)).await);
    // What is in the lobby has no place to give.
    assert!(!slots.make_room());
    lobby.truncate(2);
    let first = lobby.pop().expect("there are two");
    assert!(
        timeout(LOOK_AGAIN_AFTER * 3, first.count_for(from(2)))
            .await
            .is_err()
    );
    assert_eq!(lobby[0].count_for(from(2)).await, Err(Crowded));
    drop((first, place));
    lobby[0].count_for(from(2)).await.expect("there is a place");
    assert!(slots.make_room(), "it has a place to give now");
    drop(lobby);
    assert!(slots.table().is_empty());
    timeout(LOOK_AGAIN_AFTER, slots.all_free())
        .await
        .expect("no place is lost");
}
