"""Partitions of other hosts: questions over Arrow Flight, the server that answers them, the part that asks.

Not DGL's RPC: its servers unpickle whatever reaches their port, end with std::bad_alloc on 200 kB of random bytes
(1.1.3, tensorpipe), and count a stranger as a client.
"""
