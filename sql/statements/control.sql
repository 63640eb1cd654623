-- Which cluster this is, and its timeline at the last checkpoint.
select /* dbops */
    s.system_identifier::pg_catalog.text as system_identifier,
    c.timeline_id::pg_catalog.int8 as timeline
from pg_catalog.pg_control_system() as s
cross join pg_catalog.pg_control_checkpoint() as c;
