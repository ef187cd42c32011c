//! An engine's Bitcoin wallet on another computer: its private descriptors, from its mnemonic.

use anyhow::{Result, anyhow};
use pbkdf2::hmac::{Hmac, Mac};
use pbkdf2::pbkdf2_hmac;
use sha2::{Digest, Sha256, Sha512};

/// BIP-39.
const ROUNDS: u32 = 2048;
/// BIP-32's version bytes of a private key on test networks: `tprv`.
const TPRV: [u8; 4] = [0x04, 0x35, 0x83, 0x94];

/// Receiving and change, as BIP-86 has them.
pub fn private_descriptors(words: &str) -> Result<[String; 2]> {
    let key = master_key(words)?;
    Ok([0, 1].map(|chain| format!("tr({key}/86h/1h/0h/{chain}/*)")))
}

fn master_key(words: &str) -> Result<String> {
    let mut seed = [0; 64];
    pbkdf2_hmac::<Sha512>(words.trim().as_bytes(), b"mnemonic", ROUNDS, &mut seed);
    let mut master = Hmac::<Sha512>::new_from_slice(b"Bitcoin seed").map_err(|error| anyhow!("{error}"))?;
    master.update(&seed);
    let master = master.finalize().into_bytes();
    let (key, chain_code) = master.split_at(32);
    // Depth, the parent's fingerprint and the child's number are all zero.
    let bytes = [&TPRV[..], &[0; 9], chain_code, &[0], key].concat();
    let checksum = Sha256::digest(Sha256::digest(&bytes));
    Ok(bs58::encode([&bytes[..], &checksum[..4]].concat()).into_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_key_is_that_of_other_wallets() {
        // BIP-39's first test vector has another passphrase; this is the same mnemonic with none, as BIP-84 and BIP-86 use it.
        let words = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
        let mainnet = "xprv9s21ZrQH143K3GJpoapnV8SFfukcVBSfeCficPSGfubmSFDxo1kuHnLisriDvSnRRuL2Qrg5ggqHKNVpxR86QEC8w35uxmGoggxtQTPvfUu";
        let bytes = bs58::decode(mainnet).into_vec().unwrap();
        let ours = bs58::decode(master_key(words).unwrap()).into_vec().unwrap();
        // All but the version and the checksum.
        assert_eq!(ours[4..78], bytes[4..78]);
    }
}
