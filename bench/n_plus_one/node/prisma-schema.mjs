// Writes the Prisma schema of a schema given as JSON to `generated/<name>/schema.prisma`; `prisma generate` makes the client of it.
import { mkdirSync, writeFileSync } from 'node:fs';

const schema = JSON.parse(process.argv[2]);
const key = { serial: 'Int', bigserial: 'BigInt', uuid: 'String' }[schema.key];
const native = schema.key === 'uuid' ? ' @db.Uuid' : '';
const links = {
  item: ['account account @relation(fields: [account_id], references: [id])', 'lines line[]', 'tags item_tag[]'],
  account: ['items item[]'],
  line: ['item item @relation(fields: [item_id], references: [id])'],
  item_tag: ['item item @relation(fields: [item_id], references: [id])', 'tag tag @relation(fields: [tag_id], references: [id])'],
  tag: ['items item_tag[]'],
};

function field(name, kind, column) {
  const map = ` @map("${column}")`;
  if (kind === 'key') return `${name} ${key} @id @default(${schema.key === 'uuid' ? 'uuid()' : 'autoincrement()'})${native}${map}`;
  if (kind === 'textkey') return `${name} String @id${map}`;
  if (kind === 'text!') return `${name} String${schema.foreign_keys ? ' @unique' : ''}${map}`;
  if (kind === 'text') return `${name} String${map}`;
  if (kind === 'time') return `${name} DateTime? @db.Timestamptz${map}`;
  if (kind === 'int') return `${name} Int${map}`;
  return `${name} ${key}${kind.endsWith('?') ? '?' : ''}${native}${map}`;
}

const models = Object.entries(schema.tables).map(([role, table]) => `model ${role} {\n` +
  [...Object.entries(table.types).map(([name, kind]) => field(name, kind, table.columns[name])), ...(links[role] ?? []), `@@map("${table.name}")`]
    .map((line) => `  ${line}\n`).join('') + '}\n');
const folder = new URL(`generated/${schema.name}/`, import.meta.url);
mkdirSync(folder, { recursive: true });
writeFileSync(new URL('schema.prisma', folder),
  'generator client {\n  provider = "prisma-client-js"\n  output = "./client"\n}\n\ndatasource db {\n  provider = "postgresql"\n}\n\n' + models.join('\n'));
