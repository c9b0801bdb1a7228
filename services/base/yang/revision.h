// What a new revision of a module must not do to those who use the old one: RFC 7950, section 11.
// Pure functions of two contexts; for the check of the build.
//
// Stricter than the RFC where a program cannot judge: a `must`, `when` or pattern that changed is
// refused like a new one, and so is a union whose members changed.
#pragma once

#include <string>
#include <vector>

#include "services/base/yang/context.h"

struct lysc_type;

namespace portolan::yang {

// "/portolan-ipam:ipam/pools/pool/priority: the default changed from 1 to 2"; empty: all who used
// `released` can use `current`. Modules that only `current` has are free.
std::vector<std::string> IncompatibleChanges(const Context& released, const Context& current);

// For this room: why what `released` takes is not all taken by `current`; empty: it is.
std::vector<std::string> NarrowedTypes(const lysc_type* released, const lysc_type* current);

}  // namespace portolan::yang
