-- SPDX-License-Identifier: MIT
-- A database in a file: indexes, joins, transactions, a rollback, vacuum. Its own integrity check is the last word.
PRAGMA page_size = 4096;
CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price INTEGER, body BLOB);
CREATE TABLE sale (item INTEGER REFERENCES item, day INTEGER, nr INTEGER);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)
INSERT INTO item SELECT i, printf('item %05d', i * 7919 % 4001), i * 31 % 997, zeroblob(i % 300) FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)
INSERT INTO sale SELECT i * 17 % 4000 + 1, i % 365, i % 9 FROM n;
COMMIT;
CREATE INDEX by_name ON item (name);
CREATE INDEX by_item ON sale (item, day);
SELECT count(*), sum(price), max(name) FROM item;
SELECT name, sum(nr) AS s, sum(nr * price) FROM item JOIN sale ON sale.item = item.id GROUP BY item.id ORDER BY s DESC, name LIMIT 10;
BEGIN;
DELETE FROM item WHERE id % 3 = 0;
SELECT count(*) FROM item;
ROLLBACK;
SELECT count(*) FROM item;
UPDATE item SET body = randomblob(200) WHERE id % 5 = 0;
DELETE FROM sale WHERE day > 200;
SELECT count(*), sum(nr) FROM sale;
SELECT day, group_concat(nr, '') FROM (SELECT * FROM sale ORDER BY day, item, nr) WHERE day < 5 GROUP BY day;
SELECT substr(name, 1, 7) AS head, count(*), avg(price) FROM item GROUP BY head ORDER BY 2 DESC, 1 LIMIT 8;
SELECT sum(length(body)), count(DISTINCT price) FROM item;
WITH RECURSIVE fact(n, f) AS (SELECT 1, 1 UNION ALL SELECT n + 1, f * (n + 1) FROM fact WHERE n < 15) SELECT * FROM fact;
SELECT hex(quote('it''s')), upper('abc'), round(2.5), 7 / 2, 7 / 2.0, typeof(1.0);
CREATE TEMP TABLE big AS SELECT a.id AS x, b.id AS y FROM item a, item b WHERE a.id < 60 AND b.id < 300 ORDER BY a.price, b.price, x, y;
SELECT count(*), sum(x * y % 101) FROM big;
VACUUM;
PRAGMA integrity_check;
