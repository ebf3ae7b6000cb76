-- One table instead of one a day: each statement on partitions locks all of them, and the server has room for some
-- thousand locks. `xid` is the transaction that wrote a reading. Packing deletes rows from the beginning of the table and
-- its indexes: the room is used again once it is vacuumed, which may not wait until it is a fifth of a large table.
CREATE TABLE readings (
    time BIGINT NOT NULL, device BIGINT NOT NULL, xid BIGINT NOT NULL, PRIMARY KEY (time, device)
) WITH (autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX readings_xid ON readings (xid);
