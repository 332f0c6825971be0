//! Values of whole events, class by class.
