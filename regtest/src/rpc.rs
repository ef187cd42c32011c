//! A JSON-RPC client over HTTP, blocking, for bitcoind, the TF Chain node and the engines alike.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fmt, fs};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};

/// Everything is on this machine; scanning the whole UTXO set is the longest thing asked.
const TIMEOUT: Duration = Duration::from_secs(60);
/// An answer larger than this is no answer to anything asked here.
const MAX_ANSWER: u64 = 64 * 1024 * 1024;

/// How a server wants to be convinced. Files are read at each call, since servers rewrite them when they start.
#[derive(Clone, Debug)]
pub enum Auth {
    None,
    /// bitcoind's `user:password` file.
    Cookie(PathBuf),
    /// The engine's owner token.
    Token(PathBuf),
}

/// The server's own error answer.
#[derive(Debug)]
pub struct RpcError {
    pub code: i64,
    pub message: String,
    pub data: Value,
}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {})", self.message, self.code)?;
        if !self.data.is_null() {
            write!(f, " {}", self.data)?;
        }
        Ok(())
    }
}

impl std::error::Error for RpcError {}

#[derive(Clone, Debug)]
pub struct Client {
    url: String,
    auth: Auth,
    agent: ureq::Agent,
    record: Option<PathBuf>,
}

impl Client {
    pub fn new(url: impl Into<String>, auth: Auth) -> Self {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            // bitcoind puts an error answer into a body with status 500.
            .http_status_as_error(false)
            .proxy(None)
            .build()
            .new_agent();
        Self { url: url.into(), auth, agent, record: None }
    }

    /// Appends every answer to a file.
    pub fn recording(self, file: PathBuf) -> Self {
        Self { record: Some(file), ..self }
    }

    /// One call. `params` is an array, or one object for named parameters.
    ///
    /// # Errors
    /// [`RpcError`] if the server answered with an error; otherwise it could not be reached or made no sense.
    pub fn call(&self, method: &str, params: &Value) -> Result<Value> {
        self.try_call(method, params).with_context(|| format!("{method} at {}", self.url))
    }

    fn try_call(&self, method: &str, params: &Value) -> Result<Value> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let mut request = self.agent.post(&self.url).header("Content-Type", "application/json");
        match &self.auth {
            Auth::None => {}
            Auth::Cookie(path) => {
                request = request.header("Authorization", format!("Basic {}", base64(secret(path)?.as_bytes())));
            }
            Auth::Token(path) => request = request.header("Authorization", format!("Bearer {}", secret(path)?)),
        }
        let mut response = request.send(body)?;
        let status = response.status();
        let text = response.body_mut().with_config().limit(MAX_ANSWER).read_to_string()?;
        if let Some(file) = &self.record {
            let mut record = fs::File::options().create(true).append(true).open(file)?;
            writeln!(record, "{text}")?;
        }
        let mut answer: Value = match serde_json::from_str(&text) {
            Ok(answer) => answer,
            Err(_) => bail!("HTTP {status}: {}", text.chars().take(200).collect::<String>()),
        };
        let error = &answer["error"];
        if !error.is_null() {
            bail!(RpcError {
                code: error["code"].as_i64().unwrap_or_default(),
                message: error["message"].as_str().unwrap_or("an error without a message").to_owned(),
                data: error["data"].clone(),
            });
        }
        match answer.get_mut("result") {
            Some(result) => Ok(result.take()),
            None => Err(anyhow!("HTTP {status}: an answer without a result")),
        }
    }
}

fn secret(path: &Path) -> Result<String> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.trim().to_owned())
}

/// RFC 4648, with padding: the one thing HTTP's Basic authorization needs it for.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            if place <= chunk.len() {
                text.push(char::from(ALPHABET[(word >> (18 - 6 * place) & 63) as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_follows_the_vectors_of_rfc_4648() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
