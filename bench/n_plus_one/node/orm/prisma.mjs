// Prisma on its node-postgres adapter: `findUnique` and `findMany`, `include` for eager loading.
import { PrismaPg } from '@prisma/adapter-pg';
import { takeJobs } from '../raw.mjs';

export async function open({ socket, port, database, schema }) {
  const { PrismaClient } = (await import(`../generated/${schema.name}/client/index.js`)).default;
  const client = new PrismaClient({ adapter: new PrismaPg({ host: socket, port, database, user: 'app', max: 4 }) });
  await client.$connect();
  const big = schema.key === 'bigserial';
  // Numbers of the workload become BigInt where the schema has 64-bit keys.
  const value = (role, name, given) => (big && given != null && /^(key|ref:)/.test(schema.tables[role].types[name]) ? BigInt(given) : given);
  const values = (role, row) => Object.fromEntries(Object.entries(row).map(([name, given]) => [name, value(role, name, given)]));
  const eager = { account: { account: true }, lines: { lines: true }, tags: { tags: { include: { tag: true } } }, items: { items: true }, 'items.lines': { items: { include: { lines: true } } } };
  const include = (paths) => (paths.length ? Object.assign({}, ...paths.map((path) => eager[path])) : undefined);
  const from = {
    account: (item) => client.account.findUnique({ where: { id: item.account_id } }),
    lines: (item) => client.line.findMany({ where: { item_id: item.id } }),
    items: (account) => client.item.findMany({ where: { account_id: account.id } }),
    tags: (item) => client.item_tag.findMany({ where: { item_id: item.id }, include: { tag: true } }),
  };
  const unique = (role, where) => Object.keys(where).length === 1 && ['id', 'key', ...(schema.foreign_keys ? ['token', 'email'] : [])].includes(Object.keys(where)[0]);
  return {
    parallel: false, // look-ups made at once are merged into one by Prisma itself
    list: (role, { limit, offset, where, include: paths }) => client[role].findMany({ where: values(role, where), orderBy: { id: 'desc' }, take: limit, skip: offset, include: include(paths) }),
    get: (role, id) => client[role].findUnique({ where: { id: value(role, 'id', id) } }),
    first: (role, where) => client[role][unique(role, where) ? 'findUnique' : 'findFirst']({ where: values(role, where) }),
    latest: (role, where) => client[role].findFirst({ where: values(role, where), orderBy: { id: 'desc' } }),
    find: (role, where) => client[role].findMany({ where: values(role, where) }),
    findIn: (role, property, list, where) => client[role].findMany({ where: { [property]: { in: list.map((given) => value(role, property, given)) }, ...values(role, where) } }),
    related: (row, _role, relation) => from[relation](row),
    count: (role, where) => client[role].count({ where: values(role, where) }),
    countBy: (role, property, list, where) => client[role].groupBy({ by: [property], where: { [property]: { in: list.map((given) => value(role, property, given)) }, ...values(role, where) }, _count: true }),
    insert: (role, row) => client[role].create({ data: values(role, row) }),
    insertMany: (role, rows) => client[role].createMany({ data: rows.map((row) => values(role, row)) }),
    save: (row, role, patch) => client[role].update({ where: { id: row.id }, data: patch }),
    update: (role, id, patch) => client[role].update({ where: { id: value(role, 'id', id) }, data: patch }),
    updateMany: (role, list, patch) => client[role].updateMany({ where: { id: { in: list.map((given) => value(role, 'id', given)) } }, data: patch }),
    take: (limit) => client.$queryRawUnsafe(takeJobs(schema, limit)),
  };
}
