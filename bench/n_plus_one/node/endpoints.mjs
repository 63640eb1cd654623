// The endpoints of the application. `…_n1` sends statements in loops, `…_fixed` does the same work without; the rest is honest.
import DataLoader from 'dataloader';
import { loop, outside } from './trace.mjs';

export function endpoints(db, schema, random, ids) {
  const pick = (list) => list[Math.floor(random() * list.length)];
  const between = (low, high) => low + Math.floor(random() * (high - low + 1));
  const scoped = schema.tenant || schema.soft;
  const tenant = between(1, 4);
  // The predicates that this schema adds to every read of a role.
  const scope = (role) => ({
    ...(schema.tables[role]?.types.tenant_id ? { tenant_id: tenant } : {}),
    ...(schema.tables[role]?.types.deleted_at ? { deleted_at: null } : {}),
  });
  const owned = (role) => (schema.tables[role].types.tenant_id ? { tenant_id: tenant } : {});
  const page = (role, low = 8, high = 25, include = []) =>
    db.list(role, { limit: between(low, high), offset: between(0, 60), where: scope(role), include });
  // Lazy loading by the ORM's own relation, or the explicit query where predicates are added to each.
  const lines = (item) => (scoped ? db.find('line', { item_id: item.id, ...scope('line') }) : db.related(item, 'item', 'lines'));
  const owner = (item) => (scoped ? db.first('account', { id: item.account_id, ...scope('account') }) : db.related(item, 'item', 'account'));
  const items = (account) => (scoped ? db.find('item', { account_id: account.id, ...scope('item') }) : db.related(account, 'account', 'items'));
  const tags = (item) => db.related(item, 'item', 'tags');
  const byId = (role, id) => (scoped && schema.tables[role].types.tenant_id ? db.first(role, { id, ...scope(role) }) : db.get(role, id));
  const many = (role, property, list) => db.findIn(role, property, [...new Set(list)].filter((id) => id != null), scope(role));
  const login = schema.alias.login ?? 'login';
  const event = (n) => ({ account_id: pick(ids.account), action: `a${n}`, ...owned('event') });

  const loader = (role, property, group) =>
    new DataLoader((keys) => outside(async () => {
      const rows = await many(role, property, keys);
      return keys.map((key) => (group ? rows.filter((row) => row[property] === key) : rows.find((row) => row[property] === key) ?? null));
    }), { cacheKeyFn: String });

  return {
    before: async () => {
      const session = await db.first('session', { token: `token${between(1, 400)}` });
      await db.get(login, session.login_id);
    },

    async belongs_to_n1() {
      await loop(await page('item'), (item) => owner(item));
    },
    async belongs_to_fixed() {
      const rows = await page('item', 8, 25, scoped ? [] : ['account']);
      if (scoped) await many('account', 'id', rows.map((row) => row.account_id));
    },
    async has_many_n1() {
      await loop(await page('item'), (item) => lines(item));
    },
    async has_many_fixed() {
      const rows = await page('item', 8, 25, scoped ? [] : ['lines']);
      if (scoped) await many('line', 'item_id', rows.map((row) => row.id));
    },
    async latest_n1() {
      await loop(await page('account'), (account) => db.latest('item', { account_id: account.id, ...scope('item') }));
    },
    async latest_fixed() {
      const rows = await page('account');
      await many('item', 'account_id', rows.map((row) => row.id));
    },
    async many_to_many_n1() {
      await loop(await page('item', 6, 18), (item) => tags(item));
    },
    async many_to_many_fixed() {
      await page('item', 6, 18, ['tags']);
    },
    async nested_n1() {
      await loop(await page('account', 3, 6), async (account) => {
        await loop((await items(account)).slice(0, 6), (item) => lines(item));
      });
    },
    async nested_fixed() {
      const rows = await page('account', 3, 6, scoped ? [] : ['items', 'items.lines']);
      if (!scoped) return;
      const found = await many('item', 'account_id', rows.map((row) => row.id));
      await many('line', 'item_id', found.map((row) => row.id));
    },
    async count_n1() {
      await loop(await page('item'), (item) => db.count('line', { item_id: item.id, ...scope('line') }));
    },
    async count_fixed() {
      const rows = await page('item');
      await db.countBy('line', 'item_id', rows.map((row) => row.id), scope('line'));
    },
    async insert_n1() {
      await loop(Array.from({ length: between(8, 25) }, (_, n) => event(n)), (row) => db.insert('event', row), { fromRows: false });
    },
    async insert_fixed() {
      await db.insertMany('event', Array.from({ length: between(8, 25) }, (_, n) => event(n)));
    },
    async update_n1() {
      await loop(await page('item', 6, 18), (item) => db.save(item, 'item', { hits: Number(item.hits) + 1 }));
    },
    async update_fixed() {
      const rows = await page('item', 6, 18);
      await db.updateMany('item', rows.map((row) => row.id), { hits: 1 });
    },
    async worker_n1() {
      await db.insertMany('job', Array.from({ length: between(8, 16) }, () => ({ item_id: pick(ids.item), state: 'new', ...owned('job') })));
      const jobs = await db.take(16);
      await loop(jobs, async (job) => {
        await byId('item', job.item_id);
        await db.update('job', job.id, { state: 'done' });
      });
    },
    async worker_fixed() {
      await db.insertMany('job', Array.from({ length: between(8, 16) }, () => ({ item_id: pick(ids.item), state: 'new', ...owned('job') })));
      const jobs = await db.take(16);
      if (!jobs.length) return;
      await many('item', 'id', jobs.map((job) => job.item_id));
      await db.updateMany('job', jobs.map((job) => job.id), { state: 'done' });
    },
    // What a GraphQL server does with `items { account { name } lines { body } }`, resolvers of one level run together.
    async resolvers_n1() {
      const rows = await page('item', 6, 18);
      await loop(rows, async (item) => {
        await byId('account', item.account_id);
        await db.find('line', { item_id: item.id, ...scope('line') });
      }, { together: db.parallel });
    },
    async resolvers_fixed() {
      const account = loader('account', 'id', false);
      const line = loader('line', 'item_id', true);
      await loop(await page('item', 6, 18), async (item) => Promise.all([account.load(item.account_id), line.load(item.id)]), { together: true });
    },

    async show() {
      const item = await byId('item', pick(ids.item));
      if (!item) return;
      await owner(item);
      await lines(item);
      if (random() < 0.5) await tags(item);
      await db.count('line', { item_id: item.id, ...scope('line') });
    },
    async profile() {
      const account = await byId('account', pick(ids.account));
      if (!account) return;
      if (account.team_id != null) await db.get('team', account.team_id);
      await db.latest('item', { account_id: account.id, ...scope('item') });
      await db.find('detail', { account_id: account.id, ...scope('detail') });
    },
    async board() {
      await page('item');
    },
    async directory() {
      await page('account', 10, 40);
    },
    async setting() {
      await db.first('setting', { key: `key${between(1, 200)}` });
    },
    async three() {
      for (const name of ['author', 'editor', 'approver']) await byId('account', pick(ids.account), name);
    },
    async dashboard() {
      await db.count('item', scope('item'));
      await db.count('line', scope('line'));
      await db.list('item', { limit: 5, offset: 0, where: scope('item'), include: [] });
    },
    async poll() {
      await db.take(1);
    },
    async heartbeat() {
      await db.update(login, pick(ids[login]), { seen: new Date() });
    },
    async log() {
      await db.insert('event', event(0));
    },
    async vote() {
      const item = await byId('item', pick(ids.item));
      if (item) await db.update('item', item.id, { hits: between(1, 99) });
    },
  };
}
