//! The token with which a twin connects to a relay: a JWT whose header says RS512 and whose signature is the account's own.

use crate::identity::Identity;
use crate::signature::VerifyingKey;
use crate::twin::TwinId;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use swap_contract::document::Account;

/// What all of RMB's programs write there, though no RSA is near.
const ALGORITHM: &str = "RS512";
/// A token of ours is good for this many seconds: it is used at once.
pub const LIFETIME: u64 = 60;
/// No token is longer, in bytes.
const MAX_BYTES: usize = 2048;

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    typ: Option<String>,
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The twin.
    pub sub: TwinId,
    /// When it was made, in Unix seconds. Nobody checks it: clocks differ.
    pub iat: u64,
    /// Until when it is good, in Unix seconds.
    pub exp: u64,
    /// The session, if it has a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
}

/// Why a token opens no door.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// Not three parts, not base64url, not JSON, another algorithm, or too long.
    #[error("not a token: {0}")]
    Malformed(&'static str),
    /// Its time is over.
    #[error("the token expired at {exp}, and it is {now}")]
    Expired {
        /// Until when it was good.
        exp: u64,
        /// Now.
        now: u64,
    },
    /// Somebody else signed it, or nobody.
    #[error("the token is not signed by the twin's account")]
    BadSignature,
}

/// A token for one connection.
pub fn issue(identity: &Identity, session: Option<&str>, now: u64) -> String {
    let part = |json: String| URL_SAFE_NO_PAD.encode(json);
    let json = |text: Result<String, serde_json::Error>| text.expect("texts and numbers are JSON");
    let header = json(serde_json::to_string(&Header { alg: ALGORITHM.into(), typ: Some("JWT".into()) }));
    let claims = Claims { sub: identity.twin(), iat: now, exp: now.saturating_add(LIFETIME), sid: session.map(str::to_owned) };
    let signed = format!("{}.{}", part(header), part(json(serde_json::to_string(&claims))));
    let signature = URL_SAFE_NO_PAD.encode(identity.sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// A token whose signature is yet to be checked, since who must have signed it is in it.
#[derive(Clone, Debug)]
pub struct Unverified<'t> {
    claims: Claims,
    signed: &'t str,
    signature: Vec<u8>,
}

/// Reads a token.
///
/// # Errors
/// It is none, or its time is over.
pub fn read(token: &str, now: u64) -> Result<Unverified<'_>, BadToken> {
    if token.len() > MAX_BYTES {
        return Err(BadToken::Malformed("too long"));
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(BadToken::Malformed("three parts joined by dots are needed"))?;
    let (header, claims) = signed.split_once('.').ok_or(BadToken::Malformed("three parts joined by dots are needed"))?;
    let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| BadToken::Malformed("not base64url without padding"));
    let header: Header = serde_json::from_slice(&bytes(header)?).map_err(|_| BadToken::Malformed("its header is not JSON"))?;
    if header.alg != ALGORITHM {
        return Err(BadToken::Malformed("its algorithm is not called RS512"));
    }
    let claims: Claims = serde_json::from_slice(&bytes(claims)?).map_err(|_| BadToken::Malformed("its claims are not JSON"))?;
    if claims.exp < now {
        return Err(BadToken::Expired { exp: claims.exp, now });
    }
    Ok(Unverified { claims, signed, signature: bytes(signature)? })
}

impl Unverified<'_> {
    /// Who says to have made it.
    pub fn twin(&self) -> TwinId {
        self.claims.sub
    }

    /// What it says, if this account, the twin's, signed it.
    ///
    /// # Errors
    /// It did not.
    pub fn verify(self, account: &Account) -> Result<Claims, BadToken> {
        let key = VerifyingKey::new(account);
        if key.verifies(self.signed.as_bytes(), &self.signature) { Ok(self.claims) } else { Err(BadToken::BadSignature) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::tests::{alice, bob};

    const NOW: u64 = 1_790_000_000;

    #[test]
    fn a_token_of_ours_opens_its_own_session_until_it_expires() {
        let token = issue(&alice(), Some("s"), NOW);
        let claims = read(&token, NOW + LIFETIME).unwrap().verify(&alice().account()).unwrap();
        assert_eq!(claims, Claims { sub: alice().twin(), iat: NOW, exp: NOW + LIFETIME, sid: Some("s".into()) });
        assert_eq!(read(&token, NOW + LIFETIME + 1).unwrap_err(), BadToken::Expired { exp: NOW + LIFETIME, now: NOW + LIFETIME + 1 });
        assert_eq!(read(&token, NOW).unwrap().verify(&bob().account()), Err(BadToken::BadSignature));
    }

    #[test]
    fn tokens_of_other_programs_read_with_or_without_their_optional_parts() {
        let sign = |header: &str, claims: &str| {
            let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
            let signature = URL_SAFE_NO_PAD.encode(alice().sign(signed.as_bytes()));
            format!("{signed}.{signature}")
        };
        for (header, claims) in [
            (r#"{"alg":"RS512"}"#, format!(r#"{{"sub":5,"iat":{},"exp":{}}}"#, NOW + 1, NOW + 1000)),
            (r#"{"alg":"RS512","typ":"JWT"}"#, format!(r#"{{"sub":5,"iat":0,"exp":{},"sid":null}}"#, u64::MAX)),
        ] {
            let token = sign(header, &claims);
            assert_eq!(read(&token, NOW).unwrap().verify(&alice().account()).unwrap().sid, None);
        }
        for (header, claims) in
            [(r#"{"alg":"none"}"#, r#"{"sub":5,"iat":0,"exp":1}"#), (r#"{"alg":"RS512"}"#, r#"{"sub":-5,"iat":0,"exp":1}"#), ("", "")]
        {
            let token = sign(header, claims);
            assert!(matches!(read(&token, 0), Err(BadToken::Malformed(_))), "{header} {claims}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let token = issue(&alice(), None, NOW);
        for bad in ["", ".", "..", "a.b", "a.b.c", "ü.b.c", &token.replace('.', "_"), &format!("{token}."), &"a".repeat(9999)] {
            assert!(matches!(read(bad, NOW), Err(BadToken::Malformed(_))), "{bad}");
        }
        let (start, _) = token.rsplit_once('.').unwrap();
        let unsigned = format!("{start}.");
        assert_eq!(read(&unsigned, NOW).unwrap().verify(&alice().account()), Err(BadToken::BadSignature));
    }
}
