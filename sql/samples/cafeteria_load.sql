-- What cafeteria asks its database, in the words of TypeORM, with values drawn from the tables.
-- A statement a paragraph: what it is for, `calls` and `draw` (a query whose columns are $1, $2, … of each call).
-- The statement as it is sent follows. Read by bench/run and tests; psql cannot run this file.

-- The orders of a user.
-- calls: 40
-- draw: select user_id from orders order by md5(id::text)
SELECT "o"."id", "o"."status", "o"."total_amount", "o"."created_at" FROM "orders" "o" WHERE "o"."user_id" = $1;

-- A user's orders in one state: the basket.
-- calls: 40
-- draw: select user_id, status from orders order by md5(id::text)
SELECT "o"."id", "o"."total_amount" FROM "orders" "o" WHERE "o"."user_id" = $1 AND "o"."status" = $2;

-- The kitchen's queue.
-- calls: 30
-- draw: select distinct status from orders order by 1
SELECT "o"."id", "o"."user_id" FROM "orders" "o" WHERE "o"."status" = $1 LIMIT 50;

-- The newest orders, for the administrator's page.
-- calls: 30
SELECT "o"."id", "o"."status", "o"."created_at" FROM "orders" "o" ORDER BY "o"."created_at" DESC LIMIT 20;

-- The items of an order, with their products.
-- calls: 60
-- draw: select id from orders order by md5(id::text)
SELECT "i"."id", "i"."quantity", "p"."name" FROM "order_items" "i" INNER JOIN "products" "p" ON "p"."id" = "i"."product_id" WHERE "i"."order_id" = $1;

-- All movements of a user's balance.
-- calls: 40
-- draw: select user_id from transactions order by md5(id::text)
SELECT "t"."kind", SUM("t"."amount") FROM "transactions" "t" WHERE "t"."user_id" = $1 GROUP BY "t"."kind";

-- The last movements of a user.
-- calls: 40
-- draw: select user_id from transactions order by md5(id::text)
SELECT "t"."id", "t"."amount", "t"."created_at" FROM "transactions" "t" WHERE "t"."user_id" = $1 ORDER BY "t"."created_at" DESC LIMIT 10;

-- Unread notifications of a user.
-- calls: 40
-- draw: select user_id, is_read from notifications order by md5(id::text)
SELECT COUNT(1) AS "cnt" FROM "notifications" "n" WHERE "n"."user_id" = $1 AND "n"."is_read" = $2;

-- The newest notifications of all.
-- calls: 30
SELECT "n"."id", "n"."title", "n"."created_at" FROM "notifications" "n" ORDER BY "n"."created_at" DESC LIMIT 50;

-- A user by key, by address: the constraints serve these.
-- calls: 60
-- draw: select id from users order by md5(id::text)
SELECT "u"."id", "u"."full_name", "u"."balance" FROM "users" "u" WHERE "u"."id" = $1;

-- calls: 40
-- draw: select email from users order by md5(id::text)
SELECT "u"."id", "u"."role" FROM "users" "u" WHERE "u"."email" = $1 LIMIT 1;

-- The menu: a small table, read as a whole.
-- calls: 40
-- draw: select distinct category_id from products order by 1
SELECT "p"."id", "p"."name", "p"."price" FROM "products" "p" WHERE "p"."category_id" = $1 AND "p"."is_available" = true;

-- The turnover of all time: an index is of no use.
-- calls: 5
SELECT "o"."status", COUNT(*) AS "n", SUM("o"."total_amount") AS "total" FROM "orders" "o" GROUP BY "o"."status";
