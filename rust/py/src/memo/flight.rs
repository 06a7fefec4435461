//! Single flight, the part that every miss pays for: who is computing which key.
//!
//! A *flight* is one computation of one key, led by the thread that makes it. Here is only the list
//! of flights; what those who wait for one do is Python code, since they have time
//! (`overdrive._memoize.flight`). The first of them leaves an object here that the leader tells how it
//! ended.

use std::num::NonZeroU64;

use crate::key::{Asked, Same, same};
use crate::obj::{Gone, Obj};

/// What `threading.get_ident()` returns.
#[cfg(target_os = "linux")]
#[inline]
pub fn this_thread() -> u64 {
    // As CPython does it, without the way there.
    // SAFETY: has no preconditions. Not 64 bits wide everywhere.
    #[expect(clippy::useless_conversion, reason = "c_ulong may have 32 bits")]
    unsafe { libc::pthread_self() }.into()
}

/// What `threading.get_ident()` returns.
#[cfg(not(target_os = "linux"))]
#[inline]
pub fn this_thread() -> u64 {
    unsafe extern "C" {
        // Include/pythread.h; not in pyo3-ffi.
        fn PyThread_get_thread_ident() -> std::ffi::c_ulong;
    }
    // SAFETY: has no preconditions. Not 64 bits wide everywhere.
    #[expect(clippy::useless_conversion, reason = "c_ulong has 32 bits on Windows")]
    unsafe { PyThread_get_thread_ident() }.into()
}

/// Names one flight of a function among all that it ever has.
pub type Ticket = NonZeroU64;

struct Flight {
    key: Obj,
    leader: u64,
    ticket: Ticket,
    /// Whom to tell.
    waiters: Option<Obj>,
    /// What it computes was invalidated, so it is not to be stored, nor found by later calls.
    detached: bool,
}

/// The flights of one function.
#[derive(Default)]
pub struct Flights {
    /// The hash of each flight's key: all that most searches have to read.
    hashes: Vec<u64>,
    flights: Vec<Flight>,
    last_ticket: Option<Ticket>,
}

/// What came of beginning a flight.
pub enum Begin {
    /// It has begun; end it with this ticket.
    Begun(Ticket),
    /// This thread is computing the key already, or there is no memory to note that it does.
    Alone,
    /// Another thread is.
    Busy,
    /// `Asked` has new questions.
    Ask,
}

/// How a flight ended, for its leader.
pub struct Landed {
    /// Whether the value may be stored.
    pub attached: bool,
    /// Owned, as is what follows; to be given up outside of the region.
    pub key: Option<Obj>,
    /// To be told.
    pub waiters: Option<Obj>,
}

impl Flights {
    /// Begins a flight if that is plain to do: no flight's key has this hash, and there is memory.
    #[inline(always)]
    pub fn begin_now(&mut self, hash: u64, key: Obj, me: u64) -> Option<Ticket> {
        let room = self.hashes.len() < self.hashes.capacity()
            && self.flights.len() < self.flights.capacity();
        (room && !self.hashes.contains(&hash)).then(|| self.add(hash, key, me))
    }

    /// Begins a flight unless there is one of an equal key.
    pub fn begin(&mut self, hash: u64, key: Obj, me: u64, asked: &mut Asked) -> Begin {
        if !self.flights.is_empty() {
            match self.find(hash, key, asked) {
                Ok(None) => {}
                Ok(Some(at)) if self.flights[at].leader == me => return Begin::Alone,
                Ok(Some(_)) => return Begin::Busy,
                Err(Unknown) => return Begin::Ask,
            }
        }
        if self.hashes.try_reserve(1).is_err() || self.flights.try_reserve(1).is_err() {
            return Begin::Alone;
        }
        Begin::Begun(self.add(hash, key, me))
    }

    /// Adds a flight, for which there is room.
    #[inline(always)]
    fn add(&mut self, hash: u64, key: Obj, me: u64) -> Ticket {
        let next = |last: Ticket| last.saturating_add(1);
        let ticket = self.last_ticket.map_or(Ticket::MIN, next);
        self.last_ticket = Some(ticket);
        self.hashes.push(hash);
        self.flights.push(Flight {
            key: key.incref(),
            leader: me,
            ticket,
            waiters: None,
            detached: false,
        });
        ticket
    }

    /// Whether the value of a flight is to be stored.
    #[inline(always)]
    pub fn is_attached(&self, ticket: Ticket) -> bool {
        self.place(ticket)
            .is_some_and(|at| !self.flights[at].detached)
    }

    /// Where a flight is. The latest is the first to end, where flights nest.
    #[inline(always)]
    fn place(&self, ticket: Ticket) -> Option<usize> {
        match self.flights.last() {
            Some(last) if last.ticket == ticket => Some(self.flights.len() - 1),
            _ => self.search(ticket),
        }
    }

    #[cold]
    fn search(&self, ticket: Ticket) -> Option<usize> {
        self.flights
            .iter()
            .rposition(|flight| flight.ticket == ticket)
    }

    /// Ends a flight.
    #[inline(always)]
    pub fn end(&mut self, ticket: Ticket) -> Landed {
        let Some(at) = self.place(ticket) else {
            return Landed {
                attached: false,
                key: None,
                waiters: None,
            };
        };
        self.hashes.swap_remove(at);
        let flight = &self.flights[at];
        let landed = Landed {
            attached: !flight.detached,
            key: Some(flight.key),
            waiters: flight.waiters,
        };
        self.flights.swap_remove(at);
        landed
    }

    /// The object that hears of the end of a flight, with a reference, and the thread that leads it:
    /// `offered` if nobody waits for it yet. `None` if there is no such flight.
    pub fn join(
        &mut self,
        hash: u64,
        key: Obj,
        offered: Obj,
        asked: &mut Asked,
    ) -> Result<Option<(Obj, u64)>, Unknown> {
        Ok(self.find(hash, key, asked)?.map(|at| {
            let flight = &mut self.flights[at];
            let waiters = *flight.waiters.get_or_insert_with(|| offered.incref());
            (waiters.incref(), flight.leader)
        }))
    }

    /// Lets nobody else find a flight of this key, nor store what it computes.
    pub fn detach(&mut self, hash: u64, key: Obj, asked: &mut Asked) -> Result<(), Unknown> {
        if let Some(at) = self.find(hash, key, asked)? {
            self.flights[at].detached = true;
        }
        Ok(())
    }

    /// The same for all keys.
    pub fn detach_all(&mut self) {
        self.flights
            .iter_mut()
            .for_each(|flight| flight.detached = true);
    }

    /// Forgets the flights of threads that a fork did not copy: all but this one.
    pub fn keep_only(&mut self, me: u64, gone: &mut Gone) {
        let mut at = 0;
        while at < self.flights.len() {
            if self.flights[at].leader == me {
                at += 1;
            } else {
                self.hashes.swap_remove(at);
                let flight = self.flights.swap_remove(at);
                gone.push(flight.key);
                flight
                    .waiters
                    .into_iter()
                    .for_each(|object| gone.push(object));
            }
        }
    }

    /// Every reference held.
    pub fn references(&self) -> impl Iterator<Item = &Obj> {
        self.flights
            .iter()
            .flat_map(|flight| std::iter::once(&flight.key).chain(&flight.waiters))
    }

    fn find(&self, hash: u64, key: Obj, asked: &mut Asked) -> Result<Option<usize>, Unknown> {
        let mut unknown = false;
        for (at, &known) in self.hashes.iter().enumerate() {
            let flight = &self.flights[at];
            if known != hash || flight.detached {
                continue;
            }
            match same(flight.key, key) {
                Same::Yes => return Ok(Some(at)),
                Same::No => {}
                Same::Ask => match asked.answer(flight.key) {
                    Some(true) => return Ok(Some(at)),
                    Some(false) => {}
                    None => {
                        asked.note(flight.key);
                        unknown = true;
                    }
                },
            }
        }
        if unknown { Err(Unknown) } else { Ok(None) }
    }
}

/// Only Python code can compare the keys: `Asked` has new questions.
pub struct Unknown;

impl Drop for Flights {
    fn drop(&mut self) {
        let mut gone = Gone::default();
        for flight in self.flights.drain(..) {
            gone.push(flight.key);
            flight
                .waiters
                .into_iter()
                .for_each(|object| gone.push(object));
        }
    }
}
