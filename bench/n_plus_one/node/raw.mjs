// The statement that every queue on PostgreSQL has and no ORM writes: takes up to `limit` waiting jobs.
export function takeJobs(schema, limit) {
  const { name, columns: c } = schema.tables.job;
  return `UPDATE "${name}" SET "${c.state}" = 'taken' WHERE "${c.id}" IN (SELECT "${c.id}" FROM "${name}" WHERE "${c.state}" = 'new' ` +
    `ORDER BY "${c.id}" LIMIT ${Number(limit)} FOR UPDATE SKIP LOCKED) RETURNING "${c.id}" AS id, "${c.item_id}" AS item_id`;
}
