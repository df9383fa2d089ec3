//! The program of docs/integrate.md that verifies an access token, as it is printed there: `.ci/integrate` compares them, and runs this one.
#![expect(clippy::print_stdout, reason = "it shows what it has found")]

use std::error::Error;

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;

const ISSUER: &str = "http://localhost:8080";

#[derive(Deserialize)]
struct Claims {
    sub: String,
}

fn fetch_keys() -> Result<JwkSet, Box<dyn Error>> {
    let mut answer = ureq::get(format!("{ISSUER}/.well-known/jwks.json")).call()?;
    Ok(serde_json::from_str(&answer.body_mut().read_to_string()?)?)
}

fn verify(token: &str, keys: &JwkSet) -> Result<Claims, Box<dyn Error>> {
    let kid = decode_header(token)?.kid.ok_or("the token names no key")?;
    let key = keys.find(&kid).ok_or("the key is not published")?;
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&["arkloop"]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.leeway = 30;
    Ok(decode::<Claims>(token, &DecodingKey::from_jwk(key)?, &validation)?.claims)
}

fn main() -> Result<(), Box<dyn Error>> {
    let token = std::env::args().nth(1).ok_or("a token is missing")?;
    println!("{}", verify(&token, &fetch_keys()?)?.sub);
    Ok(())
}
