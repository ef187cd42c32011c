//! Free ports, so that several localnets live side by side.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result};

/// Ports of the loopback interface that were free a moment ago, all different.
pub fn free_ports(count: usize) -> Result<Vec<u16>> {
    // All are held until the last one is known: a port that was given back could be given out again.
    let listeners: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on the loopback interface"))
        .collect::<Result<_>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}
