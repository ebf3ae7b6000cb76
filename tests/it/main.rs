//! One binary for all tests that look at Roomcast from outside: each linked test binary costs a minute.

mod backtest;
mod batch;
mod cli;
mod dashboard;
mod experience;
mod files;
mod forecast;
mod holidays;
mod leakage;
mod live;
mod mutations;
mod poison;
mod power;
mod presence;
mod publish;
mod readings;
mod registry;
mod retrain;
mod schedule;
mod serve;
mod shared;
mod simulate;
mod soak;
mod store;
mod stream;
mod week;
