//! Client side: a blocking RESP connection, the command-line client and its prompt.
