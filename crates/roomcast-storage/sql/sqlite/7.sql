-- The sensors of each room, replaced as a whole. `version` counts the replacements, so that servers notice one.
CREATE TABLE rooms (
    sensor TEXT NOT NULL, room TEXT NOT NULL, floor TEXT, building TEXT, since INTEGER, until INTEGER
);
CREATE TABLE rooms_version (version INTEGER NOT NULL);
INSERT INTO rooms_version VALUES (0);
