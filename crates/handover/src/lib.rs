//! The pure handover machine: choose, catch up, fence, drain, promote, redirect, linger.
