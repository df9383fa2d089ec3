//! A backup beside a server that writes as fast as it can.

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::support::{PASSWORD, Request, Workspace, registration};

const CLIENTS: usize = 16;

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_beside_many_writes_has_every_write_that_was_answered_before_it_began() {
    let mut workspace = Workspace::of_sqlite();
    workspace.set("ARKLOOP_REGISTRATION__MODE", "open");
    workspace.set("ARKLOOP_RATE_LIMIT__ENABLED", "false");
    let server = workspace.serve();
    let address: SocketAddr = server.address().parse().expect("it is an address");
    let (registered, is_over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (registered, is_over) = (Arc::clone(&registered), Arc::clone(&is_over));
        clients.spawn(async move {
            for number in 0.. {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                let login = format!("c{client}-{number}");
                let request = Request::new(address, "POST", "/v1/auth/register");
                let answer = request.json(&registration(&login)).send().await;
                assert_eq!(answer.status, 201, "{answer:?}");
                registered.lock().expect("nobody panicked").push(login);
            }
        });
    }
    while registered.lock().expect("nobody panicked").len() < 10 * CLIENTS {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let before = registered.lock().expect("nobody panicked").clone();
    let workspace = tokio::task::spawn_blocking(move || {
        workspace.json(&["backup", "copy.db"]);
        workspace
    });
    let workspace = workspace.await.expect("the backup is made");
    is_over.store(true, Ordering::SeqCst);
    let after = registered.lock().expect("nobody panicked").len();
    assert!(after > before.len(), "nothing was written meanwhile");
    while let Some(client) = clients.join_next().await {
        client.expect("every write was answered");
    }
    drop(server);
    check_restored(&workspace, &before);
}

fn check_restored(workspace: &Workspace, before: &[String]) {
    fs::remove_file(workspace.path().join("data/arkloop.db")).expect("it is there");
    workspace.json(&["restore", "copy.db", "--yes"]);
    let users = workspace.json(&["user", "list"]);
    let found: Vec<&str> = users
        .as_array()
        .expect("it is a list")
        .iter()
        .filter_map(|user| user["username"].as_str())
        .collect();
    let missing: Vec<&String> = before
        .iter()
        .filter(|login| !found.contains(&login.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    let server = workspace.serve();
    let body = serde_json::json!({"login": before[0], "password": PASSWORD});
    assert_eq!(server.request("POST", "/v1/auth/login", None, Some(&body)).0, 200);
}
