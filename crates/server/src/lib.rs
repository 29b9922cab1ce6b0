//! The program as a library, so that tests and the demonstration can start servers in place.
