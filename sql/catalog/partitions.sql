-- Partitions of the tables in $1, DEFAULT and foreign ones included (nothing can be pending detach before PostgreSQL 14, and reltuples 0 on no page means never analyzed); sizes only where $2 asks for them.
-- What holds no rows itself has no estimate and no size here. The bound holds constants only, so pg_get_expr is given no relation: with one, the server would lock it.
select
    i.inhparent as table_oid,
    c.oid,
    n.nspname::pg_catalog.text as schema_name,
    c.relname::pg_catalog.text as name,
    c.relkind::pg_catalog.text as kind,
    pg_catalog.pg_get_expr(c.relpartbound, 0::pg_catalog.oid) as bound,
    false::pg_catalog.bool as detach_pending,
    case
        when c.relkind <> 'p' and (c.reltuples > 0 or c.relpages > 0) then c.reltuples::pg_catalog.int8
    end as rows_estimate,
    case
        when $2::pg_catalog.bool and c.relkind not in ('p', 'f') then pg_catalog.pg_total_relation_size(c.oid)
    end as bytes,
    d.description as comment
from pg_catalog.pg_inherits as i
inner join pg_catalog.pg_class as c on c.oid = i.inhrelid
inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
left join pg_catalog.pg_description as d
    on d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objoid = c.oid and d.objsubid = 0
where i.inhparent = any($1::pg_catalog.oid[])
order by i.inhparent, n.nspname, c.relname;
