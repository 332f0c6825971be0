//! Bars of the command line in its compatible form: requirements, validation, configuration, indexes.
