//! The audit log in the form that tests compare: one short line for each row.

use arkloop::domain::{Actor, AuditEntry};
use arkloop::service::{AuditPage, AuditPart, AuditQuery};

use super::TestApp;

/// A query for everything.
pub const EVERYTHING: AuditQuery = AuditQuery {
    user: None,
    events: None,
    since: None,
    part: AuditPart::Last,
    limit: u32::MAX,
};

impl TestApp {
    /// The rows that `query` asks for, without the counts after them.
    pub async fn audit_entries(&self, query: AuditQuery) -> Vec<AuditEntry> {
        let mut page = self.audit_page(query).await;
        page.entries.truncate(page.rows);
        page.entries
    }

    /// The rows that `query` asks for, and the counts after them.
    pub async fn audit_page(&self, query: AuditQuery) -> AuditPage {
        let service = self.service();
        service.flush_audit().await.expect("it is written");
        service.list_audit(query).await.expect("the log is read")
    }

    /// Every row as text: the event, why it was refused, the account, further details, and how often it happened.
    pub async fn audit(&self) -> Vec<String> {
        self.audit_entries(EVERYTHING).await.iter().map(shown).collect()
    }
}

fn shown(entry: &AuditEntry) -> String {
    let record = &entry.record;
    let mut words = vec![record.event.into_str().to_owned()];
    if let Some(reason) = record.refused {
        words.push(format!("refused: {}", reason.into_str()));
    }
    if let Some(subject) = &record.subject {
        words.push(format!("@{}", subject.username));
    }
    if record.session_id.is_some() {
        words.push("[session]".to_owned());
    }
    if let Some(detail) = &record.detail {
        words.push(format!("({detail})"));
    }
    if entry.times > 1 {
        words.push(format!("×{}", entry.times));
    }
    if let Actor::Operator(operator) = &record.actor {
        words.push(format!("by {}", operator.uid));
    }
    words.join(" ")
}
