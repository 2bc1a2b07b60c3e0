//! The local player: lessons on 127.0.0.1 and the school's LAN.
