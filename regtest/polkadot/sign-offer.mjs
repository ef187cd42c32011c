// Signs bytes as a wallet's `signRaw` does: what is signed is `<Bytes>` + bytes + `</Bytes>`.
//
//   printf '...' | node sign-offer.mjs [--hex] [--type sr25519|ed25519|ecdsa] SURI
//
// Reads UTF-8 text, or hex with --hex, from standard input; SURI is a mnemonic or a URI such as //Alice.
// Prints {"address", "publicKey", "signature", "type"}, the signature with its MultiSignature type byte.

import { Keyring } from '@polkadot/api';
import { hexToU8a, isHex, u8aToHex, u8aWrapBytes } from '@polkadot/util';
import { cryptoWaitReady } from '@polkadot/util-crypto';

const MAX_BYTES = 64 * 1024;

async function standardInput() {
  const chunks = [];
  let size = 0;
  for await (const chunk of process.stdin) {
    size += chunk.length;
    if (size > 4 * MAX_BYTES) throw new Error('too much to sign');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function toSign(input, asHex) {
  if (!asHex) return new Uint8Array(input);
  const text = input.toString('utf8').trim();
  const hex = text.startsWith('0x') ? text : `0x${text}`;
  if (!isHex(hex)) throw new Error('standard input is not hex');
  return hexToU8a(hex);
}

async function main(args) {
  const options = { hex: false, type: 'sr25519', suri: undefined };
  for (let at = 0; at < args.length; at += 1) {
    if (args[at] === '--hex') options.hex = true;
    else if (args[at] === '--type') options.type = args[(at += 1)];
    else options.suri = args[at];
  }
  if (!options.suri) throw new Error('usage: sign-offer.mjs [--hex] [--type TYPE] SURI');
  if (!['sr25519', 'ed25519', 'ecdsa'].includes(options.type)) throw new Error(`unknown type ${options.type}`);

  await cryptoWaitReady();
  const bytes = toSign(await standardInput(), options.hex);
  if (bytes.length > MAX_BYTES) throw new Error('too much to sign');
  const pair = new Keyring({ type: options.type, ss58Format: 42 }).addFromUri(options.suri);
  const signature = pair.sign(u8aWrapBytes(bytes), { withType: true });
  return {
    address: pair.address,
    publicKey: u8aToHex(pair.publicKey),
    signature: u8aToHex(signature),
    type: options.type,
  };
}

try {
  console.log(JSON.stringify(await main(process.argv.slice(2))));
} catch (error) {
  console.log(JSON.stringify({ error: error.message ?? String(error) }));
  process.exitCode = 1;
}
