//! PostgreSQL: everything else here once more, and what only a server can do to us.

use std::{
    process::Command,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use tokio::sync::watch;

use super::*;

/// In the tests' second run: the socket's directory and the port of the server to use.
const ASKED: &str = "SHIELDWALL_STORE_TEST_SERVER";
/// Even a busy machine gets anything done within this.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server for the tests of this file, started once.
fn shared() -> Option<&'static testkit::postgres::Server> {
    static SERVER: OnceLock<Option<testkit::postgres::Server>> = OnceLock::new();
    // None of its tests asks it to survive anything, and making databases is mostly waiting for disks.
    SERVER.get_or_init(|| testkit::postgres::Server::start_with(&["fsync=off"])).as_ref()
}

/// How a database of a test server is reached through its socket, as the administrator.
fn by_socket(directory: &std::path::Path, port: u16, database: &str) -> Server {
    Server {
        address: ServerAddress::Socket { directory: directory.to_path_buf(), port },
        user: "postgres".to_owned(),
        password: String::new(),
        database: database.to_owned(),
        ssl_mode: SslMode::Disable,
        ca_cert: None,
        client_cert: None,
        max_connections: 4,
    }
}

fn by_network(server: &testkit::postgres::Server, database: &str) -> Server {
    Server {
        address: ServerAddress::Tcp { host: "127.0.0.1".to_owned(), port: server.port() },
        user: testkit::postgres::ROLE.to_owned(),
        password: testkit::postgres::PASSWORD.to_owned(),
        ..by_socket(server.socket_directory(), server.port(), database)
    }
}

/// Does something on a connection of its own.
pub(crate) fn aside<T: Send>(server: &Server, work: impl FnOnce(&Connection) -> T + Send) -> T {
    let work = || work(&schema::Place::Server(Arc::new(server.clone())).open_writer().unwrap());
    std::thread::scope(|scope| scope.spawn(work).join()).unwrap()
}

/// A database for one test, in the second run; `None` in the first.
pub(super) fn fresh_database() -> Option<Server> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let asked = std::env::var(ASKED).ok()?;
    let (port, directory) = asked.split_once(' ').unwrap();
    let server = |name: &str| by_socket(directory.as_ref(), port.parse().unwrap(), name);
    let name = format!("again{}", COUNT.fetch_add(1, Ordering::Relaxed));
    aside(&server("postgres"), |conn| conn.execute_batch(&format!("CREATE DATABASE {name}")))
        .unwrap();
    Some(server(&name))
}

#[test]
fn all_of_it_again_on_a_server() {
    let Some(server) = shared() else { return };
    let directory = server.socket_directory().display();
    let output = Command::new(std::env::current_exe().unwrap())
        // What is about files, and about servers, says so by where it stands.
        .args(["--skip", "tests::broken::", "--skip", "tests::postgres::", "--test-threads", "4"])
        .env(ASKED, format!("{} {directory}", server.port()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let n_databases =
        server.sql("postgres", "SELECT count(*) FROM pg_database WHERE datname LIKE 'again%'");
    let n_databases: u32 = n_databases.parse().unwrap();
    assert!(n_databases >= 20, "only {n_databases} tests used the server:\n{said}");
}

/// A network name of a database of its own, and the store on it.
fn connected(server: &testkit::postgres::Server) -> (Server, Store) {
    let database = by_network(server, &server.create_database());
    let store = Store::connect(&database, Index::Kept, T0).unwrap();
    (database, store)
}

fn active(store: &Store) -> usize {
    store.decisions(&DecisionFilter::default(), Page::default(), T0).unwrap().len()
}

async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what} never came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_server_that_will_not_have_us_is_told_with_the_setting_to_look_at() {
    let Some(server) = shared() else { return };
    let good = by_network(server, &server.create_database());
    let check = |wrong: Server, want: &str, words: &str| {
        let Err(error) = Store::connect(&wrong, Index::Kept, T0) else { panic!("{want}: let in") };
        match &error {
            Error::Refused { setting, .. } => assert_eq!(*setting, want, "{error}"),
            Error::Unreachable { .. } => assert_eq!("host", want, "{error}"),
            _ => panic!("{want}: {error}"),
        }
        let text = error.to_string();
        assert!(text.contains(words) && text.contains("127.0.0.1"), "{text}");
        assert!(!text.contains("wrong secret") && !text.contains("hunter2"), "{text}");
    };
    let password = Server { password: "wrong secret".to_owned(), ..good.clone() };
    check(password, "password", "password authentication failed");
    check(Server { password: String::new(), ..good.clone() }, "password", "password missing");
    check(Server { user: "stranger".to_owned(), ..good.clone() }, "password", "stranger");
    let nowhere = Server { database: "nowhere".to_owned(), ..good.clone() };
    check(nowhere, "db_name", "database \"nowhere\" does not exist");
    check(Server { ssl_mode: SslMode::Require, ..good.clone() }, "sslmode", "TLS");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = ServerAddress::Tcp { host: "127.0.0.1".to_owned(), port };
    check(Server { address, ..good.clone() }, "host", "refused");
    // A role that may not make tables.
    let foreign = server.create_database();
    server.sql("postgres", &format!("ALTER DATABASE {foreign} OWNER TO postgres"));
    server.sql(&foreign, "REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    check(Server { database: foreign, ..good }, "user", "permission denied");
}

#[tokio::test]
async fn two_servers_that_start_at_once_make_one_schema() {
    let Some(server) = shared() else { return };
    let database = by_network(server, &server.create_database());
    let start = || Store::connect(&database, Index::Kept, T0).map(Store::close);
    std::thread::scope(|scope| {
        let starting: Vec<_> = (0..6).map(|_| scope.spawn(start)).collect();
        for one in starting {
            one.join().unwrap().unwrap();
        }
    });
    assert_eq!(server.sql(&database.database, "SELECT count(*) FROM shieldwall_migrations"), "3");
    let changes = [
        "UPDATE shieldwall_migrations SET checksum = 'x' WHERE version = 1",
        "INSERT INTO shieldwall_migrations VALUES (99, 'x', now())",
    ];
    for (sql, word) in changes.into_iter().zip(["another text", "newer"]) {
        server.sql(&database.database, sql);
        let Err(error) = Store::connect(&database, Index::Kept, T0) else { panic!("opened") };
        assert!(matches!(&error, Error::Schema { reason, .. } if reason.contains(word)), "{error}");
    }
}

#[tokio::test]
async fn two_servers_on_one_database_number_their_changes_in_one_row() {
    let Some(server) = shared() else { return };
    let (database, one) = connected(server);
    let two = Store::connect(&database, Index::Kept, T0).unwrap();
    let writing: Vec<_> = (0..40u32)
        .map(|n| {
            let store = if n % 2 == 0 { one.clone() } else { two.clone() };
            let ban = decision(&std::net::Ipv4Addr::from_bits(n << 8).to_string(), 1000);
            tokio::spawn(
                async move { store.record(vec![alert(u128::from(n), vec![ban])], T0).await },
            )
        })
        .collect();
    for written in writing {
        written.await.unwrap().unwrap();
    }
    for store in [&one, &two] {
        store.tick(at(1)).await.unwrap();
        assert_eq!(active(store), 40, "each sees what the other wrote");
    }
    assert_eq!(one.seq().unwrap(), two.seq().unwrap());
    let n_numbers = server.sql(
        &database.database,
        "SELECT count(*) FROM (SELECT change_seq FROM decisions GROUP BY change_seq \
         HAVING count(*) > 20) shared",
    );
    assert_eq!(n_numbers, "0", "no number is given by both");
}

#[tokio::test]
async fn what_others_made_is_taken_over() {
    let Some(server) = shared() else { return };
    let database = by_network(server, &server.create_database());
    // Tables as an early release made them: without many columns, in types of their own.
    server.sql(
        &database.database,
        "SET ROLE guard;\
         CREATE TABLE machines (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, created_at timestamptz NOT NULL, \
         updated_at timestamptz NOT NULL, last_push timestamptz NULL, machine_id varchar UNIQUE NOT NULL, \
         password varchar NOT NULL, ip_address varchar NOT NULL, scenarios varchar NULL, version varchar NULL, \
         is_validated boolean NOT NULL DEFAULT false, status varchar NULL, hubstate jsonb NULL);\
         CREATE TABLE decisions (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, created_at timestamptz NOT NULL, \
         updated_at timestamptz NOT NULL, until timestamptz NULL, scenario varchar NOT NULL, type varchar NOT NULL, \
         start_ip bigint NULL, end_ip bigint NULL, ip_size bigint NULL, scope varchar NOT NULL, \
         value varchar NOT NULL, origin varchar NOT NULL, simulated boolean NOT NULL DEFAULT false, \
         alert_decisions bigint NULL);\
         INSERT INTO machines (created_at, updated_at, machine_id, password, ip_address, is_validated) \
         VALUES ('2023-01-01', '2023-01-01 00:00:00.25', 'old', 'hash', '', true);\
         INSERT INTO decisions VALUES (7, '2023-01-01', '2023-01-01', '2033-01-01 00:00:00.123456+01', \
         'acme/ssh-bf', 'ban', 0, 0, 4, 'Ip', '1.2.3.4', 'CAPI', false, NULL);\
         SELECT setval(pg_get_serial_sequence('decisions', 'id'), 7);",
    );
    let store = Store::connect(&database, Index::Kept, T0).unwrap();
    let machine = store.machine("old").await.unwrap().unwrap();
    assert!(machine.validated && machine.auth == MachineAuth::Password);
    assert_eq!(machine.updated_at.unix().1, 250_000_000);
    let hub =
        MachineChange { hub_state: Some("{\"a\": 1}".to_owned()), ..MachineChange::default() };
    store.change_machine("old", hub, T0).await.unwrap();
    let machine = store.machine("old").await.unwrap().unwrap();
    assert_eq!(machine.hub_state.as_deref(), Some("{\"a\": 1}"));
    let net = model::parse_target("1.2.3.4").unwrap();
    let filter =
        DecisionFilter { net: Some((net, Relation::Contains)), ..DecisionFilter::default() };
    let found = store.decisions(&filter, Page::default(), T0).unwrap();
    assert_eq!((found.len(), found[0].id.0, &*found[0].origin), (1, 7, "CAPI"));
    store.record(vec![alert(1, vec![decision("1.2.3.4", 60)])], T0).await.unwrap();
    assert_eq!(store.decisions(&filter, Page::default(), T0).unwrap().len(), 2);
}

#[tokio::test]
async fn texts_no_column_of_a_server_could_hold_are_stored_all_the_same() {
    let Some(server) = shared() else { return };
    let (_, store) = connected(server);
    // Longer than an entry of a b-tree, and nothing a compressor could shorten.
    let mut state = 7u64;
    let long: String = std::iter::repeat_with(|| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from_u32(0x4e00 + u32::try_from(state >> 51).unwrap()).unwrap()
    })
    .take(6000)
    .collect();
    let mut sent = alert(1, vec![decision("1.2.3.4", 60)]);
    sent.alert.message = "a\0b".to_owned();
    sent.alert.scenario = format!("{long}\0");
    sent.alert.source.value = long.clone();
    sent.decisions[0].scope = Scope::Other("country".to_owned());
    sent.decisions[0].value = long.clone();
    let recorded = store.record(vec![sent], T0).await.unwrap();
    let stored = store.alert(recorded[0].id().unwrap()).await.unwrap();
    assert_eq!(stored.alert.message, "a\u{fffd}b");
    assert_eq!(stored.decisions[0].value, long);
    let filter = AlertFilter { value: Some(long), ..AlertFilter::default() };
    assert_eq!(store.alerts(filter, T0).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_large_list_comes_and_goes_whole() {
    let Some(server) = shared() else { return };
    let (database, store) = connected(server);
    let address = |n: u32| std::net::Ipv4Addr::from_bits(0x0b00_0000 + n).to_string();
    let many: Vec<NewDecision> = (0..5_003u32).map(|n| decision(&address(n), 1000)).collect();
    let recorded = store.record(vec![alert(1, many)], T0).await.unwrap();
    let Recorded::Stored { decisions, .. } = &recorded[0] else { panic!("{recorded:?}") };
    assert_eq!(decisions.len(), 5_003);
    // The numbers that were told are those of the rows.
    for n in [0u32, 511, 512, 5_002] {
        let id = decisions[usize::try_from(n).unwrap()].0;
        let value =
            server.sql(&database.database, &format!("SELECT value FROM decisions WHERE id = {id}"));
        assert_eq!(value, address(n));
    }
    store.close();
    let store = Store::connect(&database, Index::Kept, T0).unwrap();
    assert_eq!(active(&store), 5_003);
    assert_eq!(store.expire(DecisionFilter::default(), at(1)).await.unwrap().len(), 5_003);
    assert_eq!(active(&store), 0);
}

#[tokio::test]
async fn a_server_that_dies_is_done_without_and_found_again() {
    let Some(mut server) = testkit::postgres::Server::start() else { return };
    let (_, store) = connected(&server);
    let key =
        NewBouncer { name: "fw".to_owned(), key_hash: "hash".to_owned(), ..NewBouncer::default() };
    store.add_bouncer(key, T0).await.unwrap();
    assert_eq!(store.bouncers_with_key("hash").await.unwrap().len(), 1);
    store.record(vec![alert(1, vec![decision("1.2.3.4", 1000)])], T0).await.unwrap();
    for round in 0..3u32 {
        match round {
            0 => server.kill(),
            _ => server.stop(),
        }
        assert_eq!(active(&store), usize::try_from(round).unwrap() + 1, "memory still answers");
        assert_eq!(
            store.bouncers_with_key("hash").await.unwrap().len(),
            1,
            "known keys still read"
        );
        let sent = alert(u128::from(round) + 2, vec![decision(&format!("5.6.7.{round}"), 1000)]);
        let error = store.record(vec![sent.clone()], T0).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
        assert_eq!(error.retry(), Retry::Later);
        let error = store.machines().await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
        assert!(store.bouncers_with_key("unknown").await.is_err());
        assert!(store.tick(at(1)).await.is_err());
        server.launch();
        eventually("an answer", async || store.record(vec![sent.clone()], T0).await.ok()).await;
        eventually("a reader", async || store.machines().await.ok()).await;
    }
    // A server that was restarted between two questions costs none of them.
    server.stop();
    server.launch();
    store.set_config_item("a", "b", T0).await.unwrap();
    assert_eq!(store.config_item("a").await.unwrap().as_deref(), Some("b"));
}

/// Writers go on while the server is killed again and again; what they were told is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_acknowledged_survives_its_death() {
    let Some(mut server) = testkit::postgres::Server::start() else { return };
    let (database, store) = connected(&server);
    let (stop, stopped) = watch::channel(false);
    let writers: Vec<_> = (0..3u32)
        .map(|writer| {
            let (store, stopped) = (store.clone(), stopped.clone());
            tokio::spawn(async move {
                let mut stored = Vec::new();
                for n in 0..1 << 16 {
                    let number = (writer << 16) | n;
                    let value = std::net::Ipv4Addr::from_bits(0x0c00_0000 | number).to_string();
                    let sent = alert(u128::from(number) + 1, vec![decision(&value, 1000)]);
                    // Whoever was not told so sends the same alert again.
                    loop {
                        match store.record(vec![sent.clone()], T0).await {
                            Ok(recorded) => break stored.push((recorded[0].id().unwrap(), value)),
                            Err(error) => assert_eq!(error.retry(), Retry::Later, "{error}"),
                        }
                        if *stopped.borrow() {
                            return stored;
                        }
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                    if *stopped.borrow() {
                        break;
                    }
                }
                stored
            })
        })
        .collect();
    let mut n_before = 0;
    for _ in 0..4 {
        let grown = async || {
            let n = active(&store);
            (n >= n_before + 30).then_some(n)
        };
        n_before = eventually("progress", grown).await;
        server.kill();
        server.launch();
    }
    stop.send(true).unwrap();
    let mut stored = Vec::new();
    for writer in writers {
        stored.extend(writer.await.unwrap());
    }
    // A commit that was cut off may have happened; the next change shows what it left.
    eventually("a tick", async || store.tick(at(1)).await.ok()).await;
    let rows = server.sql(&database.database, "SELECT count(*), count(DISTINCT uuid) FROM alerts");
    let (n_rows, n_uuids) = rows.split_once('|').unwrap();
    assert_eq!(n_rows, n_uuids, "nothing is there twice");
    let n_rows: usize = n_rows.parse().unwrap();
    assert!(n_rows >= stored.len(), "{n_rows} rows, {} acknowledged", stored.len());
    assert_eq!(active(&store), n_rows, "memory shows what the server has");
    for (id, value) in &stored {
        assert_eq!(store.alert(*id).await.unwrap().decisions[0].value, *value);
    }
    store.close();
    assert_eq!(active(&Store::connect(&database, Index::Kept, T0).unwrap()), n_rows);
    println!("{} acknowledged alerts survived 4 kills, {n_rows} stored", stored.len());
}

/// Signs certificates for the tests.
struct Signer {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    pem: String,
}

impl Signer {
    fn new() -> Self {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: rcgen::Issuer::new(params, key), pem }
    }

    /// A certificate and its key, in files of these names.
    fn issue(&self, dir: &std::path::Path, host: &str, name: &str) -> ClientCertificate {
        let mut params = rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = rcgen::KeyPair::generate().unwrap();
        let files = ClientCertificate {
            cert: dir.join(format!("{name}.pem")),
            key: dir.join(format!("{name}.key")),
        };
        std::fs::write(&files.cert, params.signed_by(&key, &self.issuer).unwrap().pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        std::fs::set_permissions(&files.key, std::fs::Permissions::from_mode(0o600)).unwrap();
        files
    }
}

#[tokio::test]
async fn a_connection_is_as_safe_as_its_mode_says() {
    let Some(mut server) = testkit::postgres::Server::start_with(&["fsync=off"]) else { return };
    let dir = tempfile::tempdir().unwrap();
    let (signer, stranger) = (Signer::new(), Signer::new());
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let ours = write("ca.pem", &signer.pem);
    let theirs = write("other-ca.pem", &stranger.pem);
    let client = signer.issue(dir.path(), "client", testkit::postgres::ROLE);
    // What the server reads lies where only it can.
    let own = signer.issue(server.socket_directory(), "localhost", "server");
    let ca = server.socket_directory().join("ca.pem");
    std::fs::copy(&ours, &ca).unwrap();
    for file in [&own.cert, &own.key, &ca] {
        server.give(file);
    }
    let by_certificate = server.create_database();
    let good = by_network(&server, &server.create_database());
    let rules = PathBuf::from(server.sql("postgres", "SHOW hba_file"));
    let before = std::fs::read_to_string(&rules).unwrap();
    let more = format!(
        "hostssl {by_certificate} all 127.0.0.1/32 cert\nhostnossl {by_certificate} all all reject\n"
    );
    std::fs::write(&rules, more + &before).unwrap();
    server.stop();
    server.set("ssl=on");
    for (name, file) in [("cert", &own.cert), ("key", &own.key), ("ca", &ca)] {
        server.set(&format!("ssl_{name}_file={}", file.display()));
    }
    server.launch();

    let n_safe = || {
        server.sql(
            "postgres",
            "SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) \
             WHERE a.application_name LIKE 'shieldwall%' AND s.ssl",
        )
    };
    let host = |host: &str| ServerAddress::Tcp { host: host.to_owned(), port: server.port() };
    let with = |ssl_mode, name: &str, ca_cert: Option<&PathBuf>| Server {
        address: host(name),
        ssl_mode,
        ca_cert: ca_cert.cloned(),
        ..good.clone()
    };
    let (ours, theirs) = (Some(&ours), Some(&theirs));
    for (mode, name, ca, is_safe) in [
        (SslMode::Disable, "127.0.0.1", None, false),
        (SslMode::Prefer, "127.0.0.1", None, true),
        (SslMode::Require, "127.0.0.1", None, true),
        (SslMode::Require, "127.0.0.1", ours, true),
        (SslMode::VerifyCa, "127.0.0.1", ours, true),
        (SslMode::VerifyFull, "localhost", ours, true),
    ] {
        let store = Store::connect(&with(mode, name, ca), Index::Kept, T0).unwrap();
        store.set_config_item("a", "b", T0).await.unwrap();
        assert_eq!(n_safe() != "0", is_safe, "{mode:?} {name} {ca:?}");
        store.close();
        // The server lets go of a connection a moment after its client.
        eventually("the end of a connection", async || (n_safe() == "0").then_some(())).await;
    }
    for (mode, name, ca, setting) in [
        (SslMode::Require, "127.0.0.1", theirs, "ssl_ca_cert"),
        (SslMode::VerifyCa, "127.0.0.1", theirs, "ssl_ca_cert"),
        (SslMode::VerifyCa, "127.0.0.1", None, "sslmode"),
        (SslMode::VerifyFull, "127.0.0.1", ours, "ssl_ca_cert"),
        (SslMode::VerifyFull, "localhost", None, "sslmode"),
    ] {
        let refused = Store::connect(&with(mode, name, ca), Index::Kept, T0).err().unwrap();
        let Error::Refused { setting: told, .. } = &refused else { panic!("{refused}") };
        assert_eq!(*told, setting, "{mode:?} {name} {ca:?}: {refused}");
    }
    let missing = PathBuf::from("/nowhere/ca.pem");
    let refused =
        Store::connect(&with(SslMode::VerifyCa, "localhost", Some(&missing)), Index::Kept, T0);
    assert!(refused.err().unwrap().to_string().contains("/nowhere/ca.pem"));

    // A certificate of ours, in place of a password.
    let shown = Server {
        database: by_certificate,
        password: String::new(),
        client_cert: Some(client),
        ..with(SslMode::VerifyFull, "localhost", ours)
    };
    Store::connect(&shown, Index::Kept, T0).unwrap().close();
    let hidden = Server { client_cert: None, ..shown };
    assert!(Store::connect(&hidden, Index::Kept, T0).is_err());
}
