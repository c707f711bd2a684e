-- The tables existing tools know, under their names. An existing database is taken over: what is
-- there stays, columns it lacks were added before this file runs (schema.rs).
CREATE TABLE IF NOT EXISTS machines (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    created_at DATETIME NOT NULL, updated_at DATETIME NOT NULL,
    last_push DATETIME NULL, last_heartbeat DATETIME NULL,
    machine_id TEXT NOT NULL UNIQUE, password TEXT NOT NULL, ip_address TEXT NOT NULL,
    scenarios TEXT NULL, version TEXT NULL, is_validated BOOL NOT NULL DEFAULT (false),
    auth_type TEXT NOT NULL DEFAULT ('password'),
    osname TEXT NULL, osfamily TEXT NULL, osversion TEXT NULL, featureflags TEXT NULL,
    hubstate JSON NULL, datasources JSON NULL
);
CREATE INDEX IF NOT EXISTS machine_last_heartbeat_created_at ON machines (last_heartbeat, created_at);
CREATE INDEX IF NOT EXISTS machine_is_validated ON machines (is_validated);

CREATE TABLE IF NOT EXISTS bouncers (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    created_at DATETIME NOT NULL, updated_at DATETIME NOT NULL,
    name TEXT NOT NULL UNIQUE, api_key TEXT NOT NULL, revoked BOOL NOT NULL,
    ip_address TEXT NULL, type TEXT NULL, version TEXT NULL, last_pull DATETIME NULL,
    auth_type TEXT NOT NULL DEFAULT ('api-key'),
    osname TEXT NULL, osfamily TEXT NULL, osversion TEXT NULL, featureflags TEXT NULL,
    auto_created BOOL NOT NULL DEFAULT (false)
);
CREATE INDEX IF NOT EXISTS bouncer_api_key_auth_type ON bouncers (api_key, auth_type);
CREATE INDEX IF NOT EXISTS bouncer_api_key_ip_address ON bouncers (api_key, ip_address);
CREATE INDEX IF NOT EXISTS bouncer_last_pull_created_at ON bouncers (last_pull, created_at);

CREATE TABLE IF NOT EXISTS alerts (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    created_at DATETIME NOT NULL, updated_at DATETIME NOT NULL,
    scenario TEXT NOT NULL, bucket_id TEXT NULL, message TEXT NULL, events_count INTEGER NULL,
    started_at DATETIME NULL, stopped_at DATETIME NULL,
    source_ip TEXT NULL, source_range TEXT NULL, source_as_number TEXT NULL,
    source_as_name TEXT NULL, source_country TEXT NULL,
    source_latitude REAL NULL, source_longitude REAL NULL,
    source_scope TEXT NULL, source_value TEXT NULL,
    capacity INTEGER NULL, leak_speed TEXT NULL,
    scenario_version TEXT NULL, scenario_hash TEXT NULL,
    simulated BOOL NOT NULL DEFAULT (false), uuid TEXT NULL,
    remediation BOOL NULL, kind TEXT NULL,
    machine_alerts INTEGER NULL REFERENCES machines (id) ON DELETE SET NULL
);
CREATE INDEX IF NOT EXISTS alert_scenario ON alerts (scenario);
CREATE INDEX IF NOT EXISTS alert_uuid ON alerts (uuid);

CREATE TABLE IF NOT EXISTS decisions (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    created_at DATETIME NOT NULL, updated_at DATETIME NOT NULL, until DATETIME NULL,
    scenario TEXT NOT NULL, type TEXT NOT NULL,
    start_ip INTEGER NULL, end_ip INTEGER NULL,
    start_suffix INTEGER NULL, end_suffix INTEGER NULL, ip_size INTEGER NULL,
    scope TEXT NOT NULL, value TEXT NOT NULL, origin TEXT NOT NULL,
    simulated BOOL NOT NULL DEFAULT (false), uuid TEXT NULL,
    alert_decisions INTEGER NULL REFERENCES alerts (id) ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS decision_start_ip_end_ip ON decisions (start_ip, end_ip);
CREATE INDEX IF NOT EXISTS decision_value ON decisions (value);
CREATE INDEX IF NOT EXISTS decision_until ON decisions (until);
CREATE INDEX IF NOT EXISTS decision_alert_decisions ON decisions (alert_decisions);

CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    created_at DATETIME NOT NULL, updated_at DATETIME NOT NULL,
    time DATETIME NOT NULL, serialized TEXT NOT NULL,
    alert_events INTEGER NULL REFERENCES alerts (id) ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS event_alert_events ON events (alert_events);

CREATE TABLE IF NOT EXISTS meta (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    created_at DATETIME NOT NULL, updated_at DATETIME NOT NULL,
    key TEXT NOT NULL, value TEXT NOT NULL,
    alert_metas INTEGER NULL REFERENCES alerts (id) ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS meta_alert_metas ON meta (alert_metas);

CREATE TABLE IF NOT EXISTS allow_lists (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    created_at DATETIME NOT NULL, updated_at DATETIME NOT NULL,
    name TEXT NOT NULL UNIQUE, from_console BOOL NOT NULL,
    description TEXT NULL, allowlist_id TEXT NULL
);
CREATE INDEX IF NOT EXISTS allowlist_allowlist_id ON allow_lists (allowlist_id);

CREATE TABLE IF NOT EXISTS allow_list_items (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    created_at DATETIME NOT NULL, updated_at DATETIME NOT NULL,
    expires_at DATETIME NULL, comment TEXT NULL, value TEXT NOT NULL,
    start_ip INTEGER NULL, end_ip INTEGER NULL,
    start_suffix INTEGER NULL, end_suffix INTEGER NULL, ip_size INTEGER NULL
);
CREATE INDEX IF NOT EXISTS allowlistitem_start_ip_end_ip ON allow_list_items (start_ip, end_ip);
CREATE INDEX IF NOT EXISTS allowlistitem_expires_at ON allow_list_items (expires_at);

CREATE TABLE IF NOT EXISTS allow_list_allowlist_items (
    allow_list_id INTEGER NOT NULL REFERENCES allow_lists (id) ON DELETE CASCADE,
    allow_list_item_id INTEGER NOT NULL REFERENCES allow_list_items (id) ON DELETE CASCADE,
    PRIMARY KEY (allow_list_id, allow_list_item_id)
);

CREATE TABLE IF NOT EXISTS config_items (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    created_at DATETIME NOT NULL, updated_at DATETIME NOT NULL,
    name TEXT NOT NULL UNIQUE, value TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS locks (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    name TEXT NOT NULL UNIQUE, created_at DATETIME NOT NULL
);

CREATE TABLE IF NOT EXISTS metrics (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    generated_type TEXT NOT NULL, generated_by TEXT NOT NULL,
    received_at DATETIME NOT NULL, pushed_at DATETIME NULL, payload TEXT NOT NULL
);
