"""Listens inside the namespaces named on the command line until it is ended. Prints `ready` once it does."""
import os
import sys

from namespaces import Namespace
from traffic import open_servers, serve


def main():
    servers = {name: open_servers(Namespace(name)) for name in sys.argv[1:]}
    print("ready", flush=True)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whoever started us may go
    serve(servers)


if __name__ == "__main__":
    main()
