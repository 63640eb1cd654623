-- dbops partitions ensure on database golden, as of 2026-11-22 12:00:00 UTC

-- step 1: create 2 partitions, public.messages_2027_q1 to public.messages_2027_q2
-- first: the locks are tried without waiting, so that nobody queues behind dbops
begin;
set local search_path = '';
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local lock_timeout = '100ms';
set local statement_timeout = '60000ms';
set local idle_in_transaction_session_timeout = '1000ms';
set local client_min_messages = 'warning';
lock table only "public"."messages" in share update exclusive mode nowait;
create table "public"."messages_2027_q1" (like "public"."messages" including all excluding identity);
alter table only "public"."messages" attach partition "public"."messages_2027_q1" for values from ('2026-12-31 23:00:00+00') to ('2027-03-31 22:00:00+00');
create table "public"."messages_2027_q2" (like "public"."messages" including all excluding identity);
alter table only "public"."messages" attach partition "public"."messages_2027_q2" for values from ('2027-03-31 22:00:00+00') to ('2027-06-30 22:00:00+00');
commit;
-- when polling never finds the locks free: waits below the lock budget, with pauses
--   begin;
--   set local search_path = '';
--   set local timezone = 'UTC';
--   set local datestyle = 'ISO, YMD';
--   set local lock_timeout = '100ms';
--   set local statement_timeout = '60000ms';
--   set local idle_in_transaction_session_timeout = '1000ms';
--   set local client_min_messages = 'warning';
--   lock table only "public"."messages" in share update exclusive mode;
--   create table "public"."messages_2027_q1" (like "public"."messages" including all excluding identity);
--   alter table only "public"."messages" attach partition "public"."messages_2027_q1" for values from ('2026-12-31 23:00:00+00') to ('2027-03-31 22:00:00+00');
--   create table "public"."messages_2027_q2" (like "public"."messages" including all excluding identity);
--   alter table only "public"."messages" attach partition "public"."messages_2027_q2" for values from ('2027-03-31 22:00:00+00') to ('2027-06-30 22:00:00+00');
--   commit;

-- step 2: create public.ad_daily_stats_2027
-- first: the locks are tried without waiting, so that nobody queues behind dbops
begin;
set local search_path = '';
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local lock_timeout = '100ms';
set local statement_timeout = '60000ms';
set local idle_in_transaction_session_timeout = '1000ms';
set local client_min_messages = 'warning';
lock table only "public"."ad_daily_stats" in share update exclusive mode nowait;
create table "public"."ad_daily_stats_2027" (like "public"."ad_daily_stats" including all excluding identity);
alter table only "public"."ad_daily_stats" attach partition "public"."ad_daily_stats_2027" for values from ('2027-01-01') to ('2028-01-01');
commit;
-- when polling never finds the locks free: waits below the lock budget, with pauses
--   begin;
--   set local search_path = '';
--   set local timezone = 'UTC';
--   set local datestyle = 'ISO, YMD';
--   set local lock_timeout = '100ms';
--   set local statement_timeout = '60000ms';
--   set local idle_in_transaction_session_timeout = '1000ms';
--   set local client_min_messages = 'warning';
--   lock table only "public"."ad_daily_stats" in share update exclusive mode;
--   create table "public"."ad_daily_stats_2027" (like "public"."ad_daily_stats" including all excluding identity);
--   alter table only "public"."ad_daily_stats" attach partition "public"."ad_daily_stats_2027" for values from ('2027-01-01') to ('2028-01-01');
--   commit;
