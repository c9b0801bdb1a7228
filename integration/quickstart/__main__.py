"""Plays the story. Called by ./quickstart with the built binary."""

import argparse
import shutil
import sys
import tempfile

from integration.quickstart import laboratory
from integration.quickstart.narrator import Narrator, StepFailed
from integration.quickstart.story import Story
from integration.topology import CommandFailed


def _how_to_look_around(lab):
    node = lab.nodes[0]
    router = lab.router
    return f"""
The laboratory is up. Look around:
  {lab.binary} --socket {node.socket} get services
  nsenter --net={lab.client.netns_path} curl http://172.18.255.200/
  nsenter --net={lab.router_host.netns_path} vtysh --vty_socket {router.directory} -c "show bgp summary"
  logs: {lab.log_dir}
Remove it:
  sudo ./quickstart --remove"""


def _play(binary, keep):
    narrator = Narrator()
    try:
        with laboratory.Laboratory(binary, keep) as lab:
            try:
                Story(lab, narrator).play()
            except (StepFailed, CommandFailed, TimeoutError) as error:
                print(f"\nFAILED at: {narrator.step_name}\n  {error}", file=sys.stderr)
                _keep_logs(lab)
                return 1
            narrator.say("\nThe story is complete.")
            if keep:
                narrator.say(_how_to_look_around(lab))
            return 0
    except FileExistsError:
        print("\nFAILED: a laboratory that --keep left is still up; remove it: sudo ./quickstart --remove", file=sys.stderr)
        return 1
    except (CommandFailed, PermissionError) as error:
        print(f"\nFAILED at: {narrator.step_name}\n  {error}", file=sys.stderr)
        return 1


def _keep_logs(lab):
    """The laboratory goes, its logs stay."""
    directory = tempfile.mkdtemp(prefix="portolan-quickstart-log-")
    shutil.copytree(lab.log_dir, directory, dirs_exist_ok=True)
    print(f"  logs: {directory}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(prog="quickstart", description=__doc__)
    parser.add_argument("--binary", help="the built portolan")
    parser.add_argument("--keep", action="store_true", help="leave the laboratory up")
    parser.add_argument("--remove", action="store_true", help="remove a kept laboratory")
    arguments = parser.parse_args()
    if arguments.remove:
        laboratory.remove_kept()
        return 0
    return _play(arguments.binary, arguments.keep)


if __name__ == "__main__":
    sys.exit(main())
