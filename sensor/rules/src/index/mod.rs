//! Which rules an event can concern: event types of a condition, rules by event code.
