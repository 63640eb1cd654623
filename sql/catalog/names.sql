-- What holds the names asked for ($1 schemas, $2 names, $3 oids of the tables whose partitions would take them, $4 the mark): relations of any kind, and types, because CREATE TABLE makes a type too.
-- The array type of another type is left out (the server moves it out of the way), and so is a shell type (the server fills it).
select
    a.position,
    c.oid,
    case
        when c.relispartition and c.relkind in ('r', 'p', 'f')
            then (
                select
                    'partition of '
                    || pg_catalog.quote_ident(pn.nspname::pg_catalog.text)
                    || '.'
                    || pg_catalog.quote_ident(pc.relname::pg_catalog.text)
                from pg_catalog.pg_inherits as i
                inner join pg_catalog.pg_class as pc on pc.oid = i.inhparent
                inner join pg_catalog.pg_namespace as pn on pn.oid = pc.relnamespace
                where i.inhrelid = c.oid
                order by i.inhseqno
                limit 1
            )
        when c.relkind = 'r' then 'table'
        when c.relkind = 'p' then 'partitioned table'
        when c.relkind = 'v' then 'view'
        when c.relkind = 'm' then 'materialized view'
        when c.relkind = 'f' then 'foreign table'
        when c.relkind = 'S' then 'sequence'
        when c.relkind in ('i', 'I') then 'index'
        when c.relkind = 'c' then 'composite type'
        when c.relkind = 't' then 'TOAST table'
        else 'relation of kind ' || c.relkind::pg_catalog.text
    end as kind,
    case
        when
            c.relkind = 'r'
            and not c.relispartition
            and c.relpersistence = 'p'
            and c.reloftype = 0
            and not exists (
                select 1
                from pg_catalog.pg_inherits as i
                where c.oid in (i.inhrelid, i.inhparent)
            )
            then not exists (
                (
                    select
                        b.attname,
                        b.atttypid,
                        b.atttypmod,
                        b.attcollation,
                        b.attnotnull,
                        b.attgenerated
                    from pg_catalog.pg_attribute as b
                    where b.attrelid = c.oid and b.attnum > 0 and not b.attisdropped
                    except
                    select
                        b.attname,
                        b.atttypid,
                        b.atttypmod,
                        b.attcollation,
                        b.attnotnull,
                        b.attgenerated
                    from pg_catalog.pg_attribute as b
                    where b.attrelid = a.table_oid and b.attnum > 0 and not b.attisdropped
                )
                union all
                (
                    select
                        b.attname,
                        b.atttypid,
                        b.atttypmod,
                        b.attcollation,
                        b.attnotnull,
                        b.attgenerated
                    from pg_catalog.pg_attribute as b
                    where b.attrelid = a.table_oid and b.attnum > 0 and not b.attisdropped
                    except
                    select
                        b.attname,
                        b.atttypid,
                        b.atttypmod,
                        b.attcollation,
                        b.attnotnull,
                        b.attgenerated
                    from pg_catalog.pg_attribute as b
                    where b.attrelid = c.oid and b.attnum > 0 and not b.attisdropped
                )
            )
        else false
    end as same_columns,
    pg_catalog.pg_has_role(c.relowner, 'USAGE') as owned,
    case when pg_catalog.strpos(d.description, $4::pg_catalog.text) > 0 then d.description end as mark
from rows from (
    pg_catalog.unnest($1::pg_catalog.text[]),
    pg_catalog.unnest($2::pg_catalog.text[]),
    pg_catalog.unnest($3::pg_catalog.oid[])
) with ordinality as a (schema_name, name, table_oid, position)
inner join pg_catalog.pg_namespace as n on n.nspname = a.schema_name
inner join pg_catalog.pg_class as c on c.relnamespace = n.oid and c.relname = a.name
left join pg_catalog.pg_description as d
    on d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objoid = c.oid and d.objsubid = 0
union all
select
    a.position,
    t.oid,
    case t.typtype
        when 'd' then 'domain'
        when 'e' then 'enum type'
        when 'r' then 'range type'
        when 'm' then 'multirange type'
        else 'type'
    end as kind,
    false as same_columns,
    pg_catalog.pg_has_role(t.typowner, 'USAGE') as owned,
    null::pg_catalog.text as mark
from rows from (
    pg_catalog.unnest($1::pg_catalog.text[]),
    pg_catalog.unnest($2::pg_catalog.text[])
) with ordinality as a (schema_name, name, position)
inner join pg_catalog.pg_namespace as n on n.nspname = a.schema_name
inner join pg_catalog.pg_type as t on t.typnamespace = n.oid and t.typname = a.name
where
    t.typisdefined
    and not exists (
        select 1
        from pg_catalog.pg_type as e
        where e.oid = t.typelem and e.typarray = t.oid
    )
    and not exists (
        select 1
        from pg_catalog.pg_class as c
        where c.relnamespace = n.oid and c.relname = a.name
    )
order by 1, 2;
