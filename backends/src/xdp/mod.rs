//! AF_XDP.
mod frames;
mod index;
mod join;
mod pace;
mod receive;
#[cfg(test)]
mod tests;
