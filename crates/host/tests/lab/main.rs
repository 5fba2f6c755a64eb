//! The driver in network namespaces: with a scripted engine, what it does and tells; with real speakers, that it all fits.
//! The tests must be root for their namespaces; without that they say so and test nothing.

#[cfg(test)]
mod bfd;
#[cfg(test)]
mod isis;
#[cfg(test)]
mod namespace;
#[cfg(test)]
mod script;
#[cfg(test)]
mod scripted;
#[cfg(test)]
mod speakers;
