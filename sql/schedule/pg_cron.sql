begin;
set local lock_timeout = '5s';
set local client_min_messages = 'warning';
set local standard_conforming_strings = on;
create schema if not exists dbops_schedule;
comment on schema dbops_schedule is 'Creates missing range partitions from inside the server; written by dbops schedule partitions --kind pg-cron';

create table if not exists dbops_schedule.runs (
    id bigint generated always as identity primary key,
    as_of timestamp with time zone not null,
    started_at timestamp with time zone not null default pg_catalog.clock_timestamp(),
    finished_at timestamp with time zone,
    created integer,
    not_created integer,
    note text
);
comment on table dbops_schedule.runs is 'One row a run; kept for 90 days';

create table if not exists dbops_schedule.outcomes (
    id bigint generated always as identity primary key,
    run bigint not null references dbops_schedule.runs (id) on delete cascade,
    policy integer not null,
    parent text not null,
    partition_schema text,
    partition_name text,
    from_value text,
    to_value text,
    status text not null check (status in ('planned', 'created', 'refused', 'deferred', 'failed')),
    message text,
    at timestamp with time zone not null default pg_catalog.clock_timestamp()
);
create index if not exists outcomes_run on dbops_schedule.outcomes (run);
comment on table dbops_schedule.outcomes is 'What became of each partition that was missing; a row without a partition is about the whole table';

-- What is written below replaces what an earlier script wrote; runs and outcomes stay.
drop table if exists dbops_schedule.policies cascade;
create table dbops_schedule.policies (
    position integer primary key,
    origin text not null,
    table_schema text not null,
    table_name text not null,
    every text not null,
    premake integer not null,
    time_zone text not null,
    key text,
    key_column text,
    start_at timestamp without time zone,
    retain_count integer,
    retain_unit text,
    -- to_char formats of what stands before and after the table's name; a null head: the name does not hold it.
    name_head text,
    name_tail text not null,
    child_schema text not null,
    tablespace text,
    storage text not null,
    max_block_ms integer not null,
    give_up_after_ms integer not null
);
comment on table dbops_schedule.policies is 'The partition policies of the plan files; replaced as a whole when the script runs again';

-- Keys are handled as whole numbers, like in dbops: days, microseconds since 1970, the column's own
-- value, the 128 bits of a uuid. Bounds never pass through a time zone or date style of the session.

create or replace function dbops_schedule.micros(civil timestamp without time zone) returns numeric
language sql immutable set search_path = pg_catalog, pg_temp as $function$
    select
        (civil::date - date '1970-01-01')::numeric * 86400000000
        + round(extract(epoch from civil - date_trunc('day', civil))::numeric * 1000000)
$function$;

create or replace function dbops_schedule.civil_at(micros numeric) returns timestamp without time zone
language sql immutable set search_path = pg_catalog, pg_temp as $function$
    select
        (date '1970-01-01' + floor(micros / 86400000000)::integer)::timestamp without time zone
        + (micros - floor(micros / 86400000000) * 86400000000)::double precision * interval '1 microsecond'
$function$;

create or replace function dbops_schedule.local_at(utc timestamp without time zone, zone text)
returns timestamp without time zone
language sql immutable set search_path = pg_catalog, pg_temp as $function$
    select (utc at time zone 'UTC') at time zone zone
$function$;

-- Microseconds since 1970 UTC of a local time. One that occurs twice is the earlier instant; one
-- that a change of the clock skipped is the instant of the change. AT TIME ZONE alone decides otherwise:
-- https://www.postgresql.org/docs/current/datetime-invalid-input.html
create or replace function dbops_schedule.instant(civil timestamp without time zone, zone text) returns numeric
language plpgsql immutable set search_path = pg_catalog, pg_temp as $function$
declare
    utc timestamp without time zone := (civil at time zone zone) at time zone 'UTC';
    day_before timestamp without time zone := utc - interval '1 day';
    earlier timestamp without time zone;
    low numeric;
    high numeric;
    middle numeric;
begin
    if dbops_schedule.local_at(utc, zone) = civil then
        earlier := civil - (dbops_schedule.local_at(day_before, zone) - day_before);
        if earlier < utc and dbops_schedule.local_at(earlier, zone) = civil then
            utc := earlier;
        end if;
        return dbops_schedule.micros(utc);
    end if;
    low := dbops_schedule.micros(utc - interval '2 days');
    high := dbops_schedule.micros(utc + interval '2 days');
    while high - low > 1 loop
        middle := floor((low + high) / 2);
        if dbops_schedule.local_at(dbops_schedule.civil_at(middle), zone) > civil then
            high := middle;
        else
            low := middle;
        end if;
    end loop;
    return high;
end
$function$;

-- Key value of microseconds since 1970, rounded to the key's step.
create or replace function dbops_schedule.on_axis(axis text, micros numeric, round_up boolean) returns numeric
language plpgsql immutable set search_path = pg_catalog, pg_temp as $function$
declare
    unit numeric := case axis
        when 'date' then 86400000000
        when 'epoch-s' then 1000000
        when 'epoch-ms' then 1000
        when 'uuid-v7' then 1000
        else 1
    end;
    steps numeric := case when round_up then ceil(micros / unit) else floor(micros / unit) end;
begin
    if axis = 'epoch-ns' then
        return micros * 1000;
    elsif axis = 'uuid-v7' then
        -- 48 bits of milliseconds, then version 7 and variant 2 with every random bit 0.
        return least(greatest(steps, 0), 281474976710655) * 1208925819614629174706176
            + 28672 * 18446744073709551616 + 9223372036854775808;
    end if;
    return steps;
end
$function$;

create or replace function dbops_schedule.of_civil(
    axis text, civil timestamp without time zone, zone text, round_up boolean
) returns numeric
language sql immutable set search_path = pg_catalog, pg_temp as $function$
    select dbops_schedule.on_axis(
        axis,
        case
            when axis in ('date', 'timestamp') then dbops_schedule.micros(civil)
            else dbops_schedule.instant(civil, zone)
        end,
        round_up
    )
$function$;

create or replace function dbops_schedule.of_instant(axis text, moment timestamp with time zone, zone text) returns numeric
language sql immutable set search_path = pg_catalog, pg_temp as $function$
    select dbops_schedule.on_axis(
        axis,
        dbops_schedule.micros(moment at time zone case when axis in ('date', 'timestamp') then zone else 'UTC' end),
        false
    )
$function$;

create or replace function dbops_schedule.civil_of(axis text, value numeric, zone text)
returns timestamp without time zone
language plpgsql immutable set search_path = pg_catalog, pg_temp as $function$
declare
    utc timestamp without time zone := dbops_schedule.civil_at(case axis
        when 'date' then value * 86400000000
        when 'epoch-s' then value * 1000000
        when 'epoch-ms' then value * 1000
        when 'epoch-ns' then floor(value / 1000)
        when 'uuid-v7' then floor(value / 1208925819614629174706176) * 1000
        else value
    end);
begin
    return case when axis in ('date', 'timestamp') then utc else dbops_schedule.local_at(utc, zone) end;
end
$function$;

-- Reads a bound as the server prints it under TimeZone UTC and DateStyle ISO. MINVALUE and MAXVALUE
-- lie beyond the infinities, these beyond every value.
create or replace function dbops_schedule.read_bound(axis text, datum text) returns numeric
language plpgsql stable set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO, MDY' as $function$
declare
    hex text;
    value numeric := 0;
begin
    if datum = 'MINVALUE' then
        return -1e60;
    elsif datum = 'MAXVALUE' then
        return 1e60;
    elsif datum = '-infinity' then
        return -1e50;
    elsif datum = 'infinity' then
        return 1e50;
    elsif axis = 'date' then
        return datum::date - date '1970-01-01';
    elsif axis = 'timestamp' then
        return dbops_schedule.micros(datum::timestamp without time zone);
    elsif axis = 'timestamptz' then
        return dbops_schedule.micros(datum::timestamp with time zone at time zone 'UTC');
    elsif axis = 'uuid-v7' then
        hex := replace(datum::uuid::text, '-', '');
        for i in 0..3 loop
            value := value * 4294967296 + ('x' || substr(hex, 8 * i + 1, 8))::bit(32)::bigint;
        end loop;
        return value;
    end if;
    return datum::bigint;
end
$function$;

create or replace function dbops_schedule.literal(axis text, value numeric) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO, MDY' as $function$
declare
    hex text := '';
begin
    if axis = 'date' then
        return (date '1970-01-01' + value::integer)::text;
    elsif axis = 'timestamp' then
        return dbops_schedule.civil_at(value)::text;
    elsif axis = 'timestamptz' then
        return (dbops_schedule.civil_at(value) at time zone 'UTC')::text;
    elsif axis = 'uuid-v7' then
        for i in 1..4 loop
            hex := lpad(to_hex(mod(value, 4294967296)::bigint), 8, '0') || hex;
            value := div(value, 4294967296);
        end loop;
        return hex::uuid::text;
    end if;
    return value::bigint::text;
end
$function$;

-- The period that contains a value: its first value, the first after it, its civil beginning.
create or replace function dbops_schedule.slot_at(
    every text, axis text, zone text, value numeric,
    out slot_from numeric, out slot_to numeric, out civil timestamp without time zone
)
language plpgsql immutable set search_path = pg_catalog, pg_temp as $function$
declare
    length interval := case every when 'quarter' then interval '3 months' else ('1 ' || every)::interval end;
begin
    civil := date_trunc(every, dbops_schedule.civil_of(axis, value, zone));
    loop
        slot_from := dbops_schedule.of_civil(axis, civil, zone, true);
        slot_to := dbops_schedule.of_civil(axis, civil + length, zone, true);
        if value < slot_from then
            civil := civil - length;
        elsif value >= slot_to then
            civil := civil + length;
        else
            return;
        end if;
    end loop;
end
$function$;

-- A name of at most 63 bytes: the middle part is cut and marked with a hash of all of it.
create or replace function dbops_schedule.fit(head text, middle text, tail text) returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp as $function$
declare
    whole text := head || middle || tail;
    kept integer := octet_length(convert_to(head || tail, 'UTF8')) + 9;
    shown text := middle;
    room integer := 63 - kept;
begin
    if octet_length(convert_to(whole, 'UTF8')) <= 63 then
        return whole;
    end if;
    if room <= 0 then
        shown := whole;
        middle := whole;
        head := '';
        tail := '';
        room := 54;
    end if;
    while octet_length(convert_to(shown, 'UTF8')) > room loop
        shown := left(shown, char_length(shown) - 1);
    end loop;
    return head || shown || '_' || encode(substr(sha256(convert_to(middle, 'UTF8')), 1, 4), 'hex') || tail;
end
$function$;

create or replace function dbops_schedule.partition_name(
    policy dbops_schedule.policies, civil timestamp without time zone, remainder_from timestamp without time zone
) returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp as $function$
declare
    tail text := coalesce(to_char(civil, policy.name_tail), '');
begin
    if remainder_from is not null then
        tail := tail || '_from_' || to_char(remainder_from, 'YYYYMMDD')
            || case when remainder_from <> date_trunc('day', remainder_from) then to_char(remainder_from, '"t"HH24MI') else '' end
            || case when remainder_from <> date_trunc('minute', remainder_from) then to_char(remainder_from, 'SS') else '' end
            || case when remainder_from <> date_trunc('second', remainder_from) then to_char(remainder_from, '"_"US') else '' end;
    end if;
    if policy.name_head is null then
        return dbops_schedule.fit('', tail, '');
    end if;
    return dbops_schedule.fit(coalesce(to_char(civil, policy.name_head), ''), policy.table_name, tail);
end
$function$;

-- How the key holds time, or an error that says why it cannot be served.
create or replace function dbops_schedule.axis_of(policy dbops_schedule.policies, parent oid) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $function$
declare
    strategy text;
    column_name text;
    type_name text;
    axis text;
begin
    select p.partstrat, a.attname, format_type(a.atttypid, null)
    into strategy, column_name, type_name
    from pg_partitioned_table as p
    left join pg_attribute as a on a.attrelid = p.partrelid and a.attnum = p.partattrs[0]
    where p.partrelid = parent;
    if strategy is null then
        raise exception '% is not a partitioned table', parent::regclass;
    elsif strategy <> 'r' then
        raise exception '% is not partitioned by range', parent::regclass;
    elsif column_name is null then
        raise exception '% is partitioned by an expression', parent::regclass;
    elsif policy.key_column <> column_name then
        raise exception '% is partitioned by %, the plan file expects %', parent::regclass, column_name, policy.key_column;
    end if;
    axis := case
        when type_name = 'date' and policy.key is null then 'date'
        when type_name = 'timestamp without time zone' and policy.key is null then 'timestamp'
        when type_name = 'timestamp with time zone' and policy.key is null then 'timestamptz'
        when type_name = 'bigint' and policy.key like 'epoch-%' then policy.key
        when type_name = 'integer' and policy.key = 'epoch-s' then policy.key
        when type_name = 'uuid' and policy.key = 'uuid-v7' then policy.key
    end;
    if axis is null then
        raise exception 'key column % of % has type %, which `key: %` does not fit',
            column_name, parent::regclass, type_name, coalesce(policy.key, '(none)');
    elsif axis = 'date' and policy.every = 'hour' then
        raise exception 'a key of type date cannot be cut into hours';
    end if;
    return axis;
end
$function$;

-- Finds what is missing of one table and notes it as planned.
create or replace function dbops_schedule.plan_table(run bigint, policy dbops_schedule.policies, as_of timestamp with time zone)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO, MDY' set lock_timeout = '1s' as $function$
declare
    parent oid;
    axis text;
    bound record;
    parts text[];
    low numeric;
    high numeric;
    froms numeric[] := '{}';
    tos numeric[] := '{}';
    slot record;
    current_from numeric;
    window_from numeric;
    window_to numeric;
    oldest numeric;
    cutoff numeric;
    local_now timestamp without time zone := as_of at time zone policy.time_zone;
    covered integer := 1;
    k integer;
    piece_from numeric;
    piece_to numeric;
    planned integer := 0;
begin
    select c.oid into parent
    from pg_class as c
    inner join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = policy.table_schema and c.relname = policy.table_name and c.relkind in ('r', 'p');
    if parent is null then
        raise exception 'there is no table %', format('%I.%I', policy.table_schema, policy.table_name);
    end if;
    axis := dbops_schedule.axis_of(policy, parent);

    -- Periods are covered by what the bounds say, whatever the partitions are called.
    for bound in
        select
            i.inhrelid::regclass as name,
            pg_get_expr(c.relpartbound, 0) as spec,
            -- The column came with PostgreSQL 14.
            coalesce((to_jsonb(i) ->> 'inhdetachpending')::boolean, false) as pending
        from pg_inherits as i
        inner join pg_class as c on c.oid = i.inhrelid
        where i.inhparent = parent and pg_get_expr(c.relpartbound, 0) <> 'DEFAULT'
    loop
        parts := regexp_match(
            bound.spec,
            '^FOR VALUES FROM \(''?([^'',()]+)''?(|(?:, MINVALUE)+|(?:, MAXVALUE)+)\) TO \(''?([^'',()]+)''?(|(?:, MINVALUE)+|(?:, MAXVALUE)+)\)$'
        );
        if parts is null then
            raise exception 'the bound of % divides rows by more than the first key column: %', bound.name, bound.spec;
        end if;
        low := dbops_schedule.read_bound(axis, parts[1]);
        high := dbops_schedule.read_bound(axis, parts[3]);
        -- With MAXVALUE in the further columns the end lies after the value itself.
        if abs(low) < 1e50 and parts[2] like '%MAXVALUE' then
            low := low + 1;
        end if;
        if abs(high) < 1e50 and parts[4] like '%MAXVALUE' then
            high := high + 1;
        end if;
        if bound.pending and high > dbops_schedule.of_instant(axis, as_of, policy.time_zone) then
            insert into dbops_schedule.outcomes (run, policy, parent, status, message)
            values (run, policy.position, parent::regclass::text, 'refused', format(
                '%s is pending detach: its range takes no inserts; `dbops partitions prune` completes the detach', bound.name
            ));
        end if;
        froms := froms || low;
        tos := tos || high;
    end loop;
    select coalesce(array_agg(r.low order by r.low), '{}'), coalesce(array_agg(r.high order by r.low), '{}')
    into froms, tos
    from unnest(froms, tos) as r (low, high);

    -- The window: from `start`, else from the oldest partition, up to premake periods after now.
    slot := dbops_schedule.slot_at(policy.every, axis, policy.time_zone, dbops_schedule.of_instant(axis, as_of, policy.time_zone));
    current_from := slot.slot_from;
    for ahead in 1..policy.premake loop
        slot := dbops_schedule.slot_at(policy.every, axis, policy.time_zone, slot.slot_to);
    end loop;
    window_to := slot.slot_to;
    if policy.start_at is not null then
        oldest := dbops_schedule.of_civil(axis, policy.start_at, policy.time_zone, true);
    else
        select min(case when r.low <= -1e50 then r.high else r.low end) into oldest
        from unnest(froms, tos) as r (low, high)
        where r.high > -1e50;
    end if;
    window_from := least(case when oldest < 1e50 then oldest end, current_from);
    if policy.retain_unit = 'hour' then
        cutoff := dbops_schedule.of_instant(axis, as_of - make_interval(hours => policy.retain_count), policy.time_zone);
        if axis in ('date', 'timestamp') then
            cutoff := least(cutoff, dbops_schedule.on_axis(
                axis, dbops_schedule.micros(local_now - make_interval(hours => policy.retain_count)), false
            ));
        end if;
    elsif policy.retain_unit is not null then
        cutoff := dbops_schedule.of_civil(
            axis,
            local_now - policy.retain_count * case policy.retain_unit
                when 'quarter' then interval '3 months'
                else ('1 ' || policy.retain_unit)::interval
            end,
            policy.time_zone,
            false
        );
    end if;

    slot := dbops_schedule.slot_at(policy.every, axis, policy.time_zone, window_from);
    while slot.slot_from < window_to loop
        if cutoff is null or slot.slot_to > cutoff then
            piece_from := greatest(slot.slot_from, window_from);
            while covered <= cardinality(tos) and tos[covered] <= piece_from loop
                covered := covered + 1;
            end loop;
            k := covered;
            while piece_from < slot.slot_to loop
                -- A null beyond the last range leaves the period's end.
                piece_to := least(slot.slot_to, froms[k]);
                if piece_from < piece_to then
                    planned := planned + 1;
                    if planned > 1000 then
                        raise exception 'more than 1000 partitions of % are missing from % on; set `start:` to the first instant that should be covered',
                            parent::regclass, dbops_schedule.literal(axis, window_from);
                    end if;
                    insert into dbops_schedule.outcomes
                        (run, policy, parent, partition_schema, partition_name, from_value, to_value, status)
                    values (
                        run, policy.position, parent::regclass::text, policy.child_schema,
                        dbops_schedule.partition_name(
                            policy,
                            slot.civil,
                            case
                                when (piece_from, piece_to) <> (slot.slot_from, slot.slot_to)
                                    then dbops_schedule.civil_of(axis, piece_from, policy.time_zone)
                            end
                        ),
                        dbops_schedule.literal(axis, piece_from), dbops_schedule.literal(axis, piece_to), 'planned'
                    );
                end if;
                piece_from := coalesce(tos[k], slot.slot_to);
                k := k + 1;
            end loop;
        end if;
        slot := dbops_schedule.slot_at(policy.every, axis, policy.time_zone, slot.slot_to);
    end loop;
exception
    when others then
        -- One broken table never stops the others.
        insert into dbops_schedule.outcomes (run, policy, parent, status, message)
        values (run, policy.position, format('%I.%I', policy.table_schema, policy.table_name), 'failed', sqlerrm || ' (' || policy.origin || ')');
end
$function$;

-- Gives a new table what LIKE does not copy: column settings, replica identity, row security,
-- policies, comment, owner and privileges of the parent.
create or replace function dbops_schedule.follow_parent(parent oid, child oid) returns void
language plpgsql
set search_path = pg_catalog, pg_temp as $function$
declare
    p pg_class%rowtype;
    item record;
    own_acl aclitem[];
begin
    select * into strict p from pg_class where oid = parent;
    for item in
        select a.attname, a.attstattarget as target, a.attoptions as options
        from pg_attribute as a
        where a.attrelid = parent and a.attnum > 0 and not a.attisdropped
    loop
        if item.target >= 0 then
            execute format('alter table only %s alter column %I set statistics %s', child::regclass, item.attname, item.target);
        end if;
        if item.options is not null then
            execute format('alter table only %s alter column %I set (%s)', child::regclass, item.attname, (
                select string_agg(format('%I = %L', split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)), ', ')
                from unnest(item.options) as o
            ));
        end if;
    end loop;
    if p.relreplident in ('f', 'n') then
        execute format(
            'alter table only %s replica identity %s', child::regclass, case p.relreplident when 'f' then 'full' else 'nothing' end
        );
    end if;
    if p.relrowsecurity then
        execute format('alter table only %s enable row level security', child::regclass);
    end if;
    if p.relforcerowsecurity then
        execute format('alter table only %s force row level security', child::regclass);
    end if;
    for item in
        select
            y.polname,
            case when y.polpermissive then 'permissive' else 'restrictive' end as kind,
            case y.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end as command,
            (
                select string_agg(case when r = 0 then 'public' else quote_ident(pg_get_userbyid(r)) end, ', ')
                from unnest(y.polroles) as r
            ) as roles,
            pg_get_expr(y.polqual, y.polrelid) as using_text,
            pg_get_expr(y.polwithcheck, y.polrelid) as check_text
        from pg_policy as y
        where y.polrelid = parent
    loop
        execute format('create policy %I on %s as %s for %s to %s', item.polname, child::regclass, item.kind, item.command, item.roles)
            || coalesce(' using (' || item.using_text || ')', '')
            || coalesce(' with check (' || item.check_text || ')', '');
    end loop;
    if obj_description(parent, 'pg_class') is not null then
        execute format('comment on table %s is %L', child::regclass, obj_description(parent, 'pg_class'));
    end if;
    if p.relowner <> (select relowner from pg_class where oid = child) then
        execute format('alter table only %s owner to %I', child::regclass, pg_get_userbyid(p.relowner));
    end if;

    -- A new table has what ALTER DEFAULT PRIVILEGES gives, which need not be what the parent has.
    select relacl into own_acl from pg_class where oid = child;
    if own_acl is distinct from p.relacl then
        for item in
            select distinct case when g.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end as role
            from aclexplode(coalesce(own_acl, acldefault('r', p.relowner))) as g
        loop
            execute format('revoke all on table %s from %s', child::regclass, item.role);
        end loop;
        for item in
            select
                case when g.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end as role,
                string_agg(distinct g.privilege_type, ', ') as privileges,
                g.is_grantable
            from aclexplode(coalesce(p.relacl, acldefault('r', p.relowner))) as g
            group by g.grantee, g.is_grantable
        loop
            execute format(
                'grant %s on table %s to %s%s', item.privileges, child::regclass, item.role,
                case when item.is_grantable then ' with grant option' else '' end
            );
        end loop;
    end if;
    for item in
        select
            case when g.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end as role,
            g.privilege_type as privilege, a.attname, g.is_grantable
        from pg_attribute as a
        cross join lateral aclexplode(a.attacl) as g
        where a.attrelid = parent and a.attnum > 0 and not a.attisdropped and a.attacl is not null
    loop
        execute format(
            'grant %s (%I) on table %s to %s%s', item.privilege, item.attname, child::regclass, item.role,
            case when item.is_grantable then ' with grant option' else '' end
        );
    end loop;
end
$function$;

-- Takes, without waiting, the locks that ATTACH will take: parent, tables of foreign keys, DEFAULT.
create or replace function dbops_schedule.lock_surroundings(parent oid, default_partition oid) returns void
language plpgsql
set search_path = pg_catalog, pg_temp as $function$
declare
    other record;
begin
    execute format('lock table only %s in share update exclusive mode nowait', parent::regclass);
    for other in
        select distinct k.oid, c.relkind
        from (
            select confrelid as oid from pg_constraint where contype = 'f' and conrelid = parent
            union
            select conrelid from pg_constraint where contype = 'f' and confrelid = parent and conparentid = 0
        ) as k
        inner join pg_class as c on c.oid = k.oid
        -- A table that this role may not lock is locked by ATTACH itself, within lock_timeout.
        where k.oid <> parent and has_table_privilege(k.oid, 'update, delete, truncate')
        order by k.oid
    loop
        execute format(
            'lock table %s%s in share row exclusive mode nowait',
            case when other.relkind = 'p' then '' else 'only ' end, other.oid::regclass
        );
    end loop;
    if default_partition is not null then
        execute format('lock table %s in access exclusive mode nowait', default_partition::regclass);
    end if;
end
$function$;

-- Creates one planned partition. `busy`: a lock was not free, nothing was changed.
create or replace function dbops_schedule.create_partition(outcome bigint) returns text
language plpgsql
set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO, MDY' set lock_timeout = '100ms' as $function$
declare
    o dbops_schedule.outcomes%rowtype;
    policy dbops_schedule.policies%rowtype;
    parent oid;
    child oid;
    child_name text;
    default_partition oid;
    further text;
    key_column text;
    key_type text;
    method text;
    space text;
    parent_index oid;
    taken boolean;
begin
    select * into strict o from dbops_schedule.outcomes where id = outcome;
    select * into strict policy from dbops_schedule.policies where position = o.policy;
    perform set_config('lock_timeout', policy.max_block_ms || 'ms', true);
    select c.oid, m.amname, coalesce(policy.tablespace, t.spcname), repeat(', minvalue', p.partnatts - 1),
        a.attname, format_type(a.atttypid, null), nullif(p.partdefid, 0)
    into strict parent, method, space, further, key_column, key_type, default_partition
    from pg_class as c
    inner join pg_namespace as n on n.oid = c.relnamespace
    inner join pg_partitioned_table as p on p.partrelid = c.oid
    inner join pg_attribute as a on a.attrelid = c.oid and a.attnum = p.partattrs[0]
    left join pg_am as m on m.oid = c.relam
    left join pg_tablespace as t on t.oid = c.reltablespace
    where n.nspname = policy.table_schema and c.relname = policy.table_name;
    child_name := format('%I.%I', o.partition_schema, o.partition_name);

    if default_partition is not null then
        execute format(
            'select exists (select from %s where %I >= %L::%s and %I < %L::%s)',
            default_partition::regclass, key_column, o.from_value, key_type, key_column, o.to_value, key_type
        ) into taken;
        if taken then
            return dbops_schedule.settle(outcome, 'refused', format(
                'DEFAULT partition %s holds rows of this range; move them out of it first', default_partition::regclass
            ));
        elsif pg_relation_size(default_partition) > 8388608 then
            return dbops_schedule.settle(outcome, 'refused', format(
                'ATTACH would scan DEFAULT partition %s (%s) while nobody can use it; empty it, or use `dbops partitions ensure`',
                default_partition::regclass, pg_size_pretty(pg_relation_size(default_partition))
            ));
        end if;
    end if;

    perform dbops_schedule.lock_surroundings(parent, default_partition);
    execute format(
        'create table %s (like %s including all excluding identity)%s%s%s',
        child_name, parent::regclass,
        case when method is not null then format(' using %I', method) else '' end,
        policy.storage,
        case when space is not null then format(' tablespace %I', space) else '' end
    );
    child := child_name::regclass;
    perform dbops_schedule.follow_parent(parent, child);
    execute format(
        'alter table only %s attach partition %s for values from (%L%s) to (%L%s)',
        parent::regclass, child::regclass, o.from_value, further, o.to_value, further
    );
    select x.indexrelid into parent_index
    from pg_index as x
    inner join pg_class as c on c.oid = x.indrelid
    where x.indrelid = parent and x.indisreplident and c.relreplident = 'i';
    if parent_index is not null then
        execute format('alter table only %s replica identity using index %I', child::regclass, (
            select c.relname
            from pg_inherits as i
            inner join pg_index as x on x.indexrelid = i.inhrelid
            inner join pg_class as c on c.oid = x.indexrelid
            where i.inhparent = parent_index and x.indrelid = child
        ));
    end if;
    return dbops_schedule.settle(outcome, 'created', null);
exception
    when lock_not_available or deadlock_detected then
        return 'busy';
    when others then
        return dbops_schedule.settle(outcome, 'failed', sqlerrm || ' (SQLSTATE ' || sqlstate || ')');
end
$function$;

create or replace function dbops_schedule.settle(outcome bigint, new_status text, new_message text) returns text
language sql set search_path = pg_catalog, pg_temp as $function$
    update dbops_schedule.outcomes set status = new_status, message = new_message, at = clock_timestamp()
    where id = outcome
    returning status
$function$;

-- Creates every missing partition up to premake periods ahead. Never drops, never detaches.
-- One short transaction a partition; ends with an error when something is left, so that
-- cron.job_run_details shows it, after everything that could be done was done.
create or replace procedure dbops_schedule.ensure_partitions(as_of timestamp with time zone default null)
language plpgsql as $procedure$
declare
    this_run bigint;
    policy dbops_schedule.policies;
    item record;
    verdict text;
    deadline timestamp with time zone;
    made integer;
    left_over integer;
    first_message text;
begin
    as_of := coalesce(as_of, pg_catalog.now());
    -- The lock of every dbops that changes partitions (`dbop`, 1); tried, never waited for.
    if not pg_catalog.pg_try_advisory_lock(1684172656, 1) then
        insert into dbops_schedule.runs (as_of, finished_at, note)
        values (as_of, pg_catalog.clock_timestamp(), 'another run of dbops is changing this database');
        raise notice 'another run of dbops is changing this database; the next run continues';
        return;
    end if;
    delete from dbops_schedule.runs where started_at < pg_catalog.now() - interval '90 days';
    insert into dbops_schedule.runs (as_of) values (as_of) returning id into this_run;
    commit;
    for policy in select * from dbops_schedule.policies order by position loop
        perform dbops_schedule.plan_table(this_run, policy, as_of);
        commit;
    end loop;
    loop
        select o.id, o.policy, p.give_up_after_ms into item
        from dbops_schedule.outcomes as o
        inner join dbops_schedule.policies as p on p.position = o.policy
        where o.run = this_run and o.status = 'planned'
        order by o.id
        limit 1;
        exit when not found;
        deadline := pg_catalog.clock_timestamp() + item.give_up_after_ms * interval '1 millisecond';
        loop
            verdict := dbops_schedule.create_partition(item.id);
            commit;
            exit when verdict <> 'busy';
            if pg_catalog.clock_timestamp() > deadline then
                update dbops_schedule.outcomes
                set status = 'deferred', message = 'the locks were not free in time; the next run tries again'
                where run = this_run and outcomes.policy = item.policy and status = 'planned';
                commit;
                exit;
            end if;
            perform pg_catalog.pg_sleep(0.02 + 0.08 * pg_catalog.random());
            commit;
        end loop;
    end loop;
    select
        pg_catalog.count(*) filter (where status = 'created'),
        pg_catalog.count(*) filter (where status <> 'created'),
        pg_catalog.min(parent || coalesce(' ' || partition_name, '') || ': ' || message) filter (where status <> 'created')
    into made, left_over, first_message
    from dbops_schedule.outcomes
    where run = this_run;
    update dbops_schedule.runs
    set finished_at = pg_catalog.clock_timestamp(), created = made, not_created = left_over
    where id = this_run;
    perform pg_catalog.pg_advisory_unlock(1684172656, 1);
    commit;
    raise notice 'created % partitions, % not created', made, left_over;
    if left_over > 0 then
        raise exception '% partitions or tables could not be served, such as %', left_over, first_message
            using hint = 'See dbops_schedule.outcomes; nothing else was held up by it.';
    end if;
end
$procedure$;

