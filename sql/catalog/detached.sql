-- Tables whose comment carries the mark $1 and that are attached to nothing; sizes only where $2 asks for them (reltuples 0 on no page means never analyzed before PostgreSQL 14).
select
    c.oid,
    n.nspname::pg_catalog.text as schema_name,
    c.relname::pg_catalog.text as name,
    d.description as mark,
    pg_catalog.pg_has_role(c.relowner, 'USAGE') as owned,
    (
        with recursive below (oid) as (
            select c.oid
            union all
            select b.inhrelid
            from below
            inner join pg_catalog.pg_inherits as b on b.inhparent = below.oid
        )

        select
            case
                when pg_catalog.bool_and(leaf.reltuples > 0 or leaf.relpages > 0)
                    then pg_catalog.sum(leaf.reltuples)::pg_catalog.int8
            end
        from below
        inner join pg_catalog.pg_class as leaf on leaf.oid = below.oid
        where leaf.relkind <> 'p'
    ) as rows_estimate,
    case
        when $2::pg_catalog.bool then (
            with recursive below (oid) as (
                select c.oid
                union all
                select b.inhrelid
                from below
                inner join pg_catalog.pg_inherits as b on b.inhparent = below.oid
            )

            select pg_catalog.sum(pg_catalog.pg_total_relation_size(below.oid))::pg_catalog.int8
            from below
        )
    end as bytes
from pg_catalog.pg_description as d
inner join pg_catalog.pg_class as c on c.oid = d.objoid
inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where
    d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass
    and d.objsubid = 0
    and pg_catalog.strpos(d.description, $1::pg_catalog.text) > 0
    and c.relkind in ('r', 'p', 'f')
    and c.relpersistence <> 't'
    and not c.relispartition
order by n.nspname, c.relname;
