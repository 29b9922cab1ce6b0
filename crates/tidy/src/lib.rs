//! Checks of the project's own rules, run as tests.
