"""gRPC: the generated interfaces, the codecs between them and the domain, servers and clients."""

import os

# gRPC's own log writes what a peer sends to standard error as it came, line breaks included: a line of ours could be
# forged. It is asked for by name where somebody hunts a fault of the network.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
