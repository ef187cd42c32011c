// The shop against real nodes: an engine behind an rmb-peer, and a taker whose engine is a twin of its own. All that the engine
// says is checked against the schemas of its commands.
//
//   REDIS_URL=.. TWIN=.. SCHEMAS=schemas.json TAKER_URL=http://127.0.0.1:.. TAKER_TOKEN=.. node --test dist/shop.test.js
//
// `cargo regtest rmb-handler` provides all of it. SCHEMAS holds what `twinswap schema` prints.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Ajv, type ValidateFunction } from 'ajv';
import { RmbError } from './rmb.js';
import { Shop, type HistoryEntry, type Page, type Swap } from './shop.js';

const { REDIS_URL = '', TWIN = '', SCHEMAS = '', TAKER_URL = '', TAKER_TOKEN = '' } = process.env;
const SELL = 5_000_000_000n;
const SATS = 250n;

interface CommandSchema {
  title: string;
}

/** The commands' schemas, compiled. */
class Schemas {
  private readonly ajv = new Ajv({ strict: false, validateFormats: false });
  private readonly titles: string[] = [];

  constructor(file: string) {
    for (const schema of JSON.parse(readFileSync(file, 'utf8')) as CommandSchema[]) {
      this.ajv.addSchema(schema, schema.title);
      this.titles.push(schema.title);
    }
  }

  check(method: string, part: 'request' | 'answer', value: unknown) {
    const validate: ValidateFunction | undefined = this.ajv.getSchema(`twinswap.${method}#/properties/${part}`);
    assert.ok(validate, `${method} has a schema; there are ${this.titles.join(', ')}`);
    assert.ok(validate(value), `${method}, ${part}: ${this.ajv.errorsText(validate.errors)} in ${JSON.stringify(value)}`);
  }
}

const schemas = new Schemas(SCHEMAS);
let shop: Shop;

before(async () => {
  shop = await Shop.open(REDIS_URL, Number(TWIN), SATS);
  const call = shop.engine.bind(shop);
  shop.engine = async <T>(method: string, params: object): Promise<T> => {
    schemas.check(method, 'request', params);
    const answer = await call<T>(method, params);
    schemas.check(method, 'answer', answer);
    return answer;
  };
});

after(() => shop.rmb.close());

/** The taker's own engine, by its JSON-RPC. */
async function taker<T>(method: string, params: object): Promise<T> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${TAKER_TOKEN}` };
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
  const answer = (await (await fetch(TAKER_URL, { method: 'POST', headers, body })).json()) as { result?: T; error?: unknown };
  assert.ok(answer.result !== undefined, `${method}: ${JSON.stringify(answer.error)}`);
  return answer.result;
}

async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  for (const end = Date.now() + 120_000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 500))) {
    const found = await look();
    if (found !== undefined) return found;
  }
  throw new Error(`waited in vain for ${what}`);
}

test('the engine is there, and refuses with a stable name', async () => {
  const status = await shop.engine<{ reach: string }>('node.status', {});
  assert.equal(status.reach, `rmb:${TWIN}`);
  await assert.rejects(shop.engine('offer.get', { id: '00'.repeat(32) }), (error: unknown) => {
    assert.ok(error instanceof RmbError);
    assert.equal(error.errorType, 'not_found');
    return true;
  });
});

test('a handler is a service of its own as well', async () => {
  const quote = await shop.rmb.call(Number(TWIN), 'shop.quote', { units: '10000001' });
  assert.deepEqual(quote, { sats: '251' });
  await assert.rejects(shop.rmb.call(Number(TWIN), 'shop.quote', { units: 1 }), /whole number/);
});

test('an offer is submitted, taken, and its swap seen to the end', async () => {
  const offer = await shop.sell(SELL);
  const order = await taker<{ id: string }>('order.submit', { reach: `rmb:${TWIN}`, offer, amount: SELL.toString() });
  const id = await until('the swap', async () => (await shop.engine<Page<Swap>>('swap.list', {})).items.at(0)?.id);
  const history: HistoryEntry[] = [];
  for await (const entry of shop.follow(id)) history.push(entry);
  assert.deepEqual(history.map(({ seq }) => seq), history.map((_, index) => index + 1));
  const swap = await shop.engine<Swap>('swap.get', { id });
  assert.equal(swap.outcome, 'completed');
  assert.deepEqual([swap.alpha.status, swap.beta.status], ['redeemed', 'redeemed']);
  assert.deepEqual([swap.alpha.amount, swap.beta.amount], [((SELL * SATS) / 10_000_000n).toString(), SELL.toString()]);
  const { state } = await shop.engine<{ state: string }>('offer.get', { id: offer });
  assert.equal(state, 'filled');
  const theirs = await until('the taker\'s end', async () => {
    const { swap } = await taker<{ swap: string | null }>('order.get', { id: order.id });
    assert.equal(swap, id);
    return (await taker<Swap>('swap.get', { id })).outcome ?? undefined;
  });
  assert.equal(theirs, 'completed');
});
