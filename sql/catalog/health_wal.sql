-- Bytes of the WAL folder.
select pg_catalog.sum(w.size)::pg_catalog.int8 as bytes
from pg_catalog.pg_ls_waldir() as w
order by 1;
