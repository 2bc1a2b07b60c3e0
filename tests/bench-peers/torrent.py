"""The BitTorrent peers of `cargo xtask bench school`: makes a torrent, seeds it, fetches it, and tells who is there.

    torrent.py make FILE TORRENT TRACKER_URL
    torrent.py tracker PORT
    torrent.py seed TORRENT DIR ADDRESS
    torrent.py leech TORRENT DIR ADDRESS GO DONE PEER...

`leech` is ready and waits until the file GO is there, then fetches into DIR from PEERs (host:port), and writes the file DONE
when every piece is there and its hash fits. It is told every peer at once: a tracker that costs nothing. TCP only, no DHT, no
tracker, no port mapping; leechers unchoke as many peers as there are.

Pieces of 64 KiB and two unchoked leechers at the seeder are what did best of what was tried (pieces of 32 KiB to 1 MiB, one to
eight and all leechers, super-seeding, shallower queues). BT_PIECE (bytes), BT_SEED and BT_LEECH (libtorrent settings, JSON)
try others.
"""

import json
import os
import socketserver
import sys
import time
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

PORT = int(os.environ.get("BT_PORT", "6881"))


def session(address, more=None):
    import libtorrent as lt

    settings = {
        "listen_interfaces": f"{address}:{PORT}",
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_outgoing_utp": False,
        "enable_incoming_utp": False,
        "unchoke_slots_limit": -1,
        "connections_limit": 500,
        "allow_multiple_connections_per_ip": False,
        "min_reconnect_time": 1,
        "connection_speed": 200,
        "alert_mask": 0,
    }
    settings.update(more or {})
    return lt.session(settings)


def parameters(torrent, folder):
    import libtorrent as lt

    found = lt.load_torrent_file(torrent)
    if hasattr(found, "ti") and found.ti is not None:
        params = found
    else:
        params = lt.add_torrent_params()
        params.ti = lt.torrent_info(torrent)
    params.save_path = folder
    params.trackers = []
    params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    return params


def make(file, torrent, tracker):
    import libtorrent as lt

    piece = int(os.environ.get("BT_PIECE", 64 * 1024))
    entries = [lt.create_file_entry(os.path.basename(file), os.path.getsize(file))]
    made = lt.create_torrent(entries, piece, lt.create_torrent.v1_only)
    made.add_tracker(tracker)
    lt.set_piece_hashes(made, os.path.dirname(os.path.abspath(file)))
    with open(torrent, "wb") as out:
        out.write(lt.bencode(made.generate()))


def seed(torrent, folder, address):
    import libtorrent as lt

    ses = session(address, json.loads(os.environ.get("BT_SEED", '{"unchoke_slots_limit": 2}')))
    params = parameters(torrent, folder)
    params.flags |= lt.torrent_flags.seed_mode
    if os.environ.get("SUPER_SEEDING") == "1":
        params.flags |= lt.torrent_flags.super_seeding
    ses.add_torrent(params)
    while True:
        time.sleep(1)


def leech(torrent, folder, address, go, done, peers):
    ses = session(address, json.loads(os.environ.get("BT_LEECH", "{}")))
    params = parameters(torrent, folder)
    while not os.path.exists(go):
        time.sleep(0.01)
    handle = ses.add_torrent(params)
    told = 0.0
    while not handle.status().is_seeding:
        # Those that were restarted meanwhile are told again.
        if time.monotonic() - told > 2:
            told = time.monotonic()
            for peer in peers:
                host, port = peer.rsplit(":", 1)
                handle.connect_peer((host, int(port)))
        time.sleep(0.01)
    with open(done, "w") as out:
        out.write("done")
    while True:
        time.sleep(1)


class Tracker(BaseHTTPRequestHandler):
    """The least that aria2 asks for: every announcer's address, compact; asked again after two seconds."""

    peers = set()

    def do_GET(self):
        query = parse_qs(urlsplit(self.path).query, encoding="latin-1")
        own = (self.client_address[0], int(query["port"][0]))
        if query.get("event") == ["stopped"]:
            self.peers.discard(own)
        else:
            self.peers.add(own)
        packed = b"".join(
            bytes(map(int, host.split("."))) + port.to_bytes(2, "big")
            for host, port in sorted(self.peers)
            if (host, port) != own
        )
        body = b"d8:intervali2e12:min intervali2e5:peers%d:%se" % (len(packed), packed)
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def tracker(port):
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    with socketserver.ThreadingTCPServer(("0.0.0.0", int(port)), Tracker) as server:
        server.serve_forever()


def main(verb, *rest):
    if verb == "make":
        make(*rest)
    elif verb == "tracker":
        tracker(*rest)
    elif verb == "seed":
        seed(*rest)
    elif verb == "leech":
        leech(*rest[:5], rest[5:])
    else:
        sys.exit(__doc__)


main(*sys.argv[1:])
