-- The tables but for those that later versions than 4 added or replaced. Names are ordered by their bytes, as everywhere
-- else.
CREATE TABLE meta (version BIGINT NOT NULL, zone TEXT NOT NULL);
CREATE TABLE devices (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name TEXT COLLATE "C" NOT NULL UNIQUE
);
-- Apart from `devices`, because it changes with every batch, and an upsert here uses up no number.
CREATE TABLE heard (device BIGINT PRIMARY KEY, time BIGINT NOT NULL) WITH (fillfactor = 50);
CREATE TABLE hourly (
    hour INTEGER NOT NULL, device BIGINT NOT NULL, count BIGINT NOT NULL, PRIMARY KEY (hour, device)
) WITH (fillfactor = 70);
CREATE TABLE ids (day BIGINT NOT NULL, key BIGINT NOT NULL, PRIMARY KEY (day, key));
CREATE TABLE quarantine (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key BIGINT NOT NULL UNIQUE, received BIGINT NOT NULL,
    seen BIGINT NOT NULL, source TEXT NOT NULL, payload TEXT NOT NULL, reason TEXT NOT NULL
);
-- `changed` is the latest `xid` of the readings packed.
CREATE TABLE packed (
    day BIGINT NOT NULL, device BIGINT NOT NULL, count BIGINT NOT NULL, changed BIGINT NOT NULL,
    times BYTEA NOT NULL, PRIMARY KEY (day, device)
);
CREATE INDEX packed_changed ON packed (changed);
CREATE TABLE leases (name TEXT PRIMARY KEY, holder TEXT NOT NULL, until BIGINT NOT NULL);
