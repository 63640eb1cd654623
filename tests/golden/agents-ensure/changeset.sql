-- dbops partitions ensure on database golden, as of 2026-11-22 12:00:00 UTC

-- step 1: create public.messages_2026_12
-- first: the locks are tried without waiting, so that nobody queues behind dbops
begin;
set local search_path = '';
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local lock_timeout = '50ms';
set local statement_timeout = '120000ms';
set local idle_in_transaction_session_timeout = '1000ms';
set local client_min_messages = 'warning';
lock table only "public"."messages" in share update exclusive mode nowait;
lock table only "public"."conversations" in share row exclusive mode nowait;
create table "public"."messages_2026_12" (like "public"."messages" including all excluding identity);
alter table only "public"."messages" attach partition "public"."messages_2026_12" for values from ('2026-12-01 00:00:00') to ('2027-01-01 00:00:00');
commit;
-- when polling never finds the locks free: waits below the lock budget, with pauses
--   begin;
--   set local search_path = '';
--   set local timezone = 'UTC';
--   set local datestyle = 'ISO, YMD';
--   set local lock_timeout = '25ms';
--   set local statement_timeout = '120000ms';
--   set local idle_in_transaction_session_timeout = '1000ms';
--   set local client_min_messages = 'warning';
--   lock table only "public"."messages" in share update exclusive mode;
--   lock table only "public"."conversations" in share row exclusive mode;
--   create table "public"."messages_2026_12" (like "public"."messages" including all excluding identity);
--   alter table only "public"."messages" attach partition "public"."messages_2026_12" for values from ('2026-12-01 00:00:00') to ('2027-01-01 00:00:00');
--   commit;

-- step 2: create public.messages_2027_01
-- first: the locks are tried without waiting, so that nobody queues behind dbops
begin;
set local search_path = '';
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local lock_timeout = '50ms';
set local statement_timeout = '120000ms';
set local idle_in_transaction_session_timeout = '1000ms';
set local client_min_messages = 'warning';
lock table only "public"."messages" in share update exclusive mode nowait;
lock table only "public"."conversations" in share row exclusive mode nowait;
create table "public"."messages_2027_01" (like "public"."messages" including all excluding identity);
alter table only "public"."messages" attach partition "public"."messages_2027_01" for values from ('2027-01-01 00:00:00') to ('2027-02-01 00:00:00');
commit;
-- when polling never finds the locks free: waits below the lock budget, with pauses
--   begin;
--   set local search_path = '';
--   set local timezone = 'UTC';
--   set local datestyle = 'ISO, YMD';
--   set local lock_timeout = '25ms';
--   set local statement_timeout = '120000ms';
--   set local idle_in_transaction_session_timeout = '1000ms';
--   set local client_min_messages = 'warning';
--   lock table only "public"."messages" in share update exclusive mode;
--   lock table only "public"."conversations" in share row exclusive mode;
--   create table "public"."messages_2027_01" (like "public"."messages" including all excluding identity);
--   alter table only "public"."messages" attach partition "public"."messages_2027_01" for values from ('2027-01-01 00:00:00') to ('2027-02-01 00:00:00');
--   commit;

-- step 3: create public.messages_2027_02
-- first: the locks are tried without waiting, so that nobody queues behind dbops
begin;
set local search_path = '';
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local lock_timeout = '50ms';
set local statement_timeout = '120000ms';
set local idle_in_transaction_session_timeout = '1000ms';
set local client_min_messages = 'warning';
lock table only "public"."messages" in share update exclusive mode nowait;
lock table only "public"."conversations" in share row exclusive mode nowait;
create table "public"."messages_2027_02" (like "public"."messages" including all excluding identity);
alter table only "public"."messages" attach partition "public"."messages_2027_02" for values from ('2027-02-01 00:00:00') to ('2027-03-01 00:00:00');
commit;
-- when polling never finds the locks free: waits below the lock budget, with pauses
--   begin;
--   set local search_path = '';
--   set local timezone = 'UTC';
--   set local datestyle = 'ISO, YMD';
--   set local lock_timeout = '25ms';
--   set local statement_timeout = '120000ms';
--   set local idle_in_transaction_session_timeout = '1000ms';
--   set local client_min_messages = 'warning';
--   lock table only "public"."messages" in share update exclusive mode;
--   lock table only "public"."conversations" in share row exclusive mode;
--   create table "public"."messages_2027_02" (like "public"."messages" including all excluding identity);
--   alter table only "public"."messages" attach partition "public"."messages_2027_02" for values from ('2027-02-01 00:00:00') to ('2027-03-01 00:00:00');
--   commit;

-- step 4: create 3 partitions, public.transactions_2026_12 to public.transactions_2027_02
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
alter table only "public"."transactions" attach partition "public"."transactions_2026_12" for values from ('2026-12-01 00:00:00') to ('2027-01-01 00:00:00');
create table "public"."transactions_2027_01" (like "public"."transactions" including all excluding identity);
alter table only "public"."transactions" attach partition "public"."transactions_2027_01" for values from ('2027-01-01 00:00:00') to ('2027-02-01 00:00:00');
create table "public"."transactions_2027_02" (like "public"."transactions" including all excluding identity);
alter table only "public"."transactions" attach partition "public"."transactions_2027_02" for values from ('2027-02-01 00:00:00') to ('2027-03-01 00:00:00');
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
--   alter table only "public"."transactions" attach partition "public"."transactions_2026_12" for values from ('2026-12-01 00:00:00') to ('2027-01-01 00:00:00');
--   create table "public"."transactions_2027_01" (like "public"."transactions" including all excluding identity);
--   alter table only "public"."transactions" attach partition "public"."transactions_2027_01" for values from ('2027-01-01 00:00:00') to ('2027-02-01 00:00:00');
--   create table "public"."transactions_2027_02" (like "public"."transactions" including all excluding identity);
--   alter table only "public"."transactions" attach partition "public"."transactions_2027_02" for values from ('2027-02-01 00:00:00') to ('2027-03-01 00:00:00');
--   commit;

-- step 5: create 7 partitions, public.logs_2026_11_23 to public.logs_2026_11_29
-- first: the locks are tried without waiting, so that nobody queues behind dbops
begin;
set local search_path = '';
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local lock_timeout = '100ms';
set local statement_timeout = '60000ms';
set local idle_in_transaction_session_timeout = '1000ms';
set local client_min_messages = 'warning';
lock table only "public"."logs" in share update exclusive mode nowait;
create table "public"."logs_2026_11_23" (like "public"."logs" including all excluding identity) with ("autovacuum_enabled" = 'false');
alter table only "public"."logs" attach partition "public"."logs_2026_11_23" for values from ('2026-11-23 00:00:00+00') to ('2026-11-24 00:00:00+00');
create table "public"."logs_2026_11_24" (like "public"."logs" including all excluding identity) with ("autovacuum_enabled" = 'false');
alter table only "public"."logs" attach partition "public"."logs_2026_11_24" for values from ('2026-11-24 00:00:00+00') to ('2026-11-25 00:00:00+00');
create table "public"."logs_2026_11_25" (like "public"."logs" including all excluding identity) with ("autovacuum_enabled" = 'false');
alter table only "public"."logs" attach partition "public"."logs_2026_11_25" for values from ('2026-11-25 00:00:00+00') to ('2026-11-26 00:00:00+00');
create table "public"."logs_2026_11_26" (like "public"."logs" including all excluding identity) with ("autovacuum_enabled" = 'false');
alter table only "public"."logs" attach partition "public"."logs_2026_11_26" for values from ('2026-11-26 00:00:00+00') to ('2026-11-27 00:00:00+00');
create table "public"."logs_2026_11_27" (like "public"."logs" including all excluding identity) with ("autovacuum_enabled" = 'false');
alter table only "public"."logs" attach partition "public"."logs_2026_11_27" for values from ('2026-11-27 00:00:00+00') to ('2026-11-28 00:00:00+00');
create table "public"."logs_2026_11_28" (like "public"."logs" including all excluding identity) with ("autovacuum_enabled" = 'false');
alter table only "public"."logs" attach partition "public"."logs_2026_11_28" for values from ('2026-11-28 00:00:00+00') to ('2026-11-29 00:00:00+00');
create table "public"."logs_2026_11_29" (like "public"."logs" including all excluding identity) with ("autovacuum_enabled" = 'false');
alter table only "public"."logs" attach partition "public"."logs_2026_11_29" for values from ('2026-11-29 00:00:00+00') to ('2026-11-30 00:00:00+00');
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
--   lock table only "public"."logs" in share update exclusive mode;
--   create table "public"."logs_2026_11_23" (like "public"."logs" including all excluding identity) with ("autovacuum_enabled" = 'false');
--   alter table only "public"."logs" attach partition "public"."logs_2026_11_23" for values from ('2026-11-23 00:00:00+00') to ('2026-11-24 00:00:00+00');
--   create table "public"."logs_2026_11_24" (like "public"."logs" including all excluding identity) with ("autovacuum_enabled" = 'false');
--   alter table only "public"."logs" attach partition "public"."logs_2026_11_24" for values from ('2026-11-24 00:00:00+00') to ('2026-11-25 00:00:00+00');
--   create table "public"."logs_2026_11_25" (like "public"."logs" including all excluding identity) with ("autovacuum_enabled" = 'false');
--   alter table only "public"."logs" attach partition "public"."logs_2026_11_25" for values from ('2026-11-25 00:00:00+00') to ('2026-11-26 00:00:00+00');
--   create table "public"."logs_2026_11_26" (like "public"."logs" including all excluding identity) with ("autovacuum_enabled" = 'false');
--   alter table only "public"."logs" attach partition "public"."logs_2026_11_26" for values from ('2026-11-26 00:00:00+00') to ('2026-11-27 00:00:00+00');
--   create table "public"."logs_2026_11_27" (like "public"."logs" including all excluding identity) with ("autovacuum_enabled" = 'false');
--   alter table only "public"."logs" attach partition "public"."logs_2026_11_27" for values from ('2026-11-27 00:00:00+00') to ('2026-11-28 00:00:00+00');
--   create table "public"."logs_2026_11_28" (like "public"."logs" including all excluding identity) with ("autovacuum_enabled" = 'false');
--   alter table only "public"."logs" attach partition "public"."logs_2026_11_28" for values from ('2026-11-28 00:00:00+00') to ('2026-11-29 00:00:00+00');
--   create table "public"."logs_2026_11_29" (like "public"."logs" including all excluding identity) with ("autovacuum_enabled" = 'false');
--   alter table only "public"."logs" attach partition "public"."logs_2026_11_29" for values from ('2026-11-29 00:00:00+00') to ('2026-11-30 00:00:00+00');
--   commit;
