-- What is ours: numbers of changes, facets by which alerts are found, when an alert's last decision
-- ends. Columns `decisions.change_seq`, `alerts.last_until`, `bouncers.cursor_seq` and
-- `bouncers.cursor_at` were added before this file runs (schema.rs).
CREATE TABLE shieldwall_state (name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO shieldwall_state (name, value) VALUES ('seq', 1), ('allowlists', 1);
-- Active decisions that somebody else deleted outright; memory must let go of them.
CREATE TABLE shieldwall_removed (decision_id INTEGER PRIMARY KEY NOT NULL, change_seq INTEGER NOT NULL);
CREATE INDEX shieldwall_removed_change_seq ON shieldwall_removed (change_seq);
-- A facet is a letter and a text: s scenario, t remediation, o origin, k kind, c scope of the source.
CREATE TABLE shieldwall_facets (id INTEGER PRIMARY KEY NOT NULL, name TEXT NOT NULL UNIQUE);
CREATE TABLE shieldwall_alert_facets (
    facet_id INTEGER NOT NULL, alert_id INTEGER NOT NULL, PRIMARY KEY (facet_id, alert_id)
) WITHOUT ROWID;
CREATE INDEX shieldwall_alert_facets_alert_id ON shieldwall_alert_facets (alert_id);

UPDATE decisions SET change_seq = 1;
UPDATE alerts SET last_until = (SELECT max(until) FROM decisions WHERE alert_decisions = alerts.id);
INSERT OR IGNORE INTO shieldwall_facets (name)
    SELECT DISTINCT 's:' || scenario FROM alerts UNION SELECT DISTINCT 'k:' || coalesce(kind, '') FROM alerts
    UNION SELECT DISTINCT 'c:' || coalesce(source_scope, '') FROM alerts
    UNION SELECT DISTINCT 's:' || scenario FROM decisions UNION SELECT DISTINCT 't:' || type FROM decisions
    UNION SELECT DISTINCT 'o:' || origin FROM decisions;
INSERT OR IGNORE INTO shieldwall_alert_facets (facet_id, alert_id)
    SELECT f.id, a.id FROM alerts a JOIN shieldwall_facets f
        ON f.name IN ('s:' || a.scenario, 'k:' || coalesce(a.kind, ''), 'c:' || coalesce(a.source_scope, ''));
INSERT OR IGNORE INTO shieldwall_alert_facets (facet_id, alert_id)
    SELECT f.id, d.alert_decisions FROM decisions d JOIN shieldwall_facets f
        ON f.name IN ('s:' || d.scenario, 't:' || d.type, 'o:' || d.origin)
    WHERE d.alert_decisions IS NOT NULL;

-- Rows added by hand have no number yet; the writer finds them here. A trigger would do, but merely
-- having one makes every insertion keep a journal of its own, which triples its cost.
CREATE INDEX shieldwall_decision_unnumbered ON decisions (id) WHERE change_seq IS NULL;
CREATE INDEX shieldwall_decision_change_seq ON decisions (change_seq);
CREATE INDEX shieldwall_alert_source_value ON alerts (source_value);
CREATE INDEX shieldwall_alert_started_at ON alerts (started_at);
CREATE INDEX shieldwall_alert_created_at ON alerts (created_at);
CREATE INDEX shieldwall_alert_machine ON alerts (machine_alerts);
CREATE INDEX shieldwall_alert_last_until ON alerts (last_until);

-- Changes made by hand carry no number of a change; these give them one. Ours never fire them.
CREATE TRIGGER shieldwall_decision_updated AFTER UPDATE ON decisions WHEN NEW.change_seq IS OLD.change_seq BEGIN
    UPDATE shieldwall_state SET value = value + 1 WHERE name = 'seq';
    UPDATE decisions SET change_seq = (SELECT value FROM shieldwall_state WHERE name = 'seq') WHERE id = NEW.id;
    INSERT OR IGNORE INTO shieldwall_facets (name) VALUES ('s:' || NEW.scenario), ('t:' || NEW.type), ('o:' || NEW.origin);
    INSERT OR IGNORE INTO shieldwall_alert_facets (facet_id, alert_id)
        SELECT f.id, NEW.alert_decisions FROM shieldwall_facets f
        WHERE f.name IN ('s:' || NEW.scenario, 't:' || NEW.type, 'o:' || NEW.origin) AND NEW.alert_decisions IS NOT NULL;
    UPDATE alerts SET last_until = (SELECT max(until) FROM decisions WHERE alert_decisions = NEW.alert_decisions)
        WHERE id = NEW.alert_decisions;
END;
CREATE TRIGGER shieldwall_decision_deleted AFTER DELETE ON decisions
WHEN OLD.until > strftime('%Y-%m-%d %H:%M:%f', 'now')
    AND NOT EXISTS (SELECT 1 FROM shieldwall_state WHERE name = 'quiet') BEGIN
    UPDATE shieldwall_state SET value = value + 1 WHERE name = 'seq';
    INSERT OR REPLACE INTO shieldwall_removed (decision_id, change_seq)
        VALUES (OLD.id, (SELECT value FROM shieldwall_state WHERE name = 'seq'));
END;
CREATE TRIGGER shieldwall_alert_inserted AFTER INSERT ON alerts BEGIN
    INSERT OR IGNORE INTO shieldwall_facets (name)
        VALUES ('s:' || NEW.scenario), ('k:' || coalesce(NEW.kind, '')), ('c:' || coalesce(NEW.source_scope, ''));
    INSERT OR IGNORE INTO shieldwall_alert_facets (facet_id, alert_id)
        SELECT f.id, NEW.id FROM shieldwall_facets f
        WHERE f.name IN ('s:' || NEW.scenario, 'k:' || coalesce(NEW.kind, ''), 'c:' || coalesce(NEW.source_scope, ''));
END;
CREATE TRIGGER shieldwall_alert_deleted AFTER DELETE ON alerts BEGIN
    DELETE FROM shieldwall_alert_facets WHERE alert_id = OLD.id;
END;
CREATE TRIGGER shieldwall_list_changed AFTER UPDATE ON allow_lists BEGIN
    UPDATE shieldwall_state SET value = value + 1 WHERE name = 'allowlists';
END;
CREATE TRIGGER shieldwall_item_changed AFTER UPDATE ON allow_list_items BEGIN
    UPDATE shieldwall_state SET value = value + 1 WHERE name = 'allowlists';
END;
CREATE TRIGGER shieldwall_link_added AFTER INSERT ON allow_list_allowlist_items BEGIN
    UPDATE shieldwall_state SET value = value + 1 WHERE name = 'allowlists';
END;
CREATE TRIGGER shieldwall_link_removed AFTER DELETE ON allow_list_allowlist_items BEGIN
    UPDATE shieldwall_state SET value = value + 1 WHERE name = 'allowlists';
END;
