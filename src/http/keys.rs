//! The public keys that access tokens are verified with.

use std::sync::Arc;

use poem_openapi::payload::{Json, PlainText};
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::exchange::Shared;
use super::openapi::Tag;

/// Five minutes: a new key is published ten minutes before it signs.
const CACHE_FIVE_MINUTES: &str = "public, max-age=300";

/// The operations of this noun.
pub(super) struct KeysApi(pub(super) Arc<Shared>);

/// A set of public keys (RFC 7517 §5).
#[derive(Object)]
#[oai(example = true)]
struct JwkSet {
    /// The keys.
    keys: Vec<Jwk>,
}

/// A public key (RFC 7517 §4, RFC 8037 §2).
#[derive(Object)]
struct Jwk {
    /// The kind of key: `OKP` for Ed25519, `EC` for P-256.
    kty: String,
    /// What it is for.
    #[oai(rename = "use")]
    usage: String,
    /// The algorithm: `EdDSA` or `ES256`.
    alg: String,
    /// Its id, the thumbprint of RFC 7638; in the `kid` of every token that it signed.
    kid: String,
    /// The curve.
    crv: String,
    /// The public key, or its x coordinate.
    x: String,
    /// The y coordinate, of P-256 keys only.
    #[oai(skip_serializing_if_is_none)]
    y: Option<String>,
}

impl Example for JwkSet {
    fn example() -> Self {
        let key = Jwk {
            kty: "OKP".to_owned(),
            usage: "sig".to_owned(),
            alg: "EdDSA".to_owned(),
            kid: "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k".to_owned(),
            crv: "Ed25519".to_owned(),
            x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".to_owned(),
            y: None,
        };
        Self { keys: vec![key] }
    }
}

#[derive(ApiResponse)]
enum JwksResponse {
    /// The keys.
    #[oai(status = 200, actual_type = "Json<JwkSet>")]
    Ok(
        PlainText<String>,
        /// Five minutes.
        #[oai(header = "Cache-Control")]
        String,
    ),
}

#[OpenApi(tag = "Tag::Keys")]
impl KeysApi {
    /// Show the public keys
    ///
    /// For services that verify access tokens themselves. A token whose `kid` is not here is to be refused, after the
    /// keys were fetched anew.
    #[oai(path = "/.well-known/jwks.json", method = "get", operation_id = "jwks")]
    async fn jwks(&self) -> JwksResponse {
        let jwks = self.0.service.jwks().await;
        JwksResponse::Ok(PlainText(jwks), CACHE_FIVE_MINUTES.to_owned())
    }
}
