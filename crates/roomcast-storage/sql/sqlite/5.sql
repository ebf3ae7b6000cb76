-- One row: what is in quarantine, and how much was dropped from it.
CREATE TABLE quarantine_size (held INTEGER NOT NULL, bytes INTEGER NOT NULL, dropped INTEGER NOT NULL);
INSERT INTO quarantine_size
    SELECT count(*), coalesce(sum(octet_length(payload) + octet_length(reason)), 0), 0 FROM quarantine;
