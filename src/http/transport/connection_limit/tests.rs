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

async fn admit(limit: &Arc<ConnectionLimit>, client: Option<Subject>) -> Admission {
    let admission = limit.admit(client).await.expect("it is admitted");
    // Of two connections at rest from the same moment, either might be evicted first.
    tokio::time::sleep(Duration::from_millis(2)).await;
    admission
}

/// A connection of a proxy that carries a request of the client `of`, whose body has not arrived completely.
async fn upload(limit: &Arc<ConnectionLimit>, of: Subject) -> Admission {
    let admission = admit(limit, None).await;
    admission.count_for(of).await.expect("it has a share");
    admission
}

fn work(admission: Admission) -> Admission {
    assert!(admission.begin_request(), "it was not evicted");
    admission
}

async fn is_evicted(admission: &Admission) -> bool {
    timeout(Duration::ZERO, admission.evicted()).await.is_ok()
}

/// Waits for `arrival`, and drops each of `held` as soon as it is evicted. Returns the positions of the evicted ones, those that are left, and the output of
/// `arrival`.
async fn left<T>(held: Vec<Admission>, arrival: impl Future<Output = T>) -> (Vec<usize>, Vec<Admission>, T) {
    let mut held: Vec<Option<Admission>> = held.into_iter().map(Some).collect();
    let mut left = Vec::new();
    let mut arrival = std::pin::pin!(arrival);
    let arrived = loop {
        let arrived = timeout(POLL_INTERVAL / 10, arrival.as_mut()).await;
        for (number, admission) in held.iter_mut().enumerate() {
            let leaves = match admission {
                Some(admission) => is_evicted(admission).await,
                None => false,
            };
            if leaves {
                left.push(number);
                *admission = None;
            }
        }
        if let Ok(arrived) = arrived {
            break arrived;
        }
    };
    (left, held.into_iter().flatten().collect(), arrived)
}

/// Whether a new connection still waits after it has looked several times for one to evict.
async fn has_to_wait(arrival: impl Future<Output = Admission>) -> bool {
    timeout(POLL_INTERVAL * 3, arrival).await.is_err()
}

#[tokio::test]
async fn a_connection_at_rest_is_evicted_and_a_busy_one_is_not() {
    let limit = ConnectionLimit::new(2, 2);
    let busy = work(admit(&limit, Some(from(1))).await);
    let resting = admit(&limit, Some(from(2))).await;
    assert!(
        has_to_wait(admit(&limit, Some(from(3)))).await,
        "the evicted connection has not left yet"
    );
    assert!(is_evicted(&resting).await && !is_evicted(&busy).await);
    assert!(!resting.begin_request(), "its request must not be carried out");
    drop(resting);
    let third = work(admit(&limit, Some(from(3))).await);
    let leave = async {
        // No connection is at rest before this one has ended its request.
        busy.end_request();
        busy.evicted().await;
        drop(busy);
    };
    let (last, ()) = tokio::join!(admit(&limit, Some(from(4))), leave);
    assert!(!is_evicted(&third).await);
    assert_eq!(limit.len(), 2);
    drop((third, last));
    assert!(limit.table.lock().is_empty());
    timeout(POLL_INTERVAL, limit.all_gone())
        .await
        .expect("no place is lost");
}

#[tokio::test]
async fn the_one_that_rests_longest_is_evicted_also_of_a_proxy() {
    let limit = ConnectionLimit::new(3, 3);
    let held = vec![
        admit(&limit, Some(from(1))).await,
        upload(&limit, from(2)).await,
        admit(&limit, Some(from(3))).await,
    ];
    held[0].rest();
    let (gone, held, _fourth) = left(held, admit(&limit, Some(from(4)))).await;
    assert_eq!(gone, [1]);
    let (gone, _, _fifth) = left(held, upload(&limit, from(5))).await;
    assert_eq!(gone, [1]);
}

#[tokio::test]
async fn what_a_proxy_keeps_between_two_requests_is_evicted_last() {
    let limit = ConnectionLimit::new(3, 3);
    let kept = upload(&limit, from(1)).await;
    assert!(kept.begin_request(), "it was not evicted");
    kept.end_request();
    let held = vec![
        kept,
        upload(&limit, from(2)).await,
        admit(&limit, Some(from(3))).await,
    ];
    let (gone, held, fourth) = left(held, admit(&limit, Some(from(4)))).await;
    assert_eq!(gone, [1]);
    let (gone, held, fifth) = left(held, admit(&limit, Some(from(5)))).await;
    assert_eq!(gone, [1]);
    let _at_work = (work(fourth), work(fifth));
    let (gone, _, _sixth) = left(held, admit(&limit, Some(from(6)))).await;
    assert_eq!(gone, [0], "the others are at work");
}

#[tokio::test]
async fn a_client_with_its_whole_share_evicts_its_own_directly_and_through_a_proxy() {
    let limit = ConnectionLimit::new(10, 2);
    let mut held = vec![
        admit(&limit, Some(from(2))).await,
        upload(&limit, from(2)).await,
        admit(&limit, Some(from(1))).await,
        upload(&limit, from(1)).await,
    ];
    let (gone, third);
    (gone, held, third) = left(held, upload(&limit, from(1))).await;
    assert_eq!(gone, [2]);
    drop(third);
    let third = work(admit(&limit, Some(from(1))).await);
    let (gone, held, fourth) = left(held, admit(&limit, Some(from(1)))).await;
    assert_eq!(gone, [2]);
    let fourth = work(fourth);
    assert!(limit.admit(Some(from(1))).await.is_err(), "both are at work");
    let of_proxy = admit(&limit, None).await;
    assert_eq!(of_proxy.count_for(from(1)).await, Err(ShareExhausted));
    // The next request may be of another client. Until its head has arrived, the connection counts for no client.
    assert!(of_proxy.begin_request(), "the refusal is answered");
    of_proxy.end_request();
    of_proxy.count_for(from(3)).await.expect("it has a share");
    drop((third, fourth));
    admit(&limit, Some(from(1))).await;
    drop((held, of_proxy));
    assert!(limit.table.lock().is_empty());
}

#[tokio::test]
async fn a_new_connection_over_its_share_evicts_only_one_when_all_places_are_taken() {
    for comes_directly in [true, false] {
        let limit = ConnectionLimit::new(4, 2);
        let held = vec![
            upload(&limit, from(2)).await,
            admit(&limit, Some(from(2))).await,
            upload(&limit, from(1)).await,
            admit(&limit, Some(from(1))).await,
        ];
        let new = async {
            if comes_directly {
                admit(&limit, Some(from(1))).await
            } else {
                upload(&limit, from(1)).await
            }
        };
        let (gone, held, new) = left(held, new).await;
        assert_eq!(gone, [2], "directly: {comes_directly}");
        assert!(
            has_to_wait(async {
                for admission in held.iter().chain([&new]) {
                    assert!(admission.begin_request(), "it is still there");
                }
                admit(&limit, Some(from(3))).await
            })
            .await
        );
    }
}

#[tokio::test]
async fn the_lobby_is_bounded_and_costs_nothing_but_its_place() {
    let limit = ConnectionLimit::new(1, 1);
    let place = work(admit(&limit, Some(from(1))).await);
    let mut lobby = Vec::new();
    for _ in 0..MAX_IN_LOBBY {
        lobby.push(limit.admit(None).await.expect("there is room"));
    }
    assert!(has_to_wait(admit(&limit, None)).await);
    // A connection in the lobby holds no place, so evicting it would free none.
    assert!(!limit.make_room());
    lobby.truncate(2);
    let first = lobby.pop().expect("there are two");
    assert!(
        timeout(POLL_INTERVAL * 3, first.count_for(from(2)))
            .await
            .is_err()
    );
    assert_eq!(lobby[0].count_for(from(2)).await, Err(ShareExhausted));
    drop((first, place));
    lobby[0].count_for(from(2)).await.expect("there is a place");
    assert!(limit.make_room(), "the connection holds a place now");
    drop(lobby);
    assert!(limit.table.lock().is_empty());
    timeout(POLL_INTERVAL, limit.all_gone())
        .await
        .expect("no place is lost");
}
