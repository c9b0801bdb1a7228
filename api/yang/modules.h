// The YANG sources of this folder, inside the binary: it needs no files to know its model.
// Static storage, any thread; in the order of the names.
#pragma once

#include <cstddef>

namespace portolan::api {

struct YangModule {
  const char* name;  // "portolan-ipam"
  const char* text;
};

extern const YangModule kYangModules[];
extern const size_t kYangModuleCount;

}  // namespace portolan::api
