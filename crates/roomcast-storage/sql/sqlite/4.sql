CREATE TABLE meta (version INTEGER NOT NULL, zone TEXT NOT NULL);
CREATE TABLE devices (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
-- `seq` is a reading's place in the order of commits; AUTOINCREMENT, so that numbers of rows that were dropped are not
-- given again.
CREATE TABLE readings (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, device INTEGER NOT NULL, UNIQUE (time, device)
);
CREATE TABLE ids (day INTEGER NOT NULL, key INTEGER NOT NULL, PRIMARY KEY (day, key)) WITHOUT ROWID;
CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY AUTOINCREMENT, key INTEGER NOT NULL UNIQUE, received INTEGER NOT NULL,
    seen INTEGER NOT NULL, source TEXT NOT NULL, payload TEXT NOT NULL, reason TEXT NOT NULL
);
-- `changed` is the largest `seq` of the readings packed.
CREATE TABLE packed (
    day INTEGER NOT NULL, device INTEGER NOT NULL, count INTEGER NOT NULL, changed INTEGER NOT NULL,
    times BLOB NOT NULL, PRIMARY KEY (day, device)
) WITHOUT ROWID;
CREATE INDEX packed_changed ON packed (changed);
CREATE TABLE leases (name TEXT PRIMARY KEY, holder TEXT NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;
-- Apart from `devices`, because it changes with every batch.
CREATE TABLE heard_blocks (block INTEGER PRIMARY KEY, times BLOB NOT NULL);
CREATE TABLE hour_blocks (
    hour INTEGER NOT NULL, block INTEGER NOT NULL, counts BLOB NOT NULL, PRIMARY KEY (hour, block)
) WITHOUT ROWID;
