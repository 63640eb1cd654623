-- dbops partitions ensure on database golden, as of 2026-11-22 12:00:00 UTC

-- step 1: create 3 partitions, public.events_2026_12 to public.events_2027_02
-- first: the locks are tried without waiting, so that nobody queues behind dbops
begin;
set local search_path = '';
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local lock_timeout = '100ms';
set local statement_timeout = '60000ms';
set local idle_in_transaction_session_timeout = '1000ms';
set local client_min_messages = 'warning';
lock table only "public"."events" in share update exclusive mode nowait;
create table "public"."events_2026_12" (like "public"."events" including all excluding identity);
alter table only "public"."events" attach partition "public"."events_2026_12" for values from ('2026-12-01 00:00:00') to ('2027-01-01 00:00:00');
create table "public"."events_2027_01" (like "public"."events" including all excluding identity);
alter table only "public"."events" attach partition "public"."events_2027_01" for values from ('2027-01-01 00:00:00') to ('2027-02-01 00:00:00');
create table "public"."events_2027_02" (like "public"."events" including all excluding identity);
alter table only "public"."events" attach partition "public"."events_2027_02" for values from ('2027-02-01 00:00:00') to ('2027-03-01 00:00:00');
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
--   lock table only "public"."events" in share update exclusive mode;
--   create table "public"."events_2026_12" (like "public"."events" including all excluding identity);
--   alter table only "public"."events" attach partition "public"."events_2026_12" for values from ('2026-12-01 00:00:00') to ('2027-01-01 00:00:00');
--   create table "public"."events_2027_01" (like "public"."events" including all excluding identity);
--   alter table only "public"."events" attach partition "public"."events_2027_01" for values from ('2027-01-01 00:00:00') to ('2027-02-01 00:00:00');
--   create table "public"."events_2027_02" (like "public"."events" including all excluding identity);
--   alter table only "public"."events" attach partition "public"."events_2027_02" for values from ('2027-02-01 00:00:00') to ('2027-03-01 00:00:00');
--   commit;
