//! What tests do without HTTP: actions of the operator, and queries of the database.

use arkloop::domain::Paging;
use arkloop::service::UserFilter;
use std::fmt::Write as _;
use std::num::NonZeroU16;
use std::time::Duration;

use arkloop::crypto::PresentedRefreshToken;
use arkloop::domain::{InviteCode, Session};
use arkloop::store::StoreError;

use super::TestApp;

impl TestApp {
    /// Waits until so many writes wait behind the write that runs.
    pub async fn wait_for_waiting_writes(&self, number: usize) {
        while self.service().store().waiting_writes() < number {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// How many accounts an invite has admitted.
    pub async fn uses_of(&self, code: &str) -> u32 {
        let code = InviteCode::parse(code).expect("it is a code");
        self.service()
            .find_invite(&code)
            .await
            .expect("the invite exists")
            .invite
            .uses
    }

    /// The session of a refresh cookie.
    async fn session_of(&self, cookie: &str) -> Session {
        let token = PresentedRefreshToken::parse(cookie).expect("it is a token");
        let id = token.session_id;
        let found: Result<_, StoreError> = self
            .service()
            .store()
            .read(move |reader| reader.find_session(id))
            .await;
        found.expect("the session is read").expect("the session exists")
    }

    /// The generation of the session of a refresh cookie.
    pub async fn generation_of(&self, cookie: &str) -> u32 {
        self.session_of(cookie).await.rotation.generation.0
    }

    /// Why the session of a refresh cookie ended.
    pub async fn ended_because(&self, cookie: &str) -> Option<String> {
        self.session_of(cookie)
            .await
            .ended
            .map(|(_, because)| because.into_str().to_owned())
    }

    /// Every account and every session as text, so that tests can compare them.
    pub async fn rows(&self) -> String {
        let users = self
            .service()
            .list_users(UserFilter::default(), Paging::default())
            .await
            .expect("they are listed");
        let mut rows = String::new();
        for summary in users.rows {
            let user = arkloop::service::UserRef::from(summary.user.id);
            let sessions = self.service().list_sessions_by_age(user, Paging::default()).await;
            let sessions = sessions.expect("they are listed").rows;
            let _ = writeln!(rows, "{summary:?}\n{sessions:?}");
        }
        rows
    }

    /// Creates an invite as the operator does, and returns its code.
    pub async fn invite(&self, max_uses: u32) -> String {
        self.make_invite(max_uses, None).await
    }

    /// Creates an invite, mails it to `address`, and returns its code.
    pub async fn mail_invite(&self, address: &str) -> String {
        let to = arkloop::domain::Email::parse(address).expect("it is an address");
        self.make_invite(1, Some(to)).await
    }

    async fn make_invite(&self, max_uses: u32, mail_to: Option<arkloop::domain::Email>) -> String {
        let draft = arkloop::service::InviteDraft {
            max_uses: arkloop::domain::InviteUses::new(max_uses).expect("it is a number of uses"),
            expires_in: Some(Duration::from_hours(7 * 24)),
            note: None,
            mail_to,
            locale: None,
        };
        let made = self.service().create_invites(&draft, NonZeroU16::MIN).await;
        let code = made.expect("the invite is created")[0].code.reveal();
        let vault = self.workspace().vault();
        vault.gather(|secrets| secrets.add_code("an invite code", &code));
        code
    }
}
