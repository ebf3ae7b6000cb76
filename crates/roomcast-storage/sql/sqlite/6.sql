-- From this version on a negative number in the column `device` of `readings` and `packed` is an `off` of the device of
-- the positive number. Older programs know no such device. The tables stay as they are.
SELECT 1;
