-- dbops partitions ensure on database golden, as of 2026-11-22 12:00:00 UTC

-- step 1: create 2 partitions, public.transactions_2026_12 to public.transactions_2027_01
-- first: the locks are tried without waiting, so that nobody queues behind dbops
begin;
set local search_path = '';
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local lock_timeout = '100ms';
set local statement_timeout = '60000ms';
set local idle_in_transaction_session_timeout = '1000ms';
set local client_min_messages = 'warning';
lock table only "public"."transactions" in share update exclusive mode nowait;
create table "public"."transactions_2026_12" (like "public"."transactions" including all excluding identity);
alter table only "public"."transactions" attach partition "public"."transactions_2026_12" for values from ('2026-12-01 03:00:00+00') to ('2027-01-01 03:00:00+00');
create table "public"."transactions_2027_01" (like "public"."transactions" including all excluding identity);
alter table only "public"."transactions" attach partition "public"."transactions_2027_01" for values from ('2027-01-01 03:00:00+00') to ('2027-02-01 03:00:00+00');
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
--   lock table only "public"."transactions" in share update exclusive mode;
--   create table "public"."transactions_2026_12" (like "public"."transactions" including all excluding identity);
--   alter table only "public"."transactions" attach partition "public"."transactions_2026_12" for values from ('2026-12-01 03:00:00+00') to ('2027-01-01 03:00:00+00');
--   create table "public"."transactions_2027_01" (like "public"."transactions" including all excluding identity);
--   alter table only "public"."transactions" attach partition "public"."transactions_2027_01" for values from ('2027-01-01 03:00:00+00') to ('2027-02-01 03:00:00+00');
--   commit;

-- step 2: create public.notifications_2026_11_23
-- first: the locks are tried without waiting, so that nobody queues behind dbops
begin;
set local search_path = '';
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local lock_timeout = '100ms';
set local statement_timeout = '60000ms';
set local idle_in_transaction_session_timeout = '1000ms';
set local client_min_messages = 'warning';
lock table only "public"."notifications" in share update exclusive mode nowait;
lock table only "public"."notifications_default" in access exclusive mode nowait;
create table "public"."notifications_2026_11_23" (like "public"."notifications" including all excluding identity);
alter table only "public"."notifications" attach partition "public"."notifications_2026_11_23" for values from ('2026-11-23 03:00:00+00') to ('2026-11-30 03:00:00+00');
commit;
-- when polling never finds the locks free: waits below the lock budget, with pauses
--   begin;
--   set local search_path = '';
--   set local timezone = 'UTC';
--   set local datestyle = 'ISO, YMD';
--   set local lock_timeout = '50ms';
--   set local statement_timeout = '60000ms';
--   set local idle_in_transaction_session_timeout = '1000ms';
--   set local client_min_messages = 'warning';
--   lock table only "public"."notifications" in share update exclusive mode;
--   lock table only "public"."notifications_default" in access exclusive mode;
--   create table "public"."notifications_2026_11_23" (like "public"."notifications" including all excluding identity);
--   alter table only "public"."notifications" attach partition "public"."notifications_2026_11_23" for values from ('2026-11-23 03:00:00+00') to ('2026-11-30 03:00:00+00');
--   commit;

-- step 3: create public.notifications_2026_11_30
-- first: the locks are tried without waiting, so that nobody queues behind dbops
begin;
set local search_path = '';
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local lock_timeout = '100ms';
set local statement_timeout = '60000ms';
set local idle_in_transaction_session_timeout = '1000ms';
set local client_min_messages = 'warning';
lock table only "public"."notifications" in share update exclusive mode nowait;
lock table only "public"."notifications_default" in access exclusive mode nowait;
create table "public"."notifications_2026_11_30" (like "public"."notifications" including all excluding identity);
alter table only "public"."notifications" attach partition "public"."notifications_2026_11_30" for values from ('2026-11-30 03:00:00+00') to ('2026-12-07 03:00:00+00');
commit;
-- when polling never finds the locks free: waits below the lock budget, with pauses
--   begin;
--   set local search_path = '';
--   set local timezone = 'UTC';
--   set local datestyle = 'ISO, YMD';
--   set local lock_timeout = '50ms';
--   set local statement_timeout = '60000ms';
--   set local idle_in_transaction_session_timeout = '1000ms';
--   set local client_min_messages = 'warning';
--   lock table only "public"."notifications" in share update exclusive mode;
--   lock table only "public"."notifications_default" in access exclusive mode;
--   create table "public"."notifications_2026_11_30" (like "public"."notifications" including all excluding identity);
--   alter table only "public"."notifications" attach partition "public"."notifications_2026_11_30" for values from ('2026-11-30 03:00:00+00') to ('2026-12-07 03:00:00+00');
--   commit;

-- step 4: create public.notifications_2026_12_07
-- first: the locks are tried without waiting, so that nobody queues behind dbops
begin;
set local search_path = '';
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local lock_timeout = '100ms';
set local statement_timeout = '60000ms';
set local idle_in_transaction_session_timeout = '1000ms';
set local client_min_messages = 'warning';
lock table only "public"."notifications" in share update exclusive mode nowait;
lock table only "public"."notifications_default" in access exclusive mode nowait;
create table "public"."notifications_2026_12_07" (like "public"."notifications" including all excluding identity);
alter table only "public"."notifications" attach partition "public"."notifications_2026_12_07" for values from ('2026-12-07 03:00:00+00') to ('2026-12-14 03:00:00+00');
commit;
-- when polling never finds the locks free: waits below the lock budget, with pauses
--   begin;
--   set local search_path = '';
--   set local timezone = 'UTC';
--   set local datestyle = 'ISO, YMD';
--   set local lock_timeout = '50ms';
--   set local statement_timeout = '60000ms';
--   set local idle_in_transaction_session_timeout = '1000ms';
--   set local client_min_messages = 'warning';
--   lock table only "public"."notifications" in share update exclusive mode;
--   lock table only "public"."notifications_default" in access exclusive mode;
--   create table "public"."notifications_2026_12_07" (like "public"."notifications" including all excluding identity);
--   alter table only "public"."notifications" attach partition "public"."notifications_2026_12_07" for values from ('2026-12-07 03:00:00+00') to ('2026-12-14 03:00:00+00');
--   commit;

-- step 5: create public.notifications_2026_12_14
-- first: the locks are tried without waiting, so that nobody queues behind dbops
begin;
set local search_path = '';
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local lock_timeout = '100ms';
set local statement_timeout = '60000ms';
set local idle_in_transaction_session_timeout = '1000ms';
set local client_min_messages = 'warning';
lock table only "public"."notifications" in share update exclusive mode nowait;
lock table only "public"."notifications_default" in access exclusive mode nowait;
create table "public"."notifications_2026_12_14" (like "public"."notifications" including all excluding identity);
alter table only "public"."notifications" attach partition "public"."notifications_2026_12_14" for values from ('2026-12-14 03:00:00+00') to ('2026-12-21 03:00:00+00');
commit;
-- when polling never finds the locks free: waits below the lock budget, with pauses
--   begin;
--   set local search_path = '';
--   set local timezone = 'UTC';
--   set local datestyle = 'ISO, YMD';
--   set local lock_timeout = '50ms';
--   set local statement_timeout = '60000ms';
--   set local idle_in_transaction_session_timeout = '1000ms';
--   set local client_min_messages = 'warning';
--   lock table only "public"."notifications" in share update exclusive mode;
--   lock table only "public"."notifications_default" in access exclusive mode;
--   create table "public"."notifications_2026_12_14" (like "public"."notifications" including all excluding identity);
--   alter table only "public"."notifications" attach partition "public"."notifications_2026_12_14" for values from ('2026-12-14 03:00:00+00') to ('2026-12-21 03:00:00+00');
--   commit;
