//! Connections to the mail server: the name in the greeting, trusted certificates, the use of TLS, and the advice after a failure. Other rules decide
//! whether `check` trusts the certificate of the operator's own site; they are tested here too.

use std::sync::Arc;

use insta::assert_snapshot;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, date_time_ymd,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::check::install;
use crate::support::Workspace;
use crate::support::smtp::{Fault, SmtpServer, Stage};

const TEST: [&str; 3] = ["mail", "test", "ann@example.org"];

/// A directory with a database whose mail goes to `server`.
fn sending_to(server: &SmtpServer) -> Workspace {
    let mut workspace = Workspace::new();
    workspace.send_mail_through(server);
    assert!(workspace.output(&["init"], "").status.success(), "init works");
    workspace
}

/// The error of `mail test`, without the words that all failures begin with.
fn failure(workspace: &Workspace) -> String {
    let output = workspace.output(&TEST, "");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = String::from_utf8(output.stderr).expect("the output is text");
    let (_, told) = told
        .split_once("error: the mail was not sent: ")
        .expect("it is about the mail");
    told.trim_end().to_owned()
}

fn succeeds(workspace: &Workspace) {
    let output = workspace.output(&TEST, "");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mail_server_is_greeted_by_a_full_name_or_an_address() {
    let server = SmtpServer::start();
    let mut workspace = sending_to(&server);
    // The hostname of the machine is preferred if it has a domain.
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("Linux has the file");
    let full = Some(hostname.trim().to_owned()).filter(|name| name.contains('.'));
    succeeds(&workspace);
    let by_address = full.clone().unwrap_or_else(|| "[127.0.0.1]".to_owned());
    assert_eq!(server.greetings(), [by_address]);
    workspace
        .set("ARKLOOP_SERVER__PUBLIC_URL", "https://auth.example.org")
        .set("ARKLOOP_SERVER__TRUSTED_PROXIES", "127.0.0.0/8");
    succeeds(&workspace);
    let of_the_site = full.unwrap_or_else(|| "auth.example.org".to_owned());
    assert_eq!(server.greetings().last(), Some(&of_the_site));
    workspace.set("ARKLOOP_MAIL__HELO_NAME", "mail.example.net");
    assert_snapshot!(workspace.run(&TEST), @"
    exit: 0
    stdout:
    the mail server has taken a test mail to ann@example.org, and was greeted as mail.example.net
    ");
    assert_eq!(
        server.greetings().last().map(String::as_str),
        Some("mail.example.net")
    );
    assert_eq!(
        workspace.json(&["config", "show"])["mail"]["helo_name"],
        "mail.example.net"
    );
    let found = workspace.output(&["check"], "");
    let found = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(
        found.contains("takes it without TLS, greeted as mail.example.net"),
        "{found}"
    );
}

/// The parameters of a usual self-signed certificate: like those of `openssl req -x509`, it is marked as an authority.
fn usual(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new([name.to_owned()]).expect("the name is valid");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_in_the_file_is_accepted_for_its_name_and_dates() {
    let mut only_common_name = usual("127.0.0.1");
    only_common_name.subject_alt_names.clear();
    only_common_name.distinguished_name = DistinguishedName::new();
    only_common_name
        .distinguished_name
        .push(DnType::CommonName, "127.0.0.1");
    let mut no_authority = usual("127.0.0.1");
    no_authority.is_ca = IsCa::ExplicitNoCa;
    for params in [usual("127.0.0.1"), only_common_name, no_authority] {
        succeeds(&sending_to(&SmtpServer::certified(&params)));
    }
    // The file may also have other certificates, as after a renewal.
    let (server, other) = (
        SmtpServer::certified(&usual("127.0.0.1")),
        SmtpServer::certified(&usual("127.0.0.1")),
    );
    let workspace = sending_to(&server);
    let [own, others] =
        [&server, &other].map(|server| server.authority().expect("the server has a certificate"));
    workspace.write("authority.pem", &format!("{others}{own}"));
    succeeds(&workspace);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_refused_is_told_in_words() {
    let failure_of = |params: &CertificateParams| {
        let server = SmtpServer::certified(params);
        failure(&sending_to(&server))
    };
    let mut expired = usual("127.0.0.1");
    expired.not_before = date_time_ymd(2020, 1, 1);
    expired.not_after = date_time_ymd(2021, 1, 1);
    assert_snapshot!(failure_of(&expired), @"the conversation with the mail server failed while starting TLS: its certificate expired on 2021-01-01; renew the certificate on the mail server, and in mail.ca_file if it is there; compare the clocks of both");
    let mut early = usual("127.0.0.1");
    early.not_before = date_time_ymd(2999, 1, 1);
    early.not_after = date_time_ymd(3000, 1, 1);
    assert_snapshot!(failure_of(&early), @"the conversation with the mail server failed while starting TLS: its certificate is not valid before 2999-01-01; renew the certificate on the mail server, and in mail.ca_file if it is there; compare the clocks of both");
    assert_snapshot!(failure_of(&usual("mail.example.net")), @"the conversation with the mail server failed while starting TLS: its certificate is for mail.example.net, and not for 127.0.0.1; name the server in mail.smtp_url as its certificate does, or give it a certificate for 127.0.0.1");
    let mut nameless = usual("127.0.0.1");
    nameless.subject_alt_names.clear();
    assert_snapshot!(failure_of(&nameless), @"the conversation with the mail server failed while starting TLS: its certificate is for no host (it has no alternative name), and not for 127.0.0.1; name the server in mail.smtp_url as its certificate does, or give it a certificate for 127.0.0.1");
    let (server, other) = (
        SmtpServer::certified(&usual("127.0.0.1")),
        SmtpServer::certified(&usual("127.0.0.1")),
    );
    let workspace = sending_to(&server);
    workspace.write(
        "authority.pem",
        other.authority().expect("the server has a certificate"),
    );
    assert_snapshot!(failure(&workspace), @"the conversation with the mail server failed while starting TLS: its certificate signs itself, and is not among those that are trusted; the certificate is neither in mail.ca_file nor issued by one in it; if it was renewed, replace it there");
    let mut workspace = sending_to(&server);
    workspace
        .set("ARKLOOP_MAIL__CA_FILE", "")
        .set("ARKLOOP_MAIL__SMTP_SECURITY", "starttls");
    assert_snapshot!(failure(&workspace), @"the conversation with the mail server failed while starting TLS: its certificate signs itself, and is not among those that are trusted; if the server is your own, put its certificate (PEM) into a file, and name that with mail.ca_file");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_from_the_first_byte_needs_no_scheme_of_its_own() {
    let server = SmtpServer::with_tls();
    let mut workspace = sending_to(&server);
    workspace.set("ARKLOOP_MAIL__SMTP_SECURITY", "tls");
    succeeds(&workspace);
    workspace.set("ARKLOOP_MAIL__SMTP_SECURITY", "");
    let url = format!("smtps://127.0.0.1:{}", server.port());
    workspace.set("ARKLOOP_MAIL__SMTP_URL", &url);
    succeeds(&workspace);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_on_a_private_network_is_used_without_tls_only_if_that_is_said() {
    let server = SmtpServer::start();
    let mut workspace = sending_to(&server);
    // This address leads to this machine, but is not a loopback address.
    let url = format!("smtp://0.0.0.0:{}", server.port());
    workspace.set("ARKLOOP_MAIL__SMTP_URL", &url);
    assert_snapshot!(failure(&workspace), @r#"the conversation with the mail server failed while asking for STARTTLS: it offers no STARTTLS; use its port 465 with TLS from the first byte (smtps://0.0.0.0:465); only for a relay on a private network: mail.smtp_security = "none""#);
    workspace
        .set("ARKLOOP_MAIL__SMTP_SECURITY", "none")
        .set("ARKLOOP_MAIL__FROM", "no-reply@example.org");
    succeeds(&workspace);
    let warnings =
        String::from_utf8(workspace.output(&["config", "show"], "").stderr).expect("the output is text");
    assert!(
        warnings.contains("mail.smtp_security is \"none\" and 0.0.0.0 is another machine"),
        "{warnings}"
    );
    assert!(!warnings.contains("mail.smtp_password"), "{warnings}");
    workspace
        .set("ARKLOOP_MAIL__SMTP_USER", "arkloop")
        .set("ARKLOOP_MAIL__SMTP_PASSWORD", "the relay's password");
    succeeds(&workspace);
    let warnings =
        String::from_utf8(workspace.output(&["config", "show"], "").stderr).expect("the output is text");
    assert!(warnings.contains("and so can mail.smtp_password"), "{warnings}");
    let found = workspace.output(&["check"], "");
    let found = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(found.contains("is another machine"), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_classic_mix_ups_are_told_with_the_mend() {
    let server = SmtpServer::start();
    let mut workspace = sending_to(&server);
    workspace
        .set("ARKLOOP_MAIL__HELO_NAME", "auth.example.org")
        .set("ARKLOOP_MAIL__SMTP_USER", "arkloop")
        .set("ARKLOOP_MAIL__SMTP_PASSWORD", "the mail server's password");
    let told = |stage: Stage, answer: &'static str| {
        server.always(stage, Fault::Answer(answer));
        let told = failure(&workspace);
        server.heal();
        told
    };
    assert_snapshot!(told(Stage::Hello, "250-localhost\r\n250 STARTTLS"), @r#"the conversation with the mail server failed while signing in: it offers no way to sign in that is known here (PLAIN or LOGIN); the server wants TLS before that: mail.smtp_security = "starttls""#);
    assert_snapshot!(told(Stage::Hello, "504 5.5.2 <auth.example.org>: Helo command rejected: need fully-qualified hostname"), @r#"the mail server answered 504 5.5.2 while saying EHLO: "<auth.example.org>: Helo command rejected: need fully-qualified hostname"; set mail.helo_name to the full name of this host in the DNS; it greets as auth.example.org"#);
    assert_snapshot!(told(Stage::Recipient, "550 5.7.1 <auth.example.org>: Helo command rejected: Host not found"), @r#"the mail server answered 550 5.7.1 while naming the recipient: "<auth.example.org>: Helo command rejected: Host not found"; set mail.helo_name to the full name of this host in the DNS; it greets as auth.example.org"#);
    assert_snapshot!(told(Stage::SignIn, "535-5.7.8 Username and Password not accepted.\r\n535 5.7.8 See https://support.example.com"), @r#"the mail server answered 535 5.7.8 while signing in: "Username and Password not accepted. See https://support.example.com"; compare mail.smtp_user and mail.smtp_password; Gmail, iCloud, Yahoo, Fastmail, Zoho and Microsoft 365 take an app password instead of the account's own"#);
    assert_snapshot!(told(Stage::SignIn, "538 5.7.11 Encryption required for requested authentication mechanism"), @r#"the mail server answered 538 5.7.11 while signing in: "Encryption required for requested authentication mechanism"; the server wants TLS before that: mail.smtp_security = "starttls""#);
    assert_snapshot!(told(Stage::Sender, "530 5.7.0 Must issue a STARTTLS command first"), @r#"the mail server answered 530 5.7.0 while naming the sender: "Must issue a STARTTLS command first"; the server wants TLS before that: mail.smtp_security = "starttls""#);
    assert_snapshot!(told(Stage::Sender, "553 5.7.1 <no-reply@localhost>: Sender address rejected: not owned by user arkloop"), @r#"the mail server answered 553 5.7.1 while naming the sender: "<no-reply@localhost>: Sender address rejected: not owned by user arkloop"; set mail.from to an address from which the server lets this host or mail.smtp_user send; it is no-reply@localhost"#);
    assert_snapshot!(told(Stage::Recipient, "550 5.1.8 <no-reply@localhost>: Sender address rejected: Domain not found"), @r#"the mail server answered 550 5.1.8 while naming the recipient: "<no-reply@localhost>: Sender address rejected: Domain not found"; set mail.from to an address from which the server lets this host or mail.smtp_user send; it is no-reply@localhost"#);
    assert_snapshot!(told(Stage::Recipient, "554 5.7.1 <ann@example.org>: Relay access denied"), @r#"the mail server answered 554 5.7.1 while naming the recipient: "<recipient>: Relay access denied"; allow mail.smtp_user, or the address of this host, to send through the mail server"#);
    let parted = told(
        Stage::Recipient,
        "550-5.7.1 no mail for ann\r\n550 5.7.1 @example.org: ann at example.org",
    );
    assert!(
        parted.contains(r#""no mail for <recipient>: <recipient>""#),
        "{parted}"
    );
    assert_snapshot!(told(Stage::Recipient, "550 5.1.1 <ann@example.org>: Recipient address rejected: User unknown"), @r#"the mail server answered 550 5.1.1 while naming the recipient: "<recipient>: Recipient address rejected: User unknown"; see whether the recipient's address is right and the mail server takes mail for it"#);
    workspace.set("ARKLOOP_MAIL__SMTP_SECURITY", "tls");
    let told = failure(&workspace).replace(&server.port().to_string(), "<port>");
    assert_snapshot!(told, @r#"the conversation with the mail server failed while starting TLS: it does not speak TLS there; if the server begins without TLS on port <port>, as on port 587: mail.smtp_url = "smtp://127.0.0.1:<port>" and mail.smtp_security = "starttls""#);
}

/// A TLS terminator for a proxy in front of a server, and the authority of its certificate in PEM form.
fn terminator() -> (TlsAcceptor, String) {
    let (authority_key, key) = (
        KeyPair::generate().expect("there is randomness"),
        KeyPair::generate().expect("there is randomness"),
    );
    let params = usual("authority.example");
    let authority = params
        .self_signed(&authority_key)
        .expect("the parameters are valid");
    let certificate = CertificateParams::new(["127.0.0.1".to_owned()])
        .and_then(|own| own.signed_by(&key, &Issuer::new(params, authority_key)))
        .expect("the parameters are valid");
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| {
            config
                .with_no_client_auth()
                .with_single_cert(vec![certificate.der().clone()], key)
        });
    let config = config.expect("key and certificate fit");
    (TlsAcceptor::from(Arc::new(config)), authority.pem())
}

#[tokio::test(flavor = "multi_thread")]
async fn check_trusts_the_authorities_of_this_machine() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let url = format!(
        "https://{}",
        listener.local_addr().expect("the socket has an address")
    );
    let (mut workspace, address) = install();
    workspace
        .set("ARKLOOP_SERVER__PUBLIC_URL", &url)
        .set("ARKLOOP_SERVER__TRUSTED_PROXIES", "127.0.0.0/8");
    let (acceptor, authority) = terminator();
    let _server = workspace.serve_on(&address);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut outside) = acceptor.accept(stream).await else {
                continue;
            };
            let mut inside = TcpStream::connect(&address).await.expect("the server listens");
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut outside, &mut inside).await });
        }
    });
    let found = workspace.run(&["check"]);
    let why = "TLS with the server failed: no authority that is trusted here has issued its certificate";
    assert!(found.contains(why), "{found}");
    workspace.write("authority.pem", &authority);
    let path = workspace.path().join("authority.pem");
    workspace.set("SSL_CERT_FILE", path.to_str().expect("the path is text"));
    let found = workspace.run(&["check"]);
    assert!(
        found.contains("leads to this server") && !found.contains("TLS with"),
        "{found}"
    );
}
