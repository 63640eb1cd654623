-- What agents asks its database, in the words of Prisma, with values drawn from the tables.
-- The form is that of cafeteria_load.sql. `users (email, is_active)` is used by none: `users_email_key` finds the row.

-- Sign-in of those who are active.
-- calls: 40
-- draw: select email from users order by md5(id::text)
SELECT "public"."users"."id", "public"."users"."role" FROM "public"."users" WHERE ("public"."users"."email" = $1 AND "public"."users"."is_active" = true) LIMIT 1 OFFSET 0;

-- The clinicians who are active.
-- calls: 30
SELECT "public"."users"."id", "public"."users"."email" FROM "public"."users" WHERE ("public"."users"."role" = 'clinician' AND "public"."users"."is_active" = true);

-- The newest users.
-- calls: 30
SELECT "public"."users"."id", "public"."users"."email" FROM "public"."users" ORDER BY "public"."users"."created_at" DESC LIMIT 20 OFFSET 0;

-- The conversations of a session, in their order.
-- calls: 60
-- draw: select chat_session_id from conversations order by md5(id::text)
SELECT "public"."conversations"."id", "public"."conversations"."title" FROM "public"."conversations" WHERE "public"."conversations"."chat_session_id" = CAST($1::text AS uuid) ORDER BY "public"."conversations"."created_at" ASC;

-- The last conversations of an agent.
-- calls: 40
-- draw: select agent_id from conversations order by md5(id::text)
SELECT "public"."conversations"."id", "public"."conversations"."title" FROM "public"."conversations" WHERE "public"."conversations"."agent_id" = CAST($1::text AS uuid) ORDER BY "public"."conversations"."created_at" DESC LIMIT 20 OFFSET 0;

-- Conversations that moved last.
-- calls: 30
SELECT "public"."conversations"."id", "public"."conversations"."title" FROM "public"."conversations" ORDER BY "public"."conversations"."updated_at" DESC LIMIT 20 OFFSET 0;

-- The last messages of a conversation.
-- calls: 60
-- draw: select conversation_id from messages order by md5(id::text)
SELECT "public"."messages"."role", "public"."messages"."content" FROM "public"."messages" WHERE "public"."messages"."conversation_id" = CAST($1::text AS uuid) ORDER BY "public"."messages"."timestamp" DESC LIMIT 50 OFFSET 0;

-- The last movements of an account.
-- calls: 40
-- draw: select account_id from transactions order by md5(id::text)
SELECT "public"."transactions"."id", "public"."transactions"."amount" FROM "public"."transactions" WHERE "public"."transactions"."account_id" = CAST($1::text AS uuid) ORDER BY "public"."transactions"."date" DESC LIMIT 20 OFFSET 0;

-- A category since a day.
-- calls: 30
-- draw: select category, date_trunc('day', max(date)) from transactions where category is not null group by 1
SELECT "public"."transactions"."id", "public"."transactions"."amount" FROM "public"."transactions" WHERE ("public"."transactions"."category" = $1 AND "public"."transactions"."date" >= $2);

-- The newest movements of all.
-- calls: 30
SELECT "public"."transactions"."id", "public"."transactions"."amount" FROM "public"."transactions" ORDER BY "public"."transactions"."date" DESC LIMIT 50 OFFSET 0;

-- By keys: the loop over conversations that asks for each agent.
-- calls: 60
-- draw: select agent_id from conversations order by md5(id::text)
SELECT "public"."agents"."id", "public"."agents"."name" FROM "public"."agents" WHERE ("public"."agents"."id" = CAST($1::text AS uuid) AND 1=1) LIMIT 1 OFFSET 0;

-- Movements by category: an index is of no use.
-- calls: 5
SELECT COUNT(*), "public"."transactions"."category" FROM "public"."transactions" GROUP BY "public"."transactions"."category";
