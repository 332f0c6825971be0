//! Items of all files in one collection: definitions, appends, replaces, order.
