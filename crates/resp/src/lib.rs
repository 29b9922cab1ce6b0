//! RESP2 and RESP3 bytes to requests and replies; incremental, no sockets.
