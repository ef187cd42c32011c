//! Asking a runtime's wasm questions without a chain: its metadata, its version.

use std::{borrow::Cow, fs, io::Write, path::{Path, PathBuf}};

use clap::Parser;
use codec::{Decode, Encode};
use polkadot_sdk::{
    sc_cli,
    sc_executor::WasmExecutor,
    sp_core::{
        OpaqueMetadata,
        traits::{CallContext, CodeExecutor, FetchRuntimeCode, RuntimeCode},
    },
    sp_io::{SubstrateHostFunctions, hashing::blake2_256},
    sp_state_machine::BasicExternalities,
};

/// A larger file is no runtime.
const MAX_WASM_BYTES: u64 = 64 * 1024 * 1024;

#[derive(Debug, Parser)]
pub struct MetadataCommand {
    /// The runtime's wasm, plain or zstd-compressed.
    #[arg(long, value_name = "FILE")]
    runtime: PathBuf,

    /// Version of the metadata format.
    #[arg(long, value_name = "N", default_value_t = 15)]
    metadata_version: u32,

    /// Where to write it; standard output if not given.
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl MetadataCommand {
    pub fn run(&self) -> sc_cli::Result<()> {
        let blob = RuntimeBlob::read(&self.runtime)?;
        let answer = blob.call("Metadata_metadata_at_version", &self.metadata_version.encode())?;
        let metadata = Option::<OpaqueMetadata>::decode(&mut &answer[..])
            .map_err(|error| sc_cli::Error::Input(format!("the runtime's answer is not metadata: {error}")))?
            .ok_or_else(|| sc_cli::Error::Input(format!("this runtime has no metadata of version {}", self.metadata_version)))?;
        match &self.out {
            Some(path) => fs::write(path, &*metadata)?,
            None => std::io::stdout().write_all(&metadata)?,
        }
        Ok(())
    }
}

pub struct RuntimeBlob {
    code: Vec<u8>,
}

impl RuntimeBlob {
    pub fn read(path: &Path) -> sc_cli::Result<Self> {
        let size = fs::metadata(path).map_err(|error| unreadable(path, &error))?.len();
        if size > MAX_WASM_BYTES {
            return Err(unreadable(path, &"too large for a runtime"));
        }
        Ok(Self { code: fs::read(path).map_err(|error| unreadable(path, &error))? })
    }

    pub fn code(&self) -> &[u8] {
        &self.code
    }

    /// Calls a function of the runtime's API on an empty state.
    pub fn call(&self, method: &str, arguments: &[u8]) -> sc_cli::Result<Vec<u8>> {
        let executor = WasmExecutor::<SubstrateHostFunctions>::builder().with_allow_missing_host_functions(true).build();
        let code = RuntimeCode { code_fetcher: self, heap_pages: None, hash: blake2_256(&self.code).to_vec() };
        let mut state = BasicExternalities::new_empty();
        let (answer, _) = executor.call(&mut state, &code, method, arguments, CallContext::Offchain);
        answer.map_err(|error| sc_cli::Error::Input(format!("{method}: {error}")))
    }
}

impl FetchRuntimeCode for RuntimeBlob {
    fn fetch_runtime_code(&self) -> Option<Cow<'_, [u8]>> {
        Some(Cow::Borrowed(&self.code))
    }
}

fn unreadable(path: &Path, why: &dyn std::fmt::Display) -> sc_cli::Error {
    sc_cli::Error::Input(format!("cannot read the runtime {}: {why}", path.display()))
}
