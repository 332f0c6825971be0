//! Bars of the way to registries: retries, stalls, resumption, credentials.
