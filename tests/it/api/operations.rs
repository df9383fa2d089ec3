//! The operations of the document, each with a request in a valid form, for tests of rules that hold for all of them.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::support::{Answer, PASSWORD, Request, TestApp, documented, registration};

/// The value of every path parameter.
const SOME_ID: &str = "019abd3a-6f00-7c3e-9a51-4f0e6d2b8c17";

/// Has the form of a link's token, but was never issued.
const SOME_TOKEN: &str = "Zm9yIGV4YW1wbGUgMzIgcmFuZG9tIGJ5dGVzIHJlYWw";

/// One operation of the document.
#[derive(Clone, Debug)]
pub struct Operation {
    pub id: String,
    pub method: String,
    pub path: String,
    pub takes_body: bool,
    pub needs_bearer: bool,
    /// The fields that its body may have, in the order of the document.
    pub fields: Vec<Field>,
}

/// A field of a body.
#[derive(Clone, Debug)]
pub struct Field {
    pub name: String,
    pub is_required: bool,
}

/// Every operation of the document, with [`SOME_ID`] for the parameters of paths.
pub fn operations() -> Vec<Operation> {
    let document: Value = serde_json::from_str(&arkloop::http::document()).expect("it is JSON");
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("there are paths") {
        for (method, operation) in item.as_object().expect("a path has operations") {
            operations.push(Operation {
                id: operation["operationId"]
                    .as_str()
                    .expect("it has an id")
                    .to_owned(),
                method: method.to_uppercase(),
                path: path.replace("{id}", SOME_ID),
                takes_body: operation.get("requestBody").is_some(),
                needs_bearer: operation["security"].to_string().contains("bearer"),
                fields: fields(&document, &operation["requestBody"]),
            });
        }
    }
    operations
}

/// The fields of the schema that a request body refers to.
fn fields(document: &Value, body: &Value) -> Vec<Field> {
    let Some(reference) = body["content"]["application/json"]["schema"]["$ref"].as_str() else {
        return Vec::new();
    };
    let schema = document.pointer(reference.trim_start_matches('#'));
    let schema = schema.expect("the schema is in the document");
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let properties = schema["properties"].as_object().expect("a body has fields");
    let field = |name: &String| Field {
        name: name.clone(),
        is_required: required.iter().any(|required| required == name),
    };
    properties.keys().map(field).collect()
}

/// The operations that the document lists with `status` and `code`.
pub fn operations_with(status: u16, code: &str) -> Vec<Operation> {
    let listed: BTreeSet<String> = documented()
        .into_iter()
        .filter(|(_, found, name)| (*found, name.as_str()) == (status, code))
        .map(|(id, _, _)| id)
        .collect();
    let found: Vec<Operation> = operations()
        .into_iter()
        .filter(|operation| listed.contains(&operation.id))
        .collect();
    assert!(!found.is_empty(), "no operation answers {status} {code}");
    found
}

impl Operation {
    /// Whether it changes something, for the rule of origins.
    pub fn is_unsafe(&self) -> bool {
        self.method != "GET"
    }

    /// A request without token, cookie and body.
    pub fn bare(&self, app: &TestApp) -> Request {
        app.request(&self.method, &self.path)
    }

    /// A request with the token and the cookie of `caller`, but without a body.
    pub fn signed_in(&self, app: &TestApp, caller: &Answer) -> Request {
        self.bare(app)
            .bearer(&caller.access_token())
            .cookie(&caller.cookie())
    }

    /// A request in a valid form.
    pub fn whole(&self, app: &TestApp, caller: &Answer) -> Request {
        let request = self.signed_in(app, caller);
        match self.body() {
            Some(body) => request.json(&body),
            None => request,
        }
    }

    /// [`Operation::whole`] with a new caller and with names that no other request uses, so that requests do not affect each other.
    pub async fn fresh(&self, app: &TestApp) -> (Request, Option<Value>) {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut request = self.bare(app);
        if self.needs_bearer {
            let caller = app.register(&format!("caller-{number}")).await;
            request = self.signed_in(app, &caller);
        }
        let body = self.body().map(|body| {
            let text = body.to_string();
            let renamed = text.replace("alice", &format!("nobody-{number}"));
            let renamed = renamed.replace("newcomer", &format!("newcomer-{number}"));
            serde_json::from_str(&renamed).expect("it is still JSON")
        });
        (request, body)
    }

    /// A body in a valid form; codes and tokens in it are wrong.
    pub fn body(&self) -> Option<Value> {
        match self.id.as_str() {
            "register" => Some(registration("newcomer")),
            "login" => Some(json!({"login": "alice", "password": PASSWORD})),
            "check" => Some(json!({"login": "alice"})),
            "resolve" => Some(json!({"identity": "alice"})),
            "send_resolved_code" => Some(json!({"flow_token": SOME_TOKEN})),
            "sign_in_by_resolved_code" => Some(json!({"flow_token": SOME_TOKEN, "code": "000000"})),
            "update_me" => Some(json!({"locale": "zh"})),
            "send_code" | "send_reset" => Some(json!({"email": "alice@example.org"})),
            "sign_in_by_code" => Some(json!({"email": "alice@example.org", "otp": "000000"})),
            "preview_verification"
            | "confirm_verification"
            | "reject_verification"
            | "preview_reset"
            | "preview_email_change"
            | "confirm_email_change"
            | "undo_email_change" => Some(json!({"token": SOME_TOKEN})),
            "change_password" => {
                Some(json!({"current_password": PASSWORD, "new_password": "a louder harbour"}))
            }
            "export_account" | "delete_account" => Some(json!({"current_password": PASSWORD})),
            "confirm_reset" => Some(json!({"token": SOME_TOKEN, "new_password": "a louder harbour"})),
            "change_email" => {
                Some(json!({"new_email": "newcomer@example.net", "current_password": PASSWORD}))
            }
            id => {
                assert!(!self.takes_body, "{id} needs a body here");
                None
            }
        }
    }
}
