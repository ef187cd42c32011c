#!/bin/sh
# Builds the runtime's wasm and prints its path.
#
#   build-wasm.sh [CARGO_ARGUMENT...]       e.g. build-wasm.sh --features runtime-benchmarks
#
# With rustup's target wasm32v1-none the usual toolchain does; without it, a rustc and cargo in /usr/bin that come with
# the sources of the standard library (Debian: rustc-web cargo-web rust-web-src lld-19).
set -eu
cd "$(dirname "$0")"
: "${CARGO_TARGET_DIR:=target}"
target=wasm32v1-none

if [ -z "${RUSTC:-}" ] && ! ls "$(rustc --print sysroot)/lib/rustlib/$target/lib/"libcore-*.rlib >/dev/null 2>&1; then
    export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1
    cargo=/usr/bin/cargo
    build_std='-Z build-std=core,alloc'
    : "${CARGO_TARGET_WASM32V1_NONE_LINKER:=wasm-ld-19}"
    export CARGO_TARGET_WASM32V1_NONE_LINKER
else
    cargo=cargo
    build_std=
fi

# The runtime's API is reached through the exported function table; paths of the machine do not belong in a runtime.
export CARGO_TARGET_WASM32V1_NONE_RUSTFLAGS="-C link-arg=--export-table --cfg substrate_runtime -C panic=abort"

# shellcheck disable=SC2086
$cargo rustc --locked -p tfchain-runtime --lib --crate-type cdylib --release --target $target $build_std \
    --no-default-features "$@" >&2
echo "$CARGO_TARGET_DIR/$target/release/tfchain_runtime.wasm"
