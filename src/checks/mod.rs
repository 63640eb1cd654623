//! Pure rules and detectors, one per file. Nothing here reads a server or a clock.

pub mod advise;
pub mod doctor;
pub mod fixes;
pub mod input;
pub mod judge;
pub mod known;
pub mod measure;
pub mod n_plus_one;
pub mod pool;
pub mod queries;
pub mod ready;
pub mod reason;
pub mod replication;
pub mod snapshot;
pub mod trail;
pub mod verdict;
pub mod vitals;
