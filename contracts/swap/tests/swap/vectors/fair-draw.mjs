// Repeats a maker's choice from what it has published, with nothing but Node.js: the ranks, the draws, what each order got, and
// both signatures (ed25519 here). Exit code 0: it is as it has to be; 1: the maker has cheated, and why.
//   node fair-draw.mjs decision.json        (or - for standard input; what is in it: vectors/decision.json)
// That the beacon is the first final block of TF Chain whose time is not before `decide_at` can be seen on the chain.
import assert from "node:assert/strict";
import { createHash, createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";

const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest();

/** RFC 8785, of objects that hold only strings, lists, objects and null. */
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return `{${Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(",")}}`;
}

const signingBytes = (name, document) => Buffer.from(`twinswap:${name}:v1:${canonical(document)}`);
const idOf = (name, document) => sha256(signingBytes(name, document)).toString("hex");

/** The 32 bytes of an SS58 address. */
function publicKey(address) {
  const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
  const number = [...address].reduce((sum, letter) => sum * 58n + BigInt(alphabet.indexOf(letter)), 0n);
  return Buffer.from(number.toString(16).padStart(70, "0"), "hex").subarray(1, 33);
}

function assertSigned(name, { document, signature }, address) {
  assert.equal(signature.scheme, "ed25519");
  const key = createPublicKey({ key: Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), publicKey(address)]), format: "der", type: "spki" });
  assert.ok(verify(null, signingBytes(name, document), key, Buffer.from(signature.value, "hex")), `the maker's signature under the ${name}`);
}

/** Below 0 if a is cheaper than b. */
function comparePrices(a, b) {
  const [left, right] = [BigInt(a.sats) * BigInt(b.units), BigInt(b.sats) * BigInt(a.units)];
  return left < right ? -1 : left > right ? 1 : 0;
}

const isOut = ({ verdict }) => typeof verdict === "object" || verdict === "unrevealed";

function choose(offer, { available, beacon, orders }) {
  const offerId = Buffer.from(idOf("offer", offer), "hex");
  const hash = beacon ? Buffer.from(beacon.hash, "hex") : Buffer.alloc(32);
  const draw = ({ order }) => sha256("twinswap:draw:v1:", hash, offerId, Buffer.from(order, "hex"));
  const better = offer.gives === "TFT" ? -1 : 1;
  const takeable = orders.filter((order) => !isOut(order));
  const rank = (a, b) => better * comparePrices(a.price, b.price) || Number(b.reputation) - Number(a.reputation);
  takeable.sort((a, b) => rank(a, b) || Buffer.compare(draw(a), draw(b)));
  let left = BigInt(available);
  const ranked = takeable.map((order) => {
    const fits = BigInt(order.amount) <= left;
    if (fits) left -= BigInt(order.amount);
    return { ...order, verdict: fits ? "chosen" : "outranked" };
  });
  const out = orders.filter(isOut).sort((a, b) => (a.order < b.order ? -1 : 1));
  return [...ranked, ...out];
}

const [file] = process.argv.slice(2);
const { offer, acknowledgements, closing, decision } = JSON.parse(readFileSync(file === "-" ? 0 : file, "utf8"));
try {
  assertSigned("decision", decision, offer.delegate);
  assert.equal(decision.document.offer, idOf("offer", offer), "the decision is about another offer");
  assert.deepEqual(decision.document.orders, choose(offer, decision.document), "the orders were not chosen from as they had to be");
  if (closing) {
    assertSigned("closing", closing, offer.delegate);
    assert.equal(closing.document.decide_at, decision.document.decide_at, "another round was closed");
    assert.deepEqual(decision.document.orders.map(({ order }) => order).sort(), closing.document.orders, "the round was closed with other orders");
  }
  for (const acknowledgement of acknowledgements) {
    assertSigned("acknowledgement", acknowledgement, offer.delegate);
    const { order, decide_at } = acknowledgement.document;
    assert.equal(decide_at, decision.document.decide_at, "the order belongs to another round");
    const found = decision.document.orders.find((considered) => considered.order === order);
    assert.ok(found, `order ${order} was left out`);
    const { reputation } = acknowledgement.document;
    assert.ok(found.verdict === "unrevealed" || found.reputation === reputation, `order ${order} was acknowledged with reputation ${reputation}`);
  }
  console.log(`fair: ${decision.document.orders.map(({ order, verdict }) => `${order.slice(0, 8)} ${JSON.stringify(verdict)}`).join(", ")}`);
} catch (error) {
  console.log(`unfair: ${error.message}`);
  process.exitCode = 1;
}
