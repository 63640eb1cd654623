-- dbops partitions prune on database golden, as of 2026-11-22 12:00:00 UTC
-- refused [referenced] 1 rows of public.items point into public.orders_used by foreign key items_order_id_order_at_fkey; it is kept

-- step 1: detach public.wide_legacy; it may be dropped from 2026-11-29 12:00 UTC on
-- first: the locks are tried without waiting, so that nobody queues behind dbops
begin;
set local search_path = '';
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local lock_timeout = '100ms';
set local statement_timeout = '60000ms';
set local idle_in_transaction_session_timeout = '1000ms';
set local client_min_messages = 'warning';
lock table only "public"."wide_legacy" in access exclusive mode nowait;
lock table only "public"."wide" in access exclusive mode nowait;
do $dbops$
begin
  if not exists (
    select from pg_catalog.pg_class c join pg_catalog.pg_inherits i on i.inhrelid = c.oid
    where c.oid = '"public"."wide_legacy"'::pg_catalog.regclass and c.oid = 1021 and i.inhparent = 1019
      and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (MINVALUE) TO (''2026-03-01 00:00:00+00'')'
  ) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.wide_legacy is no longer the partition that was planned with';
  end if;
end
$dbops$;
comment on table "public"."wide_legacy" is '[dbops:detached {"parent":"public.wide","column":"at","from":"MINVALUE","to":"2026-03-01 00:00:00+00","detached_at":"2026-11-22T12:00:00Z","drop_after":"2026-11-29T12:00:00Z"}]';
alter table only "public"."wide" detach partition "public"."wide_legacy";
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
--       where c.oid = '"public"."wide_legacy"'::pg_catalog.regclass and c.oid = 1021 and i.inhparent = 1019
--         and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (MINVALUE) TO (''2026-03-01 00:00:00+00'')'
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.wide_legacy is no longer the partition that was planned with';
--     end if;
--   end
--   $dbops$;
--   comment on table "public"."wide_legacy" is '[dbops:detached {"parent":"public.wide","column":"at","from":"MINVALUE","to":"2026-03-01 00:00:00+00","detached_at":"2026-11-22T12:00:00Z","drop_after":"2026-11-29T12:00:00Z"}]';
--   commit;
--   alter table only "public"."wide" detach partition "public"."wide_legacy" concurrently;
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
--       where c.oid = '"public"."wide_legacy"'::pg_catalog.regclass and c.oid = 1021 and i.inhparent = 1019
--         and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (MINVALUE) TO (''2026-03-01 00:00:00+00'')'
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.wide_legacy is no longer the partition that was planned with';
--     end if;
--   end
--   $dbops$;
--   comment on table "public"."wide_legacy" is null;
--   commit;
-- outside a transaction; dbops cancels it after 1m

-- step 2: detach public.quarters_q1; it may be dropped from 2026-11-29 12:00 UTC on
-- first: the locks are tried without waiting, so that nobody queues behind dbops
begin;
set local search_path = '';
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local lock_timeout = '100ms';
set local statement_timeout = '60000ms';
set local idle_in_transaction_session_timeout = '1000ms';
set local client_min_messages = 'warning';
lock table only "public"."quarters_q1" in access exclusive mode nowait;
lock table only "public"."quarters_rest" in access exclusive mode nowait;
lock table only "public"."quarters" in access exclusive mode nowait;
do $dbops$
begin
  if not exists (
    select from pg_catalog.pg_class c join pg_catalog.pg_inherits i on i.inhrelid = c.oid
    where c.oid = '"public"."quarters_q1"'::pg_catalog.regclass and c.oid = 1016 and i.inhparent = 1015
      and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2026-01-01'') TO (''2026-04-01'')'
  ) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.quarters_q1 is no longer the partition that was planned with';
  end if;
end
$dbops$;
comment on table "public"."quarters_q1" is '[dbops:detached {"parent":"public.quarters","column":"at","from":"2026-01-01","to":"2026-04-01","detached_at":"2026-11-22T12:00:00Z","drop_after":"2026-11-29T12:00:00Z"}]';
alter table only "public"."quarters" detach partition "public"."quarters_q1";
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
--   lock table only "public"."quarters" in access exclusive mode;
--   lock table only "public"."quarters_rest" in access exclusive mode;
--   lock table only "public"."quarters_q1" in access exclusive mode;
--   do $dbops$
--   begin
--     if not exists (
--       select from pg_catalog.pg_class c join pg_catalog.pg_inherits i on i.inhrelid = c.oid
--       where c.oid = '"public"."quarters_q1"'::pg_catalog.regclass and c.oid = 1016 and i.inhparent = 1015
--         and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2026-01-01'') TO (''2026-04-01'')'
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.quarters_q1 is no longer the partition that was planned with';
--     end if;
--   end
--   $dbops$;
--   comment on table "public"."quarters_q1" is '[dbops:detached {"parent":"public.quarters","column":"at","from":"2026-01-01","to":"2026-04-01","detached_at":"2026-11-22T12:00:00Z","drop_after":"2026-11-29T12:00:00Z"}]';
--   alter table only "public"."quarters" detach partition "public"."quarters_q1";
--   commit;

-- step 3: detach public.only_old_1; it may be dropped from 2026-11-29 12:00 UTC on
-- first: the locks are tried without waiting, so that nobody queues behind dbops
begin;
set local search_path = '';
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local lock_timeout = '100ms';
set local statement_timeout = '60000ms';
set local idle_in_transaction_session_timeout = '1000ms';
set local client_min_messages = 'warning';
lock table only "public"."only_old_1" in access exclusive mode nowait;
lock table only "public"."only_old" in access exclusive mode nowait;
do $dbops$
begin
  if not exists (
    select from pg_catalog.pg_class c join pg_catalog.pg_inherits i on i.inhrelid = c.oid
    where c.oid = '"public"."only_old_1"'::pg_catalog.regclass and c.oid = 1005 and i.inhparent = 1004
      and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2020-01-01'') TO (''2020-02-01'')'
  ) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.only_old_1 is no longer the partition that was planned with';
  end if;
end
$dbops$;
comment on table "public"."only_old_1" is '[dbops:detached {"parent":"public.only_old","column":"at","from":"2020-01-01","to":"2020-02-01","detached_at":"2026-11-22T12:00:00Z","drop_after":"2026-11-29T12:00:00Z"}]';
alter table only "public"."only_old" detach partition "public"."only_old_1";
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
--       where c.oid = '"public"."only_old_1"'::pg_catalog.regclass and c.oid = 1005 and i.inhparent = 1004
--         and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2020-01-01'') TO (''2020-02-01'')'
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.only_old_1 is no longer the partition that was planned with';
--     end if;
--   end
--   $dbops$;
--   comment on table "public"."only_old_1" is '[dbops:detached {"parent":"public.only_old","column":"at","from":"2020-01-01","to":"2020-02-01","detached_at":"2026-11-22T12:00:00Z","drop_after":"2026-11-29T12:00:00Z"}]';
--   commit;
--   alter table only "public"."only_old" detach partition "public"."only_old_1" concurrently;
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
--       where c.oid = '"public"."only_old_1"'::pg_catalog.regclass and c.oid = 1005 and i.inhparent = 1004
--         and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2020-01-01'') TO (''2020-02-01'')'
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.only_old_1 is no longer the partition that was planned with';
--     end if;
--   end
--   $dbops$;
--   comment on table "public"."only_old_1" is null;
--   commit;
-- outside a transaction; dbops cancels it after 1m

-- step 4: complete the interrupted detach of public.pending_a
-- always: waits for snapshots older than the detach without blocking readers or writers of the parent
alter table only "public"."pending" detach partition "public"."pending_a" finalize;
-- outside a transaction; dbops cancels it after 1m

-- step 5: detach public.pending_b; it may be dropped from 2026-11-22 12:00 UTC on
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
lock table only "public"."pending_b" in access exclusive mode nowait;
lock table only "public"."pending" in access exclusive mode nowait;
do $dbops$
begin
  if not exists (
    select from pg_catalog.pg_class c join pg_catalog.pg_inherits i on i.inhrelid = c.oid
    where c.oid = '"public"."pending_b"'::pg_catalog.regclass and c.oid = 1013 and i.inhparent = 1011
      and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2026-02-01'') TO (''2026-03-01'')'
  ) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.pending_b is no longer the partition that was planned with';
  end if;
end
$dbops$;
comment on table "public"."pending_b" is '[dbops:detached {"parent":"public.pending","column":"at","from":"2026-02-01","to":"2026-03-01","detached_at":"2026-11-22T12:00:00Z","drop_after":"2026-11-22T12:00:00Z"}]';
alter table only "public"."pending" detach partition "public"."pending_b";
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
--       where c.oid = '"public"."pending_b"'::pg_catalog.regclass and c.oid = 1013 and i.inhparent = 1011
--         and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2026-02-01'') TO (''2026-03-01'')'
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.pending_b is no longer the partition that was planned with';
--     end if;
--   end
--   $dbops$;
--   comment on table "public"."pending_b" is '[dbops:detached {"parent":"public.pending","column":"at","from":"2026-02-01","to":"2026-03-01","detached_at":"2026-11-22T12:00:00Z","drop_after":"2026-11-22T12:00:00Z"}]';
--   commit;
--   alter table only "public"."pending" detach partition "public"."pending_b" concurrently;
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
--       where c.oid = '"public"."pending_b"'::pg_catalog.regclass and c.oid = 1013 and i.inhparent = 1011
--         and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2026-02-01'') TO (''2026-03-01'')'
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.pending_b is no longer the partition that was planned with';
--     end if;
--   end
--   $dbops$;
--   comment on table "public"."pending_b" is null;
--   commit;
-- outside a transaction; dbops cancels it after 1m

-- step 6: drop public.pending_b and its rows
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
lock table "public"."pending_b" in access exclusive mode nowait;
do $dbops$
begin
  if not exists (
    select from pg_catalog.pg_class
    where oid = '"public"."pending_b"'::pg_catalog.regclass and oid = 1013 and not relispartition
      and pg_catalog.strpos(pg_catalog.obj_description(oid, 'pg_class'), '[dbops:detached {"parent":"public.pending","column":"at","from":"2026-02-01","to":"2026-03-01","detached_at":"2026-11-22T12:00:00Z","drop_after":"2026-11-22T12:00:00Z"}]') > 0
  ) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.pending_b is no longer the detached table that was planned with';
  end if;
  if exists (select from "public"."pending_b" where "at" >= '2026-05-22'::date) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.pending_b holds rows younger than the retention limit';
  end if;
end
$dbops$;
drop table "public"."pending_b";
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
--   lock table "public"."pending_b" in access exclusive mode;
--   do $dbops$
--   begin
--     if not exists (
--       select from pg_catalog.pg_class
--       where oid = '"public"."pending_b"'::pg_catalog.regclass and oid = 1013 and not relispartition
--         and pg_catalog.strpos(pg_catalog.obj_description(oid, 'pg_class'), '[dbops:detached {"parent":"public.pending","column":"at","from":"2026-02-01","to":"2026-03-01","detached_at":"2026-11-22T12:00:00Z","drop_after":"2026-11-22T12:00:00Z"}]') > 0
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.pending_b is no longer the detached table that was planned with';
--     end if;
--     if exists (select from "public"."pending_b" where "at" >= '2026-05-22'::date) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.pending_b holds rows younger than the retention limit';
--     end if;
--   end
--   $dbops$;
--   drop table "public"."pending_b";
--   commit;

-- step 7: detach public.orders_old; it may be dropped from 2026-11-22 12:00 UTC on
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
lock table only "public"."customers" in share row exclusive mode nowait;
lock table only "public"."orders_old" in access exclusive mode nowait;
lock table only "public"."items" in access exclusive mode nowait;
lock table only "public"."orders" in access exclusive mode nowait;
do $dbops$
begin
  if not exists (
    select from pg_catalog.pg_class c join pg_catalog.pg_inherits i on i.inhrelid = c.oid
    where c.oid = '"public"."orders_old"'::pg_catalog.regclass and c.oid = 1009 and i.inhparent = 1007
      and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2026-01-01'') TO (''2026-02-01'')'
  ) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.orders_old is no longer the partition that was planned with';
  end if;
end
$dbops$;
comment on table "public"."orders_old" is '[dbops:detached {"parent":"public.orders","column":"at","from":"2026-01-01","to":"2026-02-01","detached_at":"2026-11-22T12:00:00Z","drop_after":"2026-11-22T12:00:00Z"}]';
alter table only "public"."orders" detach partition "public"."orders_old";
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
--       where c.oid = '"public"."orders_old"'::pg_catalog.regclass and c.oid = 1009 and i.inhparent = 1007
--         and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2026-01-01'') TO (''2026-02-01'')'
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.orders_old is no longer the partition that was planned with';
--     end if;
--   end
--   $dbops$;
--   comment on table "public"."orders_old" is '[dbops:detached {"parent":"public.orders","column":"at","from":"2026-01-01","to":"2026-02-01","detached_at":"2026-11-22T12:00:00Z","drop_after":"2026-11-22T12:00:00Z"}]';
--   commit;
--   alter table only "public"."orders" detach partition "public"."orders_old" concurrently;
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
--       where c.oid = '"public"."orders_old"'::pg_catalog.regclass and c.oid = 1009 and i.inhparent = 1007
--         and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES FROM (''2026-01-01'') TO (''2026-02-01'')'
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.orders_old is no longer the partition that was planned with';
--     end if;
--   end
--   $dbops$;
--   comment on table "public"."orders_old" is null;
--   commit;
-- outside a transaction; dbops cancels it after 1m

-- step 8: drop public.orders_old and its rows
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
lock table "public"."orders_old" in access exclusive mode nowait;
do $dbops$
begin
  if not exists (
    select from pg_catalog.pg_class
    where oid = '"public"."orders_old"'::pg_catalog.regclass and oid = 1009 and not relispartition
      and pg_catalog.strpos(pg_catalog.obj_description(oid, 'pg_class'), '[dbops:detached {"parent":"public.orders","column":"at","from":"2026-01-01","to":"2026-02-01","detached_at":"2026-11-22T12:00:00Z","drop_after":"2026-11-22T12:00:00Z"}]') > 0
  ) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.orders_old is no longer the detached table that was planned with';
  end if;
  if exists (select from "public"."orders_old" where "at" >= '2026-05-22'::date) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.orders_old holds rows younger than the retention limit';
  end if;
end
$dbops$;
lock table only "public"."customers" in access exclusive mode nowait;
drop table "public"."orders_old";
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
--   lock table "public"."orders_old" in access exclusive mode;
--   do $dbops$
--   begin
--     if not exists (
--       select from pg_catalog.pg_class
--       where oid = '"public"."orders_old"'::pg_catalog.regclass and oid = 1009 and not relispartition
--         and pg_catalog.strpos(pg_catalog.obj_description(oid, 'pg_class'), '[dbops:detached {"parent":"public.orders","column":"at","from":"2026-01-01","to":"2026-02-01","detached_at":"2026-11-22T12:00:00Z","drop_after":"2026-11-22T12:00:00Z"}]') > 0
--     ) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.orders_old is no longer the detached table that was planned with';
--     end if;
--     if exists (select from "public"."orders_old" where "at" >= '2026-05-22'::date) then
--       raise exception using errcode = 'object_not_in_prerequisite_state', message = 'public.orders_old holds rows younger than the retention limit';
--     end if;
--   end
--   $dbops$;
--   lock table only "public"."customers" in access exclusive mode;
--   drop table "public"."orders_old";
--   commit;
