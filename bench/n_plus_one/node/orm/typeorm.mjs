// TypeORM: entities with lazy relations, `relations` for eager loading.
import 'reflect-metadata';
import { DataSource, EntitySchema, In, IsNull } from 'typeorm';
import { takeJobs } from '../raw.mjs';

export async function open({ socket, port, database, schema }) {
  const key = { serial: 'int', bigserial: 'bigint', uuid: 'uuid' }[schema.key];
  const type = (kind) => (kind.startsWith('text') ? 'text' : { time: 'timestamptz', int: 'int' }[kind] ?? key);
  const entities = {};
  for (const [role, table] of Object.entries(schema.tables)) {
    const columns = {};
    for (const [name, kind] of Object.entries(table.types)) {
      columns[name] = { type: type(kind), name: table.columns[name], nullable: kind === 'time' || kind.endsWith('?') };
      if (kind === 'key') Object.assign(columns[name], { primary: true, generated: schema.key === 'uuid' ? 'uuid' : 'increment' });
      if (kind === 'textkey') columns[name].primary = true;
    }
    entities[role] = { name: role, tableName: table.name, columns, relations: {} };
  }
  const column = (role, name) => schema.tables[role].columns[name];
  entities.item.relations = {
    account: { type: 'many-to-one', target: 'account', joinColumn: { name: column('item', 'account_id') }, lazy: true, inverseSide: 'items' },
    lines: { type: 'one-to-many', target: 'line', inverseSide: 'item', lazy: true },
    tags: { type: 'many-to-many', target: 'tag', lazy: true, joinTable: { name: schema.tables.item_tag.name,
      joinColumn: { name: column('item_tag', 'item_id') }, inverseJoinColumn: { name: column('item_tag', 'tag_id') } } },
  };
  entities.line.relations = { item: { type: 'many-to-one', target: 'item', joinColumn: { name: column('line', 'item_id') }, lazy: true, inverseSide: 'lines' } };
  entities.account.relations = { items: { type: 'one-to-many', target: 'item', inverseSide: 'account', lazy: true } };
  const source = new DataSource({ type: 'postgres', host: socket, port, database, username: 'app', entities: Object.values(entities).map((e) => new EntitySchema(e)), extra: { max: 4 } });
  await source.initialize();
  const repository = (role) => source.getRepository(role);
  const conditions = (where) => Object.fromEntries(Object.entries(where).map(([name, value]) => [name, value === null ? IsNull() : value]));
  const tree = (include) => (include.includes('items.lines') ? { items: { lines: true } } : Object.fromEntries(include.map((name) => [name, true])));
  return {
    parallel: true,
    list: (role, { limit, offset, where, include }) => repository(role).find({ where: conditions(where), order: { id: 'DESC' }, take: limit, skip: offset, relations: tree(include) }),
    get: (role, id) => repository(role).findOneBy({ id }),
    first: (role, where) => repository(role).findOneBy(conditions(where)),
    latest: (role, where) => repository(role).findOne({ where: conditions(where), order: { id: 'DESC' } }),
    find: (role, where) => repository(role).findBy(conditions(where)),
    findIn: (role, property, list, where) => repository(role).findBy({ [property]: In(list), ...conditions(where) }),
    related: (row, _role, relation) => row[relation],
    count: (role, where) => repository(role).countBy(conditions(where)),
    countBy: (role, property, list, where) => repository(role).createQueryBuilder('t').select(`t.${property}`, 'key').addSelect('COUNT(*)', 'n')
      .where({ [property]: In(list), ...conditions(where) }).groupBy(`t.${property}`).getRawMany(),
    insert: (role, row) => repository(role).insert(row),
    insertMany: (role, rows) => repository(role).insert(rows),
    save: (row, role, patch) => repository(role).save(Object.assign(row, patch)),
    update: (role, id, patch) => repository(role).update(id, patch),
    updateMany: (role, list, patch) => repository(role).update({ id: In(list) }, patch),
    take: async (limit) => (await source.query(takeJobs(schema, limit)))[0],
  };
}
