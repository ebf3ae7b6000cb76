-- The program moves what is in the tables of days.
ALTER TABLE readings RENAME TO readings_by_day;
ALTER INDEX readings_pkey RENAME TO readings_by_day_pkey;
ALTER INDEX readings_xid RENAME TO readings_by_day_xid;
