-- What rural24 asks its database, in the words of Prisma, with values drawn from the tables.
-- The form is that of cafeteria_load.sql.

-- Active ads of a category in a province, featured first, then newest. Raw SQL, as the next two: the enum that Prisma
-- casts from text at run time could not use an index with a condition on it.
-- calls: 40
-- draw: select category, province from ads where status = 'active' order by md5(id)
SELECT "public"."ads"."id", "public"."ads"."title", "public"."ads"."price" FROM "public"."ads" WHERE ("public"."ads"."status" = 'active' AND "public"."ads"."deleted_at" IS NULL AND "public"."ads"."category" = $1 AND "public"."ads"."province" = $2) ORDER BY "public"."ads"."is_featured" DESC, "public"."ads"."created_at" DESC LIMIT 20 OFFSET 0;

-- The same for all of a province.
-- calls: 40
-- draw: select province from ads where status = 'active' order by md5(id)
SELECT "public"."ads"."id", "public"."ads"."title", "public"."ads"."price" FROM "public"."ads" WHERE ("public"."ads"."status" = 'active' AND "public"."ads"."deleted_at" IS NULL AND "public"."ads"."province" = $1) ORDER BY "public"."ads"."is_featured" DESC, "public"."ads"."created_at" DESC LIMIT 20 OFFSET 0;

-- The home page.
-- calls: 40
SELECT "public"."ads"."id", "public"."ads"."title", "public"."ads"."price" FROM "public"."ads" WHERE ("public"."ads"."status" = 'active' AND "public"."ads"."deleted_at" IS NULL) ORDER BY "public"."ads"."is_featured" DESC, "public"."ads"."created_at" DESC LIMIT 12 OFFSET 0;

-- "My ads": every status, drafts too.
-- calls: 40
-- draw: select user_id from ads order by md5(id)
SELECT "public"."ads"."id", "public"."ads"."title", "public"."ads"."status"::text FROM "public"."ads" WHERE "public"."ads"."user_id" = $1 ORDER BY "public"."ads"."created_at" DESC;

-- The gallery of an ad.
-- calls: 60
-- draw: select id from ads order by md5(id)
SELECT "public"."images"."url", "public"."images"."position" FROM "public"."images" WHERE "public"."images"."ad_id" = $1 ORDER BY "public"."images"."position" ASC;

-- Unread messages of a recipient, newest first.
-- calls: 40
-- draw: select recipient_id from messages where not is_read order by md5(id)
SELECT "public"."messages"."id", "public"."messages"."content", "public"."messages"."created_at" FROM "public"."messages" WHERE ("public"."messages"."recipient_id" = $1 AND "public"."messages"."is_read" = false) ORDER BY "public"."messages"."created_at" DESC LIMIT 20 OFFSET 0;

-- A conversation about an ad.
-- calls: 40
-- draw: select ad_id, sender_id from messages order by md5(id)
SELECT "public"."messages"."content", "public"."messages"."created_at" FROM "public"."messages" WHERE ("public"."messages"."ad_id" = $1 AND "public"."messages"."sender_id" = $2) ORDER BY "public"."messages"."created_at" ASC;

-- Active categories in display order: twelve rows.
-- calls: 60
SELECT "public"."categories"."name", "public"."categories"."slug" FROM "public"."categories" WHERE "public"."categories"."is_active" = true ORDER BY "public"."categories"."display_order" ASC;

-- Sign-in does not mind the case of an address.
-- calls: 40
-- draw: select upper(email) from users order by md5(id)
SELECT id, role FROM users WHERE lower(email) = lower($1) LIMIT 1;

-- The administrator's list of those who are not plain users.
-- calls: 10
SELECT "public"."users"."id", "public"."users"."email" FROM "public"."users" WHERE "public"."users"."role" = 'admin';

-- By keys.
-- calls: 60
-- draw: select id from ads order by md5(id)
SELECT "public"."ads"."id", "public"."ads"."title", "public"."ads"."description" FROM "public"."ads" WHERE ("public"."ads"."id" = $1 AND 1=1) LIMIT 1 OFFSET 0;

-- calls: 40
-- draw: select email from users order by md5(id)
SELECT "public"."users"."id", "public"."users"."name" FROM "public"."users" WHERE ("public"."users"."email" = $1 AND 1=1) LIMIT 1 OFFSET 0;

-- The views of an ad: the key of its table serves this.
-- calls: 40
-- draw: select ad_id from ad_daily_stats order by md5(ad_id)
SELECT "public"."ad_daily_stats"."day", "public"."ad_daily_stats"."views" FROM "public"."ad_daily_stats" WHERE "public"."ad_daily_stats"."ad_id" = $1 ORDER BY "public"."ad_daily_stats"."day" ASC;

-- Numbers of ads by status: an index is of no use.
-- calls: 5
SELECT COUNT(*), "public"."ads"."status"::text FROM "public"."ads" GROUP BY "public"."ads"."status";
