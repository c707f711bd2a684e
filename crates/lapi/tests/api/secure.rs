//! TLS: certificates of machines and bouncers, units, withdrawal, reload.

use std::path::Path;

use api::client::{Client, Credentials, Identity, Settings};
use lapi::{ClientVerification, Listen, Rules, Tls};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};

use crate::sandbox::Sandbox;

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "authority");
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn issue(&self, directory: &Path, name: &str, unit: &str, serial: u64) -> Identity {
        let mut params =
            CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.serial_number = Some(SerialNumber::from(serial));
        params.distinguished_name.push(DnType::CommonName, name);
        params.distinguished_name.push(DnType::OrganizationalUnitName, unit);
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        let identity = Identity {
            cert: directory.join(format!("{name}.pem")),
            key: directory.join(format!("{name}.key")),
        };
        std::fs::write(&identity.cert, cert.pem()).unwrap();
        std::fs::write(&identity.key, key.serialize_pem()).unwrap();
        identity
    }

    fn withdraw(&self, serials: &[u64]) -> String {
        let revoked = serials
            .iter()
            .map(|serial| RevokedCertParams {
                serial_number: SerialNumber::from(*serial),
                revocation_time: date_time_ymd(2025, 1, 1),
                reason_code: None,
                invalidity_date: None,
            })
            .collect();
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2025, 1, 1),
            next_update: date_time_ymd(2025, 2, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

#[tokio::test]
async fn trap_24_certificates_open_doors() {
    let authority = Authority::new();
    let keys = tempfile::tempdir().unwrap();
    let directory = keys.path();
    let server = authority.issue(directory, "server", "server", 1);
    let agent = authority.issue(directory, "agent", "agents", 2);
    let bouncer = authority.issue(directory, "bouncer", "bouncers", 3);
    let withdrawn = authority.issue(directory, "withdrawn", "bouncers", 4);
    let ca = directory.join("ca.pem");
    std::fs::write(&ca, &authority.pem).unwrap();
    let crl = directory.join("crl.pem");
    std::fs::write(&crl, authority.withdraw(&[4])).unwrap();
    let rules = Rules {
        agents_allowed_ou: vec!["agents".to_owned()],
        bouncers_allowed_ou: vec!["bouncers".to_owned()],
        ..Rules::default()
    };
    let tls = Tls {
        cert_file: server.cert.clone(),
        key_file: server.key.clone(),
        ca_cert_path: Some(ca.clone()),
        client_verification: ClientVerification::VerifyIfGiven,
        crl_path: Some(crl),
    };
    let sandbox = Sandbox::with(rules, |_| Listen {
        tcp: Some("127.0.0.1:0".to_owned()),
        tls: Some(tls),
        ..Listen::default()
    })
    .await;
    let url = format!("https://{}/", sandbox.address);
    let client = |credentials, identity: Option<&Identity>| {
        let settings = Settings {
            ca_cert: Some(ca.clone()),
            identity: identity.cloned(),
            ..Settings::new(&url, credentials, "crowdsec/v1")
        };
        Client::new(settings).unwrap()
    };
    let machine = client(Credentials::MachineCertificate, Some(&agent));
    machine.heartbeat().await.unwrap();
    let row = sandbox.service.store().machine("agent@127.0.0.1").await.unwrap().unwrap();
    assert!(row.validated && row.auth == store::MachineAuth::Tls);
    let enforcer = client(Credentials::BouncerCertificate, Some(&bouncer));
    enforcer.stream(&[]).await.unwrap();
    assert!(sandbox.service.store().bouncer("bouncer@127.0.0.1").await.unwrap().is_some());

    let refused = |result: Result<_, api::client::ClientError>| {
        result.map(|_: api::DecisionDelta| ()).unwrap_err().status()
    };
    let wrong_unit = client(Credentials::BouncerCertificate, Some(&agent));
    assert_eq!(refused(wrong_unit.stream(&[]).await), Some(403), "a machine's unit");
    let gone = client(Credentials::BouncerCertificate, Some(&withdrawn));
    assert_eq!(refused(gone.stream(&[]).await), Some(403), "a withdrawn certificate");
    sandbox.add_bouncer("b", "good").await;
    let both = client(Credentials::ApiKey("good".to_owned()), Some(&withdrawn));
    assert_eq!(
        refused(both.stream(&[]).await),
        Some(403),
        "a good key does not mend a bad certificate"
    );
    let key = client(Credentials::ApiKey("good".to_owned()), None);
    key.stream(&[]).await.unwrap();
    let stranger = Authority::new().issue(directory, "stranger", "bouncers", 5);
    let stranger = client(Credentials::BouncerCertificate, Some(&stranger));
    assert_eq!(
        refused(stranger.stream(&[]).await),
        None,
        "no handshake with a stranger's certificate"
    );
    sandbox.stop().await;
}

const ALL: [ClientVerification; 5] = [
    ClientVerification::None,
    ClientVerification::Request,
    ClientVerification::RequireAny,
    ClientVerification::VerifyIfGiven,
    ClientVerification::RequireAndVerify,
];

/// A server that judges certificates, and the files around it.
struct Secured {
    sandbox: Sandbox,
    authority: Authority,
    ca: std::path::PathBuf,
    crl: std::path::PathBuf,
    keys: tempfile::TempDir,
}

impl Secured {
    async fn start(client_verification: ClientVerification, lists: &str) -> Self {
        let authority = Authority::new();
        let keys = tempfile::tempdir().unwrap();
        let server = authority.issue(keys.path(), "server", "server", 1);
        let (ca, crl) = (keys.path().join("ca.pem"), keys.path().join("crl.pem"));
        std::fs::write(&ca, &authority.pem).unwrap();
        std::fs::write(&crl, format!("{lists}{}", authority.withdraw(&[4]))).unwrap();
        let rules = Rules {
            agents_allowed_ou: vec!["agents".to_owned()],
            bouncers_allowed_ou: vec!["bouncers".to_owned()],
            ..Rules::default()
        };
        let tls = Tls {
            cert_file: server.cert,
            key_file: server.key,
            ca_cert_path: Some(ca.clone()),
            client_verification,
            crl_path: Some(crl.clone()),
        };
        let sandbox = Sandbox::with(rules, |_| Listen {
            tcp: Some("127.0.0.1:0".to_owned()),
            tls: Some(tls),
            ..Listen::default()
        })
        .await;
        sandbox.add_bouncer("b", "good").await;
        Self { sandbox, authority, ca, crl, keys }
    }

    fn client(&self, credentials: Credentials, identity: Option<&Identity>) -> Client {
        let url = format!("https://{}/", self.sandbox.address);
        let settings = Settings {
            ca_cert: Some(self.ca.clone()),
            identity: identity.cloned(),
            ..Settings::new(&url, credentials, "crowdsec/v1")
        };
        Client::new(settings).unwrap()
    }

    /// The status of an answer to a bouncer; `None` where there was no handshake.
    async fn status(&self, credentials: Credentials, identity: Option<&Identity>) -> Option<u16> {
        match self.client(credentials, identity).stream(&[]).await {
            Ok(_) => Some(200),
            Err(error) => error.status(),
        }
    }
}

fn key() -> Credentials {
    Credentials::ApiKey("good".to_owned())
}

#[tokio::test]
async fn each_way_to_ask_for_certificates_lets_in_whom_it_says() {
    use ClientVerification::{None as Never, Request, RequireAndVerify, RequireAny, VerifyIfGiven};
    for verification in ALL {
        let secured = Secured::start(verification, "").await;
        let directory = secured.keys.path();
        let good = secured.authority.issue(directory, "good", "bouncers", 3);
        let stranger = Authority::new().issue(directory, "stranger", "bouncers", 5);
        // With a key and no certificate; with a good certificate; with a stranger's.
        let want = match verification {
            // Nobody is asked for one, so nobody can show one.
            Never => [Some(200), Some(403), Some(403)],
            Request => [Some(200), Some(200), Some(403)],
            RequireAny => [None, Some(200), Some(403)],
            VerifyIfGiven => [Some(200), Some(200), None],
            RequireAndVerify => [None, Some(200), None],
        };
        let by_certificate = Credentials::BouncerCertificate;
        let found = [
            secured.status(key(), None).await,
            secured.status(by_certificate.clone(), Some(&good)).await,
            secured.status(by_certificate, Some(&stranger)).await,
        ];
        assert_eq!(found, want, "{verification:?}");
        // Machines are judged alike.
        let machine = secured.authority.issue(directory, "machine", "agents", 6);
        let beat =
            secured.client(Credentials::MachineCertificate, Some(&machine)).heartbeat().await;
        assert_eq!(beat.is_ok(), verification != Never, "{verification:?}: {beat:?}");
        let forged = Authority::new().issue(directory, "forged", "agents", 7);
        let beat = secured.client(Credentials::MachineCertificate, Some(&forged)).heartbeat().await;
        assert!(beat.is_err(), "{verification:?}");
        secured.sandbox.stop().await;
    }
}

/// Two authorities of one name, each with its list: the list that is not ours must not hide ours.
#[tokio::test]
async fn every_list_of_withdrawn_certificates_counts() {
    let namesake = Authority::new().withdraw(&[3]);
    let secured = Secured::start(ClientVerification::VerifyIfGiven, &namesake).await;
    let directory = secured.keys.path();
    let withdrawn = secured.authority.issue(directory, "withdrawn", "bouncers", 4);
    let good = secured.authority.issue(directory, "good", "bouncers", 3);
    let by_certificate = Credentials::BouncerCertificate;
    assert_eq!(secured.status(by_certificate.clone(), Some(&withdrawn)).await, Some(403));
    assert_eq!(secured.status(by_certificate, Some(&good)).await, Some(200), "another's list");
}

#[tokio::test]
async fn a_feed_ends_when_its_certificate_is_withdrawn() {
    let secured = Secured::start(ClientVerification::VerifyIfGiven, "").await;
    let bouncer = secured.authority.issue(secured.keys.path(), "feeder", "bouncers", 8);
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_backend_preconfigured(preconfigured(&secured.ca, &bouncer))
        .build()
        .unwrap();
    let url = format!("https://{}/v1/decisions/feed", secured.sandbox.address);
    let mut feed = client.get(url).send().await.unwrap();
    assert_eq!(feed.status(), 200);
    assert!(feed.chunk().await.unwrap().is_some());
    // Another length, so that the change is seen even within one tick of the file system's clock.
    std::fs::write(&secured.crl, secured.authority.withdraw(&[4, 8])).unwrap();
    let ended = async { while feed.chunk().await.unwrap().is_some() {} };
    tokio::time::timeout(std::time::Duration::from_secs(60), ended).await.expect("an end");
}

fn preconfigured(ca: &Path, identity: &Identity) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    for authority in api::pem::certificates(ca).unwrap() {
        roots.add(authority).unwrap();
    }
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(
            api::pem::certificates(&identity.cert).unwrap(),
            api::pem::private_key(&identity.key).unwrap(),
        )
        .unwrap()
}
