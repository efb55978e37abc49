//! The one integration binary: the real host, real guests, real clients.

mod access;
mod asking;
mod big_reads;
mod catalog;
mod crowd;
mod document;
mod full_disk;
mod hostile;
mod interop;
mod kept;
mod life;
mod limits;
mod load;
mod pair;
mod plain_reads;
mod pressure;
mod reading;
mod sessions;
mod shares;
mod shipped;
mod soak;
mod streams;
mod tidy;
mod wire;
