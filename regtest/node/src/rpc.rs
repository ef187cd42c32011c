//! What the RPC server offers beside the standard methods: nonces, fees, and the movable clock.

use std::sync::Arc;

use jsonrpsee::{
    Extensions, RpcModule,
    core::{RpcResult, RegisterMethodError},
    proc_macros::rpc,
    types::ErrorObjectOwned,
};
use polkadot_sdk::{
    pallet_transaction_payment_rpc::{TransactionPayment, TransactionPaymentApiServer},
    sc_rpc_api::check_if_safe,
    substrate_frame_rpc_system::{System, SystemApiServer},
};

use crate::{
    clock::Clock,
    service::{Client, Pool},
};

/// Development only. Refused to callers from outside the machine, like every unsafe method.
#[rpc(server)]
pub trait Dev {
    /// Moves the chain's clock by `ms`, rounded up to whole slots. Returns the total offset in milliseconds.
    ///
    /// The next block carries the moved time. Every authority of the chain has to be moved.
    #[method(name = "dev_advanceTime", with_extensions, blocking)]
    fn advance_time(&self, ms: u64) -> RpcResult<u64>;

    /// Milliseconds that the chain's clock is ahead of the machine's.
    #[method(name = "dev_timeOffset")]
    fn time_offset(&self) -> RpcResult<u64>;
}

/// JSON-RPC error code of a refused move of the clock.
const CLOCK_ERROR: i32 = 9_000;

struct DevRpc(Arc<Clock>);

impl DevServer for DevRpc {
    fn advance_time(&self, ext: &Extensions, ms: u64) -> RpcResult<u64> {
        check_if_safe(ext)?;
        self.0.advance(ms).map_err(|error| ErrorObjectOwned::owned(CLOCK_ERROR, error.to_string(), None::<()>))
    }

    fn time_offset(&self) -> RpcResult<u64> {
        Ok(self.0.offset_ms())
    }
}

pub fn module(client: Arc<Client>, pool: Arc<Pool>, clock: Arc<Clock>) -> Result<RpcModule<()>, RegisterMethodError> {
    let mut module = RpcModule::new(());
    module.merge(System::new(client.clone(), pool).into_rpc())?;
    module.merge(TransactionPayment::new(client).into_rpc())?;
    module.merge(DevRpc(clock).into_rpc())?;
    Ok(module)
}
