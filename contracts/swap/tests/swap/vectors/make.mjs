// Makes documents.json: canonical bytes, ids and signatures of every document, by implementations that are not ours.
//   npm install @polkadot/keyring @polkadot/util @polkadot/util-crypto canonicalize && node make.mjs > documents.json
import { createHash } from "node:crypto";
import { Keyring } from "@polkadot/keyring";
import { stringToU8a, u8aToHex, u8aWrapBytes } from "@polkadot/util";
import { cryptoWaitReady } from "@polkadot/util-crypto";
import canonicalize from "canonicalize";

await cryptoWaitReady();
const network = { bitcoin: "b7".repeat(32), tfchain: "7f".repeat(32) };
const keyring = (type) => new Keyring({ type, ss58Format: 42 });
const people = Object.fromEntries(["sr25519", "ed25519", "ecdsa"].map((type) => [type, keyring(type).addFromUri("//Alice")]));
const bob = keyring("sr25519").addFromUri("//Bob").address;
// Two points of the curve: the generator and its double.
const key = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
const other = "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5";

const offer = (owner) => ({
  network, owner, delegate: bob, gives: "TFT",
  price: { sats: "50", units: "10000000" }, min: "1000000000", max: "100000000000", lot: "20000000000",
  waiting_period: "60000", sequence: "1774000000000", expires_at: "1774000600", policy: "mainnet",
  tags: { name: "café ☕ \"TFT\"", category: "currency", "ä": "ö\\/" }, reach: "https://maker.example/twinswap",
});
const alice = people.sr25519.address;
const settlement = (htlc, by, height) => ({ htlc, by, height });
const documents = [
  ...Object.entries(people).map(([type, pair]) => ["offer", offer(pair.address), pair, type]),
  ["order", {
    network, owner: alice, delegate: alice, offer: "0f".repeat(32), amount: "10000000000", price: { sats: "50", units: "10000000" },
    alpha_key: key, hashlock: "ab".repeat(32), expires_at: "1774000600", salt: "5a".repeat(32),
  }],
  ["order", {
    network, owner: alice, delegate: bob, offer: "0f".repeat(32), amount: "1", price: { sats: "1", units: "18446744073709551615" },
    alpha_key: other, hashlock: null, expires_at: "0", salt: "00".repeat(32),
  }],
  ["contract", {
    network, offer: "0f".repeat(32), order: "0d".repeat(32), maker: bob, taker: alice, maker_gives: "TFT", hashlock: "ab".repeat(32),
    alpha: { amount: "50000", redeem_key: key, refund_key: other, refund_after: "1774057600000" },
    beta: { amount: "10000000000", sender: bob, recipient: alice, latest_refund_after: "1774021600000" },
    policy: "mainnet", maker_salt: "a5".repeat(32), taker_salt: "5a".repeat(32), countersign_by: "1774000120",
  }],
  ["receipt", { network, contract: "cc".repeat(32), outcome: "completed", alpha: settlement(`${"bb".repeat(32)}:0`, "aa".repeat(32), "800000"), beta: settlement(`0x${"dd".repeat(32)}`, "1234-2", "1234") }],
];
const cases = documents.map(([name, document, pair = people.sr25519, scheme = "sr25519"]) => {
  const canonical = canonicalize(document);
  const bytes = stringToU8a(`twinswap:${name}:v1:${canonical}`);
  return {
    name, document, canonical, id: createHash("sha256").update(bytes).digest("hex"),
    signer: pair.address, scheme,
    plain: u8aToHex(pair.sign(bytes)).slice(2),
    wrapped: u8aToHex(pair.sign(u8aWrapBytes(bytes))).slice(2),
  };
});
console.log(JSON.stringify(cases, null, 1));
