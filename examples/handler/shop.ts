// A shop behind an rmb-peer: it has an engine sell TFT, tells other twins what an amount costs, and follows every swap to its end.
//
//   REDIS_URL=redis://127.0.0.1:6379 TWIN=42 SELL=10000000000 SATS=250 npm start
//
// SELL is in units of 1e-7 TFT, SATS is the price of one TFT. Its own command on the bus is `shop.quote`.

import { pathToFileURL } from 'node:url';
import { Rmb } from './rmb.js';

const UNITS_PER_TFT = 10_000_000n;

export interface Page<T> {
  items: T[];
  next: string | null;
}

/** What of a swap the shop looks at; `twinswap schema swap.get` has the rest. */
export interface Swap {
  id: string;
  phase: string;
  outcome: string | null;
  alpha: { status: string; amount: string };
  beta: { status: string; amount: string };
}

export interface HistoryEntry {
  seq: number;
  event: unknown;
}

export class Shop {
  readonly rmb: Rmb;
  private readonly twin: number;
  private readonly sats: bigint;

  private constructor(rmb: Rmb, twin: number, sats: bigint) {
    this.rmb = rmb;
    this.twin = twin;
    this.sats = sats;
  }

  /** @param twin the peer's own: its engine is a service of it  @param sats the price of one TFT */
  static async open(redisUrl: string, twin: number, sats: bigint): Promise<Shop> {
    const shop = new Shop(await Rmb.connect(redisUrl), twin, sats);
    await shop.rmb.serve('shop.quote', async (request) => shop.quote(request));
    return shop;
  }

  /** Calls the engine: `engine('offer.list', {})` is the command `twinswap.offer.list`. */
  engine<T>(method: string, params: object): Promise<T> {
    return this.rmb.call(this.twin, `twinswap.${method}`, params) as Promise<T>;
  }

  /** Offers TFT. Returns the offer's id. */
  async sell(units: bigint): Promise<string> {
    const price = { sats: this.sats.toString(), units: UNITS_PER_TFT.toString() };
    const terms = { gives: 'TFT', price, max: units.toString(), tags: { shop: 'example' } };
    return (await this.engine<{ id: string }>('offer.submit', { terms })).id;
  }

  /** Yields what happens to a swap, one entry after the other, until it has ended. */
  async *follow(id: string, everyMs = 1000): AsyncGenerator<HistoryEntry> {
    let after: string | null = null;
    for (;;) {
      const { outcome } = await this.engine<Swap>('swap.get', { id });
      // Read to the end behind the outcome: nothing is missed.
      for (let more = true; more; ) {
        const page: Page<HistoryEntry> = await this.engine('swap.history', { id, after, limit: 50 });
        yield* page.items;
        more = page.next !== null;
        after = page.items.at(-1)?.seq.toString() ?? after;
      }
      if (outcome !== null) return;
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  }

  private quote(request: unknown): { sats: string } {
    const units = (request as { units?: unknown } | null)?.units;
    if (typeof units !== 'string' || !/^[1-9][0-9]{0,18}$/.test(units)) throw new Error('`units` is a whole number of 1e-7 TFT in a string');
    // In the shop's favour, as the engine rounds.
    return { sats: ((BigInt(units) * this.sats + UNITS_PER_TFT - 1n) / UNITS_PER_TFT).toString() };
  }
}

async function main() {
  const { REDIS_URL = 'redis://127.0.0.1:6379', TWIN, SELL, SATS } = process.env;
  if (!TWIN || !SELL || !SATS) throw new Error('TWIN, SELL and SATS are needed');
  const shop = await Shop.open(REDIS_URL, Number(TWIN), BigInt(SATS));
  console.log(`offer ${await shop.sell(BigInt(SELL))}`);
  const followed = new Set<string>();
  for (;;) {
    const { items } = await shop.engine<Page<Swap>>('swap.list', { open_only: true });
    for (const { id } of items.filter(({ id }) => !followed.has(id))) {
      followed.add(id);
      void tell(shop, id);
    }
    await new Promise((resolve) => setTimeout(resolve, 5000));
  }
}

async function tell(shop: Shop, id: string) {
  for await (const { seq, event } of shop.follow(id)) console.log(id, seq, JSON.stringify(event));
  const { outcome } = await shop.engine<Swap>('swap.get', { id });
  console.log(id, outcome);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
