//! bitcoind's methods, one by one, with types.

use super::types::{FeeEstimate, SpentInput, SpentInputs};
use super::{BlockchainInfo, HeaderInfo, LONGEST_WAIT, MempoolInfo, MempoolVerdict, Rpc, RpcError, TipRef};
use bitcoin::consensus::encode::{deserialize_hex, serialize_hex};
use bitcoin::{Amount, Block, BlockHash, Transaction, Txid};
use jsonrpsee::core::params::ArrayParams;
use jsonrpsee::rpc_params;
use std::time::Duration;

/// Transactions fetched in one round trip: however large they are, the answer fits.
pub const MAX_TRANSACTIONS: usize = 32;
/// Headers fetched at once.
pub const MAX_HEADERS: u64 = 512;
/// Hexadecimal of a standard transaction of 400,000 weight units whose bytes are all witness.
const LARGEST_TRANSACTION: usize = 2 * 400_000;
const _: () = assert!(MAX_TRANSACTIONS * (LARGEST_TRANSACTION + 1_000) < super::MAX_RESPONSE as usize);

impl Rpc {
    /// Where the chain stands.
    pub async fn blockchain_info(&self) -> Result<BlockchainInfo, RpcError> {
        self.call("getblockchaininfo", rpc_params![]).await
    }

    /// The newest block's hash.
    pub async fn best_block_hash(&self) -> Result<BlockHash, RpcError> {
        self.call("getbestblockhash", rpc_params![]).await
    }

    /// The block of this height on the best chain; `None` above the tip.
    pub async fn block_hash(&self, height: u64) -> Result<Option<BlockHash>, RpcError> {
        match self.call("getblockhash", rpc_params![height]).await {
            Ok(hash) => Ok(Some(hash)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A header with its height and median time.
    pub async fn block_header(&self, hash: &BlockHash) -> Result<HeaderInfo, RpcError> {
        self.call("getblockheader", rpc_params![hash]).await
    }

    /// The headers of these heights of the best chain, in two round trips. Heights above the tip are missing at the end.
    pub async fn headers(&self, from: u64, to: u64) -> Result<Vec<HeaderInfo>, RpcError> {
        let to = to.min(from.saturating_add(MAX_HEADERS - 1));
        let mut hashes = Vec::new();
        for hash in self.batch::<BlockHash>("getblockhash", (from..=to).map(|height| rpc_params![height]).collect()).await? {
            match hash {
                Ok(hash) => hashes.push(hash),
                Err(error) if error.is_not_found() => break,
                Err(error) => return Err(error),
            }
        }
        let headers = self.batch("getblockheader", hashes.iter().map(|hash| rpc_params![hash]).collect()).await?;
        headers.into_iter().collect()
    }

    /// A whole block.
    pub async fn block(&self, hash: &BlockHash) -> Result<Block, RpcError> {
        let text: String = self.call("getblock", rpc_params![hash, 0]).await?;
        deserialize_hex(&text).map_err(|error| RpcError::Malformed { method: "getblock", reason: error.to_string() })
    }

    /// Blocks until the tip differs from `known`, at most `wait` (bounded by [`LONGEST_WAIT`]), and returns the tip then.
    /// bitcoind 29 or newer; an older one does not know the second parameter.
    pub async fn wait_for_new_block(&self, known: &BlockHash, wait: Duration) -> Result<TipRef, RpcError> {
        let wait = wait.min(LONGEST_WAIT);
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.call_within(wait + super::CALL_TIMEOUT, "waitfornewblock", rpc_params![millis, known]).await
    }

    /// Every transaction that waits for a block.
    pub async fn raw_mempool(&self) -> Result<Vec<Txid>, RpcError> {
        self.call("getrawmempool", rpc_params![false]).await
    }

    /// Transactions of the mempool, in one round trip, at most [`MAX_TRANSACTIONS`]. Those that left it meanwhile are missing.
    pub async fn mempool_transactions(&self, txids: &[Txid]) -> Result<Vec<Transaction>, RpcError> {
        const METHOD: &str = "getrawtransaction";
        let params: Vec<ArrayParams> = txids.iter().take(MAX_TRANSACTIONS).map(|txid| rpc_params![txid]).collect();
        let answers = self.batch::<String>(METHOD, params).await?;
        let mut transactions = Vec::with_capacity(answers.len());
        for answer in answers {
            match answer {
                Ok(text) => {
                    let tx = deserialize_hex(&text).map_err(|error| RpcError::Malformed { method: METHOD, reason: error.to_string() })?;
                    transactions.push(tx);
                }
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(transactions)
    }

    /// The inputs of a transaction in a block, with the outputs they spend; none if it is not there. bitcoind needs no index for it.
    pub async fn spent_inputs(&self, txid: &Txid, block: &BlockHash) -> Result<Vec<SpentInput>, RpcError> {
        match self.call::<SpentInputs>("getrawtransaction", rpc_params![txid, 2, block]).await {
            Ok(SpentInputs { vin }) => Ok(vin),
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Sends a transaction. No cap on its fee: whoever built it decided that.
    pub async fn send_raw_transaction(&self, tx: &Transaction) -> Result<Txid, RpcError> {
        self.call("sendrawtransaction", rpc_params![serialize_hex(tx), 0]).await
    }

    /// Asks whether the mempool would take a transaction.
    pub async fn test_mempool_accept(&self, tx: &Transaction) -> Result<MempoolVerdict, RpcError> {
        const METHOD: &str = "testmempoolaccept";
        let mut verdicts: Vec<MempoolVerdict> = self.call(METHOD, rpc_params![[serialize_hex(tx)], 0]).await?;
        verdicts.pop().ok_or_else(|| RpcError::Malformed { method: METHOD, reason: "no verdict".to_owned() })
    }

    /// What a transaction pays per 1000 virtual bytes to confirm within `blocks`; `None` when the node has not seen enough, or
    /// does not estimate at all (`-blocksonly`).
    pub async fn estimate_fee(&self, blocks: u16) -> Result<Option<Amount>, RpcError> {
        match self.call::<FeeEstimate>("estimatesmartfee", rpc_params![blocks]).await {
            Ok(estimate) => Ok(estimate.feerate),
            Err(error @ RpcError::Node { .. }) if !error.is_unavailable() => {
                tracing::debug!(%error, "bitcoind does not estimate fees");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// What the mempool takes.
    pub async fn mempool_info(&self) -> Result<MempoolInfo, RpcError> {
        self.call("getmempoolinfo", rpc_params![]).await
    }
}
