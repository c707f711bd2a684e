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
async fn certificates_open_doors() {
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
