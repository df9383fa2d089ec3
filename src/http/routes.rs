//! Which operation a request is for.
//!
//! The table is made once, from what the handlers say of themselves: their paths, methods and operation ids are the
//! document's, so that `Allow` and the document cannot differ.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use poem::endpoint::BoxEndpoint;
use poem::http::{HeaderValue, Method};
use poem_openapi::OpenApi;

use crate::domain::LimitClass;
use crate::http::openapi::{Api, api};
use crate::http::pipeline::bearer::SCHEME;
use crate::http::pipeline::exchange::Shared;
use crate::http::pipeline::limit;
use crate::http::pipeline::metrics::{self, Figures};

/// What log lines call an endpoint that the document does not list: a page, or a file of one.
pub(super) const UNDOCUMENTED: &str = "undocumented";
/// The built-in pages.
const PAGES: [&str; 3] = ["/register", "/verify", "/reset"];
/// What stands before the files that the built-in pages load.
const PAGE_FILES: &str = "/pages/";
/// What anybody's page may read: public keys and the public document.
const PUBLIC_PATHS: [&str; 2] = ["/.well-known/jwks.json", "/openapi.json"];

/// Every path of the server.
pub(super) struct Routes {
    literal: HashMap<String, Resource>,
    /// Paths that end in a parameter, by what stands before it.
    templated: Vec<(String, Resource)>,
}

/// Everything that is served under one path.
#[derive(Default)]
pub(super) struct Resource {
    operations: Vec<(Method, Operation)>,
    /// Whether pages of every origin may read it.
    pub(super) is_public: bool,
}

/// One method of one path.
pub(super) struct Operation {
    /// The `operationId` of the document.
    pub(super) id: &'static str,
    /// Whether it takes a JSON body.
    pub(super) takes_body: bool,
    /// Whether it asks for an access token.
    pub(super) needs_bearer: bool,
    /// What it is counted with; `None` if it is not limited.
    pub(super) limit_class: Option<LimitClass>,
    /// Carries it out.
    pub(super) endpoint: BoxEndpoint<'static>,
}

impl Routes {
    /// The table of everything that `shared` serves.
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        let mut routes = Self {
            literal: HashMap::new(),
            templated: Vec::new(),
        };
        let mut endpoints = HashMap::new();
        api(shared).add_routes(&mut endpoints);
        let settings = &shared.settings;
        for (path, methods) in endpoints {
            let is_off = (path.starts_with("/docs") || path == "/openapi.json") && !settings.docs
                || path == "/v1/auth/check" && !settings.identity_check
                || (PAGES.contains(&path.as_str()) || path.starts_with(PAGE_FILES)) && !settings.pages;
            if is_off {
                continue;
            }
            let resource = Resource {
                operations: methods
                    .into_iter()
                    .map(|(method, endpoint)| describe(&path, method, endpoint))
                    .collect(),
                is_public: PUBLIC_PATHS.contains(&path.as_str()),
            };
            match path.split_once(':') {
                Some((prefix, _)) => routes.templated.push((prefix.to_owned(), resource)),
                None => drop(routes.literal.insert(path, resource)),
            }
        }
        routes
    }

    /// The table of the listener for whoever watches the server.
    pub(super) fn of_metrics(shared: &Arc<Shared>, figures: Figures) -> Self {
        Self {
            literal: metrics::resources(shared, figures).into_iter().collect(),
            templated: Vec::new(),
        }
    }

    /// Every method that some path has, for `OPTIONS *` (RFC 9110 §9.3.7).
    pub(super) fn allow(&self) -> HeaderValue {
        let templated = self.templated.iter().map(|(_, resource)| resource);
        let resources = self.literal.values().chain(templated);
        let methods = resources.flat_map(Resource::methods);
        list(methods, "HEAD, OPTIONS")
    }

    /// The resource at `path`, and what stands where its template has a parameter.
    pub(super) fn find<'a>(&self, path: &'a str) -> Option<(&Resource, Option<&'a str>)> {
        if let Some(resource) = self.literal.get(path) {
            return Some((resource, None));
        }
        self.templated.iter().find_map(|(prefix, resource)| {
            let parameter = path.strip_prefix(prefix.as_str())?;
            let is_segment = !parameter.is_empty() && !parameter.contains('/');
            is_segment.then_some((resource, Some(parameter)))
        })
    }
}

/// Finds what the document says of an endpoint.
fn describe(path: &str, method: Method, endpoint: BoxEndpoint<'static>) -> (Method, Operation) {
    let prefix = |path: &str| {
        path.split([':', '{'])
            .next()
            .map(|prefix| (prefix.to_owned(), path.len() == prefix.len()))
    };
    let described = Api::meta()
        .into_iter()
        .flat_map(|api| api.paths)
        .find(|known| prefix(&known.path) == prefix(path));
    let operation =
        described.and_then(|known| known.operations.into_iter().find(|known| known.method == method));
    let id = operation
        .as_ref()
        .and_then(|operation| operation.operation_id)
        .unwrap_or(UNDOCUMENTED);
    let needs_bearer = operation.as_ref().is_some_and(|operation| {
        operation
            .security
            .iter()
            .any(|scheme| scheme.contains_key(SCHEME))
    });
    let takes_body = operation.is_some_and(|operation| operation.request.is_some());
    (
        method,
        Operation {
            id,
            takes_body,
            needs_bearer,
            limit_class: limit::class_of(id),
            endpoint,
        },
    )
}

impl Resource {
    /// A path with one method, for this origin only.
    pub(super) fn new(method: Method, operation: Operation) -> Self {
        Self {
            operations: vec![(method, operation)],
            is_public: false,
        }
    }

    /// The operation that `method` stands for; HEAD is GET without a body.
    pub(super) fn operation(&self, method: &Method) -> Option<&Operation> {
        let method = if *method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        self.operations
            .iter()
            .find(|(known, _)| known == method)
            .map(|(_, operation)| operation)
    }

    /// The documented methods.
    pub(super) fn methods(&self) -> impl Iterator<Item = &Method> {
        self.operations.iter().map(|(method, _)| method)
    }

    /// Every method that is answered, for `Allow`.
    pub(super) fn allow(&self) -> HeaderValue {
        let head = self
            .operation(&Method::HEAD)
            .map_or("OPTIONS", |_| "HEAD, OPTIONS");
        list(self.methods(), head)
    }
}

/// The names of `methods`, each once, and `more` behind them.
pub(super) fn list<'a>(methods: impl Iterator<Item = &'a Method>, more: &'a str) -> HeaderValue {
    let names: BTreeSet<&str> = methods.map(Method::as_str).collect();
    let names = names.into_iter().chain((!more.is_empty()).then_some(more));
    let names: Vec<&str> = names.collect();
    HeaderValue::from_str(&names.join(", ")).unwrap_or(HeaderValue::from_static(""))
}
