-- Nobody leases the fit of devices any more.
DROP TABLE round_devices;
DROP TABLE rounds;
DROP SEQUENCE fences;
