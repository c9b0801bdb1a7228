"""Our side of the ipam benchmark: ipam_sides PROGRAM [--in-directory PROGRAM]...

Runs the programs one after the other and passes on what they print. One behind --in-directory is given an empty directory on
a disk (below /var/tmp, which survives a restart and so is no memory), which is removed afterwards, whatever happens.
"""

import argparse
import subprocess
import sys
import tempfile


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("--in-directory", action="append", default=[], metavar="PROGRAM")
    options = parser.parse_args(arguments)
    subprocess.run([options.program], check=True)
    for program in options.in_directory:
        with tempfile.TemporaryDirectory(prefix="portolan-bench-", dir="/var/tmp") as directory:
            subprocess.run([program, directory], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
