//! Disks that are full, files that cannot be written, files that are damaged.

use std::process::Command;

use super::*;

#[test]
fn what_is_no_database_is_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    std::fs::write(&path, "this is a letter to my aunt, not a database".repeat(100)).unwrap();
    let Err(error) = open(&path, T0) else { panic!("opened") };
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("store.db is damaged"), "{error}");
    let Err(error) = open(dir.path(), T0) else { panic!("opened a directory") };
    assert!(matches!(error, Error::Unusable { .. }), "{error}");
}

#[tokio::test]
async fn a_damaged_page_fails_what_reads_it_and_nothing_else() {
    let bench = Bench::new();
    let many =
        (0..2000u32).map(|n| decision(&std::net::Ipv4Addr::from_bits(n << 8).to_string(), 100));
    bench.store.record(vec![alert(1, many.collect())], T0).await.unwrap();
    bench
        .store
        .add_machine(NewMachine { name: "m".to_owned(), ..NewMachine::default() }, T0)
        .await
        .unwrap();
    let root = bench.count("SELECT rootpage FROM sqlite_schema WHERE name = 'decisions'");
    let size = bench.count("PRAGMA page_size");
    let Bench { dir, store } = bench;
    store.close();
    let path = dir.path().join("store.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let start = usize::try_from((root - 1) * size).unwrap();
    bytes[start..start + 100].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let Err(error) = open(&path, T0) else { panic!("opened") };
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    // A tool without the index can still see to the machines.
    let tool = Store::open(&Settings { path, index: Index::None }, T0).unwrap();
    assert_eq!(tool.machines().await.unwrap().len(), 1);
    let error = tool.expire(DecisionFilter::default(), T0).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    tool.set_config_item("still", "writable", T0).await.unwrap();
}

#[test]
fn a_newer_or_altered_schema_is_refused() {
    for (sql, word) in [
        ("INSERT INTO shieldwall_migrations VALUES (99, 'x', 'y')", "newer"),
        ("UPDATE shieldwall_migrations SET checksum = 'x' WHERE version = 1", "another text"),
    ] {
        let bench = Bench::new();
        bench.sql(sql);
        let Bench { dir, store } = bench;
        store.close();
        let Err(error) = open(&dir.path().join("store.db"), T0) else { panic!("opened") };
        assert!(matches!(&error, Error::Schema { reason, .. } if reason.contains(word)), "{error}");
    }
}

#[tokio::test]
async fn an_older_database_of_others_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    // Tables as an early release made them: without many columns, with some that are gone today.
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch(
            "CREATE TABLE machines (id integer PRIMARY KEY AUTOINCREMENT NOT NULL, created_at datetime NOT NULL, \
             updated_at datetime NOT NULL, last_push datetime NULL, machine_id text UNIQUE NOT NULL, \
             password text NOT NULL, ip_address text NOT NULL, scenarios text NULL, version text NULL, \
             is_validated bool NOT NULL DEFAULT false, status text NULL);\
             CREATE TABLE decisions (id integer PRIMARY KEY AUTOINCREMENT NOT NULL, created_at datetime NOT NULL, \
             updated_at datetime NOT NULL, until datetime NULL, scenario text NOT NULL, type text NOT NULL, \
             start_ip integer NULL, end_ip integer NULL, ip_size integer NULL, scope text NOT NULL, \
             value text NOT NULL, origin text NOT NULL, simulated bool NOT NULL DEFAULT false, \
             alert_decisions integer NULL);\
             INSERT INTO machines VALUES (1, '2023-01-01 00:00:00+00:00', '2023-01-01 00:00:00.25+00:00', NULL, \
             'old', 'hash', '', NULL, NULL, 1, NULL);\
             INSERT INTO decisions VALUES (7, '2023-01-01 00:00:00+00:00', '2023-01-01 00:00:00+00:00', \
             '2033-01-01 00:00:00.123456789+01:00', 'acme/ssh-bf', 'ban', 0, 0, 4, 'Ip', '1.2.3.4', 'CAPI', 0, NULL);",
        )
        .unwrap();
    let store = open(&path, T0).unwrap();
    let machine = store.machine("old").await.unwrap().unwrap();
    assert!(machine.validated && machine.auth == MachineAuth::Password);
    let net = model::parse_target("1.2.3.4").unwrap();
    let filter =
        DecisionFilter { net: Some((net, Relation::Contains)), ..DecisionFilter::default() };
    let found = store.decisions(&filter, Page::default(), T0).unwrap();
    assert_eq!((found.len(), found[0].id.0, &*found[0].origin), (1, 7, "CAPI"));
    store.record(vec![alert(1, vec![decision("1.2.3.4", 60)])], T0).await.unwrap();
    assert_eq!(store.decisions(&filter, Page::default(), T0).unwrap().len(), 2);
}

/// Runs a command; tells whether it worked.
fn worked(program: &str, arguments: &[&std::ffi::OsStr]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

/// A small file system in memory, gone when dropped.
struct SmallDisk {
    dir: tempfile::TempDir,
}

impl SmallDisk {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mount = ["-t", "tmpfs", "-o", "size=2m", "tmpfs"].map(std::ffi::OsStr::new);
        let mounted = worked("mount", &[&mount[..], &[dir.path().as_os_str()]].concat());
        if !mounted {
            eprintln!("SKIPPED: mounting a small file system needs root");
            return None;
        }
        Some(Self { dir })
    }

    fn remount(&self, options: &str) -> bool {
        let options = format!("remount,{options}");
        worked("mount", &["-o".as_ref(), options.as_ref(), self.dir.path().as_os_str()])
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        worked("umount", &["-l".as_ref(), self.dir.path().as_os_str()]);
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_gotten_over() {
    let Some(disk) = SmallDisk::mount() else { return };
    let path = disk.dir.path().join("store.db");
    let store = open(&path, T0).unwrap();
    let mut n_stored = 0;
    let error = loop {
        let value = std::net::Ipv4Addr::from_bits(n_stored << 8).to_string();
        match store
            .record(vec![alert(u128::from(n_stored), vec![decision(&value, 1000)])], T0)
            .await
        {
            Ok(_) => n_stored += 1,
            Err(error) => break error,
        }
        assert!(n_stored < 100_000, "the disk never fills");
    };
    assert!(matches!(error, Error::Full { .. }), "{error}");
    assert_eq!(error.retry(), Retry::Later);
    // Reading goes on, and memory shows what is on disk: all that was acknowledged, nothing else.
    let count = |store: &Store| {
        store.decisions(&DecisionFilter::default(), Page::default(), T0).unwrap().len()
    };
    let n_stored = usize::try_from(n_stored).unwrap();
    assert_eq!(count(&store), n_stored);
    assert_eq!(
        store
            .alerts(AlertFilter { limit: Some(1), ..AlertFilter::default() }, T0)
            .await
            .unwrap()
            .len(),
        1
    );
    assert!(disk.remount("size=64m"));
    store.record(vec![alert(1 << 40, vec![decision("250.0.0.1", 1000)])], T0).await.unwrap();
    store.close();
    let store = open(&path, T0).unwrap();
    assert_eq!(count(&store), n_stored + 1);
}

#[tokio::test]
async fn a_disk_that_turns_read_only_is_told_and_gotten_over() {
    let Some(disk) = SmallDisk::mount() else { return };
    let path = disk.dir.path().join("store.db");
    open(&path, T0).unwrap().close();
    // Linux refuses to remount while a file is open for writing, so the store meets it closed.
    assert!(disk.remount("ro"));
    let Err(error) = open(&path, T0) else { panic!("opened") };
    assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
    assert!(disk.remount("rw"));
    let store = open(&path, T0).unwrap();
    store.set_config_item("writable", "again", T0).await.unwrap();
}

#[tokio::test]
async fn a_database_somebody_holds_is_waited_for() {
    let bench = Bench::new();
    let other = rusqlite::Connection::open(bench.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let store = bench.store.clone();
    let waiting = tokio::spawn(async move { store.set_config_item("name", "value", T0).await });
    // Reading does not wait.
    assert_eq!(bench.store.config_item("name").await.unwrap(), None);
    assert!(!waiting.is_finished());
    other.execute_batch("COMMIT").unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(bench.store.config_item("name").await.unwrap().as_deref(), Some("value"));
}
