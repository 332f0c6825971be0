//! A program against one event, through the facts that the event offers.
