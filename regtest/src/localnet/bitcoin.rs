//! The localnet's bitcoind: how it is started, asked and made to mine. It has no wallet; others own the keys.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};

use super::process::Spec;
use super::state::{BitcoinState, Home};
use crate::rpc::Client;

pub const SERVICE: &str = "bitcoind";
/// Anyone can spend: where the rewards of blocks go that are mined for nobody.
const NOBODY: &str = "raw(51)";
/// BIP-113: the median of this many blocks is the chain's own time.
pub const MEDIAN_TIME_BLOCKS: u32 = 11;
/// A coinbase output can be spent when this many blocks lie on its own.
pub const COINBASE_MATURITY: u32 = 100;
const SATS_PER_BITCOIN: u64 = 100_000_000;

/// Prepares the data folder and says how to start bitcoind.
pub fn spec(home: &Home, bitcoind: &Path, port: u16) -> Result<(Spec, BitcoinState)> {
    let data = home.folder().join("bitcoin");
    fs::create_dir_all(&data)?;
    let spec = Spec {
        name: SERVICE.to_owned(),
        program: bitcoind.to_path_buf(),
        args: vec![
            "-regtest".to_owned(),
            format!("-datadir={}", data.display()),
            "-server=1".to_owned(),
            format!("-rpcport={port}"),
            "-rpcbind=127.0.0.1".to_owned(),
            "-rpcallowip=127.0.0.1".to_owned(),
            // Nobody to talk to: no port, no search for peers.
            "-listen=0".to_owned(),
            "-dnsseed=0".to_owned(),
            "-fixedseeds=0".to_owned(),
            // The rules of mainnet's mempool.
            "-acceptnonstdtxn=0".to_owned(),
            "-dbcache=32".to_owned(),
            "-par=1".to_owned(),
            "-printtoconsole=1".to_owned(),
            "-nodebuglogfile".to_owned(),
        ],
        env: Vec::new(),
        log: home.log(SERVICE),
    };
    let cli = bitcoind.with_file_name("bitcoin-cli");
    let state = BitcoinState {
        pid: 0,
        rpc_url: format!("http://127.0.0.1:{port}"),
        cookie_file: data.join("regtest").join(".cookie"),
        log: spec.log.clone(),
        cli: cli.is_file().then_some(cli),
    };
    Ok((spec, state))
}

/// Where the rewards of a branch go: its blocks differ from those they replace.
const NOBODY_ELSE: &str = "raw(52)";

#[derive(Clone, Debug)]
pub struct Bitcoin {
    client: Client,
}

/// One transaction in a block, as bitcoind tells it.
#[derive(Clone, Debug)]
pub struct MinedTransaction {
    pub txid: String,
    pub height: u64,
    pub vsize: u64,
    /// Satoshis; none for a coinbase.
    pub fee: Option<u64>,
    /// Satoshis of each output.
    pub outputs: Vec<u64>,
}

/// Coins by their names, and what they are worth together.
#[derive(Clone, Debug)]
pub struct Coins {
    coins: Vec<Value>,
    sats: u64,
}

impl Bitcoin {
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    pub fn height(&self) -> Result<u64> {
        let height = self.client.call("getblockcount", &json!([]))?;
        height.as_u64().ok_or_else(|| anyhow!("bitcoind's height is {height}"))
    }

    /// The median time past of the tip, unix seconds.
    pub fn median_time(&self) -> Result<u64> {
        let info = self.client.call("getblockchaininfo", &json!([]))?;
        info["mediantime"].as_u64().ok_or_else(|| anyhow!("no median time in {info}"))
    }

    pub fn mine(&self, blocks: u32) -> Result<()> {
        self.client.call("generatetodescriptor", &json!([blocks, NOBODY]))?;
        Ok(())
    }

    pub fn mine_to(&self, blocks: u32, address: &str) -> Result<()> {
        self.client.call("generatetoaddress", &json!([blocks, address]))?;
        Ok(())
    }

    /// Takes the newest `blocks` out of the chain. Their transactions wait again.
    pub fn take_back(&self, blocks: u64) -> Result<()> {
        let first = self.height()? + 1 - blocks;
        let hash = self.client.call("getblockhash", &json!([first]))?;
        self.client.call("invalidateblock", &json!([hash]))?;
        Ok(())
    }

    /// Mines a block with just these transactions, ids of waiting ones or raw ones, each behind those it spends.
    pub fn mine_with(&self, transactions: &[String]) -> Result<()> {
        self.client.call("generateblock", &json!([NOBODY_ELSE, transactions]))?;
        Ok(())
    }

    /// Ids of the transactions that wait, each behind those it spends, without some and without what spends those.
    pub fn waiting_without(&self, left_out: &[String]) -> Result<Vec<String>> {
        let waiting = self.client.call("getrawmempool", &json!([true]))?;
        let waiting = waiting.as_object().ok_or_else(|| anyhow!("the mempool is no list"))?;
        let mut in_order: Vec<(u64, &String, &Value)> =
            waiting.iter().map(|(id, entry)| (entry["ancestorcount"].as_u64().unwrap_or(u64::MAX), id, &entry["depends"])).collect();
        in_order.sort_by_key(|(ancestors, id, _)| (*ancestors, *id));
        let (mut left_out, mut ids) = (left_out.to_vec(), Vec::new());
        for (_, id, depends) in in_order {
            let spends = |out: &String| depends.as_array().is_some_and(|depends| depends.iter().any(|spent| spent == out.as_str()));
            let list = if left_out.iter().any(|out| out == id || spends(out)) { &mut left_out } else { &mut ids };
            list.push(id.clone());
        }
        Ok(ids)
    }

    /// The coins that a transaction in the block at `height` spends.
    pub fn coins_of(&self, transaction: &str, height: u64) -> Result<Coins> {
        let hash = self.client.call("getblockhash", &json!([height]))?;
        let transaction = self.client.call("getrawtransaction", &json!([transaction, 2, hash]))?;
        let inputs = transaction["vin"].as_array().cloned().unwrap_or_default();
        let coins = inputs.iter().map(|input| json!({ "txid": input["txid"], "vout": input["vout"] })).collect();
        let sats = inputs.iter().map(|input| satoshis(&input["prevout"]["value"])).sum::<Result<u64>>()?;
        Ok(Coins { coins, sats })
    }

    /// A raw transaction that spends coins, which nothing in the chain spends, to `address`. Whoever has the private `descriptors`
    /// can make it.
    pub fn spend(&self, coins: &Coins, address: &str, fee: u64, descriptors: &[String], range: u32) -> Result<String> {
        let amount = coins.sats.checked_sub(fee).ok_or_else(|| anyhow!("the coins do not pay the fee"))?;
        let amount = format!("{}.{:08}", amount / SATS_PER_BITCOIN, amount % SATS_PER_BITCOIN);
        let psbt = self.client.call("createpsbt", &json!([coins.coins, [{ address: amount }]]))?;
        let objects: Vec<Value> = descriptors.iter().map(|descriptor| json!({ "desc": descriptor, "range": range })).collect();
        let signed = self.client.call("descriptorprocesspsbt", &json!([psbt, objects]))?;
        Ok(signed["hex"].as_str().ok_or_else(|| anyhow!("not all of the coins can be spent: {signed}"))?.to_owned())
    }

    /// Stops bitcoind's clock at this unix time.
    pub fn set_time(&self, unix_seconds: u64) -> Result<()> {
        self.client.call("setmocktime", &json!([unix_seconds]))?;
        Ok(())
    }

    /// Satoshis of all unspent outputs that the descriptors own, from the whole UTXO set.
    pub fn unspent(&self, descriptors: &[String], range: u32) -> Result<u64> {
        let objects: Vec<Value> = descriptors.iter().map(|descriptor| json!({ "desc": descriptor, "range": range })).collect();
        let scan = self.client.call("scantxoutset", &json!(["start", objects]))?;
        let unspents = scan["unspents"].as_array().ok_or_else(|| anyhow!("scantxoutset lists nothing"))?;
        unspents.iter().map(|unspent| satoshis(&unspent["amount"])).sum()
    }

    /// Every transaction of one block but the coinbase.
    pub fn transactions(&self, height: u64) -> Result<Vec<MinedTransaction>> {
        let hash = self.client.call("getblockhash", &json!([height]))?;
        let block = self.client.call("getblock", &json!([hash, 2]))?;
        let transactions = block["tx"].as_array().ok_or_else(|| anyhow!("block {height} lists no transactions"))?;
        transactions.iter().skip(1).map(|transaction| mined(transaction, height)).collect()
    }
}

fn mined(transaction: &Value, height: u64) -> Result<MinedTransaction> {
    let outputs = transaction["vout"].as_array().cloned().unwrap_or_default();
    Ok(MinedTransaction {
        txid: transaction["txid"].as_str().ok_or_else(|| anyhow!("a transaction without an id"))?.to_owned(),
        height,
        vsize: transaction["vsize"].as_u64().ok_or_else(|| anyhow!("a transaction without a size"))?,
        fee: if transaction["fee"].is_null() { None } else { Some(satoshis(&transaction["fee"])?) },
        outputs: outputs.iter().map(|output| satoshis(&output["value"])).collect::<Result<_>>()?,
    })
}

/// bitcoind writes amounts as decimal numbers of bitcoins with 8 places, which a double holds exactly enough.
fn satoshis(amount: &Value) -> Result<u64> {
    let bitcoins = amount.as_f64().ok_or_else(|| anyhow!("{amount} is no amount"))?;
    format!("{bitcoins:.8}").replace('.', "").parse().with_context(|| format!("{amount} is no amount"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_bitcoins_become_exact_satoshis() {
        for (text, expected) in
            [("0.00000001", 1), ("20999999.97690000", 2_099_999_997_690_000), ("50", 5_000_000_000), ("0.1", 10_000_000)]
        {
            let amount: Value = serde_json::from_str(text).unwrap();
            assert_eq!(satoshis(&amount).unwrap(), expected);
        }
        assert!(satoshis(&json!("50")).is_err());
        assert!(satoshis(&json!(-1)).is_err());
    }
}
