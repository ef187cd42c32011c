//! Free ports, so that several localnets live side by side.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result};

/// Ports of the loopback interface that were free a moment ago, all different.
pub fn free_ports<const N: usize>() -> Result<[u16; N]> {
    // All are held until the last one is known: a port that was given back could be given out again.
    let mut listeners = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on the loopback interface")?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}
