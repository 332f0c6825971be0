//! Alerts in Falco's text and JSON schema, and the sinks they are written to, each behind a bounded
//! queue so that a slow sink never stalls the event path.
#![forbid(unsafe_code)]
