//! What the tests and benchmarks share: a log generator, small geographic databases, book tests.
//!
//! Everything but `postgres` is a function of its arguments: the same seed gives the same bytes on every
//! machine, so a failing comparison can be repeated by its seed alone. Never a dependency of code
//! that ships.
//!
//! Reading order: [`rng`] and [`date`] are the ground; [`loggen`] writes the logs; [`mmdb`] writes
//! databases in MaxMind's format and [`geo`] says what stands in ours; [`book`] runs the stories of
//! the book; [`postgres`] starts a server.

#![forbid(unsafe_code)]

pub mod rng;

pub mod date;

pub mod loggen;

pub mod mmdb;

pub mod geo;

pub mod book;

pub mod postgres;
