-- dbops partitions ensure on database golden, as of 2026-11-22 12:00:00 UTC
-- refused [not-partitioned] public.plain is a table, not a partitioned table; its primary key plain_pkey (id) lacks at, so PostgreSQL would refuse PARTITION BY RANGE (at)
-- refused [not-range] public.by_list is partitioned by LIST; periods need PARTITION BY RANGE
-- refused [expression-key] public.by_expression is partitioned by the expression date_trunc('day'::text, at); dbops manages plain columns
-- refused [key-type] key column id of public.counter: a key of type `bigint` does not say how it holds time; write `key: epoch-s`, `key: epoch-ms`, `key: epoch-us` or `key: epoch-ns`
-- refused [table-not-found] there is no table public.missing in database golden
-- refused [default-holds-rows] DEFAULT partition public.overflowing_rest holds 3 rows of the new range 2026-12-01 00:00:00+00 to 2027-01-01 00:00:00+00, at from 2026-12-04 10:00:00+00 to 2026-12-06 10:00:00+00; public.overflowing_2026_12 is not created
-- refused [name-taken] public.squatted_2026_11 is already a view; the range 2026-11-01 to 2026-12-01 stays uncovered
-- refused [detach-pending] public.pending_2026_11 is pending detach: its rows are invisible through public.pending and its range takes no inserts

-- step 1: create public.overflowing_2026_11
-- first: the locks are tried without waiting, so that nobody queues behind dbops
begin;
set local search_path = '';
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local lock_timeout = '100ms';
set local statement_timeout = '60000ms';
set local idle_in_transaction_session_timeout = '1000ms';
set local client_min_messages = 'warning';
lock table only "public"."overflowing" in share update exclusive mode nowait;
lock table only "public"."overflowing_rest" in access exclusive mode nowait;
create table "public"."overflowing_2026_11" (like "public"."overflowing" including all excluding identity);
alter table only "public"."overflowing" attach partition "public"."overflowing_2026_11" for values from ('2026-11-01 00:00:00+00') to ('2026-12-01 00:00:00+00');
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
--   lock table only "public"."overflowing" in share update exclusive mode;
--   lock table only "public"."overflowing_rest" in access exclusive mode;
--   create table "public"."overflowing_2026_11" (like "public"."overflowing" including all excluding identity);
--   alter table only "public"."overflowing" attach partition "public"."overflowing_2026_11" for values from ('2026-11-01 00:00:00+00') to ('2026-12-01 00:00:00+00');
--   commit;

-- step 2: create public.overflowing_2027_01
-- first: the locks are tried without waiting, so that nobody queues behind dbops
begin;
set local search_path = '';
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local lock_timeout = '100ms';
set local statement_timeout = '60000ms';
set local idle_in_transaction_session_timeout = '1000ms';
set local client_min_messages = 'warning';
lock table only "public"."overflowing" in share update exclusive mode nowait;
lock table only "public"."overflowing_rest" in access exclusive mode nowait;
create table "public"."overflowing_2027_01" (like "public"."overflowing" including all excluding identity);
alter table only "public"."overflowing" attach partition "public"."overflowing_2027_01" for values from ('2027-01-01 00:00:00+00') to ('2027-02-01 00:00:00+00');
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
--   lock table only "public"."overflowing" in share update exclusive mode;
--   lock table only "public"."overflowing_rest" in access exclusive mode;
--   create table "public"."overflowing_2027_01" (like "public"."overflowing" including all excluding identity);
--   alter table only "public"."overflowing" attach partition "public"."overflowing_2027_01" for values from ('2027-01-01 00:00:00+00') to ('2027-02-01 00:00:00+00');
--   commit;

-- step 3: attach public.squatted_2026_12, an empty table that an interrupted run left behind
-- first: the locks are tried without waiting, so that nobody queues behind dbops
begin;
set local search_path = '';
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local lock_timeout = '100ms';
set local statement_timeout = '60000ms';
set local idle_in_transaction_session_timeout = '1000ms';
set local client_min_messages = 'warning';
lock table only "public"."squatted" in share update exclusive mode nowait;
lock table only "public"."squatted_2026_12" in access exclusive mode nowait;
do $dbops$
begin
  if '"public"."squatted_2026_12"'::pg_catalog.regclass::pg_catalog.oid <> 1015 or exists (select from only "public"."squatted_2026_12") then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.squatted_2026_12 is no longer the empty table that was planned with';
  end if;
end
$dbops$;
alter table only "public"."squatted_2026_12" owner to "postgres";
do $dbops$
declare grantee text;
begin
  for grantee in
    select distinct case a.grantee when 0 then 'public' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end
    from pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
    where c.oid = '"public"."squatted_2026_12"'::pg_catalog.regclass and a.grantee <> c.relowner
  loop
    execute 'revoke all on table ' || '"public"."squatted_2026_12"' || ' from ' || grantee || ' cascade';
  end loop;
end
$dbops$;
alter table only "public"."squatted" attach partition "public"."squatted_2026_12" for values from ('2026-12-01') to ('2027-01-01');
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
--   lock table only "public"."squatted" in share update exclusive mode;
--   lock table only "public"."squatted_2026_12" in access exclusive mode nowait;
--   do $dbops$
--   begin
--     if '"public"."squatted_2026_12"'::pg_catalog.regclass::pg_catalog.oid <> 1015 or exists (select from only "public"."squatted_2026_12") then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.squatted_2026_12 is no longer the empty table that was planned with';
--     end if;
--   end
--   $dbops$;
--   alter table only "public"."squatted_2026_12" owner to "postgres";
--   do $dbops$
--   declare grantee text;
--   begin
--     for grantee in
--       select distinct case a.grantee when 0 then 'public' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end
--       from pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
--       where c.oid = '"public"."squatted_2026_12"'::pg_catalog.regclass and a.grantee <> c.relowner
--     loop
--       execute 'revoke all on table ' || '"public"."squatted_2026_12"' || ' from ' || grantee || ' cascade';
--     end loop;
--   end
--   $dbops$;
--   alter table only "public"."squatted" attach partition "public"."squatted_2026_12" for values from ('2026-12-01') to ('2027-01-01');
--   commit;

-- step 4: create 3 partitions, public.half_2026_11_from_20261101 to public.half_2026_12
-- first: the locks are tried without waiting, so that nobody queues behind dbops
begin;
set local search_path = '';
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local lock_timeout = '100ms';
set local statement_timeout = '60000ms';
set local idle_in_transaction_session_timeout = '1000ms';
set local client_min_messages = 'warning';
lock table only "public"."half" in share update exclusive mode nowait;
create table "public"."half_2026_11_from_20261101" (like "public"."half" including all excluding identity);
alter table only "public"."half" attach partition "public"."half_2026_11_from_20261101" for values from ('2026-11-01 00:00:00') to ('2026-11-10 00:00:00');
create table "public"."half_2026_11_from_20261120" (like "public"."half" including all excluding identity);
alter table only "public"."half" attach partition "public"."half_2026_11_from_20261120" for values from ('2026-11-20 00:00:00') to ('2026-12-01 00:00:00');
create table "public"."half_2026_12" (like "public"."half" including all excluding identity);
alter table only "public"."half" attach partition "public"."half_2026_12" for values from ('2026-12-01 00:00:00') to ('2027-01-01 00:00:00');
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
--   lock table only "public"."half" in share update exclusive mode;
--   create table "public"."half_2026_11_from_20261101" (like "public"."half" including all excluding identity);
--   alter table only "public"."half" attach partition "public"."half_2026_11_from_20261101" for values from ('2026-11-01 00:00:00') to ('2026-11-10 00:00:00');
--   create table "public"."half_2026_11_from_20261120" (like "public"."half" including all excluding identity);
--   alter table only "public"."half" attach partition "public"."half_2026_11_from_20261120" for values from ('2026-11-20 00:00:00') to ('2026-12-01 00:00:00');
--   create table "public"."half_2026_12" (like "public"."half" including all excluding identity);
--   alter table only "public"."half" attach partition "public"."half_2026_12" for values from ('2026-12-01 00:00:00') to ('2027-01-01 00:00:00');
--   commit;

-- step 5: create 2 partitions, public."Ünïcode ""Table""_2026_11_22" to public."Ünïcode ""Table""_2026_11_23"
-- first: the locks are tried without waiting, so that nobody queues behind dbops
begin;
set local search_path = '';
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local lock_timeout = '100ms';
set local statement_timeout = '60000ms';
set local idle_in_transaction_session_timeout = '1000ms';
set local client_min_messages = 'warning';
lock table only "public"."Ünïcode ""Table""" in share update exclusive mode nowait;
create table "public"."Ünïcode ""Table""_2026_11_22" (like "public"."Ünïcode ""Table""" including all excluding identity);
alter table only "public"."Ünïcode ""Table""" attach partition "public"."Ünïcode ""Table""_2026_11_22" for values from ('2026-11-22') to ('2026-11-23');
create table "public"."Ünïcode ""Table""_2026_11_23" (like "public"."Ünïcode ""Table""" including all excluding identity);
alter table only "public"."Ünïcode ""Table""" attach partition "public"."Ünïcode ""Table""_2026_11_23" for values from ('2026-11-23') to ('2026-11-24');
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
--   lock table only "public"."Ünïcode ""Table""" in share update exclusive mode;
--   create table "public"."Ünïcode ""Table""_2026_11_22" (like "public"."Ünïcode ""Table""" including all excluding identity);
--   alter table only "public"."Ünïcode ""Table""" attach partition "public"."Ünïcode ""Table""_2026_11_22" for values from ('2026-11-22') to ('2026-11-23');
--   create table "public"."Ünïcode ""Table""_2026_11_23" (like "public"."Ünïcode ""Table""" including all excluding identity);
--   alter table only "public"."Ünïcode ""Table""" attach partition "public"."Ünïcode ""Table""_2026_11_23" for values from ('2026-11-23') to ('2026-11-24');
--   commit;

-- step 6: create 2 partitions, public.nested_2026_11 to public.nested_2026_12
-- first: the locks are tried without waiting, so that nobody queues behind dbops
begin;
set local search_path = '';
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local lock_timeout = '100ms';
set local statement_timeout = '60000ms';
set local idle_in_transaction_session_timeout = '1000ms';
set local client_min_messages = 'warning';
lock table only "public"."nested" in share update exclusive mode nowait;
create table "public"."nested_2026_11" (like "public"."nested" including all excluding identity) partition by hash ("tenant");
create table "public"."nested_2026_11_h0" partition of "public"."nested_2026_11" for values with (modulus 2, remainder 0);
create table "public"."nested_2026_11_h1" partition of "public"."nested_2026_11" for values with (modulus 2, remainder 1);
alter table only "public"."nested" attach partition "public"."nested_2026_11" for values from ('2026-11-01 00:00:00+00') to ('2026-12-01 00:00:00+00');
create table "public"."nested_2026_12" (like "public"."nested" including all excluding identity) partition by hash ("tenant");
create table "public"."nested_2026_12_h0" partition of "public"."nested_2026_12" for values with (modulus 2, remainder 0);
create table "public"."nested_2026_12_h1" partition of "public"."nested_2026_12" for values with (modulus 2, remainder 1);
alter table only "public"."nested" attach partition "public"."nested_2026_12" for values from ('2026-12-01 00:00:00+00') to ('2027-01-01 00:00:00+00');
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
--   lock table only "public"."nested" in share update exclusive mode;
--   create table "public"."nested_2026_11" (like "public"."nested" including all excluding identity) partition by hash ("tenant");
--   create table "public"."nested_2026_11_h0" partition of "public"."nested_2026_11" for values with (modulus 2, remainder 0);
--   create table "public"."nested_2026_11_h1" partition of "public"."nested_2026_11" for values with (modulus 2, remainder 1);
--   alter table only "public"."nested" attach partition "public"."nested_2026_11" for values from ('2026-11-01 00:00:00+00') to ('2026-12-01 00:00:00+00');
--   create table "public"."nested_2026_12" (like "public"."nested" including all excluding identity) partition by hash ("tenant");
--   create table "public"."nested_2026_12_h0" partition of "public"."nested_2026_12" for values with (modulus 2, remainder 0);
--   create table "public"."nested_2026_12_h1" partition of "public"."nested_2026_12" for values with (modulus 2, remainder 1);
--   alter table only "public"."nested" attach partition "public"."nested_2026_12" for values from ('2026-12-01 00:00:00+00') to ('2027-01-01 00:00:00+00');
--   commit;

-- step 7: create public.pending_2026_12
-- first: the locks are tried without waiting, so that nobody queues behind dbops
begin;
set local search_path = '';
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local lock_timeout = '100ms';
set local statement_timeout = '60000ms';
set local idle_in_transaction_session_timeout = '1000ms';
set local client_min_messages = 'warning';
lock table only "public"."pending" in share update exclusive mode nowait;
create table "public"."pending_2026_12" (like "public"."pending" including all excluding identity);
alter table only "public"."pending" attach partition "public"."pending_2026_12" for values from ('2026-12-01') to ('2027-01-01');
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
--   lock table only "public"."pending" in share update exclusive mode;
--   create table "public"."pending_2026_12" (like "public"."pending" including all excluding identity);
--   alter table only "public"."pending" attach partition "public"."pending_2026_12" for values from ('2026-12-01') to ('2027-01-01');
--   commit;
