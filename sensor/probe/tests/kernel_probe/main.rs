//! The probe on the live kernel. Each test says aloud when it cannot run, and why.

#[cfg(test)]
mod calls;
#[cfg(test)]
mod compat;
#[cfg(test)]
mod connect;
#[cfg(test)]
mod evasion;
#[cfg(test)]
mod exec;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod io_uring;
#[cfg(test)]
mod live;
#[cfg(test)]
mod load;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod open;
#[cfg(test)]
mod reads;
#[cfg(test)]
mod rings;
#[cfg(test)]
mod seed;
