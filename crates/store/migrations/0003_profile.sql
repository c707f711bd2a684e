-- The profile whose decisions an alert has, by name. Ours alone: no client is told.
ALTER TABLE alerts ADD COLUMN profile TEXT NULL;
