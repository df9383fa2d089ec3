//! The document is the same wherever it is published, and it is complete.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::support::{TestApp, Workspace};

const COMMITTED: &str = include_str!("../../../openapi/arkloop.json");

fn document() -> Value {
    serde_json::from_str(COMMITTED).expect("the document is JSON")
}

/// Every operation with its method and path.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().expect("there are paths");
    let of_path = paths.iter().flat_map(|(path, item)| {
        let item = item.as_object().expect("a path has operations");
        item.iter()
            .map(move |(method, operation)| (format!("{method} {path}"), operation))
    });
    of_path.collect()
}

/// Every refusal that an operation documents, as the status and the response.
fn refusals(operation: &Value) -> Vec<(&str, &Value)> {
    let responses = operation["responses"].as_object().expect("there are responses");
    responses
        .iter()
        .filter(|(status, _)| status.as_str() >= "400")
        .map(|(status, response)| (status.as_str(), response))
        .collect()
}

fn texts(list: &Value) -> BTreeSet<String> {
    let list = list.as_array().expect("the value is a list");
    let texts: BTreeSet<String> = list
        .iter()
        .map(|text| text.as_str().expect("the value is a text").to_owned())
        .collect();
    assert_eq!(texts.len(), list.len(), "a text is listed twice");
    texts
}

#[tokio::test]
async fn the_committed_document_is_what_is_served_and_printed() {
    let generated = arkloop::http::document();
    assert!(
        generated == COMMITTED,
        "openapi/arkloop.json is out of date: cargo run -- openapi > openapi/arkloop.json"
    );
    let printed = Workspace::new().output(&["openapi"], "");
    assert!(
        printed.stdout == COMMITTED.as_bytes(),
        "`arkloop openapi` differs"
    );
    let app = TestApp::start().await;
    let served = app.get("/openapi.json").send().await;
    let compact = document().to_string();
    assert!(served.body == compact, "/openapi.json differs");
    // Mobile clients and code generators load the whole document.
    assert!(served.body.len() < 120_000, "{}", served.body.len());
}

#[test]
fn every_operation_has_a_name_a_description_and_a_group() {
    let document = document();
    let mut ids = BTreeSet::new();
    let mut lacking = Vec::new();
    for (place, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap_or_default();
        assert!(!id.is_empty(), "{place} has no id");
        assert!(ids.insert(id), "two operations have the id {id}");
        for member in ["summary", "description"] {
            if operation[member].as_str().is_none_or(str::is_empty) {
                lacking.push(format!("{place} has no {member}"));
            }
        }
        assert!(!texts(&operation["tags"]).is_empty(), "{place}");
    }
    assert!(lacking.is_empty(), "{lacking:#?}");
}

/// The value that `value` refers to, or `value` itself.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let reference = value["$ref"].as_str();
    let found = reference.map(|path| document.pointer(path.trim_start_matches('#')));
    found.map_or(value, |found| found.expect("the reference can be resolved"))
}

/// The codes that a response can have.
fn codes(response: &Value) -> BTreeSet<String> {
    let examples = response["content"]["application/json"]["examples"].as_object();
    examples.into_iter().flat_map(Map::keys).cloned().collect()
}

#[test]
fn every_refusal_refers_to_a_shared_response_with_the_one_schema_of_refusals() {
    let document = document();
    let mut count = 0;
    for (place, operation) in operations(&document) {
        for (status, response) in refusals(operation) {
            let name = response["$ref"].as_str().unwrap_or_default();
            assert!(
                name.starts_with("#/components/responses/"),
                "{place} {status}: {response}"
            );
            let content = &resolved(&document, response)["content"];
            let kinds: Vec<&String> = content.as_object().into_iter().flat_map(Map::keys).collect();
            assert_eq!(kinds, ["application/json"], "{place} {status}");
            let schema = &content["application/json"]["schema"];
            assert_eq!(schema, &json!({ "$ref": "#/components/schemas/ApiError" }));
            count += 1;
        }
    }
    assert!(count > 100, "{count}");
    let schemas = &document["components"]["schemas"];
    for name in ["ErrorCode", "FieldErrorCode"] {
        let description = schemas[name]["description"].as_str().unwrap_or_default();
        assert!(description.contains("may add codes"), "{name}: {description}");
    }
    let code = &schemas["ApiError"]["properties"]["code"];
    assert_eq!(code, &json!({ "$ref": "#/components/schemas/ErrorCode" }));
}

#[test]
fn every_refusal_has_an_example_that_is_one() {
    let document = document();
    for (place, operation) in operations(&document) {
        for (status, response) in refusals(operation) {
            let response = resolved(&document, response);
            let examples = &response["content"]["application/json"]["examples"];
            let description = response["description"].as_str().unwrap_or_default();
            let lines: BTreeSet<&str> = description.split("\n\n").collect();
            let mut said = BTreeSet::new();
            for (code, example) in examples.as_object().expect("there are examples") {
                let value = &resolved(&document, example)["value"];
                assert_eq!(value["code"], code.as_str(), "{place} {status}");
                let message = value["message"].as_str().unwrap_or_default();
                assert!(message.ends_with('.'), "{message}");
                said.insert(format!("`{code}`: {message}"));
                assert_eq!(value["trace_id"].as_str().map(str::len), Some(32));
                let has_fields = value["details"]["fields"].is_object();
                assert_eq!(has_fields, code == "validation.error", "{place} {status}");
            }
            assert_eq!(
                said.iter().map(String::as_str).collect::<BTreeSet<_>>(),
                lines,
                "{place}"
            );
            for header in ["X-Trace-Id", "Cache-Control"] {
                assert!(
                    response["headers"][header].is_object(),
                    "{place} {status} {header}"
                );
            }
            for (header, statuses) in [
                ("Retry-After", ["429", "503"].as_slice()),
                ("WWW-Authenticate", &["401"]),
            ] {
                let is_listed = response["headers"][header].is_object();
                assert_eq!(is_listed, statuses.contains(&status), "{place} {status} {header}");
            }
        }
    }
}

#[test]
fn every_success_is_described_with_an_example() {
    let document = document();
    for (place, operation) in operations(&document) {
        let responses = operation["responses"].as_object().expect("there are responses");
        let success: Vec<_> = responses
            .iter()
            .filter(|(status, _)| status.as_str() < "300")
            .collect();
        assert_eq!(success.len(), 1, "{place}");
        let (status, response) = success[0];
        assert_eq!(response.get("content").is_none(), status == "204", "{place}");
        let schema = &response["content"]["application/json"]["schema"]["$ref"];
        if let Some(name) = schema.as_str().and_then(|path| path.rsplit('/').next()) {
            let schema = &document["components"]["schemas"][name];
            let has_example = schema["example"].is_object()
                || response["content"]["application/json"]["example"].is_object();
            assert!(has_example, "{place}: {name} has no example");
        }
        let sets_cookie = response["headers"]["Set-Cookie"].is_object();
        let expected = [
            "register",
            "login",
            "sign_in_by_code",
            "sign_in_by_resolved_code",
            "refresh",
            "logout",
            "change_password",
            "delete_account",
            "confirm_email_change",
        ];
        let id = operation["operationId"].as_str().unwrap_or_default();
        assert_eq!(sets_cookie, expected.contains(&id), "{place}");
    }
}

#[test]
fn the_list_of_codes_is_closed() {
    let document = document();
    let listed = texts(&document["components"]["schemas"]["ErrorCode"]["enum"]);
    let mut used = BTreeSet::new();
    for (_, operation) in operations(&document) {
        for (_, response) in refusals(operation) {
            used.extend(codes(resolved(&document, response)));
        }
    }
    // No operation answers with this code, which says that the path has no operation for the method.
    used.insert("http.method_not_allowed".to_owned());
    assert_eq!(used, listed);
    // The codes of section 1 of the contract for the operations that exist.
    let table = [
        "request.malformed",
        "auth.missing_token",
        "auth.invalid_authorization",
        "auth.token_expired",
        "auth.invalid_token",
        "auth.refresh_token_missing",
        "auth.invalid_credentials",
        "auth.flow_token_invalid",
        "auth.user_suspended",
        "auth.registration_disabled",
        "request.origin_forbidden",
        "http.not_found",
        "http.method_not_allowed",
        "session.not_found",
        "auth.login_exists",
        "auth.email_exists",
        "request.too_large",
        "request.unsupported_media_type",
        "validation.error",
        "auth.invite_code_required",
        "auth.invite_code_invalid",
        "auth.captcha_invalid",
        "auth.otp_invalid",
        "email.token_invalid",
        "auth.reset_token_invalid",
        "email.already_verified",
        "auth.reauthentication_required",
        "rate_limit.exceeded",
        "auth.otp_rate_limited",
        "auth.otp_locked",
        "internal.error",
        "service.unavailable",
        "auth.captcha_unavailable",
        "mail.unavailable",
    ];
    assert_eq!(listed, table.map(str::to_owned).into());
}

#[test]
fn every_scheme_that_is_asked_for_is_described() {
    let document = document();
    let schemes = document["components"]["securitySchemes"]
        .as_object()
        .expect("there are schemes");
    let mut asked = BTreeSet::new();
    for (_, operation) in operations(&document) {
        for requirement in operation["security"].as_array().into_iter().flatten() {
            asked.extend(requirement.as_object().expect("it names schemes").keys().cloned());
        }
    }
    let described: BTreeSet<String> = schemes.keys().cloned().collect();
    assert_eq!(asked, described);
    assert_eq!(described, ["bearer".to_owned()].into());
    assert_eq!(schemes["bearer"]["scheme"], "bearer");
}

#[test]
fn every_operation_says_whether_it_needs_a_token() {
    let document = document();
    for (place, operation) in operations(&document) {
        let codes: BTreeSet<String> = refusals(operation)
            .into_iter()
            .flat_map(|(_, response)| codes(resolved(&document, response)))
            .collect();
        let expected = if operation["operationId"] == "confirm_email_change" {
            // The token or the password of the account.
            json!([{}, { "bearer": [] }])
        } else if codes.contains("auth.missing_token") {
            json!([{ "bearer": [] }])
        } else {
            json!([])
        };
        assert_eq!(operation["security"], expected, "{place}");
    }
}

#[test]
fn the_request_with_a_code_asks_for_the_new_name_of_its_field() {
    let document = document();
    let request = &document["components"]["schemas"]["VerifyCodeRequest"];
    assert_eq!(request["required"], json!(["email", "otp"]));
    assert_eq!(request["properties"]["code"]["deprecated"], true);
    assert_eq!(request["properties"]["otp"].get("deprecated"), None);
    for keyword in ["oneOf", "anyOf", "allOf"] {
        assert_eq!(request.get(keyword), None, "{keyword}");
    }
}

#[test]
fn no_browser_is_promised_a_cookie_that_it_cannot_see() {
    let document = document();
    for (place, operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().expect("there are responses") {
            let header = &response["headers"]["Set-Cookie"];
            assert_ne!(header["required"], true, "{place} {status}");
        }
    }
}

#[test]
fn what_has_one_value_says_which() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    for (schema, member, value) in [("Done", "ok", json!([true])), ("Jwk", "use", json!(["sig"]))] {
        assert_eq!(schemas[schema]["properties"][member]["enum"], value, "{schema}");
    }
    for (schema, value) in [("TokenType", json!(["bearer"])), ("HealthStatus", json!(["ok"]))] {
        assert_eq!(schemas[schema]["enum"], value, "{schema}");
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn visit(value: &Value, document: &Value) {
        match value {
            Value::Object(object) => {
                if let Some(path) = object.get("$ref").and_then(Value::as_str) {
                    let pointer = path.strip_prefix('#').expect("it is within the document");
                    assert!(document.pointer(pointer).is_some(), "{path}");
                }
                object.values().for_each(|value| visit(value, document));
            }
            Value::Array(items) => items.iter().for_each(|value| visit(value, document)),
            _ => {}
        }
    }
    let document = document();
    visit(&document, &document);
}
