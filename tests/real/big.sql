-- SPDX-License-Identifier: MIT
-- A database of 100,000 rows in a file, with an index, changed, checked.
PRAGMA journal_mode = DELETE;
CREATE TABLE row (id INTEGER PRIMARY KEY, k INTEGER, name TEXT, body BLOB);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
INSERT INTO row SELECT i, i * 7919 % 100003, printf('name %06d', i * 31 % 99991), zeroblob(i % 60) FROM n;
COMMIT;
CREATE INDEX by_k ON row (k);
CREATE INDEX by_name ON row (name);
SELECT count(*), sum(k), min(name), max(name), sum(length(body)) FROM row;
SELECT id, k, name FROM row WHERE k BETWEEN 500 AND 505 ORDER BY k;
UPDATE row SET name = name || ' changed' WHERE k % 10 = 0;
DELETE FROM row WHERE k % 7 = 0;
SELECT count(*), count(DISTINCT substr(name, 1, 8)) FROM row;
PRAGMA integrity_check;
VACUUM;
PRAGMA integrity_check;
PRAGMA page_count;
