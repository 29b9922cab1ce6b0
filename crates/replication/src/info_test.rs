//! Tests of INFO and ROLE.
