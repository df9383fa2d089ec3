//! The public keys that access tokens are verified with.

use poem::Response;
use poem_openapi::Object;

use crate::http::pipeline::content::{CACHE_FIVE_MINUTES, Content};
use crate::http::pipeline::{Exchange, Operation, Refusal, Success, Tag};

/// A set of public keys (RFC 7517 §5).
#[derive(Object)]
struct JwkSet {
    /// The keys.
    keys: Vec<Jwk>,
}

/// A public key (RFC 7517 §4, RFC 8037 §2).
#[derive(Object)]
struct Jwk {
    /// The kind of key: `EC` for P-256, `OKP` for Ed25519.
    kty: String,
    /// The use of the key: `sig`.
    #[oai(rename = "use")]
    usage: String,
    /// The only algorithm of the signatures that the key verifies: `ES256` or `EdDSA`.
    alg: String,
    /// The id of the key, which is its thumbprint by RFC 7638. Every token that the key signed has it as `kid`.
    kid: String,
    /// The curve.
    crv: String,
    /// The x coordinate of a P-256 key, or the whole Ed25519 key.
    x: String,
    /// The y coordinate, of P-256 keys only.
    #[oai(skip_serializing_if_is_none)]
    y: Option<String>,
}

pub(super) const JWKS: Operation = Operation {
    id: "jwks",
    path: "/.well-known/jwks.json",
    limit: None,
    is_public: true,
    tag: Some(Tag::Keys),
    summary: "Show the public keys",
    description: "For services that verify access tokens themselves: take the key that has the `kid` of the token, accept only that key's `alg`, and check \
                  `iss`, `aud` and `exp`. Fetch the keys again when none has the `kid`, and refuse the token if still none has it. There may be several keys, \
                  also of different algorithms.",
    success: Success {
        headers: &[("Cache-Control", "Five minutes.")],
        has_etag: true,
        ..Success::json::<JwkSet>(
            "The keys.",
            r#"{ "keys": [{
                "kty": "EC",
                "use": "sig",
                "alg": "ES256",
                "kid": "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U",
                "crv": "P-256",
                "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
            }] }"#,
        )
    },
    ..Operation::open(|exchange| Box::pin(jwks(exchange)))
};

async fn jwks(exchange: Exchange) -> Result<Response, Refusal> {
    let jwks = exchange.shared.service.jwks().await;
    let content = Content::file(jwks, "application/json; charset=utf-8", CACHE_FIVE_MINUTES);
    Ok(content.answer(&exchange.headers))
}
