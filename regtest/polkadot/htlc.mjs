// Reads an HTLC, its events, and redeems it by an unsigned transaction for an account that holds no TFT.
//
//   node htlc.mjs WS_URL HTLC_ID PREIMAGE       (id and preimage: 32 bytes of hex)
//
// Prints one JSON object. Exit code 0: redeemed and finalised; 1: anything else, with {"error": ...}.

import { ApiPromise, WsProvider } from '@polkadot/api';
import { hexToU8a, isHex } from '@polkadot/util';

const TIMEOUT_MS = 120_000;

function argument(value, name) {
  const hex = value?.startsWith('0x') ? value : `0x${value}`;
  if (!isHex(hex, 256)) throw new Error(`${name} must be 32 bytes of hex`);
  return hexToU8a(hex);
}

function plain(htlc) {
  const { sender, recipient, amount, hashlock, refundAfter, contractId, fundedAt, status } = htlc;
  return {
    sender: sender.toString(),
    recipient: recipient.toString(),
    amount: amount.toString(),
    hashlock: hashlock.toHex(),
    refund_after: refundAfter.toString(),
    contract_id: contractId.toHex(),
    funded_at: fundedAt.toNumber(),
    status: status.toJSON(),
  };
}

async function stored(api, id, at) {
  const source = at ? await api.at(at) : api;
  const htlc = await source.query.htlc.htlcs(id);
  return htlc.isSome ? plain(htlc.unwrap()) : null;
}

async function eventsOf(api, blockHash, id) {
  const events = await (await api.at(blockHash)).query.system.events();
  return events
    .filter(({ event }) => event.section === 'htlc' && event.data[0].eq(id))
    .map(({ event }) => ({ name: event.method, data: event.toHuman().data }));
}

function redeemed(api, id, preimage) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('not finalised in time')), TIMEOUT_MS);
    api.tx.htlc
      .redeem(id, preimage)
      .send(({ status, dispatchError, txHash }) => {
        if (dispatchError) {
          const { section, name } = api.registry.findMetaError(dispatchError.asModule);
          clearTimeout(timer);
          reject(new Error(`${section}.${name}`));
        } else if (status.isFinalized) {
          clearTimeout(timer);
          resolve({ block: status.asFinalized, transaction: txHash.toHex() });
        } else if (status.isInvalid || status.isDropped || status.isUsurped) {
          clearTimeout(timer);
          reject(new Error(`the transaction is ${status.type}`));
        }
      })
      .catch((error) => {
        clearTimeout(timer);
        reject(error);
      });
  });
}

async function main([url, idHex, preimageHex]) {
  const id = argument(idHex, 'HTLC_ID');
  const preimage = argument(preimageHex, 'PREIMAGE');
  const provider = new WsProvider(url, false);
  await provider.connect();
  const api = await ApiPromise.create({ provider, throwOnConnect: true, noInitWarn: true });
  try {
    const before = await stored(api, id);
    if (!before) throw new Error('no such HTLC');
    const fundedAt = await api.rpc.chain.getBlockHash(before.funded_at);
    const free = async (at) => (await (await api.at(at)).query.system.account(before.recipient)).data.free.toBigInt();
    const balanceBefore = await free(await api.rpc.chain.getFinalizedHead());
    const { block, transaction } = await redeemed(api, id, preimage);
    return {
      spec: api.runtimeVersion.specName.toString(),
      before,
      funded_events: await eventsOf(api, fundedAt, id),
      transaction,
      block: block.toHex(),
      redeemed_events: await eventsOf(api, block, id),
      after: await stored(api, id, block),
      recipient_before: balanceBefore.toString(),
      recipient_after: (await free(block)).toString(),
    };
  } finally {
    await api.disconnect();
  }
}

try {
  console.log(JSON.stringify(await main(process.argv.slice(2))));
} catch (error) {
  console.log(JSON.stringify({ error: error.message ?? String(error) }));
  process.exitCode = 1;
}
