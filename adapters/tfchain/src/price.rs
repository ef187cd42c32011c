//! What TF Chain says that a TFT is worth: the pallet `TFTPriceModule`, in which its validators note the price of USDC for TFT on the
//! Stellar exchange about once a minute (threefoldtech/tfchain, `substrate-node/pallets/pallet-tft-price`). Found by name; a runtime
//! without it says nothing.

use crate::TfChain;
use crate::connect::{Runtime, Session};
use crate::error::AskError;
use crate::storage::{self, View};
use swap_contract::amount::MicroUsd;
use swap_contract::port::UsdPrice;
use swap_contract::time::Span;

/// Name of the pallet in the runtime.
const PALLET: &str = "TFTPriceModule";
/// The mean of the last 1,440 prices, in thousandths of a US dollar for one TFT. Zero as long as there is none.
const AVERAGE: &str = "AverageTftPrice";
/// The block for which the newest price was noted.
const SET_AT: &str = "LastBlockSet";
/// Millionths in what the pallet counts.
const MICRO_USD: u64 = 1_000;
/// From block to block.
const BLOCK: Span = Span::secs(6);

impl TfChain {
    /// The price in the best block.
    pub(crate) async fn ask_usd_price(&self, session: &Session) -> Result<Option<UsdPrice>, AskError> {
        let view = View::of(session, session.best().await?).await?;
        if !is_there(view.runtime()) {
            return Ok(None);
        }
        let (average, set_at) = (view.value(PALLET, AVERAGE).await?, view.value(PALLET, SET_AT).await?);
        read(view.runtime(), average.as_deref(), set_at.as_deref(), view.block.number)
    }
}

fn is_there(runtime: &Runtime) -> bool {
    [AVERAGE, SET_AT].iter().all(|entry| storage::value_type(runtime, PALLET, entry).is_ok())
}

/// The price by the bytes of both values after the block of this height. None without a price above zero, and none whose block has not
/// come yet: its age cannot be told.
fn read(runtime: &Runtime, average: Option<&[u8]>, set_at: Option<&[u8]>, height: u64) -> Result<Option<UsdPrice>, AskError> {
    let (Some(average), Some(set_at)) = (average, set_at) else { return Ok(None) };
    let average: u64 = storage::decode(runtime, PALLET, AVERAGE, average)?;
    let set_at: u64 = storage::decode(runtime, PALLET, SET_AT, set_at)?;
    let Some(blocks) = height.checked_sub(set_at).filter(|_| average > 0) else { return Ok(None) };
    let per_tft = MicroUsd(average.saturating_mul(MICRO_USD));
    Ok(Some(UsdPrice { per_tft, age: Span(BLOCK.0.saturating_mul(blocks)) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shapes::tests::upgraded;
    use parity_scale_codec::Encode;

    /// The committed runtime with a price pallet whose values are of the type of `System.<like>`.
    fn with_prices(index: u8, like: &str) -> Runtime {
        upgraded(|metadata| {
            let system = metadata.pallets.iter().find(|pallet| pallet.name == "System").unwrap();
            let mut prices = system.clone();
            (prices.name, prices.index) = (PALLET.into(), index);
            (prices.calls, prices.event, prices.error) = (None, None, None);
            prices.constants.clear();
            let storage = prices.storage.as_mut().unwrap();
            let entry = storage.entries.iter().find(|entry| entry.name == like).unwrap().clone();
            storage.prefix = PALLET.into();
            storage.entries = [AVERAGE, SET_AT]
                .map(|name| {
                    let mut named = entry.clone();
                    named.name = name.into();
                    named
                })
                .into();
            metadata.pallets.push(prices);
        })
    }

    fn price(runtime: &Runtime, average: u32, set_at: u32, height: u64) -> Option<(u64, u64)> {
        let found = read(runtime, Some(&average.encode()), Some(&set_at.encode()), height).unwrap();
        found.map(|price| (price.per_tft.0, price.age.0))
    }

    #[test]
    fn a_price_is_read_wherever_the_pallet_is() {
        for index in [28, 77] {
            let runtime = with_prices(index, "Number");
            assert!(is_there(&runtime));
            assert_eq!(price(&runtime, 13, 1_000, 1_010), Some((13_000, 60_000)));
            assert_eq!(price(&runtime, 1_013, 7, 7), Some((1_013_000, 0)));
            assert_eq!(price(&runtime, u32::MAX, 0, u64::from(u32::MAX)), Some((4_294_967_295_000, 25_769_803_770_000)));
        }
    }

    #[test]
    fn a_runtime_without_the_pallet_has_no_price() {
        assert!(!is_there(&upgraded(|_| {})));
    }

    #[test]
    fn nothing_zero_and_what_is_of_a_later_block_are_no_price() {
        let runtime = with_prices(28, "Number");
        assert_eq!(price(&runtime, 0, 1_000, 1_010), None);
        assert_eq!(price(&runtime, 13, 1_011, 1_010), None);
        let average = 13u32.encode();
        for (average, set_at) in [(None, None), (Some(&average[..]), None), (None, Some(&average[..]))] {
            assert_eq!(read(&runtime, average, set_at, 1_010).unwrap(), None);
        }
    }

    #[test]
    fn bytes_of_another_shape_are_refused() {
        let runtime = with_prices(28, "Number");
        let (value, longer) = (13u32.encode(), 13u64.encode());
        for bad in [&[][..], &value[..3], &longer] {
            assert!(read(&runtime, Some(bad), Some(&value), 1_010).is_err(), "{bad:?}");
            assert!(read(&runtime, Some(&value), Some(bad), 1_010).is_err(), "{bad:?}");
        }
        assert!(read(&with_prices(28, "Events"), Some(&value), Some(&value), 1_010).is_err());
    }
}
