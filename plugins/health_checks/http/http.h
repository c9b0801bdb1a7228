// Health check "http": GET of a path over HTTP/1.1 (RFC 9112) answers with a status from 200 to
// 399. Only the status line is read; redirections are not followed, and there is no TLS.
#pragma once

#include <memory>

#include "plugins/sdk/factory.h"

namespace portolan::plugin {

std::unique_ptr<Factory> NewHttpCheckFactory();

}  // namespace portolan::plugin
