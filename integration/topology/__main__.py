"""python3 -m integration.topology list | clean | remove PREFIX"""

import sys

from integration.topology import topology


def main(arguments):
    if arguments == ["list"]:
        for prefix in topology.orphans():
            print(f"{prefix} (its owner is dead)")
            for netns in topology.namespaces_of(prefix):
                print(f"  {netns}")
    elif arguments == ["clean"]:
        for prefix in topology.orphans():
            topology.Topology.remove(prefix)
            print(f"removed {prefix}")
    elif len(arguments) == 2 and arguments[0] == "remove":
        topology.Topology.remove(arguments[1])
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
