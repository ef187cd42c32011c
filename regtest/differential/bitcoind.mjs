// Compares every HTLC of CASES with what Bitcoin Core makes of the same terms, and asks its mempool about each transaction:
// ours, boltz-core's (ANSWERS), and those signed by both together (COMPLETED).
//
//   BITCOIND_URL=http://.. BITCOIND_COOKIE=.. node bitcoind.mjs CASES ANSWERS COMPLETED
//
// Core derives and signs from a descriptor of the terms, `tr(musig(..),{redeem,refund})`: scripts, keys, hashes and sighashes are
// its own. It signs without randomness, as the cases were signed, so that whole transactions must be equal.

import { readFileSync } from 'node:fs';
import { ripemd160 } from '@noble/hashes/legacy.js';
import { Comparison, finish, flipped } from './comparison.mjs';

const { BITCOIND_URL, BITCOIND_COOKIE } = process.env;
const [, , ...files] = process.argv;
const [{ funding, cases, spends }, answers, completed] = files.map((file) => JSON.parse(readFileSync(file, 'utf8')));
const NOBODY = 'raw(51)#8lvh9jxk';
/** Miniscript's `after` ends here; later times are judged by the mempool alone. */
const MAX_AFTER = 2 ** 31 - 1;
const authorization = `Basic ${Buffer.from(readFileSync(BITCOIND_COOKIE, 'utf8').trim()).toString('base64')}`;

async function rpc(method, ...params) {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
  const response = await fetch(BITCOIND_URL, { method: 'POST', headers: { authorization, 'content-type': 'application/json' }, body });
  const { result, error } = await response.json();
  if (error) throw new Error(`${method}: ${error.message}`);
  return result;
}

const hash160Of = ({ hashlock }) => Buffer.from(ripemd160(Buffer.from(hashlock, 'hex'))).toString('hex');
const xOnly = (key) => key.slice(2);
const satoshis = (bitcoins) => Math.round(bitcoins * 1e8);
const hasDescriptor = ({ terms }) => terms.refund_after <= MAX_AFTER;

/** The whole HTLC in one line; `keys` replaces public keys by those that can sign. */
async function descriptor(terms, { participants = [terms.redeem_key, terms.refund_key], keys = {} } = {}) {
  const { redeem = terms.redeem_key, refund = terms.refund_key } = keys;
  const leaves = `{and_v(v:hash160(${hash160Of(terms)}),pk(${redeem})),and_v(v:pk(${refund}),after(${terms.refund_after}))}`;
  const text = `tr(musig(${participants}),${leaves})`;
  return `${text}#${(await rpc('getdescriptorinfo', text)).checksum}`;
}

async function address(terms, options) {
  const [derived] = await rpc('deriveaddresses', await descriptor(terms, options));
  return derived;
}

/** BIP-62: the shortest little-endian number; Core writes those of more than four bytes in hexadecimal. */
function asNumber(value) {
  if (value <= MAX_AFTER) return String(value);
  const bytes = Buffer.alloc(5);
  bytes.writeUInt32LE(value);
  return bytes.toString('hex');
}

function expectedAsm(terms) {
  return {
    redeem: `OP_SIZE 32 OP_EQUALVERIFY OP_HASH160 ${hash160Of(terms)} OP_EQUALVERIFY ${xOnly(terms.redeem_key)} OP_CHECKSIG`,
    refund: `${xOnly(terms.refund_key)} OP_CHECKSIGVERIFY ${asNumber(terms.refund_after)} OP_CHECKLOCKTIMEVERIFY`,
  };
}

async function compareHtlc(comparison, number, { ours, terms }, output) {
  const id = `case ${number}`;
  const asm = expectedAsm(terms);
  comparison.same('redeem script, disassembled', id, (await rpc('decodescript', ours.redeem_script)).asm, asm.redeem);
  comparison.same('refund script, disassembled', id, (await rpc('decodescript', ours.refund_script)).asm, asm.refund);
  comparison.same('funded output', id, [ours.script_pubkey, ours.regtest_address, terms.amount], output);
  if (!hasDescriptor({ terms })) return;
  const mirrored = { participants: [terms.refund_key, terms.redeem_key] };
  comparison.same('address of the descriptor', id, ours.regtest_address, await address(terms));
  comparison.same('address of the descriptor, keys exchanged', id, ours.regtest_address, await address(terms, mirrored));
}

async function compareSigned(comparison, spend, psbt = spend.psbt) {
  if (!spend.cases.every((number) => hasDescriptor(cases[number]))) return undefined;
  const id = `${spend.kind} of ${spend.cases}`;
  const base64 = Buffer.from(psbt, 'hex').toString('base64');
  const all = spend.cases.map((number) => cases[number]);
  const updated = await rpc('decodepsbt', await rpc('utxoupdatepsbt', base64, await Promise.all(all.map(({ terms }) => descriptor(terms)))));
  all.forEach(({ ours }, index) => {
    const input = updated.inputs[index];
    const leaf = (which) => ({ script: ours[`${which}_script`], leaf_ver: 192, control_blocks: [ours[`${which}_control_block`]] });
    const byScript = (one, other) => (one.script < other.script ? -1 : 1);
    const leaves = [leaf('redeem'), leaf('refund')].sort(byScript);
    comparison.same('leaf scripts and control blocks', id, leaves, input.taproot_scripts.sort(byScript));
    comparison.same('internal key', id, ours.internal_key, input.taproot_internal_key);
    comparison.same('merkle root', id, ours.merkle_root, input.taproot_merkle_root);
  });
  const signer = ({ terms }) => ({ keys: { [spend.kind]: terms[`${spend.kind}_wif`] } });
  const descriptors = await Promise.all(all.map((each) => descriptor(each.terms, signer(each))));
  const signed = await rpc('descriptorprocesspsbt', base64, descriptors, 'DEFAULT', false, true);
  comparison.same(`${spend.kind}: the signed transaction, sighash and all`, id, spend.tx, signed.hex);
  return signed;
}

/** What a miner's mempool says, under mainnet's rules. */
async function compareVerdict(comparison, what, tx, validNow, expected) {
  const [verdict] = await rpc('testmempoolaccept', [tx]);
  comparison.same(`${what}: verdict of the mempool`, verdict.txid, validNow ? 'accepted' : 'non-final', verdict.allowed ? 'accepted' : verdict['reject-reason']);
  if (!expected) return;
  const { txid, vsize, weight } = await rpc('decoderawtransaction', tx);
  comparison.same(`${what}: txid, vsize and weight`, txid, [expected.txid, expected.vsize, expected.weight], [txid, vsize, weight]);
  if (verdict.allowed) comparison.same(`${what}: fee`, txid, expected.fee, satoshis(verdict.fees.base));
}

/** Changes that must be noticed: each term in a descriptor, each bit of proof in a transaction. */
async function noticedChanges() {
  let noticed = 0;
  const must = (what, changed) => {
    if (!changed) throw new Error(`a changed ${what} went unnoticed`);
    noticed += 1;
  };
  const [{ terms, ours }, other] = cases;
  const changes = {
    hashlock: flipped(terms.hashlock),
    redeem_key: other.terms.redeem_key,
    refund_key: other.terms.refund_key,
    refund_after: terms.refund_after + 1,
  };
  for (const [term, value] of Object.entries(changes)) must(term, (await address({ ...terms, [term]: value })) !== ours.regtest_address);
  for (const spend of spends.slice(0, 2)) {
    const { vin } = await rpc('decoderawtransaction', spend.tx);
    for (const [index, element] of vin[0].txinwitness.entries()) {
      const changed = spend.tx.replace(element, flipped(element, element.length / 2 - 1));
      const found = new Comparison('');
      await compareVerdict(found, spend.kind, changed, true);
      await compareSigned(found, { ...spend, tx: changed });
      must(`element ${index} of a ${spend.kind}'s witness`, found.differences.length === 2);
    }
  }
  const [redeem] = spends;
  const wrong = redeem.psbt.replace(terms.preimage, flipped(terms.preimage));
  must('preimage in a PSBT', wrong !== redeem.psbt && !(await compareSigned(new Comparison(''), redeem, wrong).catch(() => ({ complete: false }))).complete);
  return noticed;
}

const { subversion } = await rpc('getnetworkinfo');
const core = new Comparison(`Bitcoin Core ${subversion.replace(/^\/Satoshi:|\/$/g, '')}`);
const { vout } = await rpc('decoderawtransaction', funding.tx);
await rpc('generateblock', NOBODY, [funding.tx]);
for (const [number, each] of cases.entries()) {
  const { value, scriptPubKey } = vout[number];
  await compareHtlc(core, number, each, [scriptPubKey.hex, scriptPubKey.address, satoshis(value)]);
}
for (const spend of spends) {
  await compareSigned(core, spend);
  await compareVerdict(core, `our ${spend.kind}`, spend.tx, spend.valid_now, spend);
}
for (const spend of answers.spends) await compareVerdict(core, `boltz-core's ${spend.kind}`, spend.tx, spend.valid_now);
for (const [number, tx] of completed.entries()) await compareVerdict(core, 'signed with boltz-core together', tx, true, cases[number].cooperative);
await finish([core], noticedChanges);
