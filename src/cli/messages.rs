//! The events and reasons of the audit log in sentences for people who do not program.

use crate::domain::{
    ACQUAINTED_FOR, AuditEvent, AuditReason, CODE_LOCK, CODE_TTL, FailureLimits, MAX_CODE_ATTEMPTS,
    MAX_CODE_FAILURES, MailBudget, SessionEnd, in_words,
};
use crate::service::{KEEP_ENDED_SESSIONS, RECENT_SIGN_IN, SignInRules};

/// An event that was done, as a sentence without a full stop.
pub(super) const fn done(event: AuditEvent) -> &'static str {
    match event {
        AuditEvent::Register => "Registered and signed in",
        AuditEvent::SignInByPassword => "Signed in by password",
        AuditEvent::SignInByCode => "Signed in by a mailed code",
        AuditEvent::SignOut => "Signed out",
        AuditEvent::RefreshReused => {
            "A session ended, because an old sign-in cookie came back that a newer one had replaced: somebody may have a copy of it"
        }
        AuditEvent::RefreshAhead => {
            "A session ended, because its sign-in cookie is newer than the database: an older backup was restored"
        }
        AuditEvent::RefreshRepeated => {
            "A sign-in was continued once more with a cookie that had just been replaced, from another network or by another browser"
        }
        AuditEvent::RefreshRefused => "A sign-in was not continued",
        AuditEvent::SessionEnded => "Ended sessions from another one",
        AuditEvent::CodeSent => "A code to sign in was mailed",
        AuditEvent::VerificationSent => "A link to verify the address was mailed",
        AuditEvent::EmailVerified => "The address was verified",
        AuditEvent::EmailRejected => {
            "The owner of the address said that the account is not theirs, and it was deleted"
        }
        AuditEvent::EmailChangeRequested => "A change of the address was asked for",
        AuditEvent::EmailChanged => "The address was changed by its owner; all other sessions ended",
        AuditEvent::EmailChangeCancelled => "The reader of the new address cancelled a change",
        AuditEvent::EmailChangeUndone => "The former address came back; password and sessions are gone",
        AuditEvent::AccountDisplaced => "Deleted: the owner of its address gave that to another account",
        AuditEvent::AccountTakenBack => {
            "The owner proved the address for the first time; the password that was set before does not work any more"
        }
        AuditEvent::AccountDeleted => "The account was deleted by its owner",
        AuditEvent::AccountExported => "The data of the account were exported by its owner",
        AuditEvent::PasswordChanged => "The password was changed by its owner",
        AuditEvent::ResetSent => "A link to set a new password was mailed",
        AuditEvent::PasswordReset => "The password was set through a link",
        AuditEvent::ProfileChanged => "Name, language or time zone was changed",
        AuditEvent::Throttled => "Requests were slowed down",
        AuditEvent::CaptchaRefused => "A captcha was refused",
        AuditEvent::InviteCreated => "Invites were created",
        AuditEvent::InviteRevoked => "An invite was revoked",
        AuditEvent::RegistrationSet => "The registration mode was set",
        AuditEvent::UserCreated => "The account was made",
        AuditEvent::UserLinkCreated => "A link to set a password was created",
        AuditEvent::UserPasswordSet => "A password was set; all sessions ended",
        AuditEvent::UserEmailSet => "Another address was set; all sessions ended",
        AuditEvent::UserEmailVerified => "The address was marked as verified",
        AuditEvent::UserSuspended => "The account was suspended; all sessions ended",
        AuditEvent::UserReactivated => "The suspension was lifted",
        AuditEvent::UserDeleted => "The account was deleted",
        AuditEvent::SessionRevoked => "Sessions were ended",
        AuditEvent::BackupMade => "A backup was made",
        AuditEvent::BackupRestored => "A backup was restored; all sessions, codes, links and invites ended",
        AuditEvent::SigningKeyRotated => "The signing key was replaced",
        AuditEvent::KeyFileReplaced => "The key file was replaced; all sessions and codes ended",
        AuditEvent::KeyFileReset => {
            "The key file was lost and another was made; all sessions, codes, links and invites ended"
        }
        AuditEvent::MailRetried => "Waiting mail was tried again",
    }
}

/// An event that was refused, as a sentence that continues with a colon and the cause.
pub(super) const fn refused(event: AuditEvent) -> &'static str {
    match event {
        AuditEvent::Register => "A registration was refused",
        AuditEvent::SignInByPassword => "A sign-in by password was refused",
        AuditEvent::SignInByCode => "A sign-in by a mailed code was refused",
        AuditEvent::SignOut => "A sign-out was refused",
        AuditEvent::RefreshReused
        | AuditEvent::RefreshAhead
        | AuditEvent::RefreshRepeated
        | AuditEvent::RefreshRefused => "A sign-in could not be continued",
        AuditEvent::SessionEnded => "Ending a session was refused",
        AuditEvent::CodeSent => "No code was mailed",
        AuditEvent::VerificationSent => "No link to verify the address was mailed",
        AuditEvent::EmailVerified => "A link to verify an address did not work",
        AuditEvent::EmailRejected => "A report that an account uses another person's address was refused",
        AuditEvent::EmailChangeRequested => "A change of the address was refused",
        AuditEvent::EmailChanged | AuditEvent::EmailChangeCancelled => {
            "A link to change the address did not work"
        }
        AuditEvent::EmailChangeUndone => "A link to take a former address back did not work",
        AuditEvent::AccountDisplaced => "Deleting an account with an unverified address was refused",
        AuditEvent::AccountTakenBack => "Taking an account back was refused",
        AuditEvent::AccountDeleted => "Deleting the account was refused",
        AuditEvent::AccountExported => "An export of the account was refused",
        AuditEvent::PasswordChanged => "A change of the password was refused",
        AuditEvent::ResetSent => "No link to set a new password was mailed",
        AuditEvent::PasswordReset => "A link to set a password did not work",
        AuditEvent::ProfileChanged => "A change of the profile was refused",
        AuditEvent::Throttled => "Requests were refused",
        AuditEvent::CaptchaRefused => "A captcha was not solved",
        // Refused commands are not logged.
        _ => "A command was refused",
    }
}

/// The reason of a refusal under `rules`, as the end of a sentence.
#[expect(clippy::too_many_lines, reason = "it is a table: a sentence for each reason")]
pub(super) fn cause(reason: AuditReason, rules: &SignInRules) -> String {
    let text = match reason {
        AuditReason::UnknownAccount => "no account has the name or address that was typed",
        AuditReason::WrongPassword => "the password was wrong",
        AuditReason::PasswordJustChanged => "the password was changed at the same moment",
        AuditReason::Suspended => "the account is suspended, although everything else was right",
        AuditReason::PasswordMissing => "the present password was not given",
        AuditReason::PasswordContainsName => "the new password is the username or the address",
        AuditReason::WrongCode => "the code was wrong",
        AuditReason::OlderCode => "the code was from an older mail; only the one in the newest mail works",
        AuditReason::UsedCode => "the code had been used before",
        AuditReason::NoCode => "no code had been asked for, or not lately",
        AuditReason::UnknownLink => {
            "the link is unknown: a newer one was mailed, it was used, or it was cut when it was copied"
        }
        AuditReason::UsedLink => "the link had been used before",
        AuditReason::ExpiredLink => "the link was too old",
        AuditReason::ForeignLink => "the link belongs to another account",
        AuditReason::AlreadyVerified => "the address was verified already",
        AuditReason::RegistrationDisabled => "nobody may register now",
        AuditReason::InviteMissing => "an invite is needed, and none was given",
        AuditReason::UnknownInvite => "there is no such invite; its code may have been mistyped",
        AuditReason::ExpiredInvite => "the invite was too old",
        AuditReason::RevokedInvite => "the operator had taken the invite back",
        AuditReason::UsedUpInvite => "the invite had been used as often as it may be",
        AuditReason::UsernameTaken => "another account has the username",
        AuditReason::EmailTaken => "another account has the address",
        AuditReason::NoSuchSession => "there is no such session, or it had ended",
        AuditReason::RefreshTokenMissing => {
            "the browser sent no sign-in cookie: nobody was signed in there, or the cookie had run out or been deleted"
        }
        AuditReason::ForgedToken => {
            "the sign-in cookie was not made by this server: it was cut, altered or made up, or the key file was replaced"
        }
        AuditReason::FromElsewhere => {
            "its cookie had just been replaced by another browser in another network, so somebody may have a copy of it; the session goes on"
        }
        AuditReason::TwoAccounts => {
            "the browser sent the cookies of two accounts at once; deleting the cookies of this site in it and signing in again helps"
        }
        AuditReason::SessionEnded => "the session had been ended",
        AuditReason::SessionUnused => "the session had ended because nobody had used it for long",
        AuditReason::SessionTooOld => {
            "the session had reached the longest age that one may have; signing in again begins a new one"
        }
        AuditReason::AddressLimit => "too many requests came from this address in a short time",
        AuditReason::SessionLimit => "too many requests came from one session in a short time",
        AuditReason::RenameLimit => {
            "the username had been changed too often; changes that are refused because the name is taken count too"
        }
        AuditReason::OwnAccountLimit => {
            "too many changes of the address, deletions or exports were asked for at the account in a short time"
        }
        AuditReason::CaptchaInvalid => "the captcha was missing, not solved, or used twice",
        AuditReason::CaptchaUnavailable => {
            "the captcha could not be checked, because its service did not answer as it should"
        }
        AuditReason::NoPassword => {
            return format!("the account has no password; {}", instead_of_a_password(rules));
        }
        AuditReason::SignInTooOld => {
            return format!(
                "without a password this is possible only within {} of signing in",
                in_words(RECENT_SIGN_IN)
            );
        }
        AuditReason::ExpiredCode => return format!("the code was older than {}", in_words(CODE_TTL)),
        AuditReason::AttemptsUsedUp => {
            return format!(
                "{MAX_CODE_ATTEMPTS} wrong codes had been tried, so this code is void even if it was right; a new one helps"
            );
        }
        AuditReason::CodesLocked => {
            return format!(
                "{MAX_CODE_FAILURES} wrong codes in a row were tried, so that none counts for {} or until another sign-in",
                in_words(CODE_LOCK)
            );
        }
        AuditReason::TooManyMails => {
            return format!(
                "mail was asked for too often: allowed are {} in an hour, {} in a day, and {} between two",
                MailBudget::PER_HOUR,
                MailBudget::PER_DAY,
                in_words(MailBudget::PAUSE)
            );
        }
        AuditReason::CodesBraked => {
            return format!(
                "codes of many accounts were being guessed, so that only {} in an hour were mailed for each mailbox; a reset helps at once",
                MailBudget::PER_HOUR_BRAKED
            );
        }
        AuditReason::UnknownSession => {
            return format!(
                "this server knows no session of the sign-in cookie: the account was deleted, the session ended more than {} ago, an older \
                 backup was restored, or the cookie was made up",
                in_words(KEEP_ENDED_SESSIONS)
            );
        }
        AuditReason::AccountLimit => match rules.failure_limits {
            Some(limits) => {
                return format!(
                    "too many wrong passwords had come from the same address: after {} in a row the next try has to wait, {} at most",
                    limits.from_one_network.requests(),
                    in_words(limits.from_one_network.per())
                );
            }
            None => {
                "too many wrong passwords had come from the same address, so that the next try had to wait"
            }
        },
        AuditReason::AccountPause => return pause(rules),
    };
    text.to_owned()
}

/// Explains that an account refuses passwords from places where it was never signed in.
fn pause(rules: &SignInRules) -> String {
    let limit = rules.failure_limits.map(|limits| limits.of_account);
    let after = limit.map_or("too many".to_owned(), |limit| limit.requests().to_string());
    let time = limit.map_or("some time".to_owned(), |limit| in_words(limit.per()));
    format!(
        "{after} wrong passwords in a row had been tried on the account, so that it took none for {time}, except from where it was signed in \
         during the last {}; {} at once",
        in_words(ACQUAINTED_FOR),
        helps(rules)
    )
}

/// How the owner signs in while the account refuses passwords: `a mailed code helps`.
pub(super) const fn helps(rules: &SignInRules) -> &'static str {
    match rules {
        SignInRules { codes: true, .. } => "a mailed code helps",
        SignInRules { resets: true, .. } => "setting another password through a mailed link helps",
        _ => "`arkloop user set-password` helps",
    }
}

/// How the owner signs in if the account has no password.
pub(super) const fn instead_of_a_password(rules: &SignInRules) -> &'static str {
    match (rules.codes, rules.resets) {
        (true, true) => "its owner signs in by a mailed code or sets one by a reset",
        (true, false) => "its owner signs in by a mailed code",
        (false, true) => "its owner sets one by a reset",
        (false, false) => "no mail is sent, so the operator sets one: arkloop user set-password",
    }
}

/// How many wrong passwords make an account refuse further ones for a time.
pub(super) fn pausing(limits: Option<FailureLimits>) -> String {
    limits.map_or("wrong passwords".to_owned(), |limits| {
        format!("{} wrong passwords in a row", limits.of_account.requests())
    })
}

/// Why a session ended, as the end of a sentence.
pub(super) const fn why_ended(end: SessionEnd) -> &'static str {
    match end {
        SessionEnd::SignedOut => "its owner signed out",
        SessionEnd::EndedByOwner => "its owner ended it from another session",
        SessionEnd::Replaced => "its owner signed in again in the same browser",
        SessionEnd::TooMany => {
            "the account had as many sessions as it may have, and all others were used later"
        }
        SessionEnd::Expired => {
            "it was not used for long, or it had reached the longest age a session may have"
        }
        SessionEnd::RefreshReused => {
            "an old sign-in cookie came back that a newer one had replaced, so somebody may have a copy of it"
        }
        SessionEnd::RefreshAhead => {
            "its sign-in cookie is newer than the database, because an older backup was restored"
        }
        SessionEnd::Revoked => "the operator ended it",
        SessionEnd::Suspended => "the operator suspended the account",
        SessionEnd::PasswordChanged => "the password was changed",
        SessionEnd::EmailChanged => "the address was changed",
        SessionEnd::ChangeUndone => "the owner of the former address took it back",
        SessionEnd::Restored => "an older copy of the database was restored",
        SessionEnd::KeyReplaced => "the operator replaced the key file",
        SessionEnd::TakenBack => "the owner of the address proved it for the first time",
    }
}

#[cfg(test)]
mod tests {
    use strum::VariantArray;

    use super::*;

    #[test]
    fn every_reason_is_told_in_its_own_words_and_without_names_of_the_program() {
        let rules = SignInRules {
            failure_limits: None,
            codes: true,
            resets: true,
        };
        let causes = AuditReason::VARIANTS.iter().map(|reason| cause(*reason, &rules));
        let causes: Vec<String> = causes.collect();
        let deeds = AuditEvent::VARIANTS
            .iter()
            .flat_map(|event| [done(*event), refused(*event)]);
        for text in causes.iter().map(String::as_str).chain(deeds) {
            assert!(
                text.len() > 8 && !text.contains('_') && !text.ends_with('.'),
                "{text}"
            );
        }
        for (index, text) in causes.iter().enumerate() {
            assert!(!causes[..index].contains(text), "{text}");
        }
    }
}
