// Drizzle: queries for each need, and its relational queries (`with`) for eager loading.
import { and, count, desc, eq, inArray, isNull, relations, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { bigint, bigserial, integer, pgTable, serial, text, timestamp, uuid } from 'drizzle-orm/pg-core';
import pg from 'pg';
import { takeJobs } from '../raw.mjs';

export async function open({ socket, port, database, schema }) {
  const column = (name, kind) => {
    if (kind === 'key') return { serial: () => serial(name), bigserial: () => bigserial(name, { mode: 'number' }), uuid: () => uuid(name).defaultRandom() }[schema.key]().primaryKey();
    if (kind === 'textkey') return text(name).primaryKey();
    if (kind.startsWith('text')) return text(name);
    if (kind === 'time') return timestamp(name, { withTimezone: true });
    if (kind === 'int') return integer(name);
    return { serial: () => integer(name), bigserial: () => bigint(name, { mode: 'number' }), uuid: () => uuid(name) }[schema.key]();
  };
  const t = Object.fromEntries(Object.entries(schema.tables).map(([role, table]) =>
    [role, pgTable(table.name, Object.fromEntries(Object.entries(table.types).map(([name, kind]) => [name, column(table.columns[name], kind)])))]));
  const links = {
    itemLinks: relations(t.item, ({ one, many }) => ({ account: one(t.account, { fields: [t.item.account_id], references: [t.account.id] }), lines: many(t.line), tags: many(t.item_tag) })),
    accountLinks: relations(t.account, ({ many }) => ({ items: many(t.item) })),
    lineLinks: relations(t.line, ({ one }) => ({ item: one(t.item, { fields: [t.line.item_id], references: [t.item.id] }) })),
    itemTagLinks: relations(t.item_tag, ({ one }) => ({ item: one(t.item, { fields: [t.item_tag.item_id], references: [t.item.id] }), tag: one(t.tag, { fields: [t.item_tag.tag_id], references: [t.tag.id] }) })),
  };
  const pool = new pg.Pool({ host: socket, port, database, user: 'app', max: 4 });
  const db = drizzle(pool, { schema: { ...t, ...links } });
  const where = (role, given) => and(...Object.entries(given).map(([name, value]) => (value === null ? isNull(t[role][name]) : eq(t[role][name], value))));
  const eager = { account: { account: true }, lines: { lines: true }, tags: { tags: { with: { tag: true } } }, items: { items: true }, 'items.lines': { items: { with: { lines: true } } } };
  const from = {
    lines: (item) => db.select().from(t.line).where(eq(t.line.item_id, item.id)),
    items: (account) => db.select().from(t.item).where(eq(t.item.account_id, account.id)),
    tags: (item) => db.select({ id: t.tag.id, name: t.tag.name }).from(t.tag).innerJoin(t.item_tag, eq(t.item_tag.tag_id, t.tag.id)).where(eq(t.item_tag.item_id, item.id)),
    account: async (item) => (await db.select().from(t.account).where(eq(t.account.id, item.account_id)).limit(1))[0],
  };
  return {
    parallel: true,
    list: (role, { limit, offset, where: given, include }) => (include.length
      ? db.query[role].findMany({ where: where(role, given), orderBy: desc(t[role].id), limit, offset, with: Object.assign({}, ...include.map((path) => eager[path])) })
      : db.select().from(t[role]).where(where(role, given)).orderBy(desc(t[role].id)).limit(limit).offset(offset)),
    get: async (role, id) => (await db.select().from(t[role]).where(eq(t[role].id, id)).limit(1))[0],
    first: async (role, given) => (await db.select().from(t[role]).where(where(role, given)).limit(1))[0],
    latest: async (role, given) => (await db.select().from(t[role]).where(where(role, given)).orderBy(desc(t[role].id)).limit(1))[0],
    find: (role, given) => db.select().from(t[role]).where(where(role, given)),
    findIn: (role, property, list, given) => db.select().from(t[role]).where(and(inArray(t[role][property], list), where(role, given))),
    related: (row, _role, relation) => from[relation](row),
    count: async (role, given) => (await db.select({ n: count() }).from(t[role]).where(where(role, given)))[0].n,
    countBy: (role, property, list, given) => db.select({ key: t[role][property], n: count() }).from(t[role]).where(and(inArray(t[role][property], list), where(role, given))).groupBy(t[role][property]),
    insert: (role, row) => db.insert(t[role]).values(row).returning(),
    insertMany: (role, rows) => db.insert(t[role]).values(rows),
    save: (row, role, patch) => db.update(t[role]).set(patch).where(eq(t[role].id, row.id)),
    update: (role, id, patch) => db.update(t[role]).set(patch).where(eq(t[role].id, id)),
    updateMany: (role, list, patch) => db.update(t[role]).set(patch).where(inArray(t[role].id, list)),
    take: async (limit) => (await db.execute(sql.raw(takeJobs(schema, limit)))).rows,
  };
}
