// The program of broken_tc.bpf.c, for tests of whoever loads programs. Bytes of static duration.
// It loads, and drops everything.
#pragma once

#include "bpf/programs/object.h"

namespace portolan::bpf {

Object BrokenTc();

}  // namespace portolan::bpf
