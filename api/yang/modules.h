// The YANG sources of this folder, inside the binary: it needs no files to know its model.
#pragma once

#include <cstddef>

namespace portolan::api {

struct YangModule {
  const char* name;  // "portolan-ipam"
  const char* text;
};

// Static storage.
extern const YangModule kYangModules[];
extern const size_t kYangModuleCount;

}  // namespace portolan::api
