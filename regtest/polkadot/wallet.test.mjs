// What any wallet can do: redeem an HTLC for somebody who holds no TFT, and sign an offer that the engine takes.
//
//   TFCHAIN_WS=ws://.. ENGINE_URL=http://.. ENGINE_TOKEN_FILE=.. node --test wallet.test.mjs
//
// The chain has the well-known development accounts; //Bob is an owner of the engine. `cargo regtest test` provides all.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ApiPromise, Keyring, WsProvider } from '@polkadot/api';
import { cryptoWaitReady } from '@polkadot/util-crypto';

const { TFCHAIN_WS, ENGINE_URL, ENGINE_TOKEN_FILE } = process.env;
const HERE = dirname(fileURLToPath(import.meta.url));
const UNITS = 12_345_678n;
const TEN_MINUTES_MS = 600_000;

before(() => cryptoWaitReady());

/** Runs one of the scripts beside this file; its last line is JSON. */
function script(name, args, input = '') {
  return new Promise((resolve, reject) => {
    const child = execFile(process.execPath, [join(HERE, name), ...args], (error, stdout, stderr) => {
      if (error) reject(new Error(`${name}: ${stdout}${stderr}`));
      else resolve(JSON.parse(stdout.trim().split('\n').at(-1)));
    });
    child.stdin.end(input);
  });
}

async function engine(method, params) {
  const response = await fetch(ENGINE_URL, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${readFileSync(ENGINE_TOKEN_FILE, 'utf8').trim()}` },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  });
  return response.json();
}

/** Funds an HTLC from //Charlie; resolves to its id once it is in a block. */
async function fund(recipient, hashlock) {
  const api = await ApiPromise.create({ provider: new WsProvider(TFCHAIN_WS), noInitWarn: true });
  try {
    const charlie = new Keyring({ type: 'sr25519', ss58Format: 42 }).addFromUri('//Charlie');
    const refundAfter = (await api.query.timestamp.now()).toNumber() + TEN_MINUTES_MS;
    const call = api.tx.htlc.fund(randomBytes(32), recipient, UNITS, hashlock, refundAfter);
    return await new Promise((resolve, reject) => {
      call
        .signAndSend(charlie, ({ status, events, dispatchError }) => {
          if (dispatchError) reject(new Error(dispatchError.toString()));
          else if (status.isInBlock) resolve(events.find(({ event }) => event.section === 'htlc').event.data[0].toHex());
        })
        .catch(reject);
    });
  } finally {
    await api.disconnect();
  }
}

/** RFC 8785 for what an offer holds: objects and strings, their keys in the order of UTF-16 code units. */
function canonical(value) {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  const members = Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`);
  return `{${members.join(',')}}`;
}

async function signedByBob(document) {
  const { address, signature, type } = await script('sign-offer.mjs', ['//Bob'], `twinswap:offer:v1:${canonical(document)}`);
  assert.equal(address, document.owner);
  // Without the type byte of a MultiSignature: the scheme is a field of its own.
  return { document, signature: { scheme: type, value: signature.slice(4) } };
}

async function draft() {
  const terms = { gives: 'TFT', price: { sats: '250', units: '10000000' }, max: '5000000000' };
  const preview = await engine('offer.preview', terms);
  assert.equal(preview.error, undefined, JSON.stringify(preview.error));
  const bob = new Keyring({ type: 'sr25519', ss58Format: 42 });
  return { ...preview.result.draft, owner: bob.addFromUri('//Bob').address };
}

test('an HTLC is redeemed by an unsigned transaction for an account that holds no TFT', async () => {
  const preimage = randomBytes(32);
  const nobody = new Keyring({ type: 'sr25519', ss58Format: 42 }).addFromSeed(randomBytes(32)).address;
  const hashlock = createHash('sha256').update(preimage).digest();
  const id = await fund(nobody, hashlock);

  const told = await script('htlc.mjs', [TFCHAIN_WS, id, preimage.toString('hex')]);

  assert.equal(told.before.recipient, nobody);
  assert.equal(told.before.amount, UNITS.toString());
  assert.equal(told.before.hashlock, `0x${hashlock.toString('hex')}`);
  assert.deepEqual(told.funded_events.map(({ name }) => name), ['Funded']);
  assert.deepEqual(told.redeemed_events.map(({ name }) => name), ['Redeemed']);
  assert.ok(JSON.stringify(told.redeemed_events).includes(preimage.toString('hex')), 'the event carries the preimage');
  assert.ok(JSON.stringify(told.after.status).includes(preimage.toString('hex')), 'storage keeps the preimage');
  assert.equal(told.recipient_before, '0');
  assert.equal(told.recipient_after, UNITS.toString());
});

test('a wrong preimage is refused before it reaches a block', async () => {
  const nobody = new Keyring({ type: 'sr25519', ss58Format: 42 }).addFromSeed(randomBytes(32)).address;
  const id = await fund(nobody, createHash('sha256').update(randomBytes(32)).digest());
  await assert.rejects(script('htlc.mjs', [TFCHAIN_WS, id, '00'.repeat(32)]));
});

test("a wallet's signRaw signature under an offer is accepted, once", async () => {
  const signed = await signedByBob(await draft());
  const { result, error } = await engine('offer.submit', { signed });
  assert.equal(error, undefined, JSON.stringify(error));
  assert.equal(result.signed.document.owner, signed.document.owner);
  assert.equal(result.state, 'open');

  const listed = await engine('offer.get', { id: result.id });
  assert.deepEqual(listed.result.signed, signed);
});

test('an offer changed after it was signed is refused, and nothing is stored', async () => {
  const signed = await signedByBob(await draft());
  const listed = await engine('offer.list', {});
  const changed = { ...signed, document: { ...signed.document, max: '5000000001' } };
  const { error } = await engine('offer.submit', { signed: changed });
  assert.equal(error.data.error_type, 'bad_signature');
  assert.deepEqual(await engine('offer.list', {}), listed);
});
