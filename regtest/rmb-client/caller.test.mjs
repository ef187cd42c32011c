// @threefold/rmb_direct_client, unmodified, calls an engine: over the relay by wss, sealed both ways, by the owner's twin and by a
// stranger's.
//
//   TFCHAIN_WS=ws://.. ENGINE_TWIN=1 RELAY_TLS_PORT=.. NODE_EXTRA_CA_CERTS=relay.pem node --require ./hosts.cjs --test caller.test.mjs
//
// The chain has the well-known development accounts; //Alice is an owner of the engine. `cargo regtest test` provides all.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';

const require = createRequire(import.meta.url);
const { ApiPromise, Keyring, WsProvider } = require('@polkadot/api');
const { Client } = require('@threefold/rmb_direct_client');
// Not exported: how the client derives its key for the chain.
const { generatePublicKey } = require(join(dirname(require.resolve('@threefold/rmb_direct_client')), 'util.js'));

const { TFCHAIN_WS, ENGINE_TWIN } = process.env;
const RELAY = 'relay.test';
/** The mini-secrets of //Alice and //Charlie: the client takes no derivation paths. */
const ALICE = '0xe5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a';
const CHARLIE = '0xbc1ede780f784bb6991a585e4f6e61522c14e1cae6ad0895fb57b9a205a8f938';

/** Accepts the terms and makes the twin, with relay and key as the client wants them. */
async function makeTwin(api, secret) {
  const account = new Keyring({ type: 'sr25519', ss58Format: 42 }).addFromUri(secret);
  const submit = (call) =>
    new Promise((resolve, reject) => {
      call
        .signAndSend(account, ({ status, dispatchError }) => {
          if (dispatchError) reject(new Error(dispatchError.toString()));
          else if (status.isInBlock) resolve();
        })
        .catch(reject);
    });
  await submit(api.tx.tfgridModule.userAcceptTc('https://example.org', 'terms'));
  await submit(api.tx.tfgridModule.createTwin(RELAY, generatePublicKey(secret)));
}

async function connect(secret) {
  const client = new Client(TFCHAIN_WS, `wss://${RELAY}/`, secret, 'a-session', 'sr25519', 3);
  await client.connect();
  return client;
}

async function call(client, method, params) {
  const uid = await client.send(`twinswap.${method}`, JSON.stringify(params), Number(ENGINE_TWIN), 1);
  return client.read(uid);
}

let owner, stranger;

before(async () => {
  const api = await ApiPromise.create({ provider: new WsProvider(TFCHAIN_WS), noInitWarn: true });
  await Promise.all([makeTwin(api, ALICE), makeTwin(api, CHARLIE)]);
  await api.disconnect();
  owner = await connect(ALICE);
  stranger = await connect(CHARLIE);
});

after(async () => {
  await Promise.all([owner?.disconnect(), stranger?.disconnect()]);
  setTimeout(() => process.exit(), 1000).unref();
});

test('the owner sees the engine and both chains', async () => {
  const status = await call(owner, 'node.status', {});
  assert.equal(status.chains.length, 2);
  assert.ok(status.chains.every((chain) => chain.connected));
});

test('an offer is made, listed for the owner and for a stranger, and taken back', async () => {
  const terms = { gives: 'BTC', price: { sats: '250', units: '10000000' }, max: '10000000000', tags: { greeting: 'Grüße' } };
  const offer = await call(owner, 'offer.submit', { terms });
  const mine = await call(owner, 'offer.list', {});
  assert.ok(mine.items.some(({ id }) => id === offer.id));
  const theirs = await call(stranger, 'offer.list', {});
  assert.ok(theirs.items.some(({ id }) => id === offer.id));
  assert.match(JSON.stringify(theirs), /Grüße/);
  assert.match(JSON.stringify(theirs), /"rmb:\d+"/);
  await call(owner, 'offer.cancel', { id: offer.id });
  assert.equal((await call(stranger, 'offer.list', {})).items.length, 0);
});

test('the owner\'s methods are not a stranger\'s, and the error says so', async () => {
  await assert.rejects(call(stranger, 'wallet.balances', {}), (error) => {
    assert.match(error.message, /"error_type":"unauthorized"/);
    return true;
  });
  await assert.rejects(call(owner, 'offer.get', { id: '00'.repeat(32) }), /"error_type":"not_found"/);
});

test('the swap stream is polled: history with a cursor', async () => {
  const swaps = await call(owner, 'swap.list', { limit: 5 });
  assert.deepEqual(swaps.items, []);
});
