//! One runtime under measurement.

use std::borrow::Cow;

use anyhow::{Context, anyhow, ensure};
use codec::{Decode, Encode};
use polkadot_sdk::{
    frame_benchmarking::{BenchmarkBatch, BenchmarkConfig, BenchmarkList, BenchmarkResult, benchmarking},
    sc_client_db::BenchmarkingState,
    sc_executor::WasmExecutor,
    sp_core::{
        traits::{CallContext, CodeExecutor, FetchRuntimeCode, RuntimeCode},
    },
    sp_externalities::Extensions,
    sp_io::{SubstrateHostFunctions, hashing::blake2_256},
    sp_runtime::traits::BlakeTwo256,
    sp_state_machine::{BasicExternalities, OverlayedChanges, StateMachine},
    sp_storage::Storage,
};

type Executor = WasmExecutor<(SubstrateHostFunctions, benchmarking::HostFunctions)>;

/// What one call costs.
pub struct Cost {
    pub nanoseconds: u128,
    pub reads: u32,
    pub writes: u32,
}

pub struct Runtime<'a> {
    wasm: Code<'a>,
    hash: Vec<u8>,
    executor: Executor,
    genesis: Storage,
}

struct Code<'a>(&'a [u8]);

impl FetchRuntimeCode for Code<'_> {
    fn fetch_runtime_code(&self) -> Option<Cow<'_, [u8]>> {
        Some(Cow::Borrowed(self.0))
    }
}

impl<'a> Runtime<'a> {
    /// Reads the runtime and builds the genesis of its development preset.
    pub fn new(wasm: &'a [u8]) -> anyhow::Result<Self> {
        let executor = Executor::builder().with_allow_missing_host_functions(true).build();
        let mut runtime = Self { wasm: Code(wasm), hash: blake2_256(wasm).to_vec(), executor, genesis: Storage::default() };
        let preset = runtime.call_on_nothing("GenesisBuilder_get_preset", &Some("development").encode())?.1;
        let preset = Option::<Vec<u8>>::decode(&mut &preset[..])?.context("the runtime has no development preset")?;
        let default = runtime.call_on_nothing("GenesisBuilder_get_preset", &Option::<&str>::None.encode())?.1;
        let default = Option::<Vec<u8>>::decode(&mut &default[..])?.context("the runtime has no default genesis")?;
        let genesis = merged(&default, &preset)?;
        let (state, built) = runtime.call_on_nothing("GenesisBuilder_build_state", &genesis.encode())?;
        Result::<(), String>::decode(&mut &built[..])?.map_err(|error| anyhow!("genesis: {error}"))?;
        runtime.genesis = state;
        Ok(runtime)
    }

    /// Names of the benchmarks of a pallet.
    pub fn benchmarks_of(&self, pallet: &str) -> anyhow::Result<Vec<String>> {
        let state = self.state()?;
        let answer = self.call(&state, "Benchmark_benchmark_metadata", &false.encode())?;
        let (lists, _) = <(Vec<BenchmarkList>, codec::Compact<u32>)>::decode(&mut &answer[..])?;
        let list = lists.into_iter().find(|list| list.pallet == pallet.as_bytes()).context("the runtime does not measure this pallet")?;
        list.benchmarks.into_iter().map(|benchmark| Ok(String::from_utf8(benchmark.name)?)).collect()
    }

    /// Runs a benchmark `repeat` times, each on a fresh genesis.
    pub fn measure(&self, pallet: &str, name: &str, repeat: u32) -> anyhow::Result<Cost> {
        let state = self.state()?;
        let config = |verify| BenchmarkConfig {
            pallet: pallet.as_bytes().to_vec(),
            instance: b"Htlc".to_vec(),
            benchmark: name.as_bytes().to_vec(),
            selected_components: Vec::new(),
            verify,
            internal_repeats: 1,
        };
        self.dispatch(&state, &config(true))?;
        let mut results = Vec::new();
        for _ in 0..repeat {
            results.extend(self.dispatch(&state, &config(false))?);
        }
        ensure!(!results.is_empty(), "{name} gave no result");
        results.sort_by_key(|result| result.extrinsic_time);
        Ok(Cost {
            nanoseconds: results[results.len() / 2].extrinsic_time,
            reads: results.iter().map(|result| result.reads).max().unwrap_or_default(),
            writes: results.iter().map(|result| result.writes).max().unwrap_or_default(),
        })
    }

    fn dispatch(&self, state: &BenchmarkingState<BlakeTwo256>, config: &BenchmarkConfig) -> anyhow::Result<Vec<BenchmarkResult>> {
        let answer = self.call(state, "Benchmark_dispatch_benchmark", &config.encode())?;
        let batches = Result::<Vec<BenchmarkBatch>, String>::decode(&mut &answer[..])?.map_err(|error| anyhow!(error))?;
        Ok(batches.into_iter().flat_map(|batch| batch.results).collect())
    }

    fn state(&self) -> anyhow::Result<BenchmarkingState<BlakeTwo256>> {
        BenchmarkingState::new(self.genesis.clone(), None, false, true).map_err(|error| anyhow!(error))
    }

    fn call(&self, state: &BenchmarkingState<BlakeTwo256>, method: &str, arguments: &[u8]) -> anyhow::Result<Vec<u8>> {
        let mut changes = OverlayedChanges::default();
        let mut extensions = Extensions::default();
        let code = self.code();
        StateMachine::new(state, &mut changes, &self.executor, method, arguments, &mut extensions, &code, CallContext::Offchain)
            .execute()
            .map_err(|error| anyhow!("{method}: {error}"))
    }

    fn call_on_nothing(&self, method: &str, arguments: &[u8]) -> anyhow::Result<(Storage, Vec<u8>)> {
        let mut state = BasicExternalities::new_empty();
        let (answer, _) = self.executor.call(&mut state, &self.code(), method, arguments, CallContext::Offchain);
        Ok((state.into_storages(), answer.map_err(|error| anyhow!("{method}: {error}"))?))
    }

    fn code(&self) -> RuntimeCode<'_> {
        RuntimeCode { code_fetcher: &self.wasm, heap_pages: None, hash: self.hash.clone() }
    }
}

/// The default genesis with the preset's parts in place of its own.
fn merged(default: &[u8], preset: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut genesis: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(default)?;
    let preset: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(preset)?;
    for (pallet, part) in preset {
        let own = genesis.entry(pallet).or_insert_with(|| serde_json::json!({}));
        match (own, part) {
            (serde_json::Value::Object(own), serde_json::Value::Object(part)) => own.extend(part),
            (own, part) => *own = part,
        }
    }
    Ok(serde_json::to_vec(&genesis)?)
}
