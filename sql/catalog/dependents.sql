-- Objects that depend on the tables in $1 or on partitions below them and stop a drop, in words; foreign keys of other tables and what goes away with the table are left out.
with recursive member (root, oid) as (
    select
        c.oid as root,
        c.oid
    from pg_catalog.pg_class as c
    where c.oid = any($1::pg_catalog.oid[])
    union all
    select
        m.root,
        i.inhrelid
    from member as m
    inner join pg_catalog.pg_class as p on p.oid = m.oid and p.relkind = 'p'
    inner join pg_catalog.pg_inherits as i on i.inhparent = m.oid
),

target (root, classid, objid) as (
    select
        m.root,
        'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid,
        m.oid
    from member as m
    union all
    select
        m.root,
        'pg_catalog.pg_type'::pg_catalog.regclass::pg_catalog.oid,
        t.oid
    from member as m
    inner join pg_catalog.pg_type as t on t.typrelid = m.oid
    union all
    select
        m.root,
        'pg_catalog.pg_type'::pg_catalog.regclass::pg_catalog.oid,
        t.typarray
    from member as m
    inner join pg_catalog.pg_type as t on t.typrelid = m.oid
    where t.typarray <> 0
)

select distinct
    t.root as table_oid,
    case
        when w.ev_class is null then pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
        else pg_catalog.pg_describe_object('pg_catalog.pg_class'::pg_catalog.regclass, w.ev_class, 0)
    end as dependent
from target as t
inner join pg_catalog.pg_depend as d on d.refclassid = t.classid and d.refobjid = t.objid
left join pg_catalog.pg_rewrite as w
    on d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and w.oid = d.objid
left join pg_catalog.pg_constraint as f
    on d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass and f.oid = d.objid
where
    d.deptype = 'n'
    and f.contype is distinct from 'f'
    and not exists (
        select 1
        from member as m
        where m.root = t.root and m.oid = w.ev_class
    )
    and not exists (
        select 1
        from pg_catalog.pg_depend as own
        inner join target as mine on mine.classid = own.refclassid and mine.objid = own.refobjid
        where
            mine.root = t.root
            and own.classid = d.classid
            and own.objid = d.objid
            and own.deptype <> 'n'
    )
    and not exists (
        select 1
        from member as m
        where
            m.root = t.root
            and d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
            and m.oid = d.objid
    )
order by 1, 2;
