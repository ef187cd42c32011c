// Makes every HTLC of CASES again with boltz-core and compares: scripts, hashes, keys, addresses, control blocks, sighashes,
// signatures, transactions and sizes. Writes its own signed transactions and partial signatures to ANSWERS.
//
//   node htlc.mjs CASES ANSWERS
//
// CASES is what `htlc_cases make` writes (contracts/bitcoin/examples). What is not equal ends it with an error.

import { readFileSync, writeFileSync } from 'node:fs';
import { schnorr } from '@noble/curves/secp256k1.js';
import { Address, NETWORK, OutScript, SigHash, TEST_NETWORK, Transaction } from '@scure/btc-signer';
import { tapLeafHash } from '@scure/btc-signer/payment.js';
import { Musig, OutputType, TaprootUtils, constructClaimTransaction, constructRefundTransaction, reverseSwapTree } from 'boltz-core';
import { Comparison, differing, finish, flipped } from './comparison.mjs';

const [, , casesFile, answersFile] = process.argv;
const { funding, cases, spends } = JSON.parse(readFileSync(casesFile, 'utf8'));
const { version } = JSON.parse(readFileSync(new URL('node_modules/boltz-core/package.json', import.meta.url), 'utf8'));
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, 'hex'));
const hex = (array) => Buffer.from(array).toString('hex');
const REGTEST = { ...TEST_NETWORK, bech32: 'bcrt' };
const NO_AUX = new Uint8Array(32);

const swaps = new Map();

/** boltz-core's reverse swap under the terms, made once. */
function theirs(terms) {
  if (!swaps.has(terms)) swaps.set(terms, reverseSwap(terms));
  return swaps.get(terms);
}

/** boltz-core says nothing of the order of the keys, so they are sorted (BIP-327). */
function reverseSwap(terms) {
  const [redeemKey, refundKey] = [bytes(terms.redeem_key), bytes(terms.refund_key)];
  const tree = reverseSwapTree(false, bytes(terms.hashlock), redeemKey, refundKey, terms.refund_after);
  const keys = [redeemKey, refundKey].sort((a, b) => Buffer.compare(a, b));
  const together = Musig.create(bytes(terms.redeem_secret), keys);
  const internalKey = TaprootUtils.toXOnly(together.internalKey);
  const tweaked = TaprootUtils.tweakMusig(together, tree.tree);
  const outputKey = TaprootUtils.toXOnly(tweaked.aggPubkey);
  return { tree, internalKey, tweaked, outputKey, script: OutScript.encode({ type: 'tr', pubkey: outputKey }) };
}

function described({ tree, internalKey, outputKey, script }) {
  const hashTree = TaprootUtils.taprootHashTree(tree.tree);
  const address = (network) => Address(network).encode(OutScript.decode(script));
  return {
    redeem_script: hex(tree.claimLeaf.output),
    refund_script: hex(tree.refundLeaf.output),
    redeem_leaf_hash: hex(tapLeafHash(tree.claimLeaf.output)),
    refund_leaf_hash: hex(tapLeafHash(tree.refundLeaf.output)),
    merkle_root: hex(hashTree.hash),
    internal_key: hex(internalKey),
    output_key: hex(outputKey),
    redeem_control_block: hex(TaprootUtils.createControlBlock(hashTree, tree.claimLeaf, internalKey)),
    refund_control_block: hex(TaprootUtils.createControlBlock(hashTree, tree.refundLeaf, internalKey)),
    script_pubkey: hex(script),
    mainnet_address: address(NETWORK),
    testnet_address: address(TEST_NETWORK),
    regtest_address: address(REGTEST),
  };
}

function compareHtlc(comparison, id, ours, terms) {
  const all = described(theirs(terms));
  for (const what of new Set([...Object.keys(all), ...Object.keys(ours)])) comparison.same(what, id, ours[what], all[what]);
}

/** The spend as boltz-core makes it. */
function construct(spend) {
  const isRedeem = spend.kind === 'redeem';
  const utxos = spend.cases.map((number) => {
    const { terms } = cases[number];
    const swap = theirs(terms);
    return {
      type: OutputType.Taproot,
      transactionId: funding.txid,
      vout: number,
      script: swap.script,
      amount: BigInt(terms.amount),
      privateKey: bytes(isRedeem ? terms.redeem_secret : terms.refund_secret),
      preimage: bytes(terms.preimage),
      swapTree: swap.tree,
      internalKey: swap.internalKey,
    };
  });
  const [payout, fee] = [bytes(spend.payout), BigInt(spend.fee)];
  const tx = isRedeem ? constructClaimTransaction(utxos, payout, fee) : constructRefundTransaction(utxos, payout, spend.lock_time, fee);
  return { tx, utxos, isRedeem };
}

/** Compares a whole signed transaction; only signatures may differ, since boltz-core's are randomised: ours are made again. */
function compareSpend(comparison, spend, ours = spend) {
  const { tx, utxos, isRedeem } = construct(spend);
  const id = `${spend.kind} of ${spend.cases}`;
  const signed = Transaction.fromRaw(bytes(ours.tx), { allowUnknownInputs: true, allowUnknownOutputs: true, disableScriptCheck: true });
  comparison.same('txid', id, ours.txid, tx.id);
  comparison.same('transaction without witnesses', id, hex(signed.toBytes(true, false)), hex(tx.toBytes(true, false)));
  comparison.same('vsize', id, ours.vsize, tx.vsize);
  comparison.same('weight', id, ours.weight, tx.weight);
  utxos.forEach((utxo, index) => {
    const leaf = isRedeem ? utxo.swapTree.claimLeaf : utxo.swapTree.refundLeaf;
    const [scripts, amounts] = [utxos.map(({ script }) => script), utxos.map(({ amount }) => amount)];
    const sighash = tx.preimageWitnessV1(index, scripts, SigHash.DEFAULT, amounts, undefined, leaf.output, leaf.version);
    const [signature, ...rest] = signed.getInput(index).finalScriptWitness;
    const [, ...theirRest] = tx.getInput(index).finalScriptWitness;
    comparison.same(`${spend.kind}: witness without signature`, id, rest.map(hex), theirRest.map(hex));
    comparison.same(`${spend.kind}: sighash, by the signature over it`, id, hex(signature), hex(schnorr.sign(sighash, utxo.privateKey, NO_AUX)));
  });
  return tx;
}

/** boltz-core plays the participant: its nonce and its partial signature, for us to finish. */
function signTogether(comparison, { terms, cooperative }, number) {
  const swap = theirs(terms);
  const tx = new Transaction({ version: 2 });
  tx.addOutput({ amount: BigInt(terms.amount - cooperative.fee), script: bytes(cooperative.payout) });
  tx.addInput({ txid: funding.txid, index: number, sequence: 0xfffffffd });
  const sighash = tx.preimageWitnessV1(0, [swap.script], SigHash.DEFAULT, [BigInt(terms.amount)]);
  comparison.same('cooperative: txid', `case ${number}`, cooperative.txid, tx.id);
  comparison.same('cooperative: sighash', `case ${number}`, cooperative.sighash, hex(sighash));
  const nonced = swap.tweaked.message(sighash).generateNonce();
  const session = nonced.aggregateNonces([[bytes(terms.refund_key), bytes(cooperative.initiator_nonce)]]).initializeSession();
  tx.updateInput(0, { finalScriptWitness: [new Uint8Array(64)] });
  comparison.same('cooperative: weight', `case ${number}`, cooperative.weight, tx.weight);
  comparison.same('cooperative: vsize', `case ${number}`, cooperative.vsize, tx.vsize);
  return { case: number, participant_nonce: hex(nonced.publicNonce), participant_signature: hex(session.signPartial().ourPartialSignature) };
}

/** Each of our values and each of the terms, changed by one bit, must make a difference. */
function noticedChanges() {
  let noticed = 0;
  const expect = (what, places, wanted) => {
    if (!wanted.every((place) => places.includes(place))) throw new Error(`a changed ${what} made ${places} differ, not ${wanted}`);
    noticed += 1;
  };
  const [{ ours, terms }] = cases;
  for (const what of Object.keys(ours)) {
    const value = what.endsWith('address') ? ours[what].replace(/.$/, (last) => (last === 'q' ? 'p' : 'q')) : flipped(ours[what]);
    expect(what, differing((comparison) => compareHtlc(comparison, 'changed', { ...ours, [what]: value }, terms)), [what]);
  }
  const changedTerms = {
    hashlock: { ...terms, hashlock: flipped(terms.hashlock) },
    redeem_key: { ...terms, redeem_key: cases[1].terms.redeem_key, redeem_secret: cases[1].terms.redeem_secret },
    refund_key: { ...terms, refund_key: cases[1].terms.refund_key },
    refund_after: { ...terms, refund_after: terms.refund_after + 1 },
  };
  for (const [what, changed] of Object.entries(changedTerms)) {
    const places = differing((comparison) => compareHtlc(comparison, 'changed', ours, changed));
    expect(what, places, ['merkle_root', 'output_key', 'script_pubkey', 'mainnet_address']);
  }
  for (const spend of spends.slice(0, 2)) {
    const signature = Transaction.fromRaw(bytes(spend.tx), { allowUnknownInputs: true, disableScriptCheck: true }).getInput(0).finalScriptWitness[0];
    const tx = spend.tx.replace(hex(signature), flipped(hex(signature), 63));
    const places = differing((comparison) => compareSpend(comparison, spend, { ...spend, tx, vsize: spend.vsize + 1 }));
    expect(`signature of a ${spend.kind}`, places, ['vsize', `${spend.kind}: sighash, by the signature over it`]);
  }
  return noticed;
}

const comparison = new Comparison(`boltz-core ${version}`);
cases.forEach(({ ours, terms }, number) => compareHtlc(comparison, `case ${number}`, ours, terms));
const made = spends.map((spend) => {
  const tx = compareSpend(comparison, spend);
  return { kind: spend.kind, cases: spend.cases, valid_now: spend.valid_now, tx: hex(tx.toBytes(true, true)) };
});
const cooperative = cases.map((each, number) => signTogether(comparison, each, number));
writeFileSync(answersFile, JSON.stringify({ version, spends: made, cooperative }));
await finish([comparison], noticedChanges);
