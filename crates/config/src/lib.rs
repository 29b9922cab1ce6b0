//! Every configuration directive as data: parsing, checking, showing and rewriting valkey.conf.
