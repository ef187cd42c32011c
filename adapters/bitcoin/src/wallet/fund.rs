//! Building and signing the transaction that pays one output of an exact amount.

use super::state::{State, is_own_change};
use super::{OwnWallet, WalletError};
use bdk_wallet::error::CreateTxError;
use bdk_wallet::{KeychainKind, SignOptions};
use bitcoin::{Amount, FeeRate, OutPoint, Psbt, ScriptBuf, Transaction, TxOut, Txid, Weight};
use htlc_bitcoin::size;
use std::collections::HashSet;

/// Virtual bytes of a funding with one P2TR input, the HTLC and change: what is quoted when there is no money to try with.
const TYPICAL_VSIZE: u64 = 154;

/// A signed funding. Nothing in the wallet depends on whether it is ever sent.
#[derive(Clone, Debug)]
pub struct Funding {
    /// Ready to send.
    pub tx: Transaction,
    /// What it pays.
    pub fee: Amount,
}

/// What a funding would cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FundingSize {
    /// Virtual bytes.
    pub vsize: u64,
    /// Fee.
    pub fee: Amount,
}

impl OwnWallet {
    /// Builds and signs a transaction that pays `amount` to `script` and the rest back. It spends confirmed coins and own
    /// change only, none of `reserved`; it can be replaced (BIP-125) and is worthless to fee snipers.
    pub fn fund(&self, script: ScriptBuf, amount: Amount, rate: FeeRate, reserved: &HashSet<OutPoint>) -> Result<Funding, WalletError> {
        let mut state = self.state();
        let psbt = state.build(script, amount, rate, reserved)?;
        self.sign(&mut state, psbt)
    }

    /// Builds and signs a replacement of a funding that waits: every input of it and the same output, at a higher rate
    /// (BIP-125). Refused when something spends its change already: a replacement would take that out of the mempool with it.
    pub fn bump(&self, old: &Transaction, htlc: &TxOut, rate: FeeRate, reserved: &HashSet<OutPoint>) -> Result<Funding, WalletError> {
        let mut state = self.state();
        let txid = old.compute_txid();
        if reserved.iter().any(|coin| coin.txid == txid) || state.has_spent_change(old) {
            return Err(WalletError::Build("the change of this funding is spent already".to_owned()));
        }
        let psbt = state.build_replacement(txid, rate, reserved)?;
        if !psbt.unsigned_tx.output.contains(htlc) {
            return Err(WalletError::Build("the transaction does not fund this HTLC".to_owned()));
        }
        // From here on nobody builds on what is about to be replaced.
        state.replaced.insert(txid);
        self.sign(&mut state, psbt)
    }

    fn sign(&self, state: &mut State, mut psbt: Psbt) -> Result<Funding, WalletError> {
        state.unsaved_addresses += 1;
        state.stage();
        let fee = psbt.fee().map_err(|error| WalletError::Build(error.to_string()))?;
        psbt.sign(&self.root.0, state.wallet.secp_ctx()).map_err(|(_, errors)| WalletError::Build(format!("{errors:?}")))?;
        let complete =
            state.wallet.finalize_psbt(&mut psbt, SignOptions::default()).map_err(|error| WalletError::Build(error.to_string()))?;
        if !complete {
            return Err(WalletError::Build("an input lacks its signature".to_owned()));
        }
        let tx = psbt.extract_tx().map_err(|error| WalletError::Build(error.to_string()))?;
        Ok(Funding { tx, fee })
    }

    /// What [`OwnWallet::fund`] would cost with the coins there are now; a typical size if they do not suffice.
    pub fn funding_size(&self, amount: Amount, rate: FeeRate, reserved: &HashSet<OutPoint>) -> FundingSize {
        let mut state = self.state();
        // Any P2TR script is as long as the HTLC's.
        let script = state.wallet.peek_address(KeychainKind::Internal, 0).address.script_pubkey();
        let Ok(psbt) = state.build(script, amount, rate, reserved) else {
            let weight = Weight::from_wu(4 * TYPICAL_VSIZE);
            return FundingSize { vsize: TYPICAL_VSIZE, fee: size::fee(weight, rate) };
        };
        state.release_change(&psbt);
        let marker_and_flag = Weight::from_wu(2);
        let signatures: Weight = psbt.inputs.iter().map(|_| size::KEY_WITNESS).sum();
        let weight = psbt.unsigned_tx.weight() + marker_and_flag + signatures;
        let fee = psbt.fee().unwrap_or(Amount::ZERO);
        FundingSize { vsize: weight.to_vbytes_ceil(), fee }
    }

    /// Watch-only descriptors, receiving and change (BIP-380, BIP-86).
    pub fn descriptors(&self) -> [String; 2] {
        let state = self.state();
        [KeychainKind::External, KeychainKind::Internal].map(|kind| state.wallet.public_descriptor(kind).to_string())
    }
}

impl State {
    fn build(&mut self, script: ScriptBuf, amount: Amount, rate: FeeRate, reserved: &HashSet<OutPoint>) -> Result<Psbt, WalletError> {
        let forbidden = self.forbidden(reserved);
        let mut builder = self.wallet.build_tx();
        builder.add_recipient(script, amount).fee_rate(rate).unspendable(forbidden);
        builder.finish().map_err(|error| match error {
            CreateTxError::CoinSelection(short) => WalletError::InsufficientFunds { available: short.available, needed: short.needed },
            error => WalletError::Build(error.to_string()),
        })
    }

    fn build_replacement(&mut self, old: Txid, rate: FeeRate, reserved: &HashSet<OutPoint>) -> Result<Psbt, WalletError> {
        let forbidden = self.forbidden(reserved);
        let mut builder = self.wallet.build_fee_bump(old).map_err(|error| WalletError::Build(error.to_string()))?;
        builder.fee_rate(rate).unspendable(forbidden);
        builder.finish().map_err(|error| match error {
            CreateTxError::CoinSelection(short) => WalletError::InsufficientFunds { available: short.available, needed: short.needed },
            error => WalletError::Build(error.to_string()),
        })
    }

    /// Coins that nothing new is built on: reserved ones, other people's that wait for a block, and what is about to be replaced.
    fn forbidden(&self, reserved: &HashSet<OutPoint>) -> Vec<OutPoint> {
        let waiting = self.wallet.list_unspent().filter(|coin| coin.chain_position.is_unconfirmed());
        let untrusted = waiting.filter(|coin| !is_own_change(coin) || self.replaced.contains(&coin.outpoint.txid));
        untrusted.map(|coin| coin.outpoint).chain(reserved.iter().copied()).collect()
    }

    /// Whether a transaction that may still happen spends an output of this one.
    fn has_spent_change(&self, tx: &Transaction) -> bool {
        let txid = tx.compute_txid();
        let spends = |other: &Transaction| other.input.iter().any(|input| input.previous_output.txid == txid);
        self.wallet.transactions().any(|other| spends(&other.tx_node.tx))
    }

    /// A transaction that was only tried out needs no change address of its own.
    fn release_change(&mut self, psbt: &Psbt) {
        for output in &psbt.unsigned_tx.output {
            if let Some((KeychainKind::Internal, index)) = self.wallet.derivation_of_spk(output.script_pubkey.clone()) {
                self.wallet.unmark_used(KeychainKind::Internal, index);
            }
        }
        self.stage();
    }
}
