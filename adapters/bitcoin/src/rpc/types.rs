//! The parts of bitcoind's answers that are used. Amounts never pass through a float.

use bitcoin::{Amount, BlockHash, Denomination, OutPoint, TxOut, Txid};
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::value::RawValue;

/// `getblockchaininfo`.
#[derive(Clone, Debug, Deserialize)]
pub struct BlockchainInfo {
    /// Height of the best chain.
    pub blocks: u64,
    /// Height of the best header; above `blocks` while the node catches up.
    pub headers: u64,
    /// The newest block.
    pub bestblockhash: BlockHash,
    /// The newest block's own time, unix seconds.
    pub time: u64,
    /// Its median time past (BIP-113), unix seconds.
    pub mediantime: u64,
    /// Whether the node is still downloading the chain.
    pub initialblockdownload: bool,
}

/// `getblockheader`.
#[derive(Clone, Debug, Deserialize)]
pub struct HeaderInfo {
    /// Position in its chain.
    pub height: u64,
    /// The block.
    pub hash: BlockHash,
    /// The block's own time, unix seconds.
    pub time: u32,
    /// Its median time past (BIP-113), unix seconds.
    pub mediantime: u64,
    /// The block before; none before the genesis block.
    #[serde(default)]
    pub previousblockhash: Option<BlockHash>,
}

/// The newest block, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct TipRef {
    /// The block.
    pub hash: BlockHash,
    /// Its height.
    pub height: u64,
}

/// `getrawtransaction` with verbosity 2.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct SpentInputs {
    pub vin: Vec<SpentInput>,
}

/// An input, and the output that it spends where the node still has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "RawInput")]
pub struct SpentInput {
    /// What it spends; nothing where money is made.
    pub outpoint: Option<OutPoint>,
    /// That output.
    pub output: Option<TxOut>,
    /// What it shows.
    pub witness: Vec<Vec<u8>>,
}

#[derive(Deserialize)]
struct RawInput {
    txid: Option<Txid>,
    vout: Option<u32>,
    #[serde(default)]
    txinwitness: Vec<HexBytes>,
    prevout: Option<RawOutput>,
}

#[derive(Deserialize)]
struct RawOutput {
    #[serde(deserialize_with = "bitcoins")]
    value: Amount,
    #[serde(rename = "scriptPubKey")]
    script: RawScript,
}

#[derive(Deserialize)]
struct RawScript {
    hex: HexBytes,
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct HexBytes(Vec<u8>);

impl TryFrom<String> for HexBytes {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, hex::FromHexError> {
        hex::decode(text).map(Self)
    }
}

impl From<RawInput> for SpentInput {
    fn from(raw: RawInput) -> Self {
        let RawInput { txid, vout, txinwitness, prevout } = raw;
        let output = prevout.map(|output| TxOut { value: output.value, script_pubkey: output.script.hex.0.into() });
        Self {
            outpoint: txid.zip(vout).map(|(txid, vout)| OutPoint { txid, vout }),
            output,
            witness: txinwitness.into_iter().map(|element| element.0).collect(),
        }
    }
}

/// `getmempoolinfo`, in satoshis per 1000 virtual bytes.
#[derive(Clone, Debug, Deserialize)]
pub struct MempoolInfo {
    /// What the mempool takes now; it rises when the mempool is full.
    #[serde(rename = "mempoolminfee", deserialize_with = "bitcoins")]
    pub mempool_min: Amount,
    /// What the node relays.
    #[serde(rename = "minrelaytxfee", deserialize_with = "bitcoins")]
    pub min_relay: Amount,
    /// What a replacement must pay more (BIP-125).
    #[serde(rename = "incrementalrelayfee", deserialize_with = "bitcoins")]
    pub incremental: Amount,
}

/// `estimatesmartfee`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct FeeEstimate {
    /// Per 1000 virtual bytes; missing when the node has not seen enough.
    #[serde(default, deserialize_with = "maybe_bitcoins")]
    pub feerate: Option<Amount>,
}

/// One entry of `testmempoolaccept`.
#[derive(Clone, Debug, Deserialize)]
pub struct MempoolVerdict {
    /// The transaction.
    pub txid: Txid,
    /// Whether the mempool would take it.
    pub allowed: bool,
    /// Its virtual size, if allowed.
    #[serde(default)]
    pub vsize: Option<u64>,
    /// Why not.
    #[serde(default, rename = "reject-reason")]
    pub reject_reason: Option<String>,
}

fn bitcoins<'de, D: Deserializer<'de>>(d: D) -> Result<Amount, D::Error> {
    let raw: &RawValue = Deserialize::deserialize(d)?;
    amount(raw.get()).map_err(D::Error::custom)
}

fn maybe_bitcoins<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Amount>, D::Error> {
    let raw: &RawValue = Deserialize::deserialize(d)?;
    amount(raw.get()).map(Some).map_err(D::Error::custom)
}

/// A decimal number of bitcoins with at most 8 places, digit by digit.
fn amount(text: &str) -> Result<Amount, bitcoin::amount::ParseAmountError> {
    Amount::from_str_in(text, Denomination::Bitcoin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_digit_by_digit() {
        let text = r#"{"mempoolminfee":0.00000100,"minrelaytxfee":0.00001,"incrementalrelayfee":20999999.99999999}"#;
        let info: MempoolInfo = serde_json::from_str(text).unwrap();
        assert_eq!([info.mempool_min, info.min_relay, info.incremental].map(Amount::to_sat), [100, 1_000, 2_099_999_999_999_999]);
        for bad in ["1e-5", "-1", "0.000000001", "\"1\"", "null", "100000000000000"] {
            assert!(serde_json::from_str::<FeeEstimate>(&format!("{{\"feerate\":{bad}}}")).is_err(), "{bad}");
        }
        assert_eq!(serde_json::from_str::<FeeEstimate>(r#"{"errors":["no data"],"blocks":2}"#).unwrap().feerate, None);
    }
}
