// Prints, as one line of JSON, the virtual sizes of boltz-core's transactions for the HTLC that is given as JSON:
//
//   node sizes.mjs '{"preimage": "..", "redeem_secret": "..", "redeem_key": "..", "refund_secret": "..", "refund_key": "..",
//                    "refund_after": 1790000000, "amount_sat": 1000000, "batch": 10, "payouts": {"p2tr": "5120..", ..}}'
//
// Secrets, keys and scripts are hexadecimal. `refund_after` stands where boltz-core has a height: the push is as long as ours.
// `output` is the script that its HTLC is paid to, so that the caller can see that both measure the same one.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Musig, OutputType, TaprootUtils, constructClaimTransaction, constructRefundTransaction, reverseSwapTree } from 'boltz-core';

const terms = JSON.parse(process.argv[2]);
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, 'hex'));
const hex = (array) => Buffer.from(array).toString('hex');

const [redeemKey, refundKey] = [bytes(terms.redeem_key), bytes(terms.refund_key)];
const hashlock = Uint8Array.from(createHash('sha256').update(bytes(terms.preimage)).digest());
// The tree with the check that the preimage has 32 bytes.
const tree = reverseSwapTree(false, hashlock, redeemKey, refundKey, terms.refund_after);
const keys = [redeemKey, refundKey].sort((a, b) => Buffer.compare(a, b));
const together = Musig.create(bytes(terms.redeem_secret), keys);
const output = Uint8Array.from([0x51, 0x20, ...TaprootUtils.toXOnly(TaprootUtils.tweakMusig(together, tree.tree).aggPubkey)]);

function coins(count, secret, more = {}) {
  return Array.from({ length: count }, (_, index) => ({
    type: OutputType.Taproot,
    transactionId: '11'.repeat(32),
    vout: index,
    script: output,
    amount: BigInt(terms.amount_sat),
    privateKey: bytes(secret),
    preimage: bytes(terms.preimage),
    swapTree: tree,
    internalKey: TaprootUtils.toXOnly(together.internalKey),
    ...more,
  }));
}

const FEE = 1000n;

function sizes(payout) {
  const redeem = (count) => constructClaimTransaction(coins(count, terms.redeem_secret), payout, FEE).vsize;
  const refund = (count) => constructRefundTransaction(coins(count, terms.refund_secret), payout, terms.refund_after, FEE).vsize;
  return {
    redeem: redeem(1),
    refund: refund(1),
    cooperative: constructClaimTransaction(coins(1, terms.redeem_secret, { cooperative: true }), payout, FEE).vsize,
    redeem_batch: redeem(terms.batch),
    refund_batch: refund(terms.batch),
  };
}

const measured = Object.entries(terms.payouts).map(([name, script]) => [name, sizes(bytes(script))]);
const { version } = JSON.parse(readFileSync(new URL('node_modules/boltz-core/package.json', import.meta.url), 'utf8'));
console.log(JSON.stringify({ version, output: hex(output), sizes: Object.fromEntries(measured) }));
