-- dbops partitions prune on database golden, as of 2026-12-20 12:00:00 UTC

-- step 1: detach public.notifications_2026_08_31; it may be dropped from 2026-12-20 12:00 UTC on
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
lock table only "public"."notifications_2026_08_31" in access exclusive mode nowait;
lock table only "public"."notifications_default" in access exclusive mode nowait;
lock table only "public"."notifications" in access exclusive mode nowait;
do $dbops$
begin
  if not exists (
    select from pg_catalog.pg_class c join pg_catalog.pg_inherits i on i.inhrelid = c.oid
    where c.oid = '"public"."notifications_2026_08_31"'::pg_catalog.regclass and c.oid = 1002 and i.inhparent = 1001
      and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2026-08-31 04:00:00+00'') TO (''2026-09-07 03:00:00+00'')'
  ) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_08_31 is no longer the partition that was planned with';
  end if;
end
$dbops$;
comment on table "public"."notifications_2026_08_31" is '[dbops:detached {"parent":"public.notifications","column":"created_at","from":"2026-08-31 04:00:00+00","to":"2026-09-07 03:00:00+00","detached_at":"2026-12-20T12:00:00Z","drop_after":"2026-12-20T12:00:00Z"}]';
alter table only "public"."notifications" detach partition "public"."notifications_2026_08_31";
commit;
-- when polling never finds the locks free: waits below the lock budget, with pauses
--   begin;
--   set local search_path = '';
--   set local timezone = 'UTC';
--   set local datestyle = 'ISO, YMD';
--   set local lock_timeout = '33ms';
--   set local statement_timeout = '60000ms';
--   set local idle_in_transaction_session_timeout = '1000ms';
--   set local client_min_messages = 'warning';
--   lock table only "public"."notifications" in access exclusive mode;
--   lock table only "public"."notifications_default" in access exclusive mode;
--   lock table only "public"."notifications_2026_08_31" in access exclusive mode;
--   do $dbops$
--   begin
--     if not exists (
--       select from pg_catalog.pg_class c join pg_catalog.pg_inherits i on i.inhrelid = c.oid
--       where c.oid = '"public"."notifications_2026_08_31"'::pg_catalog.regclass and c.oid = 1002 and i.inhparent = 1001
--         and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2026-08-31 04:00:00+00'') TO (''2026-09-07 03:00:00+00'')'
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_08_31 is no longer the partition that was planned with';
--     end if;
--   end
--   $dbops$;
--   comment on table "public"."notifications_2026_08_31" is '[dbops:detached {"parent":"public.notifications","column":"created_at","from":"2026-08-31 04:00:00+00","to":"2026-09-07 03:00:00+00","detached_at":"2026-12-20T12:00:00Z","drop_after":"2026-12-20T12:00:00Z"}]';
--   alter table only "public"."notifications" detach partition "public"."notifications_2026_08_31";
--   commit;

-- step 2: drop public.notifications_2026_08_31 and its rows
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
lock table "public"."notifications_2026_08_31" in access exclusive mode nowait;
do $dbops$
begin
  if not exists (
    select from pg_catalog.pg_class
    where oid = '"public"."notifications_2026_08_31"'::pg_catalog.regclass and oid = 1002 and not relispartition
      and pg_catalog.strpos(pg_catalog.obj_description(oid, 'pg_class'), '[dbops:detached {"parent":"public.notifications","column":"created_at","from":"2026-08-31 04:00:00+00","to":"2026-09-07 03:00:00+00","detached_at":"2026-12-20T12:00:00Z","drop_after":"2026-12-20T12:00:00Z"}]') > 0
  ) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_08_31 is no longer the detached table that was planned with';
  end if;
  if exists (select from "public"."notifications_2026_08_31" where "created_at" >= '2026-10-25 12:00:00+00'::timestamp with time zone) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_08_31 holds rows younger than the retention limit';
  end if;
end
$dbops$;
drop table "public"."notifications_2026_08_31";
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
--   lock table "public"."notifications_2026_08_31" in access exclusive mode;
--   do $dbops$
--   begin
--     if not exists (
--       select from pg_catalog.pg_class
--       where oid = '"public"."notifications_2026_08_31"'::pg_catalog.regclass and oid = 1002 and not relispartition
--         and pg_catalog.strpos(pg_catalog.obj_description(oid, 'pg_class'), '[dbops:detached {"parent":"public.notifications","column":"created_at","from":"2026-08-31 04:00:00+00","to":"2026-09-07 03:00:00+00","detached_at":"2026-12-20T12:00:00Z","drop_after":"2026-12-20T12:00:00Z"}]') > 0
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_08_31 is no longer the detached table that was planned with';
--     end if;
--     if exists (select from "public"."notifications_2026_08_31" where "created_at" >= '2026-10-25 12:00:00+00'::timestamp with time zone) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_08_31 holds rows younger than the retention limit';
--     end if;
--   end
--   $dbops$;
--   drop table "public"."notifications_2026_08_31";
--   commit;

-- step 3: detach public.notifications_2026_09_07; it may be dropped from 2026-12-20 12:00 UTC on
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
lock table only "public"."notifications_2026_09_07" in access exclusive mode nowait;
lock table only "public"."notifications_default" in access exclusive mode nowait;
lock table only "public"."notifications" in access exclusive mode nowait;
do $dbops$
begin
  if not exists (
    select from pg_catalog.pg_class c join pg_catalog.pg_inherits i on i.inhrelid = c.oid
    where c.oid = '"public"."notifications_2026_09_07"'::pg_catalog.regclass and c.oid = 1003 and i.inhparent = 1001
      and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2026-09-07 03:00:00+00'') TO (''2026-09-14 03:00:00+00'')'
  ) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_09_07 is no longer the partition that was planned with';
  end if;
end
$dbops$;
comment on table "public"."notifications_2026_09_07" is '[dbops:detached {"parent":"public.notifications","column":"created_at","from":"2026-09-07 03:00:00+00","to":"2026-09-14 03:00:00+00","detached_at":"2026-12-20T12:00:00Z","drop_after":"2026-12-20T12:00:00Z"}]';
alter table only "public"."notifications" detach partition "public"."notifications_2026_09_07";
commit;
-- when polling never finds the locks free: waits below the lock budget, with pauses
--   begin;
--   set local search_path = '';
--   set local timezone = 'UTC';
--   set local datestyle = 'ISO, YMD';
--   set local lock_timeout = '33ms';
--   set local statement_timeout = '60000ms';
--   set local idle_in_transaction_session_timeout = '1000ms';
--   set local client_min_messages = 'warning';
--   lock table only "public"."notifications" in access exclusive mode;
--   lock table only "public"."notifications_default" in access exclusive mode;
--   lock table only "public"."notifications_2026_09_07" in access exclusive mode;
--   do $dbops$
--   begin
--     if not exists (
--       select from pg_catalog.pg_class c join pg_catalog.pg_inherits i on i.inhrelid = c.oid
--       where c.oid = '"public"."notifications_2026_09_07"'::pg_catalog.regclass and c.oid = 1003 and i.inhparent = 1001
--         and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2026-09-07 03:00:00+00'') TO (''2026-09-14 03:00:00+00'')'
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_09_07 is no longer the partition that was planned with';
--     end if;
--   end
--   $dbops$;
--   comment on table "public"."notifications_2026_09_07" is '[dbops:detached {"parent":"public.notifications","column":"created_at","from":"2026-09-07 03:00:00+00","to":"2026-09-14 03:00:00+00","detached_at":"2026-12-20T12:00:00Z","drop_after":"2026-12-20T12:00:00Z"}]';
--   alter table only "public"."notifications" detach partition "public"."notifications_2026_09_07";
--   commit;

-- step 4: drop public.notifications_2026_09_07 and its rows
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
lock table "public"."notifications_2026_09_07" in access exclusive mode nowait;
do $dbops$
begin
  if not exists (
    select from pg_catalog.pg_class
    where oid = '"public"."notifications_2026_09_07"'::pg_catalog.regclass and oid = 1003 and not relispartition
      and pg_catalog.strpos(pg_catalog.obj_description(oid, 'pg_class'), '[dbops:detached {"parent":"public.notifications","column":"created_at","from":"2026-09-07 03:00:00+00","to":"2026-09-14 03:00:00+00","detached_at":"2026-12-20T12:00:00Z","drop_after":"2026-12-20T12:00:00Z"}]') > 0
  ) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_09_07 is no longer the detached table that was planned with';
  end if;
  if exists (select from "public"."notifications_2026_09_07" where "created_at" >= '2026-10-25 12:00:00+00'::timestamp with time zone) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_09_07 holds rows younger than the retention limit';
  end if;
end
$dbops$;
drop table "public"."notifications_2026_09_07";
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
--   lock table "public"."notifications_2026_09_07" in access exclusive mode;
--   do $dbops$
--   begin
--     if not exists (
--       select from pg_catalog.pg_class
--       where oid = '"public"."notifications_2026_09_07"'::pg_catalog.regclass and oid = 1003 and not relispartition
--         and pg_catalog.strpos(pg_catalog.obj_description(oid, 'pg_class'), '[dbops:detached {"parent":"public.notifications","column":"created_at","from":"2026-09-07 03:00:00+00","to":"2026-09-14 03:00:00+00","detached_at":"2026-12-20T12:00:00Z","drop_after":"2026-12-20T12:00:00Z"}]') > 0
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_09_07 is no longer the detached table that was planned with';
--     end if;
--     if exists (select from "public"."notifications_2026_09_07" where "created_at" >= '2026-10-25 12:00:00+00'::timestamp with time zone) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_09_07 holds rows younger than the retention limit';
--     end if;
--   end
--   $dbops$;
--   drop table "public"."notifications_2026_09_07";
--   commit;

-- step 5: detach public.notifications_2026_09_14; it may be dropped from 2026-12-20 12:00 UTC on
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
lock table only "public"."notifications_2026_09_14" in access exclusive mode nowait;
lock table only "public"."notifications_default" in access exclusive mode nowait;
lock table only "public"."notifications" in access exclusive mode nowait;
do $dbops$
begin
  if not exists (
    select from pg_catalog.pg_class c join pg_catalog.pg_inherits i on i.inhrelid = c.oid
    where c.oid = '"public"."notifications_2026_09_14"'::pg_catalog.regclass and c.oid = 1004 and i.inhparent = 1001
      and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2026-09-14 03:00:00+00'') TO (''2026-09-21 03:00:00+00'')'
  ) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_09_14 is no longer the partition that was planned with';
  end if;
end
$dbops$;
comment on table "public"."notifications_2026_09_14" is '[dbops:detached {"parent":"public.notifications","column":"created_at","from":"2026-09-14 03:00:00+00","to":"2026-09-21 03:00:00+00","detached_at":"2026-12-20T12:00:00Z","drop_after":"2026-12-20T12:00:00Z"}]';
alter table only "public"."notifications" detach partition "public"."notifications_2026_09_14";
commit;
-- when polling never finds the locks free: waits below the lock budget, with pauses
--   begin;
--   set local search_path = '';
--   set local timezone = 'UTC';
--   set local datestyle = 'ISO, YMD';
--   set local lock_timeout = '33ms';
--   set local statement_timeout = '60000ms';
--   set local idle_in_transaction_session_timeout = '1000ms';
--   set local client_min_messages = 'warning';
--   lock table only "public"."notifications" in access exclusive mode;
--   lock table only "public"."notifications_default" in access exclusive mode;
--   lock table only "public"."notifications_2026_09_14" in access exclusive mode;
--   do $dbops$
--   begin
--     if not exists (
--       select from pg_catalog.pg_class c join pg_catalog.pg_inherits i on i.inhrelid = c.oid
--       where c.oid = '"public"."notifications_2026_09_14"'::pg_catalog.regclass and c.oid = 1004 and i.inhparent = 1001
--         and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2026-09-14 03:00:00+00'') TO (''2026-09-21 03:00:00+00'')'
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_09_14 is no longer the partition that was planned with';
--     end if;
--   end
--   $dbops$;
--   comment on table "public"."notifications_2026_09_14" is '[dbops:detached {"parent":"public.notifications","column":"created_at","from":"2026-09-14 03:00:00+00","to":"2026-09-21 03:00:00+00","detached_at":"2026-12-20T12:00:00Z","drop_after":"2026-12-20T12:00:00Z"}]';
--   alter table only "public"."notifications" detach partition "public"."notifications_2026_09_14";
--   commit;

-- step 6: drop public.notifications_2026_09_14 and its rows
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
lock table "public"."notifications_2026_09_14" in access exclusive mode nowait;
do $dbops$
begin
  if not exists (
    select from pg_catalog.pg_class
    where oid = '"public"."notifications_2026_09_14"'::pg_catalog.regclass and oid = 1004 and not relispartition
      and pg_catalog.strpos(pg_catalog.obj_description(oid, 'pg_class'), '[dbops:detached {"parent":"public.notifications","column":"created_at","from":"2026-09-14 03:00:00+00","to":"2026-09-21 03:00:00+00","detached_at":"2026-12-20T12:00:00Z","drop_after":"2026-12-20T12:00:00Z"}]') > 0
  ) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_09_14 is no longer the detached table that was planned with';
  end if;
  if exists (select from "public"."notifications_2026_09_14" where "created_at" >= '2026-10-25 12:00:00+00'::timestamp with time zone) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_09_14 holds rows younger than the retention limit';
  end if;
end
$dbops$;
drop table "public"."notifications_2026_09_14";
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
--   lock table "public"."notifications_2026_09_14" in access exclusive mode;
--   do $dbops$
--   begin
--     if not exists (
--       select from pg_catalog.pg_class
--       where oid = '"public"."notifications_2026_09_14"'::pg_catalog.regclass and oid = 1004 and not relispartition
--         and pg_catalog.strpos(pg_catalog.obj_description(oid, 'pg_class'), '[dbops:detached {"parent":"public.notifications","column":"created_at","from":"2026-09-14 03:00:00+00","to":"2026-09-21 03:00:00+00","detached_at":"2026-12-20T12:00:00Z","drop_after":"2026-12-20T12:00:00Z"}]') > 0
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_09_14 is no longer the detached table that was planned with';
--     end if;
--     if exists (select from "public"."notifications_2026_09_14" where "created_at" >= '2026-10-25 12:00:00+00'::timestamp with time zone) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_09_14 holds rows younger than the retention limit';
--     end if;
--   end
--   $dbops$;
--   drop table "public"."notifications_2026_09_14";
--   commit;

-- step 7: detach public.notifications_2026_09_21; it may be dropped from 2026-12-20 12:00 UTC on
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
lock table only "public"."notifications_2026_09_21" in access exclusive mode nowait;
lock table only "public"."notifications_default" in access exclusive mode nowait;
lock table only "public"."notifications" in access exclusive mode nowait;
do $dbops$
begin
  if not exists (
    select from pg_catalog.pg_class c join pg_catalog.pg_inherits i on i.inhrelid = c.oid
    where c.oid = '"public"."notifications_2026_09_21"'::pg_catalog.regclass and c.oid = 1005 and i.inhparent = 1001
      and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2026-09-21 03:00:00+00'') TO (''2026-09-28 03:00:00+00'')'
  ) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_09_21 is no longer the partition that was planned with';
  end if;
end
$dbops$;
comment on table "public"."notifications_2026_09_21" is '[dbops:detached {"parent":"public.notifications","column":"created_at","from":"2026-09-21 03:00:00+00","to":"2026-09-28 03:00:00+00","detached_at":"2026-12-20T12:00:00Z","drop_after":"2026-12-20T12:00:00Z"}]';
alter table only "public"."notifications" detach partition "public"."notifications_2026_09_21";
commit;
-- when polling never finds the locks free: waits below the lock budget, with pauses
--   begin;
--   set local search_path = '';
--   set local timezone = 'UTC';
--   set local datestyle = 'ISO, YMD';
--   set local lock_timeout = '33ms';
--   set local statement_timeout = '60000ms';
--   set local idle_in_transaction_session_timeout = '1000ms';
--   set local client_min_messages = 'warning';
--   lock table only "public"."notifications" in access exclusive mode;
--   lock table only "public"."notifications_default" in access exclusive mode;
--   lock table only "public"."notifications_2026_09_21" in access exclusive mode;
--   do $dbops$
--   begin
--     if not exists (
--       select from pg_catalog.pg_class c join pg_catalog.pg_inherits i on i.inhrelid = c.oid
--       where c.oid = '"public"."notifications_2026_09_21"'::pg_catalog.regclass and c.oid = 1005 and i.inhparent = 1001
--         and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2026-09-21 03:00:00+00'') TO (''2026-09-28 03:00:00+00'')'
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_09_21 is no longer the partition that was planned with';
--     end if;
--   end
--   $dbops$;
--   comment on table "public"."notifications_2026_09_21" is '[dbops:detached {"parent":"public.notifications","column":"created_at","from":"2026-09-21 03:00:00+00","to":"2026-09-28 03:00:00+00","detached_at":"2026-12-20T12:00:00Z","drop_after":"2026-12-20T12:00:00Z"}]';
--   alter table only "public"."notifications" detach partition "public"."notifications_2026_09_21";
--   commit;

-- step 8: drop public.notifications_2026_09_21 and its rows
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
lock table "public"."notifications_2026_09_21" in access exclusive mode nowait;
do $dbops$
begin
  if not exists (
    select from pg_catalog.pg_class
    where oid = '"public"."notifications_2026_09_21"'::pg_catalog.regclass and oid = 1005 and not relispartition
      and pg_catalog.strpos(pg_catalog.obj_description(oid, 'pg_class'), '[dbops:detached {"parent":"public.notifications","column":"created_at","from":"2026-09-21 03:00:00+00","to":"2026-09-28 03:00:00+00","detached_at":"2026-12-20T12:00:00Z","drop_after":"2026-12-20T12:00:00Z"}]') > 0
  ) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_09_21 is no longer the detached table that was planned with';
  end if;
  if exists (select from "public"."notifications_2026_09_21" where "created_at" >= '2026-10-25 12:00:00+00'::timestamp with time zone) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_09_21 holds rows younger than the retention limit';
  end if;
end
$dbops$;
drop table "public"."notifications_2026_09_21";
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
--   lock table "public"."notifications_2026_09_21" in access exclusive mode;
--   do $dbops$
--   begin
--     if not exists (
--       select from pg_catalog.pg_class
--       where oid = '"public"."notifications_2026_09_21"'::pg_catalog.regclass and oid = 1005 and not relispartition
--         and pg_catalog.strpos(pg_catalog.obj_description(oid, 'pg_class'), '[dbops:detached {"parent":"public.notifications","column":"created_at","from":"2026-09-21 03:00:00+00","to":"2026-09-28 03:00:00+00","detached_at":"2026-12-20T12:00:00Z","drop_after":"2026-12-20T12:00:00Z"}]') > 0
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_09_21 is no longer the detached table that was planned with';
--     end if;
--     if exists (select from "public"."notifications_2026_09_21" where "created_at" >= '2026-10-25 12:00:00+00'::timestamp with time zone) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_09_21 holds rows younger than the retention limit';
--     end if;
--   end
--   $dbops$;
--   drop table "public"."notifications_2026_09_21";
--   commit;

-- step 9: detach public.notifications_2026_09_28; it may be dropped from 2026-12-20 12:00 UTC on
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
lock table only "public"."notifications_2026_09_28" in access exclusive mode nowait;
lock table only "public"."notifications_default" in access exclusive mode nowait;
lock table only "public"."notifications" in access exclusive mode nowait;
do $dbops$
begin
  if not exists (
    select from pg_catalog.pg_class c join pg_catalog.pg_inherits i on i.inhrelid = c.oid
    where c.oid = '"public"."notifications_2026_09_28"'::pg_catalog.regclass and c.oid = 1006 and i.inhparent = 1001
      and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2026-09-28 03:00:00+00'') TO (''2026-10-05 03:00:00+00'')'
  ) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_09_28 is no longer the partition that was planned with';
  end if;
end
$dbops$;
comment on table "public"."notifications_2026_09_28" is '[dbops:detached {"parent":"public.notifications","column":"created_at","from":"2026-09-28 03:00:00+00","to":"2026-10-05 03:00:00+00","detached_at":"2026-12-20T12:00:00Z","drop_after":"2026-12-20T12:00:00Z"}]';
alter table only "public"."notifications" detach partition "public"."notifications_2026_09_28";
commit;
-- when polling never finds the locks free: waits below the lock budget, with pauses
--   begin;
--   set local search_path = '';
--   set local timezone = 'UTC';
--   set local datestyle = 'ISO, YMD';
--   set local lock_timeout = '33ms';
--   set local statement_timeout = '60000ms';
--   set local idle_in_transaction_session_timeout = '1000ms';
--   set local client_min_messages = 'warning';
--   lock table only "public"."notifications" in access exclusive mode;
--   lock table only "public"."notifications_default" in access exclusive mode;
--   lock table only "public"."notifications_2026_09_28" in access exclusive mode;
--   do $dbops$
--   begin
--     if not exists (
--       select from pg_catalog.pg_class c join pg_catalog.pg_inherits i on i.inhrelid = c.oid
--       where c.oid = '"public"."notifications_2026_09_28"'::pg_catalog.regclass and c.oid = 1006 and i.inhparent = 1001
--         and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2026-09-28 03:00:00+00'') TO (''2026-10-05 03:00:00+00'')'
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_09_28 is no longer the partition that was planned with';
--     end if;
--   end
--   $dbops$;
--   comment on table "public"."notifications_2026_09_28" is '[dbops:detached {"parent":"public.notifications","column":"created_at","from":"2026-09-28 03:00:00+00","to":"2026-10-05 03:00:00+00","detached_at":"2026-12-20T12:00:00Z","drop_after":"2026-12-20T12:00:00Z"}]';
--   alter table only "public"."notifications" detach partition "public"."notifications_2026_09_28";
--   commit;

-- step 10: drop public.notifications_2026_09_28 and its rows
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
lock table "public"."notifications_2026_09_28" in access exclusive mode nowait;
do $dbops$
begin
  if not exists (
    select from pg_catalog.pg_class
    where oid = '"public"."notifications_2026_09_28"'::pg_catalog.regclass and oid = 1006 and not relispartition
      and pg_catalog.strpos(pg_catalog.obj_description(oid, 'pg_class'), '[dbops:detached {"parent":"public.notifications","column":"created_at","from":"2026-09-28 03:00:00+00","to":"2026-10-05 03:00:00+00","detached_at":"2026-12-20T12:00:00Z","drop_after":"2026-12-20T12:00:00Z"}]') > 0
  ) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_09_28 is no longer the detached table that was planned with';
  end if;
  if exists (select from "public"."notifications_2026_09_28" where "created_at" >= '2026-10-25 12:00:00+00'::timestamp with time zone) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_09_28 holds rows younger than the retention limit';
  end if;
end
$dbops$;
drop table "public"."notifications_2026_09_28";
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
--   lock table "public"."notifications_2026_09_28" in access exclusive mode;
--   do $dbops$
--   begin
--     if not exists (
--       select from pg_catalog.pg_class
--       where oid = '"public"."notifications_2026_09_28"'::pg_catalog.regclass and oid = 1006 and not relispartition
--         and pg_catalog.strpos(pg_catalog.obj_description(oid, 'pg_class'), '[dbops:detached {"parent":"public.notifications","column":"created_at","from":"2026-09-28 03:00:00+00","to":"2026-10-05 03:00:00+00","detached_at":"2026-12-20T12:00:00Z","drop_after":"2026-12-20T12:00:00Z"}]') > 0
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_09_28 is no longer the detached table that was planned with';
--     end if;
--     if exists (select from "public"."notifications_2026_09_28" where "created_at" >= '2026-10-25 12:00:00+00'::timestamp with time zone) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_09_28 holds rows younger than the retention limit';
--     end if;
--   end
--   $dbops$;
--   drop table "public"."notifications_2026_09_28";
--   commit;

-- step 11: detach public.notifications_2026_10_05; it may be dropped from 2026-12-20 12:00 UTC on
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
lock table only "public"."notifications_2026_10_05" in access exclusive mode nowait;
lock table only "public"."notifications_default" in access exclusive mode nowait;
lock table only "public"."notifications" in access exclusive mode nowait;
do $dbops$
begin
  if not exists (
    select from pg_catalog.pg_class c join pg_catalog.pg_inherits i on i.inhrelid = c.oid
    where c.oid = '"public"."notifications_2026_10_05"'::pg_catalog.regclass and c.oid = 1007 and i.inhparent = 1001
      and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2026-10-05 03:00:00+00'') TO (''2026-10-12 03:00:00+00'')'
  ) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_10_05 is no longer the partition that was planned with';
  end if;
end
$dbops$;
comment on table "public"."notifications_2026_10_05" is '[dbops:detached {"parent":"public.notifications","column":"created_at","from":"2026-10-05 03:00:00+00","to":"2026-10-12 03:00:00+00","detached_at":"2026-12-20T12:00:00Z","drop_after":"2026-12-20T12:00:00Z"}]';
alter table only "public"."notifications" detach partition "public"."notifications_2026_10_05";
commit;
-- when polling never finds the locks free: waits below the lock budget, with pauses
--   begin;
--   set local search_path = '';
--   set local timezone = 'UTC';
--   set local datestyle = 'ISO, YMD';
--   set local lock_timeout = '33ms';
--   set local statement_timeout = '60000ms';
--   set local idle_in_transaction_session_timeout = '1000ms';
--   set local client_min_messages = 'warning';
--   lock table only "public"."notifications" in access exclusive mode;
--   lock table only "public"."notifications_default" in access exclusive mode;
--   lock table only "public"."notifications_2026_10_05" in access exclusive mode;
--   do $dbops$
--   begin
--     if not exists (
--       select from pg_catalog.pg_class c join pg_catalog.pg_inherits i on i.inhrelid = c.oid
--       where c.oid = '"public"."notifications_2026_10_05"'::pg_catalog.regclass and c.oid = 1007 and i.inhparent = 1001
--         and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2026-10-05 03:00:00+00'') TO (''2026-10-12 03:00:00+00'')'
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_10_05 is no longer the partition that was planned with';
--     end if;
--   end
--   $dbops$;
--   comment on table "public"."notifications_2026_10_05" is '[dbops:detached {"parent":"public.notifications","column":"created_at","from":"2026-10-05 03:00:00+00","to":"2026-10-12 03:00:00+00","detached_at":"2026-12-20T12:00:00Z","drop_after":"2026-12-20T12:00:00Z"}]';
--   alter table only "public"."notifications" detach partition "public"."notifications_2026_10_05";
--   commit;

-- step 12: drop public.notifications_2026_10_05 and its rows
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
lock table "public"."notifications_2026_10_05" in access exclusive mode nowait;
do $dbops$
begin
  if not exists (
    select from pg_catalog.pg_class
    where oid = '"public"."notifications_2026_10_05"'::pg_catalog.regclass and oid = 1007 and not relispartition
      and pg_catalog.strpos(pg_catalog.obj_description(oid, 'pg_class'), '[dbops:detached {"parent":"public.notifications","column":"created_at","from":"2026-10-05 03:00:00+00","to":"2026-10-12 03:00:00+00","detached_at":"2026-12-20T12:00:00Z","drop_after":"2026-12-20T12:00:00Z"}]') > 0
  ) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_10_05 is no longer the detached table that was planned with';
  end if;
  if exists (select from "public"."notifications_2026_10_05" where "created_at" >= '2026-10-25 12:00:00+00'::timestamp with time zone) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_10_05 holds rows younger than the retention limit';
  end if;
end
$dbops$;
drop table "public"."notifications_2026_10_05";
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
--   lock table "public"."notifications_2026_10_05" in access exclusive mode;
--   do $dbops$
--   begin
--     if not exists (
--       select from pg_catalog.pg_class
--       where oid = '"public"."notifications_2026_10_05"'::pg_catalog.regclass and oid = 1007 and not relispartition
--         and pg_catalog.strpos(pg_catalog.obj_description(oid, 'pg_class'), '[dbops:detached {"parent":"public.notifications","column":"created_at","from":"2026-10-05 03:00:00+00","to":"2026-10-12 03:00:00+00","detached_at":"2026-12-20T12:00:00Z","drop_after":"2026-12-20T12:00:00Z"}]') > 0
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_10_05 is no longer the detached table that was planned with';
--     end if;
--     if exists (select from "public"."notifications_2026_10_05" where "created_at" >= '2026-10-25 12:00:00+00'::timestamp with time zone) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_10_05 holds rows younger than the retention limit';
--     end if;
--   end
--   $dbops$;
--   drop table "public"."notifications_2026_10_05";
--   commit;

-- step 13: detach public.notifications_2026_10_12; it may be dropped from 2026-12-20 12:00 UTC on
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
lock table only "public"."notifications_2026_10_12" in access exclusive mode nowait;
lock table only "public"."notifications_default" in access exclusive mode nowait;
lock table only "public"."notifications" in access exclusive mode nowait;
do $dbops$
begin
  if not exists (
    select from pg_catalog.pg_class c join pg_catalog.pg_inherits i on i.inhrelid = c.oid
    where c.oid = '"public"."notifications_2026_10_12"'::pg_catalog.regclass and c.oid = 1008 and i.inhparent = 1001
      and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2026-10-12 03:00:00+00'') TO (''2026-10-19 03:00:00+00'')'
  ) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_10_12 is no longer the partition that was planned with';
  end if;
end
$dbops$;
comment on table "public"."notifications_2026_10_12" is '[dbops:detached {"parent":"public.notifications","column":"created_at","from":"2026-10-12 03:00:00+00","to":"2026-10-19 03:00:00+00","detached_at":"2026-12-20T12:00:00Z","drop_after":"2026-12-20T12:00:00Z"}]';
alter table only "public"."notifications" detach partition "public"."notifications_2026_10_12";
commit;
-- when polling never finds the locks free: waits below the lock budget, with pauses
--   begin;
--   set local search_path = '';
--   set local timezone = 'UTC';
--   set local datestyle = 'ISO, YMD';
--   set local lock_timeout = '33ms';
--   set local statement_timeout = '60000ms';
--   set local idle_in_transaction_session_timeout = '1000ms';
--   set local client_min_messages = 'warning';
--   lock table only "public"."notifications" in access exclusive mode;
--   lock table only "public"."notifications_default" in access exclusive mode;
--   lock table only "public"."notifications_2026_10_12" in access exclusive mode;
--   do $dbops$
--   begin
--     if not exists (
--       select from pg_catalog.pg_class c join pg_catalog.pg_inherits i on i.inhrelid = c.oid
--       where c.oid = '"public"."notifications_2026_10_12"'::pg_catalog.regclass and c.oid = 1008 and i.inhparent = 1001
--         and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2026-10-12 03:00:00+00'') TO (''2026-10-19 03:00:00+00'')'
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_10_12 is no longer the partition that was planned with';
--     end if;
--   end
--   $dbops$;
--   comment on table "public"."notifications_2026_10_12" is '[dbops:detached {"parent":"public.notifications","column":"created_at","from":"2026-10-12 03:00:00+00","to":"2026-10-19 03:00:00+00","detached_at":"2026-12-20T12:00:00Z","drop_after":"2026-12-20T12:00:00Z"}]';
--   alter table only "public"."notifications" detach partition "public"."notifications_2026_10_12";
--   commit;

-- step 14: drop public.notifications_2026_10_12 and its rows
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
lock table "public"."notifications_2026_10_12" in access exclusive mode nowait;
do $dbops$
begin
  if not exists (
    select from pg_catalog.pg_class
    where oid = '"public"."notifications_2026_10_12"'::pg_catalog.regclass and oid = 1008 and not relispartition
      and pg_catalog.strpos(pg_catalog.obj_description(oid, 'pg_class'), '[dbops:detached {"parent":"public.notifications","column":"created_at","from":"2026-10-12 03:00:00+00","to":"2026-10-19 03:00:00+00","detached_at":"2026-12-20T12:00:00Z","drop_after":"2026-12-20T12:00:00Z"}]') > 0
  ) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_10_12 is no longer the detached table that was planned with';
  end if;
  if exists (select from "public"."notifications_2026_10_12" where "created_at" >= '2026-10-25 12:00:00+00'::timestamp with time zone) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_10_12 holds rows younger than the retention limit';
  end if;
end
$dbops$;
drop table "public"."notifications_2026_10_12";
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
--   lock table "public"."notifications_2026_10_12" in access exclusive mode;
--   do $dbops$
--   begin
--     if not exists (
--       select from pg_catalog.pg_class
--       where oid = '"public"."notifications_2026_10_12"'::pg_catalog.regclass and oid = 1008 and not relispartition
--         and pg_catalog.strpos(pg_catalog.obj_description(oid, 'pg_class'), '[dbops:detached {"parent":"public.notifications","column":"created_at","from":"2026-10-12 03:00:00+00","to":"2026-10-19 03:00:00+00","detached_at":"2026-12-20T12:00:00Z","drop_after":"2026-12-20T12:00:00Z"}]') > 0
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_10_12 is no longer the detached table that was planned with';
--     end if;
--     if exists (select from "public"."notifications_2026_10_12" where "created_at" >= '2026-10-25 12:00:00+00'::timestamp with time zone) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.notifications_2026_10_12 holds rows younger than the retention limit';
--     end if;
--   end
--   $dbops$;
--   drop table "public"."notifications_2026_10_12";
--   commit;
