-- dbops partitions prune on database golden, as of 2026-11-12 12:00:00 UTC

-- step 1: detach public.logs_2026_10_09; it may be dropped from 2026-11-12 12:00 UTC on
-- hazard: drops-data
-- first: the locks are tried without waiting, so that nobody queues behind dbops
begin;
set local search_path = '';
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local lock_timeout = '100ms';
set local statement_timeout = '60000ms';
set local idle_in_transaction_session_timeout = '1000ms';
set local client_min_messages = 'warning';
lock table only "public"."logs_2026_10_09" in access exclusive mode nowait;
lock table only "public"."logs" in access exclusive mode nowait;
do $dbops$
begin
  if not exists (
    select from pg_catalog.pg_class c join pg_catalog.pg_inherits i on i.inhrelid = c.oid
    where c.oid = '"public"."logs_2026_10_09"'::pg_catalog.regclass and c.oid = 1002 and i.inhparent = 1001
      and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2026-10-09 00:00:00+00'') TO (''2026-10-10 00:00:00+00'')'
  ) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.logs_2026_10_09 is no longer the partition that was planned with';
  end if;
end
$dbops$;
comment on table "public"."logs_2026_10_09" is '[dbops:detached {"parent":"public.logs","column":"created_at","from":"2026-10-09 00:00:00+00","to":"2026-10-10 00:00:00+00","detached_at":"2026-11-12T12:00:00Z","drop_after":"2026-11-12T12:00:00Z"}]';
alter table only "public"."logs" detach partition "public"."logs_2026_10_09";
commit;
-- when polling never finds the locks free: waits for open transactions without blocking readers or writers of the parent
--   begin;
--   set local search_path = '';
--   set local timezone = 'UTC';
--   set local datestyle = 'ISO, YMD';
--   set local lock_timeout = '100ms';
--   do $dbops$
--   begin
--     if not exists (
--       select from pg_catalog.pg_class c join pg_catalog.pg_inherits i on i.inhrelid = c.oid
--       where c.oid = '"public"."logs_2026_10_09"'::pg_catalog.regclass and c.oid = 1002 and i.inhparent = 1001
--         and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2026-10-09 00:00:00+00'') TO (''2026-10-10 00:00:00+00'')'
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.logs_2026_10_09 is no longer the partition that was planned with';
--     end if;
--   end
--   $dbops$;
--   comment on table "public"."logs_2026_10_09" is '[dbops:detached {"parent":"public.logs","column":"created_at","from":"2026-10-09 00:00:00+00","to":"2026-10-10 00:00:00+00","detached_at":"2026-11-12T12:00:00Z","drop_after":"2026-11-12T12:00:00Z"}]';
--   commit;
--   alter table only "public"."logs" detach partition "public"."logs_2026_10_09" concurrently;
-- only when it does not succeed and is not pending:
--   begin;
--   set local search_path = '';
--   set local timezone = 'UTC';
--   set local datestyle = 'ISO, YMD';
--   set local lock_timeout = '100ms';
--   do $dbops$
--   begin
--     if not exists (
--       select from pg_catalog.pg_class c join pg_catalog.pg_inherits i on i.inhrelid = c.oid
--       where c.oid = '"public"."logs_2026_10_09"'::pg_catalog.regclass and c.oid = 1002 and i.inhparent = 1001
--         and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2026-10-09 00:00:00+00'') TO (''2026-10-10 00:00:00+00'')'
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.logs_2026_10_09 is no longer the partition that was planned with';
--     end if;
--   end
--   $dbops$;
--   comment on table "public"."logs_2026_10_09" is null;
--   commit;
-- outside a transaction; dbops cancels it after 1m

-- step 2: drop public.logs_2026_10_09 and its rows
-- hazard: drops-data
-- first: the locks are tried without waiting, so that nobody queues behind dbops
begin;
set local search_path = '';
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local lock_timeout = '100ms';
set local statement_timeout = '60000ms';
set local idle_in_transaction_session_timeout = '1000ms';
set local client_min_messages = 'warning';
lock table "public"."logs_2026_10_09" in access exclusive mode nowait;
do $dbops$
begin
  if not exists (
    select from pg_catalog.pg_class
    where oid = '"public"."logs_2026_10_09"'::pg_catalog.regclass and oid = 1002 and not relispartition
      and pg_catalog.strpos(pg_catalog.obj_description(oid, 'pg_class'), '[dbops:detached {"parent":"public.logs","column":"created_at","from":"2026-10-09 00:00:00+00","to":"2026-10-10 00:00:00+00","detached_at":"2026-11-12T12:00:00Z","drop_after":"2026-11-12T12:00:00Z"}]') > 0
  ) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.logs_2026_10_09 is no longer the detached table that was planned with';
  end if;
  if exists (select from "public"."logs_2026_10_09" where "created_at" >= '2026-10-13 12:00:00+00'::timestamp with time zone) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.logs_2026_10_09 holds rows younger than the retention limit';
  end if;
end
$dbops$;
drop table "public"."logs_2026_10_09";
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
--   lock table "public"."logs_2026_10_09" in access exclusive mode;
--   do $dbops$
--   begin
--     if not exists (
--       select from pg_catalog.pg_class
--       where oid = '"public"."logs_2026_10_09"'::pg_catalog.regclass and oid = 1002 and not relispartition
--         and pg_catalog.strpos(pg_catalog.obj_description(oid, 'pg_class'), '[dbops:detached {"parent":"public.logs","column":"created_at","from":"2026-10-09 00:00:00+00","to":"2026-10-10 00:00:00+00","detached_at":"2026-11-12T12:00:00Z","drop_after":"2026-11-12T12:00:00Z"}]') > 0
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.logs_2026_10_09 is no longer the detached table that was planned with';
--     end if;
--     if exists (select from "public"."logs_2026_10_09" where "created_at" >= '2026-10-13 12:00:00+00'::timestamp with time zone) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.logs_2026_10_09 holds rows younger than the retention limit';
--     end if;
--   end
--   $dbops$;
--   drop table "public"."logs_2026_10_09";
--   commit;

-- step 3: detach public.logs_2026_10_10; it may be dropped from 2026-11-12 12:00 UTC on
-- hazard: drops-data
-- first: the locks are tried without waiting, so that nobody queues behind dbops
begin;
set local search_path = '';
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local lock_timeout = '100ms';
set local statement_timeout = '60000ms';
set local idle_in_transaction_session_timeout = '1000ms';
set local client_min_messages = 'warning';
lock table only "public"."logs_2026_10_10" in access exclusive mode nowait;
lock table only "public"."logs" in access exclusive mode nowait;
do $dbops$
begin
  if not exists (
    select from pg_catalog.pg_class c join pg_catalog.pg_inherits i on i.inhrelid = c.oid
    where c.oid = '"public"."logs_2026_10_10"'::pg_catalog.regclass and c.oid = 1003 and i.inhparent = 1001
      and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2026-10-10 00:00:00+00'') TO (''2026-10-11 00:00:00+00'')'
  ) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.logs_2026_10_10 is no longer the partition that was planned with';
  end if;
end
$dbops$;
comment on table "public"."logs_2026_10_10" is '[dbops:detached {"parent":"public.logs","column":"created_at","from":"2026-10-10 00:00:00+00","to":"2026-10-11 00:00:00+00","detached_at":"2026-11-12T12:00:00Z","drop_after":"2026-11-12T12:00:00Z"}]';
alter table only "public"."logs" detach partition "public"."logs_2026_10_10";
commit;
-- when polling never finds the locks free: waits for open transactions without blocking readers or writers of the parent
--   begin;
--   set local search_path = '';
--   set local timezone = 'UTC';
--   set local datestyle = 'ISO, YMD';
--   set local lock_timeout = '100ms';
--   do $dbops$
--   begin
--     if not exists (
--       select from pg_catalog.pg_class c join pg_catalog.pg_inherits i on i.inhrelid = c.oid
--       where c.oid = '"public"."logs_2026_10_10"'::pg_catalog.regclass and c.oid = 1003 and i.inhparent = 1001
--         and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2026-10-10 00:00:00+00'') TO (''2026-10-11 00:00:00+00'')'
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.logs_2026_10_10 is no longer the partition that was planned with';
--     end if;
--   end
--   $dbops$;
--   comment on table "public"."logs_2026_10_10" is '[dbops:detached {"parent":"public.logs","column":"created_at","from":"2026-10-10 00:00:00+00","to":"2026-10-11 00:00:00+00","detached_at":"2026-11-12T12:00:00Z","drop_after":"2026-11-12T12:00:00Z"}]';
--   commit;
--   alter table only "public"."logs" detach partition "public"."logs_2026_10_10" concurrently;
-- only when it does not succeed and is not pending:
--   begin;
--   set local search_path = '';
--   set local timezone = 'UTC';
--   set local datestyle = 'ISO, YMD';
--   set local lock_timeout = '100ms';
--   do $dbops$
--   begin
--     if not exists (
--       select from pg_catalog.pg_class c join pg_catalog.pg_inherits i on i.inhrelid = c.oid
--       where c.oid = '"public"."logs_2026_10_10"'::pg_catalog.regclass and c.oid = 1003 and i.inhparent = 1001
--         and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2026-10-10 00:00:00+00'') TO (''2026-10-11 00:00:00+00'')'
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.logs_2026_10_10 is no longer the partition that was planned with';
--     end if;
--   end
--   $dbops$;
--   comment on table "public"."logs_2026_10_10" is null;
--   commit;
-- outside a transaction; dbops cancels it after 1m

-- step 4: drop public.logs_2026_10_10 and its rows
-- hazard: drops-data
-- first: the locks are tried without waiting, so that nobody queues behind dbops
begin;
set local search_path = '';
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local lock_timeout = '100ms';
set local statement_timeout = '60000ms';
set local idle_in_transaction_session_timeout = '1000ms';
set local client_min_messages = 'warning';
lock table "public"."logs_2026_10_10" in access exclusive mode nowait;
do $dbops$
begin
  if not exists (
    select from pg_catalog.pg_class
    where oid = '"public"."logs_2026_10_10"'::pg_catalog.regclass and oid = 1003 and not relispartition
      and pg_catalog.strpos(pg_catalog.obj_description(oid, 'pg_class'), '[dbops:detached {"parent":"public.logs","column":"created_at","from":"2026-10-10 00:00:00+00","to":"2026-10-11 00:00:00+00","detached_at":"2026-11-12T12:00:00Z","drop_after":"2026-11-12T12:00:00Z"}]') > 0
  ) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.logs_2026_10_10 is no longer the detached table that was planned with';
  end if;
  if exists (select from "public"."logs_2026_10_10" where "created_at" >= '2026-10-13 12:00:00+00'::timestamp with time zone) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.logs_2026_10_10 holds rows younger than the retention limit';
  end if;
end
$dbops$;
drop table "public"."logs_2026_10_10";
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
--   lock table "public"."logs_2026_10_10" in access exclusive mode;
--   do $dbops$
--   begin
--     if not exists (
--       select from pg_catalog.pg_class
--       where oid = '"public"."logs_2026_10_10"'::pg_catalog.regclass and oid = 1003 and not relispartition
--         and pg_catalog.strpos(pg_catalog.obj_description(oid, 'pg_class'), '[dbops:detached {"parent":"public.logs","column":"created_at","from":"2026-10-10 00:00:00+00","to":"2026-10-11 00:00:00+00","detached_at":"2026-11-12T12:00:00Z","drop_after":"2026-11-12T12:00:00Z"}]') > 0
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.logs_2026_10_10 is no longer the detached table that was planned with';
--     end if;
--     if exists (select from "public"."logs_2026_10_10" where "created_at" >= '2026-10-13 12:00:00+00'::timestamp with time zone) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.logs_2026_10_10 holds rows younger than the retention limit';
--     end if;
--   end
--   $dbops$;
--   drop table "public"."logs_2026_10_10";
--   commit;

-- step 5: detach public.logs_2026_10_11; it may be dropped from 2026-11-12 12:00 UTC on
-- hazard: drops-data
-- first: the locks are tried without waiting, so that nobody queues behind dbops
begin;
set local search_path = '';
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local lock_timeout = '100ms';
set local statement_timeout = '60000ms';
set local idle_in_transaction_session_timeout = '1000ms';
set local client_min_messages = 'warning';
lock table only "public"."logs_2026_10_11" in access exclusive mode nowait;
lock table only "public"."logs" in access exclusive mode nowait;
do $dbops$
begin
  if not exists (
    select from pg_catalog.pg_class c join pg_catalog.pg_inherits i on i.inhrelid = c.oid
    where c.oid = '"public"."logs_2026_10_11"'::pg_catalog.regclass and c.oid = 1004 and i.inhparent = 1001
      and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2026-10-11 00:00:00+00'') TO (''2026-10-12 00:00:00+00'')'
  ) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.logs_2026_10_11 is no longer the partition that was planned with';
  end if;
end
$dbops$;
comment on table "public"."logs_2026_10_11" is '[dbops:detached {"parent":"public.logs","column":"created_at","from":"2026-10-11 00:00:00+00","to":"2026-10-12 00:00:00+00","detached_at":"2026-11-12T12:00:00Z","drop_after":"2026-11-12T12:00:00Z"}]';
alter table only "public"."logs" detach partition "public"."logs_2026_10_11";
commit;
-- when polling never finds the locks free: waits for open transactions without blocking readers or writers of the parent
--   begin;
--   set local search_path = '';
--   set local timezone = 'UTC';
--   set local datestyle = 'ISO, YMD';
--   set local lock_timeout = '100ms';
--   do $dbops$
--   begin
--     if not exists (
--       select from pg_catalog.pg_class c join pg_catalog.pg_inherits i on i.inhrelid = c.oid
--       where c.oid = '"public"."logs_2026_10_11"'::pg_catalog.regclass and c.oid = 1004 and i.inhparent = 1001
--         and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2026-10-11 00:00:00+00'') TO (''2026-10-12 00:00:00+00'')'
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.logs_2026_10_11 is no longer the partition that was planned with';
--     end if;
--   end
--   $dbops$;
--   comment on table "public"."logs_2026_10_11" is '[dbops:detached {"parent":"public.logs","column":"created_at","from":"2026-10-11 00:00:00+00","to":"2026-10-12 00:00:00+00","detached_at":"2026-11-12T12:00:00Z","drop_after":"2026-11-12T12:00:00Z"}]';
--   commit;
--   alter table only "public"."logs" detach partition "public"."logs_2026_10_11" concurrently;
-- only when it does not succeed and is not pending:
--   begin;
--   set local search_path = '';
--   set local timezone = 'UTC';
--   set local datestyle = 'ISO, YMD';
--   set local lock_timeout = '100ms';
--   do $dbops$
--   begin
--     if not exists (
--       select from pg_catalog.pg_class c join pg_catalog.pg_inherits i on i.inhrelid = c.oid
--       where c.oid = '"public"."logs_2026_10_11"'::pg_catalog.regclass and c.oid = 1004 and i.inhparent = 1001
--         and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2026-10-11 00:00:00+00'') TO (''2026-10-12 00:00:00+00'')'
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.logs_2026_10_11 is no longer the partition that was planned with';
--     end if;
--   end
--   $dbops$;
--   comment on table "public"."logs_2026_10_11" is null;
--   commit;
-- outside a transaction; dbops cancels it after 1m

-- step 6: drop public.logs_2026_10_11 and its rows
-- hazard: drops-data
-- first: the locks are tried without waiting, so that nobody queues behind dbops
begin;
set local search_path = '';
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local lock_timeout = '100ms';
set local statement_timeout = '60000ms';
set local idle_in_transaction_session_timeout = '1000ms';
set local client_min_messages = 'warning';
lock table "public"."logs_2026_10_11" in access exclusive mode nowait;
do $dbops$
begin
  if not exists (
    select from pg_catalog.pg_class
    where oid = '"public"."logs_2026_10_11"'::pg_catalog.regclass and oid = 1004 and not relispartition
      and pg_catalog.strpos(pg_catalog.obj_description(oid, 'pg_class'), '[dbops:detached {"parent":"public.logs","column":"created_at","from":"2026-10-11 00:00:00+00","to":"2026-10-12 00:00:00+00","detached_at":"2026-11-12T12:00:00Z","drop_after":"2026-11-12T12:00:00Z"}]') > 0
  ) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.logs_2026_10_11 is no longer the detached table that was planned with';
  end if;
  if exists (select from "public"."logs_2026_10_11" where "created_at" >= '2026-10-13 12:00:00+00'::timestamp with time zone) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.logs_2026_10_11 holds rows younger than the retention limit';
  end if;
end
$dbops$;
drop table "public"."logs_2026_10_11";
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
--   lock table "public"."logs_2026_10_11" in access exclusive mode;
--   do $dbops$
--   begin
--     if not exists (
--       select from pg_catalog.pg_class
--       where oid = '"public"."logs_2026_10_11"'::pg_catalog.regclass and oid = 1004 and not relispartition
--         and pg_catalog.strpos(pg_catalog.obj_description(oid, 'pg_class'), '[dbops:detached {"parent":"public.logs","column":"created_at","from":"2026-10-11 00:00:00+00","to":"2026-10-12 00:00:00+00","detached_at":"2026-11-12T12:00:00Z","drop_after":"2026-11-12T12:00:00Z"}]') > 0
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.logs_2026_10_11 is no longer the detached table that was planned with';
--     end if;
--     if exists (select from "public"."logs_2026_10_11" where "created_at" >= '2026-10-13 12:00:00+00'::timestamp with time zone) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.logs_2026_10_11 holds rows younger than the retention limit';
--     end if;
--   end
--   $dbops$;
--   drop table "public"."logs_2026_10_11";
--   commit;

-- step 7: detach public.logs_2026_10_12; it may be dropped from 2026-11-12 12:00 UTC on
-- hazard: drops-data
-- first: the locks are tried without waiting, so that nobody queues behind dbops
begin;
set local search_path = '';
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local lock_timeout = '100ms';
set local statement_timeout = '60000ms';
set local idle_in_transaction_session_timeout = '1000ms';
set local client_min_messages = 'warning';
lock table only "public"."logs_2026_10_12" in access exclusive mode nowait;
lock table only "public"."logs" in access exclusive mode nowait;
do $dbops$
begin
  if not exists (
    select from pg_catalog.pg_class c join pg_catalog.pg_inherits i on i.inhrelid = c.oid
    where c.oid = '"public"."logs_2026_10_12"'::pg_catalog.regclass and c.oid = 1005 and i.inhparent = 1001
      and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2026-10-12 00:00:00+00'') TO (''2026-10-13 00:00:00+00'')'
  ) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.logs_2026_10_12 is no longer the partition that was planned with';
  end if;
end
$dbops$;
comment on table "public"."logs_2026_10_12" is '[dbops:detached {"parent":"public.logs","column":"created_at","from":"2026-10-12 00:00:00+00","to":"2026-10-13 00:00:00+00","detached_at":"2026-11-12T12:00:00Z","drop_after":"2026-11-12T12:00:00Z"}]';
alter table only "public"."logs" detach partition "public"."logs_2026_10_12";
commit;
-- when polling never finds the locks free: waits for open transactions without blocking readers or writers of the parent
--   begin;
--   set local search_path = '';
--   set local timezone = 'UTC';
--   set local datestyle = 'ISO, YMD';
--   set local lock_timeout = '100ms';
--   do $dbops$
--   begin
--     if not exists (
--       select from pg_catalog.pg_class c join pg_catalog.pg_inherits i on i.inhrelid = c.oid
--       where c.oid = '"public"."logs_2026_10_12"'::pg_catalog.regclass and c.oid = 1005 and i.inhparent = 1001
--         and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2026-10-12 00:00:00+00'') TO (''2026-10-13 00:00:00+00'')'
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.logs_2026_10_12 is no longer the partition that was planned with';
--     end if;
--   end
--   $dbops$;
--   comment on table "public"."logs_2026_10_12" is '[dbops:detached {"parent":"public.logs","column":"created_at","from":"2026-10-12 00:00:00+00","to":"2026-10-13 00:00:00+00","detached_at":"2026-11-12T12:00:00Z","drop_after":"2026-11-12T12:00:00Z"}]';
--   commit;
--   alter table only "public"."logs" detach partition "public"."logs_2026_10_12" concurrently;
-- only when it does not succeed and is not pending:
--   begin;
--   set local search_path = '';
--   set local timezone = 'UTC';
--   set local datestyle = 'ISO, YMD';
--   set local lock_timeout = '100ms';
--   do $dbops$
--   begin
--     if not exists (
--       select from pg_catalog.pg_class c join pg_catalog.pg_inherits i on i.inhrelid = c.oid
--       where c.oid = '"public"."logs_2026_10_12"'::pg_catalog.regclass and c.oid = 1005 and i.inhparent = 1001
--         and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2026-10-12 00:00:00+00'') TO (''2026-10-13 00:00:00+00'')'
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.logs_2026_10_12 is no longer the partition that was planned with';
--     end if;
--   end
--   $dbops$;
--   comment on table "public"."logs_2026_10_12" is null;
--   commit;
-- outside a transaction; dbops cancels it after 1m

-- step 8: drop public.logs_2026_10_12 and its rows
-- hazard: drops-data
-- first: the locks are tried without waiting, so that nobody queues behind dbops
begin;
set local search_path = '';
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local lock_timeout = '100ms';
set local statement_timeout = '60000ms';
set local idle_in_transaction_session_timeout = '1000ms';
set local client_min_messages = 'warning';
lock table "public"."logs_2026_10_12" in access exclusive mode nowait;
do $dbops$
begin
  if not exists (
    select from pg_catalog.pg_class
    where oid = '"public"."logs_2026_10_12"'::pg_catalog.regclass and oid = 1005 and not relispartition
      and pg_catalog.strpos(pg_catalog.obj_description(oid, 'pg_class'), '[dbops:detached {"parent":"public.logs","column":"created_at","from":"2026-10-12 00:00:00+00","to":"2026-10-13 00:00:00+00","detached_at":"2026-11-12T12:00:00Z","drop_after":"2026-11-12T12:00:00Z"}]') > 0
  ) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.logs_2026_10_12 is no longer the detached table that was planned with';
  end if;
  if exists (select from "public"."logs_2026_10_12" where "created_at" >= '2026-10-13 12:00:00+00'::timestamp with time zone) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.logs_2026_10_12 holds rows younger than the retention limit';
  end if;
end
$dbops$;
drop table "public"."logs_2026_10_12";
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
--   lock table "public"."logs_2026_10_12" in access exclusive mode;
--   do $dbops$
--   begin
--     if not exists (
--       select from pg_catalog.pg_class
--       where oid = '"public"."logs_2026_10_12"'::pg_catalog.regclass and oid = 1005 and not relispartition
--         and pg_catalog.strpos(pg_catalog.obj_description(oid, 'pg_class'), '[dbops:detached {"parent":"public.logs","column":"created_at","from":"2026-10-12 00:00:00+00","to":"2026-10-13 00:00:00+00","detached_at":"2026-11-12T12:00:00Z","drop_after":"2026-11-12T12:00:00Z"}]') > 0
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.logs_2026_10_12 is no longer the detached table that was planned with';
--     end if;
--     if exists (select from "public"."logs_2026_10_12" where "created_at" >= '2026-10-13 12:00:00+00'::timestamp with time zone) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.logs_2026_10_12 holds rows younger than the retention limit';
--     end if;
--   end
--   $dbops$;
--   drop table "public"."logs_2026_10_12";
--   commit;
