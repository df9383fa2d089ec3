//! The round trip with the client of progenitor. The refresh cookie is kept by hand, as an app without a cookie jar does.

use std::error::Error;

use generated::types::{ApiError, ErrorCode, LoginRequest, RegisterRequest};
use generated::{Client, ResponseValue};
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, SET_COOKIE};

#[allow(
    dead_code,
    unused_imports,
    reason = "the round trip needs only a few of the operations"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/client.rs"));
}

const LOGIN: &str = "rust";
const PASSWORD: &str = "seven purple lanterns";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let base = std::env::args().nth(1).ok_or("the server's address is missing")?;
    let anyone = Client::new(&base);
    let account = RegisterRequest {
        login: LOGIN.parse()?,
        password: PASSWORD.parse()?,
        email: "rust@example.org".parse()?,
        invite_code: None,
        locale: None,
        cf_turnstile_token: None,
    };
    anyone.register(&account).await?;

    let credentials = LoginRequest {
        login: LOGIN.parse()?,
        password: PASSWORD.parse()?,
        cf_turnstile_token: None,
    };
    let signed_in = anyone.login(&credentials).await?;
    let old_cookie = refresh_cookie(&signed_in)?;

    let me = with_token(&base, &signed_in.access_token)?.get_me().await?;
    assert_eq!(me.username, LOGIN);
    let timezone: &Option<String> = &me.timezone;
    assert_eq!(*timezone, None);

    let refreshed = with_header(&base, COOKIE, &old_cookie)?.refresh().await?;
    assert_ne!(refresh_cookie(&refreshed)?, old_cookie);

    assert_eq!(
        refusal(anyone.register(&account).await)?,
        (409, ErrorCode::AuthLoginExists)
    );

    let client = with_token(&base, &refreshed.access_token)?;
    let sessions = client.list_sessions().await?;
    assert_eq!(
        sessions.sessions.iter().filter(|session| session.current).count(),
        1
    );

    assert!(client.logout().await?.ok);
    assert_eq!(
        refusal(client.get_me().await)?,
        (401, ErrorCode::AuthInvalidToken)
    );
    println!("progenitor: the round trip is done");
    Ok(())
}

fn with_token(base: &str, access_token: &str) -> Result<Client, Box<dyn Error>> {
    with_header(base, AUTHORIZATION, &format!("Bearer {access_token}"))
}

fn with_header(base: &str, name: HeaderName, value: &str) -> Result<Client, Box<dyn Error>> {
    let headers = HeaderMap::from_iter([(name, value.parse()?)]);
    let client = reqwest::Client::builder().default_headers(headers).build()?;
    Ok(Client::new_with_client(base, client))
}

fn refresh_cookie<T>(answer: &ResponseValue<T>) -> Result<String, Box<dyn Error>> {
    let cookie = answer
        .headers()
        .get(SET_COOKIE)
        .ok_or("no cookie was set")?
        .to_str()?;
    Ok(cookie.split(';').next().unwrap_or_default().to_owned())
}

/// Status and code of a refusal.
fn refusal<T>(
    answer: Result<ResponseValue<T>, generated::Error<ApiError>>,
) -> Result<(u16, ErrorCode), Box<dyn Error>> {
    match answer {
        Err(generated::Error::ErrorResponse(refusal)) => Ok((refusal.status().as_u16(), refusal.code)),
        Err(other) => Err(other.into()),
        Ok(_) => Err("this was not refused".into()),
    }
}
