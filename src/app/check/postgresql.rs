//! Checks of the PostgreSQL that holds the database.

use std::time::Duration;

use super::finding::Finding;
use crate::config::Config;
use crate::domain::{Timestamp, in_words};
use crate::service::Inspection;
use crate::store::DatabaseServer;

/// How far the clocks of the two machines may differ: as far as the clock may be behind the newest stored time (`CLOCK_SLACK`).
const CLOCK_SLACK: Duration = Duration::from_mins(2);
/// A standby that is further behind than this would lose what was acknowledged meanwhile.
const MOST_LAG: Duration = Duration::from_mins(1);
/// Fewer free connections than this are not enough for one more server and a few commands.
const LEAST_FREE: u64 = 20;
const MIB: u64 = 1024 * 1024;
const SUBJECT: &str = "postgresql";
const GRANT: &str =
    "make the role the owner of the database: ALTER DATABASE … OWNER TO …, and of its tables: REASSIGN OWNED";

pub(super) fn check(
    config: &Config,
    inspection: &Inspection,
    server: &DatabaseServer,
    now: Timestamp,
) -> Vec<Finding> {
    let mut findings = vec![check_version(config, inspection, server)];
    findings.extend(check_clock(server, now));
    findings.extend(check_settings(server));
    findings.extend(check_role(server));
    findings.push(check_replication(server));
    findings.push(check_connections(server));
    findings
}

fn check_version(config: &Config, inspection: &Inspection, server: &DatabaseServer) -> Finding {
    let shown = config.database_path();
    let protection = match &server.tls {
        Some(version) => version,
        None if config.database_url.as_ref().is_some_and(|url| url.is_exposed()) => "no TLS",
        None => "no TLS, as it does not leave this machine",
    };
    let seen = format!(
        "PostgreSQL {} at {}, {protection}; {} MiB, and of the schema that this version knows",
        server.version,
        shown.display(),
        inspection.bytes / MIB
    );
    Finding::good(SUBJECT, seen)
}

/// The differences between the two clocks decide nothing, because each server uses its own; but one of them is wrong.
fn check_clock(server: &DatabaseServer, now: Timestamp) -> Option<Finding> {
    const MEND: &str = "set the clocks of both machines and keep them set: timedatectl set-ntp true";
    let (earlier, later) = (now.min(server.now), now.max(server.now));
    (later.since(earlier) > CLOCK_SLACK).then(|| {
        let seen = format!("it says {now}, and that of PostgreSQL {}", server.now);
        Finding::bad("clock", seen, MEND)
    })
}

fn check_settings(server: &DatabaseServer) -> impl Iterator<Item = Finding> {
    let read_only = if server.is_standby {
        Some(Finding::bad(
            SUBJECT,
            "it is a standby, which takes no writes",
            "name the primary in database.url, or both hosts: host=a,b",
        ))
    } else if server.is_read_only {
        Some(Finding::bad(
            SUBJECT,
            "it takes no writes: default_transaction_read_only is on",
            "see why it was turned on (some providers do so when the disk is full), and turn it off",
        ))
    } else {
        None
    };
    let encoding = (server.encoding != "UTF8").then(|| {
        Finding::bad(
            SUBJECT,
            format!("the encoding of the database is {}", server.encoding),
            "make another one, and copy the data: createdb --template template0 --encoding UTF8",
        )
    });
    let settings = server.unsafe_settings.join(", ");
    let unsafe_settings = (!settings.is_empty()).then(|| {
        Finding::unwise(
            SUBJECT,
            format!("{settings}: a loss of power can lose what was acknowledged, or the whole database"),
            "turn it on in postgresql.conf",
        )
    });
    [read_only, encoding, unsafe_settings].into_iter().flatten()
}

fn check_role(server: &DatabaseServer) -> impl Iterator<Item = Finding> {
    let role = &server.role;
    let superuser = role.is_superuser.then(|| {
        Finding::unwise(
            SUBJECT,
            format!(
                "the role {} is a superuser, who may read every database and run programs there",
                role.name
            ),
            "make a role that owns this database and nothing else, and name it in database.url",
        )
    });
    let closed = (server.closed_tables > 0).then(|| {
        let tables = server.closed_tables;
        let seen = format!(
            "the role {} may not read and write {tables} of the tables",
            role.name
        );
        Finding::bad(SUBJECT, seen, GRANT)
    });
    let making = (!role.may_create).then(|| {
        let seen = format!(
            "the role {} may make no tables, which a later version needs",
            role.name
        );
        Finding::unwise(SUBJECT, seen, GRANT)
    });
    [superuser, closed, making].into_iter().flatten()
}

fn check_replication(server: &DatabaseServer) -> Finding {
    const SUBJECT: &str = "replication";
    let standbys = &server.standbys;
    if standbys.count == 0 {
        return Finding::good(SUBJECT, "no standby is connected");
    }
    let how = if standbys.is_synchronous {
        "commits wait for a standby"
    } else {
        "commits do not wait for them, so that a failover can lose the last ones"
    };
    let seen = format!("standbys: {}; {how}", standbys.count);
    match standbys.lag_ms.map(Duration::from_millis) {
        Some(lag) if lag > MOST_LAG => Finding::unwise(
            SUBJECT,
            format!(
                "{seen}; the last one is {} behind",
                in_words(Duration::from_secs(lag.as_secs()))
            ),
            "see pg_stat_replication, and the log of the standby",
        ),
        _ => Finding::good(SUBJECT, seen),
    }
}

fn check_connections(server: &DatabaseServer) -> Finding {
    const SUBJECT: &str = "connections";
    let (used, most) = (server.connections.used, server.connections.most);
    let seen = format!(
        "{used} of the {most} of PostgreSQL are in use; servers of arkloop: {}",
        server.servers
    );
    if most.saturating_sub(used) < LEAST_FREE {
        return Finding::unwise(
            SUBJECT,
            seen,
            "raise max_connections in postgresql.conf, or see in pg_stat_activity who has so many",
        );
    }
    Finding::good(SUBJECT, seen)
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;
    use crate::store::{Connections, DatabaseRole, Standbys};

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    fn healthy() -> DatabaseServer {
        DatabaseServer {
            version: "15.6".to_owned(),
            encoding: "UTF8".to_owned(),
            now: NOW,
            tls: None,
            is_standby: false,
            is_read_only: false,
            unsafe_settings: Vec::new(),
            role: DatabaseRole {
                name: "arkloop".to_owned(),
                is_superuser: false,
                may_create: true,
            },
            closed_tables: 0,
            connections: Connections { used: 5, most: 97 },
            servers: 2,
            standbys: Standbys {
                count: 0,
                lag_ms: None,
                is_synchronous: false,
            },
        }
    }

    fn seen(findings: impl IntoIterator<Item = Finding>) -> Vec<(State, String)> {
        let findings = findings.into_iter();
        findings.map(|finding| (finding.state, finding.seen)).collect()
    }

    #[test]
    fn a_clock_that_differs_is_found() {
        let of = |now| {
            let server = DatabaseServer { now, ..healthy() };
            check_clock(&server, NOW).is_some()
        };
        assert!(!of(NOW + CLOCK_SLACK) && of(NOW + CLOCK_SLACK * 2));
        assert!(of(Timestamp::from_millis(NOW.as_millis() - 121_000)));
    }

    #[test]
    fn settings_that_lose_or_refuse_writes_are_found() {
        assert!(seen(check_settings(&healthy())).is_empty());
        let server = DatabaseServer {
            is_standby: true,
            is_read_only: true,
            encoding: "LATIN1".to_owned(),
            unsafe_settings: vec!["fsync = off".to_owned()],
            ..healthy()
        };
        let found = seen(check_settings(&server));
        let states: Vec<State> = found.iter().map(|(state, _)| *state).collect();
        assert_eq!(states, [State::Bad, State::Bad, State::Unwise]);
        assert!(
            found[0].1.contains("standby") && found[1].1.contains("LATIN1") && found[2].1.contains("fsync")
        );
    }

    #[test]
    fn a_standby_that_is_far_behind_and_few_connections_are_found() {
        let with = |count, lag_ms, is_synchronous| {
            let standbys = Standbys {
                count,
                lag_ms,
                is_synchronous,
            };
            check_replication(&DatabaseServer {
                standbys,
                ..healthy()
            })
        };
        assert_eq!(with(0, None, false).seen, "no standby is connected");
        assert_eq!(
            with(1, Some(5), true).seen,
            "standbys: 1; commits wait for a standby"
        );
        assert!(with(1, None, false).seen.contains("can lose the last ones"));
        let far = with(2, Some(125_400), false);
        assert_eq!(far.state, State::Unwise);
        assert!(
            far.seen.ends_with("the last one is 125 seconds behind"),
            "{}",
            far.seen
        );
        let connections = Connections { used: 90, most: 97 };
        let full = check_connections(&DatabaseServer {
            connections,
            ..healthy()
        });
        assert_eq!(full.state, State::Unwise);
        assert_eq!(check_connections(&healthy()).state, State::Good);
    }
}
