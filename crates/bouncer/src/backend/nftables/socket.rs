//! The netlink socket: transactions in, dumps out.
//!
//! A transaction is one datagram, processed by the kernel before `send` returns; its answers wait
//! in the receive buffer by then. Only its last message asks for an answer, so a good transaction
//! of any size answers once.

use std::{
    io,
    os::fd::{AsRawFd as _, OwnedFd},
};

use nix::{
    errno::Errno,
    sys::{
        socket::{
            AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind,
            getsockopt, recv, send, setsockopt, socket, sockopt,
        },
        time::TimeVal,
    },
};

use super::wire::{Message, Messages, attribute, messages, number, u32_of};
use crate::backend::BackendError;

/// Answers of the kernel are cut into pieces of at most this size.
const ANSWER: usize = 64 * 1024;
/// Room for the errors of a bad transaction, which come one for each bad message.
const RECEIVE_BUFFER: usize = 4 << 20;
/// Reading the ruleset is begun anew this often when it changes meanwhile.
const ATTEMPTS: usize = 20;

/// See the module.
pub(super) struct Socket {
    fd: OwnedFd,
    sequence: u32,
    /// What a datagram may be long.
    room: usize,
    buffer: Vec<u8>,
}

/// What became of a transaction.
#[derive(Debug)]
pub(super) enum Outcome {
    Done,
    /// Nothing of it was done.
    Refused(Errno),
}

impl Socket {
    pub(super) fn open() -> Result<Self, BackendError> {
        let fd = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkNetFilter,
        )
        .map_err(|errno| match errno {
            Errno::EPROTONOSUPPORT | Errno::EAFNOSUPPORT => {
                BackendError::Unsupported("this kernel has no netfilter netlink".to_owned())
            }
            errno => refused("opening a netlink socket", errno),
        })?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0))
            .map_err(|errno| refused("binding a netlink socket", errno))?;
        // A kernel that stays silent must not hold us for ever.
        setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::new(30, 0))
            .map_err(|errno| refused("bounding the wait for the kernel", errno))?;
        if setsockopt(&fd, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
            // Without the right to go beyond the limit, what the limit allows must do.
            let _ = setsockopt(&fd, sockopt::RcvBuf, &RECEIVE_BUFFER);
        }
        let mut opened = Self { fd, sequence: 1, room: 0, buffer: vec![0; ANSWER] };
        opened.room = opened.send_buffer();
        Ok(opened)
    }

    /// The longest datagram the kernel takes; the sizes in `getsockopt` are doubled ones.
    fn send_buffer(&self) -> usize {
        getsockopt(&self.fd, sockopt::SndBuf).unwrap_or(0).saturating_sub(64)
    }

    /// Makes room for a datagram of `length`, as far as we may. Tells how much there is.
    pub(super) fn make_room(&mut self, length: usize) -> usize {
        if self.room < length {
            let wanted = length / 2 + 4096;
            if setsockopt(&self.fd, sockopt::SndBufForce, &wanted).is_err() {
                let _ = setsockopt(&self.fd, sockopt::SndBuf, &wanted);
            }
            self.room = self.send_buffer();
        }
        self.room
    }

    /// A transaction to write messages into.
    pub(super) fn begin(&mut self) -> Messages {
        let mut batch = Messages::new(self.sequence);
        batch.write_batch(number::BATCH_BEGIN);
        batch
    }

    /// Ends a transaction and hands it to the kernel.
    pub(super) fn transact(
        &mut self,
        mut batch: Messages,
        doing: &'static str,
    ) -> Result<Outcome, BackendError> {
        // On the last message and not on the end of the batch, which answers since Linux 6.10 only.
        batch.acknowledge_last();
        let asked = batch.sequence();
        batch.write_batch(number::BATCH_END);
        self.sequence = batch.sequence();
        self.make_room(batch.len());
        self.drain();
        loop {
            match send(self.fd.as_raw_fd(), batch.as_bytes(), MsgFlags::empty()) {
                Ok(_) => break,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(refused(doing, errno)),
            }
        }
        drop(batch);
        let mut was_answered = false;
        let mut failure = None;
        loop {
            let n = match recv(self.fd.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(n) => n,
                Err(Errno::EINTR) => continue,
                Err(Errno::EAGAIN) => break,
                // More errors than the buffer holds; one is enough.
                Err(Errno::ENOBUFS) => {
                    failure = failure.or(Some(Errno::ENOBUFS));
                    continue;
                }
                Err(errno) => return Err(refused(doing, errno)),
            };
            for message in messages(&self.buffer[..n]) {
                let Some((sequence, code)) =
                    message.error().filter(|_| message.kind == number::ERROR)
                else {
                    continue;
                };
                if code == 0 {
                    was_answered |= sequence == asked;
                } else if failure.is_none() {
                    failure = Some(Errno::from_raw(code));
                }
            }
        }
        match failure {
            Some(Errno::EPERM) => Err(forbidden()),
            Some(errno) => Ok(Outcome::Refused(errno)),
            None if was_answered => Ok(Outcome::Done),
            None => Err(refused(doing, Errno::EPROTO)),
        }
    }

    /// Reads everything of one kind. What is not there reads as nothing.
    pub(super) fn dump<T>(
        &mut self,
        doing: &'static str,
        write: impl Fn(&mut Messages),
        mut read: impl FnMut(&mut T, &Message<'_>),
        mut fresh: impl FnMut() -> T,
    ) -> Result<T, BackendError> {
        for _ in 0..ATTEMPTS {
            let mut found = fresh();
            if self.dump_once(doing, &write, |message| read(&mut found, message))? {
                return Ok(found);
            }
        }
        Err(BackendError::Busy { doing })
    }

    /// `false` when the ruleset changed meanwhile.
    fn dump_once(
        &mut self,
        doing: &'static str,
        write: impl Fn(&mut Messages),
        mut read: impl FnMut(&Message<'_>),
    ) -> Result<bool, BackendError> {
        let mut request = Messages::new(self.sequence);
        write(&mut request);
        self.sequence = request.sequence();
        self.drain();
        send(self.fd.as_raw_fd(), request.as_bytes(), MsgFlags::empty())
            .map_err(|errno| refused(doing, errno))?;
        let mut is_whole = true;
        loop {
            let n = match recv(self.fd.as_raw_fd(), &mut self.buffer, MsgFlags::empty()) {
                Ok(n) => n,
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(refused(doing, errno)),
            };
            for message in messages(&self.buffer[..n]) {
                if message.sequence != self.sequence {
                    continue;
                }
                is_whole &= message.flags & number::INTERRUPTED == 0;
                match message.kind {
                    number::DONE => return Ok(is_whole),
                    number::ERROR => match message.error().map(|(_, code)| Errno::from_raw(code)) {
                        Some(Errno::ENOENT) => return Ok(true),
                        Some(Errno::EINTR | Errno::EAGAIN) => return Ok(false),
                        Some(Errno::EPERM) => return Err(forbidden()),
                        Some(errno) => return Err(refused(doing, errno)),
                        None => return Err(refused(doing, Errno::EPROTO)),
                    },
                    _ => read(&message),
                }
            }
        }
    }

    /// The number of the ruleset's present state: it grows with every transaction of anybody.
    pub(super) fn generation(&mut self) -> Result<u32, BackendError> {
        let doing = "asking for the generation of the ruleset";
        let mut request = Messages::new(self.sequence);
        request.write(number::GET_GENERATION, 0, 0, |_| {});
        self.sequence = request.sequence();
        self.drain();
        send(self.fd.as_raw_fd(), request.as_bytes(), MsgFlags::empty())
            .map_err(|errno| refused(doing, errno))?;
        loop {
            let n = match recv(self.fd.as_raw_fd(), &mut self.buffer, MsgFlags::empty()) {
                Ok(n) => n,
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(refused(doing, errno)),
            };
            for message in messages(&self.buffer[..n]) {
                if message.sequence != self.sequence {
                    continue;
                }
                if message.kind == number::ERROR {
                    let errno = message.error().map_or(0, |(_, code)| code);
                    return Err(match Errno::from_raw(errno) {
                        Errno::EPERM => forbidden(),
                        Errno::EINVAL | Errno::EOPNOTSUPP => no_tables(),
                        errno => refused(doing, errno),
                    });
                }
                let body = message.body.get(4..).unwrap_or_default();
                if let Some(generation) = attribute(body, 1).and_then(u32_of) {
                    return Ok(generation);
                }
            }
        }
    }

    /// Throws away answers nobody waits for any more.
    fn drain(&mut self) {
        let fd = self.fd.as_raw_fd();
        loop {
            match recv(fd, &mut self.buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(_) | Err(Errno::EINTR | Errno::ENOBUFS) => {}
                Err(_) => return,
            }
        }
    }
}

pub(super) fn refused(doing: &'static str, errno: Errno) -> BackendError {
    BackendError::Refused { doing, source: io::Error::from(errno) }
}

pub(super) fn no_tables() -> BackendError {
    BackendError::Unsupported("this kernel has no nf_tables".to_owned())
}

fn forbidden() -> BackendError {
    BackendError::Unsupported(
        "changing the firewall needs the capability CAP_NET_ADMIN, which this process does not have"
            .to_owned(),
    )
}
