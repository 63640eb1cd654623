-- Of tables ($1 oids): the room that pages keep free, and updates whose new row went to another page.
select
    c.oid as table_oid,
    (
        select o.option_value::pg_catalog.int4
        from pg_catalog.pg_options_to_table(c.reloptions) as o
        where o.option_name = 'fillfactor'
    ) as fillfactor,
    s.n_tup_newpage_upd as newpage_updates
from pg_catalog.unnest($1::pg_catalog.oid[]) as a (oid)
inner join pg_catalog.pg_class as c on c.oid = a.oid
left join pg_catalog.pg_stat_all_tables as s on s.relid = c.oid
order by c.oid;
