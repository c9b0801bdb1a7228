#include "tools/portolan/exit_code.h"

#include <iostream>

namespace portolan::cli {

int Fail(const absl::Status& status) {
  std::cerr << "portolan: " << status.message() << std::endl;
  return absl::IsNotFound(status) ? kNotFound : kError;
}

}  // namespace portolan::cli
