//! Datagrams: one message each.

use super::run::Outlet;
use crate::context::{Context, SourceError, count};
use std::{
    io,
    net::{SocketAddr, UdpSocket},
};

/// Datagrams taken before connections get their turn.
const PER_TURN: usize = 1024;

/// Largest datagram there is.
const LARGEST: usize = 65_535;

/// Binds the socket.
pub(super) fn bind(at: SocketAddr) -> Result<UdpSocket, SourceError> {
    let bind = || {
        let socket = UdpSocket::bind(at)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    };
    bind().map_err(|error: io::Error| SourceError::system(format!("listening on udp {at}"), error))
}

/// Takes the datagrams that are waiting. When there is no room for their lines they are taken all
/// the same: thrown away here they are counted, thrown away by the kernel they are not.
pub(super) fn receive(
    socket: &UdpSocket,
    max_len: usize,
    outlet: &mut Outlet<'_>,
    context: &Context<'_>,
) -> Result<(), SourceError> {
    let mut buffer = vec![0; LARGEST];
    let now = outlet.now(context);
    for _datagram in 0..PER_TURN {
        match socket.recv_from(&mut buffer) {
            Ok((n_bytes, from)) => {
                if outlet.make_room()? {
                    outlet.push(&buffer[..n_bytes.min(max_len)], from.ip(), &now, context);
                } else {
                    count(&outlet.counters().shed);
                }
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => break,
                // An answer to something we never sent, or a signal: nothing is wrong with us.
                io::ErrorKind::Interrupted | io::ErrorKind::ConnectionRefused => {}
                _ => return Err(SourceError::system("receiving datagrams", error)),
            },
        }
    }
    Ok(())
}
