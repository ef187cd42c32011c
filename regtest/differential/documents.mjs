// Makes the canonical bytes and ids of every document in CASES again, and checks our signatures with @polkadot/util-crypto. Writes
// to ANSWERS other spellings of the documents, and signatures of its own, right and changed, with its verdict on each.
//
//   node documents.mjs CASES ANSWERS
//
// CASES is what `document_cases make` writes (contracts/swap/examples). What is not equal ends it with an error.

import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { Keyring } from '@polkadot/keyring';
import { hexToU8a, u8aConcat, u8aToHex, u8aWrapBytes } from '@polkadot/util';
import { cryptoWaitReady, signatureVerify } from '@polkadot/util-crypto';
import canonicalize from 'canonicalize';
import { Comparison, differing, finish, flipped } from './comparison.mjs';

const [, , casesFile, answersFile] = process.argv;
const { cases } = JSON.parse(readFileSync(casesFile, 'utf8'));
const versionOf = (name) => JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url), 'utf8')).version;
const SCHEMES = { ed25519: { tag: 0 }, sr25519: { tag: 1 }, ecdsa: { tag: 2 } };
/** ECDSA in JavaScript is slow, and each signed document gives some sixty verdicts. Kinds of documents take turns by four. */
const SIGNED_EVERY = 5;
/** Orders of the groups: what must be added to, or taken from, the scalar of a signature to get its twin. */
const ORDERS = {
  ed25519: { order: 2n ** 252n + 27742317777372353535851937790883648493n, littleEndian: true },
  ecdsa: { order: 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n, littleEndian: false },
};

await cryptoWaitReady();

const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();
const bare = (u8a) => u8aToHex(u8a).slice(2);
const signingBytes = (name, document) => Buffer.from(`twinswap:${name}:v1:${canonicalize(document)}`);
const idOf = (name, document) => sha256(signingBytes(name, document)).toString('hex');
/** A number below `end` that follows from its name. */
const chance = (name, end) => sha256(name).readUInt32BE() % end;

/** What a wallet library says: whether the account signed the message, plain or wrapped, under this scheme. */
function valid(scheme, message, value, account) {
  try {
    const { crypto, isValid } = signatureVerify(message, hexToU8a(`0x${value}`), account);
    return isValid && crypto === scheme;
  } catch {
    return false;
  }
}

function compareDocument(comparison, id, { name, text, signing_bytes: ours, id: ourId }) {
  const document = JSON.parse(text);
  comparison.same(`${name}: canonical bytes`, id, ours, signingBytes(name, document).toString('hex'));
  comparison.same(`${name}: id`, id, ourId, idOf(name, document));
}

function compareSignatures(comparison, id, { signing_bytes: message, signatures }) {
  const bytes = hexToU8a(`0x${message}`);
  for (const { scheme, wrapped, account, value } of signatures) {
    const what = `our ${scheme} signature${wrapped ? ' in <Bytes>' : ''}`;
    comparison.same(`${what}: valid`, id, true, valid(scheme, bytes, value, account));
    const at = chance(`${id} ${value}`, value.length / 2);
    comparison.same(`${what}: refused when changed`, id, false, valid(scheme, bytes, flipped(value, at), account));
  }
}

/** The same document as another program might write it: order of members, white space and escapes are free. */
function respelled(value, name) {
  let taken = 0;
  const pick = (end) => chance(`${name} ${(taken += 1)}`, end);
  const space = () => ' \t\n\r'.repeat(2).slice(0, pick(4));
  const escape = (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  const text = (string) => `"${string.split('').map((unit) => (pick(3) === 0 ? escape(unit) : JSON.stringify(unit).slice(1, -1))).join('')}"`;
  const write = (part) => {
    if (typeof part === 'string') return text(part);
    if (part === null) return 'null';
    const members = Object.entries(part).map(([key, member]) => ({ at: pick(1_000), spelled: `${space()}${text(key)}${space()}:${space()}${write(member)}${space()}` }));
    return `{${members.sort((a, b) => a.at - b.at).map(({ spelled }) => spelled).join(',')}${space()}}`;
  };
  return write(value);
}

/** The other signature of the same message that a careless verifier takes as well, or none is known. */
function twin(scheme, value) {
  if (!ORDERS[scheme]) return undefined;
  const { order, littleEndian } = ORDERS[scheme];
  const bytes = Buffer.from(value, 'hex');
  const half = bytes.subarray(32, 64);
  const number = BigInt(`0x${Buffer.from(littleEndian ? half.toReversed() : half).toString('hex')}`);
  const other = Buffer.from((littleEndian ? number + order : order - number).toString(16).padStart(64, '0'), 'hex');
  bytes.set(littleEndian ? other.toReversed() : other, 32);
  if (scheme === 'ecdsa') bytes[64] ^= 1;
  return bytes.toString('hex');
}

/** Signatures of one account under one document. */
function signed(number, scheme) {
  const name = `case ${number} ${scheme}`;
  const keyring = new Keyring({ type: scheme, ss58Format: 42 });
  const [pair, other] = ['signer', 'other'].map((who) => keyring.addFromSeed(sha256(`${name} ${who}`)));
  const message = Buffer.from(cases[number].signing_bytes, 'hex');
  const records = [];
  const add = (what, value, more = {}) => {
    const record = { case: number, what, scheme, account: pair.address, value, ...more };
    const checked = Buffer.from(message);
    if (record.changed_byte !== undefined) checked[record.changed_byte] ^= 1;
    records.push({ ...record, valid: valid(record.scheme, checked, value, record.account) });
  };
  for (const [how, bytes] of [['plain', message], ['in <Bytes>', u8aWrapBytes(message)]]) {
    const value = bare(pair.sign(bytes));
    add(how, value);
    add(`${how}, type first`, bare(u8aConcat([SCHEMES[scheme].tag], hexToU8a(`0x${value}`))));
    add(`${how}, a bit changed`, flipped(value, chance(`${name} ${how} bit`, value.length / 2)));
    add(`${how}, another message`, value, { changed_byte: chance(`${name} ${how} message`, message.length) });
    add(`${how}, another account`, value, { account: other.address });
    add(`${how}, a byte less`, value.slice(2));
    add(`${how}, a byte more`, `${value}00`);
    for (const claimed of Object.keys(SCHEMES)) if (claimed !== scheme) add(`${how}, made as ${scheme}`, value, { scheme: claimed });
    const malleated = twin(scheme, value);
    if (malleated) add(`${how}, its twin`, malleated);
  }
  add('wrapped twice', bare(pair.sign(u8aConcat('<Bytes>', u8aWrapBytes(message), '</Bytes>'))));
  return records;
}

/** One bit of our values, or any member of a document, changed: it must be noticed. */
function noticedChanges() {
  let noticed = 0;
  const must = (what, places, wanted) => {
    if (places.length !== wanted) throw new Error(`a changed ${what} made ${places.length} values differ, not ${wanted}: ${places}`);
    noticed += 1;
  };
  for (const each of cases.slice(0, 8)) {
    for (const what of ['signing_bytes', 'id']) {
      must(what, differing((comparison) => compareDocument(comparison, 'changed', { ...each, [what]: flipped(each[what], 9) })), 1);
    }
    const document = JSON.parse(each.text);
    for (const member of Object.keys(document)) {
      const { [member]: gone, ...text } = document;
      must(member, differing((comparison) => compareDocument(comparison, 'changed', { ...each, text: JSON.stringify(text) })), 2);
    }
    const signing_bytes = flipped(each.signing_bytes, 20);
    must('message', differing((comparison) => compareSignatures(comparison, 'changed', { ...each, signing_bytes })), 6);
  }
  return noticed;
}

const byCanonicalize = new Comparison(`canonicalize ${versionOf('canonicalize')}`);
const byUtilCrypto = new Comparison(`@polkadot/util-crypto ${versionOf('@polkadot/util-crypto')}`);
const answers = { version: versionOf('@polkadot/util-crypto'), spellings: [], signatures: [] };
cases.forEach((each, number) => {
  compareDocument(byCanonicalize, `case ${number}`, each);
  compareSignatures(byUtilCrypto, `case ${number}`, each);
  const document = JSON.parse(each.text);
  answers.spellings.push({ case: number, text: respelled(document, `case ${number}`), id: idOf(each.name, document) });
  if (number % SIGNED_EVERY > 0) return;
  for (const scheme of Object.keys(SCHEMES)) answers.signatures.push(...signed(number, scheme));
});
const right = ['plain', 'in <Bytes>', 'plain, type first', 'in <Bytes>, type first'];
for (const { what, scheme, case: number, valid: verdict } of answers.signatures) {
  if (right.includes(what)) byUtilCrypto.same(`its own ${scheme} signature, ${what}: valid`, `case ${number}`, true, verdict);
}
writeFileSync(answersFile, JSON.stringify(answers));
await finish([byCanonicalize, byUtilCrypto], noticedChanges);
