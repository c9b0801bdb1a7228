#!/bin/bash
# The thread sanitizer of g++ 12 does not start where the kernel randomises more address bits than it knows of.
exec setarch --addr-no-randomize "$@"
