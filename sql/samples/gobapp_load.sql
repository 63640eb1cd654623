-- What gobapp asks its database, in the words of Prisma, with values drawn from the tables.
-- The form is that of cafeteria_load.sql.

-- Who signs in.
-- calls: 60
-- draw: select "clerkId" from "User" order by md5(id)
SELECT "public"."User"."id", "public"."User"."email" FROM "public"."User" WHERE ("public"."User"."clerkId" = $1 AND 1=1) LIMIT 1 OFFSET 0;

-- The last test of a user.
-- calls: 60
-- draw: select "userId" from "DnaTest" order by md5(id)
SELECT "public"."DnaTest"."id", "public"."DnaTest"."answers" FROM "public"."DnaTest" WHERE "public"."DnaTest"."userId" = $1 LIMIT 1 OFFSET 0;

-- The finished tests of a user.
-- calls: 40
-- draw: select "userId", status from "DnaTest" order by md5(id)
SELECT "public"."DnaTest"."id", "public"."DnaTest"."completedAt" FROM "public"."DnaTest" WHERE ("public"."DnaTest"."userId" = $1 AND "public"."DnaTest"."status" = CAST($2::text AS "public"."DnaTestStatus"));

-- The best matches of a user.
-- calls: 40
-- draw: select "userId" from "Match" order by md5(id)
SELECT "public"."Match"."candidateId", "public"."Match"."overallScore" FROM "public"."Match" WHERE "public"."Match"."userId" = $1 ORDER BY "public"."Match"."overallScore" DESC LIMIT 10 OFFSET 0;

-- The newest fact checks.
-- calls: 40
-- draw: select max("publishedAt") from "FactCheck"
SELECT "public"."FactCheck"."id", "public"."FactCheck"."claim" FROM "public"."FactCheck" WHERE "public"."FactCheck"."publishedAt" <= $1 ORDER BY "public"."FactCheck"."publishedAt" DESC LIMIT 20 OFFSET 0;

-- The newest posts of a tribe.
-- calls: 40
-- draw: select id from "Tribe" order by id
SELECT "public"."Post"."id", "public"."Post"."content" FROM "public"."Post" WHERE "public"."Post"."tribeId" = $1 ORDER BY "public"."Post"."createdAt" DESC LIMIT 20 OFFSET 0;

-- The same for moderators: since a day, flagged.
-- calls: 30
-- draw: select "tribeId", date_trunc('day', "createdAt"), true from "Post" order by md5(id)
SELECT "public"."Post"."id", "public"."Post"."content" FROM "public"."Post" WHERE ("public"."Post"."tribeId" = $1 AND "public"."Post"."createdAt" >= $2 AND "public"."Post"."flagged" = $3);

-- What happened last under one name.
-- calls: 30
-- draw: select distinct name from "Event" order by 1
SELECT "public"."Event"."id", "public"."Event"."userId" FROM "public"."Event" WHERE "public"."Event"."name" = $1 ORDER BY "public"."Event"."createdAt" DESC LIMIT 50 OFFSET 0;

-- Active candidates.
-- calls: 40
SELECT "public"."Candidate"."id", "public"."Candidate"."name" FROM "public"."Candidate" WHERE "public"."Candidate"."active" = true;

-- By keys.
-- calls: 60
-- draw: select id from "User" order by md5(id)
SELECT "public"."User"."id", "public"."User"."displayName" FROM "public"."User" WHERE ("public"."User"."id" = $1 AND 1=1) LIMIT 1 OFFSET 0;

-- calls: 40
-- draw: select slug from "Tribe" order by id
SELECT "public"."Tribe"."id", "public"."Tribe"."name" FROM "public"."Tribe" WHERE ("public"."Tribe"."slug" = $1 AND 1=1) LIMIT 1 OFFSET 0;

-- Numbers of events by name: an index is of no use.
-- calls: 5
SELECT COUNT(*), "public"."Event"."name" FROM "public"."Event" GROUP BY "public"."Event"."name";
