// Who speaks gNMI, and what of it access control (shell/access.h, NACM) permits.
//
// Over TLS the user is the common name of the client's certificate. Over the UNIX socket nobody is
// known: whoever may open it is as the recovery session. gNMI has no operations that rules could
// name, so it is the data that is asked for: reads of what is told, writes of what a Set changes.
// A value; any thread. What Access says is asked anew each time.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/base/yang/tree.h"
#include "services/config-service/core/nacm.h"
#include "services/config-service/core/problem.h"
#include "services/config-service/shell/access.h"
#include "services/config-service/shell/commit.h"
#include "services/config-service/shell/configuration.h"

namespace grpc {
class ServerContextBase;
}

namespace portolan::config {

class Caller {
 public:
  // `access` is not owned. UNAUTHENTICATED: a certificate without a common name.
  static absl::StatusOr<Caller> Of(const grpc::ServerContextBase& context, Access* access);

  // Nothing is asked.
  bool unlimited() const { return subject_.recovery; }
  // Removes what the caller may not read.
  void FilterRead(yang::Tree* tree) const;
  // Empty: the caller may turn one into the other. Else the rule is access-denied.
  std::vector<Problem> CheckWrite(const Configuration& before, const Draft& after) const;

  const Author& author() const { return author_; }

 private:
  Caller(Access* access, Subject subject, Author author)
      : access_(access), subject_(std::move(subject)), author_(std::move(author)) {}

  Access* access_;
  Subject subject_;
  Author author_;
};

}  // namespace portolan::config
