// What an allocator's process has of an etcd cluster, for tests that kill it: it stands for
// election, leads, and can die while a transaction is on its way.
#pragma once

#include <string>

#include "services/ipam-service/shell/testing_mortal_store.h"

namespace portolan::ipam {

// `port`: a member's, on loopback. Blocks until this process leads. The dead leader's key goes at
// once, as it does when its lease is over. Rows and key are under one fixed prefix: one cluster for
// each workload.
MortalParts OpenMortalEtcd(int port);

}  // namespace portolan::ipam
